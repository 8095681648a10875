"""Zones, schedules and cron times against Python's zoneinfo and models that ask each minute (build/tests/zones answers)."""
import os
import random
import subprocess
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest

PROGRAM = os.environ.get("RUNBELL_ZONES", os.path.join(os.path.dirname(__file__), "..", "..", "build", "tests", "zones"))
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
# Both hemispheres, winter as the exception, jumps of half an hour and at midnight, a change of government, none at all.
TELLING = ["UTC", "Europe/Berlin", "America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Beirut",
           "Africa/Casablanca", "Pacific/Apia", "America/Havana", "Asia/Kathmandu", "Antarctica/Troll", "Pacific/Chatham", "America/Nuuk"]


def ask(lines):
    done = subprocess.run([PROGRAM], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(lines)
    for line, answer in zip(lines, answers):
        assert "error" not in answer, f"{line}: {answer}"
    return answers


def seconds(*when):
    return int(datetime(*when, tzinfo=timezone.utc).timestamp())


def local(zone, at):
    return datetime.fromtimestamp(at, zone)


def offset(zone, at):
    return int(local(zone, at).utcoffset().total_seconds())


def changes_of(zone, first, last):
    """Moments at which the zone's clock jumps, to the second: days that differ are halved."""
    out, at = [], first
    while at < last:
        low, high = at, at + 86400
        if offset(zone, low) != offset(zone, high):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == offset(zone, low) else (low, middle)
            out.append(high)
        at += 86400
    return out


# --- offsets ------------------------------------------------------------------------------------------------------------
def zones():
    return sorted(z for z in available_timezones() if not z.startswith(("posix/", "right/")) and z not in ("localtime", "Factory"))


def test_offsets_of_all_zones_are_those_of_zoneinfo():
    rng = random.Random(7)
    names = zones()
    assert len(names) > 400
    moments = {name: [rng.randrange(seconds(1970, 1, 1), seconds(2100, 1, 1)) for _ in range(200)] for name in names}
    answers = ask([f"offset {name} " + " ".join(map(str, moments[name])) for name in names])
    for name, answer in zip(names, answers):
        zone = ZoneInfo(name)
        assert list(map(int, answer.split())) == [offset(zone, at) for at in moments[name]], name


@pytest.mark.parametrize("first", [1994, 2024, 2036, 2098])
def test_offsets_around_each_jump_are_those_of_zoneinfo(first):
    names, moments = TELLING, {}
    for name in names:
        jumps = changes_of(ZoneInfo(name), seconds(first, 1, 1), seconds(first + 3, 1, 1))
        moments[name] = [jump + d for jump in jumps for d in (-1, 0, 1)] or [seconds(first, 6, 1)]
    answers = ask([f"offset {name} " + " ".join(map(str, moments[name])) for name in names])
    for name, answer in zip(names, answers):
        zone = ZoneInfo(name)
        assert list(map(int, answer.split())) == [offset(zone, at) for at in moments[name]], name


# --- schedules ------------------------------------------------------------------------------------------------------------
def days_of(text):
    out = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if part == "all":
            return set(range(7))
        at, last = DAYS.index(first), DAYS.index(last or first)
        out.add(at)
        while at != last:
            at = (at + 1) % 7
            out.add(at)
    return out


def covers(zone, days, hours, but, at):
    now = local(zone, at)
    for text in hours.split(","):
        (h, m), (k, n) = (map(int, t.split(":")) for t in text.split("-"))
        first, last, minute = h * 60 + m, k * 60 + n, now.hour * 60 + now.minute
        if first < last:
            day = now.date() if first <= minute < last else None
        else:  # what began yesterday, after midnight
            day = now.date() if minute >= first else now.date() - timedelta(days=1) if minute < last else None
        if day and day.weekday() in days and day not in but:
            return True
    return False


SCHEDULES = [("mon-fri", "09:00-18:00", "-"), ("all", "01:00-04:00", "-"), ("mon-fri", "22:00-06:00", "-"), ("sat-mon", "00:00-24:00", "-"),
             ("all", "00:00-02:30,02:45-12:00,23:50-00:10", "2026-03-29,2026-10-25,2026-12-25"), ("mon,wed,sun", "18:00-17:59", "2026-04-01"),
             ("all", "00:00-24:00", "2026-12-31,2027-01-01,2027-01-01,2026-11-01")]


@pytest.mark.parametrize("name", TELLING)
def test_a_schedule_covers_what_the_clock_on_the_wall_shows(name):
    zone, step = ZoneInfo(name), 600
    windows = [seconds(2026, 12, 23)] + [jump - 3 * 86400 for jump in changes_of(zone, seconds(2026, 1, 1), seconds(2027, 1, 1))]
    if name == "Pacific/Apia":
        windows.append(seconds(2011, 12, 28))  # it had no 30 December
    count = 6 * 86400 // step
    lines = [f"covers {name} {d} {h} {e} {first} {step} {count}" for first in windows for d, h, e in SCHEDULES]
    answers = iter(ask(lines))
    for first in windows:
        for d, h, e in SCHEDULES:
            but = set() if e == "-" else {date.fromisoformat(x) for x in e.split(",")}
            wanted = "".join("01"[covers(zone, days_of(d), h, but, first + k * step)] for k in range(count))
            assert next(answers) == wanted, (name, d, h, e, local(zone, first))


# --- cron -------------------------------------------------------------------------------------------------------------------
def values(text, least, most, names=()):
    out = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        number = lambda t: least + names.index(t) if t in names else int(t)
        low, high = (least, most) if span == "*" else (number(first), number(last or first))
        out |= set(range(low, high + 1, int(step or 1)))
    return out


class Model:
    """Which minutes of a zone's clock are wanted, each when the clock first reaches it."""

    def __init__(self, text):
        m, h, d, o, w = text.split()
        self.minutes, self.hours, self.days = values(m, 0, 59), values(h, 0, 23), values(d, 1, 31)
        self.months = values(o, 1, 12, ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
        self.weekdays = {k % 7 for k in values(w, 0, 7, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
        self.both = d[0] == "*" or w[0] == "*"

    def wants(self, t):
        day, weekday = t.day in self.days, (t.weekday() + 1) % 7 in self.weekdays
        return t.minute in self.minutes and t.hour in self.hours and t.month in self.months and (day and weekday if self.both else day or weekday)

    def times(self, zone, first, count, far):
        """Behind `first`, minute by minute: the newest time of the clock that was seen only grows."""
        seen = max(local(zone, first - k * 60).replace(tzinfo=None) for k in range(26 * 60))
        out, at = [], first
        while len(out) < count and at < first + far:
            at += 60
            now, due = local(zone, at).replace(tzinfo=None), False
            while seen < now:
                seen += timedelta(minutes=1)
                due = due or self.wants(seen)
            if due:
                out.append(at)
        return out


CRONS = ["0 3 * * *", "30 2 * * *", "0 0 * * *", "*/15 * * * *", "5,35 1-3 * * *", "0 2 29-31 * *", "15 2 * mar,oct,nov sun", "0 0 13 * fri",
         "10-50/20 */6 1,15 * mon-wed", "0 12 */2 * 1", "59 23 31 12 *", "0 1 * * 6-7", "30 0-2 * 3-4 *"]


@pytest.mark.parametrize("name", TELLING)
def test_cron_times_are_those_of_a_model_that_looks_at_each_minute(name):
    zone, rng, far = ZoneInfo(name), random.Random(name), 4 * 86400
    windows = [rng.randrange(seconds(2026, 1, 1) // 60, seconds(2027, 1, 1) // 60) * 60]
    windows += [jump - 86400 - 7 * 60 for jump in changes_of(zone, seconds(2026, 1, 1), seconds(2027, 1, 1))]
    if name == "Pacific/Apia":
        windows.append(seconds(2011, 12, 29))
    wanted = {(first, text): Model(text).times(zone, first, 400, far) for first in windows for text in CRONS}
    answers = ask([f"cron {name} {first} {len(times) + 1} {text}" for (first, text), times in wanted.items()])
    for ((first, text), times), answer in zip(wanted.items(), answers):
        found = [int(t) for t in answer.split() if t != "never"]
        assert found[:len(times)] == times, (name, text, local(zone, first))
        assert len(found) == len(times) or found[len(times)] > first + far or len(times) == 400, (name, text, "one too many")
