"""How a trigger-api source keeps up with a full house of the fake Trigger.dev: what it missed, how late it was, what it asked and weighed.

The fake is a process of its own with the service's limits. A lag is from the run's own time until the rule hit, as
runbell's store has it; a transition counts when it was true between the first look and the end of the measuring, and two more looks have passed."""
import collections
import json
import math
import os
import shutil
import sqlite3
import sys
import time
import urllib.request

import peers
from chart import Row

FAKE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fakes", "trigger_dev")
LIMIT_PER_MINUTE = 250 * 6        # of the API: 250 every 10 s
BUCKET = 750                      # it can put by so many
FAILED = {"COMPLETED_WITH_ERRORS", "CRASHED", "SYSTEM_FAILURE", "TIMED_OUT", "INTERRUPTED"}
RULES = """  failed: {when: {status: failed}, by: task, repeat: never, notify: ops}
  retried: {when: {status: REATTEMPTING%s}, by: task, severity: info, repeat: never, notify: ops}
  retry-storm: {when: {status: REATTEMPTING%s}, count: 3 in 10m, by: run, repeat: never, notify: ops}
"""
House = collections.namedtuple("House", "active per_s seconds every_s method budget retried retried_task warm")
# In list mode every run that a rule on retries could mean is retrieved, as the budget allows: there the rule names one task of fifty,
# and some looks go by until each of its runs was.
HOUSES = {"source-query": House(100000, 1000, 60, 5, "query", 10, 0.02, None, 0),
          "source-live": House(100000, 1000, 60, 5, "query, live: true", 10, 0.02, None, 0),
          "source-list": House(2500, 50, 120, 5, "list", 40, 0.5, "task-7", 4)}
QUICK = {"source-query": House(500, 100, 2, 0.5, "query", 10, 0.1, None, 0),
         "source-live": House(500, 100, 2, 0.5, "query, live: true", 10, 0.1, None, 0),
         "source-list": House(200, 100, 2, 0.5, "list", 100, 0.1, None, 2)}
LEAD_S, TAIL_S = 80, 60           # of the house beside the measuring: while it is filled, while the last looks are made


def config(port, url, house):
    task = f", task: {house.retried_task}" if house.retried_task else ""
    return (f"version: 1\nserver: {{listen: \"127.0.0.1:{port}\"}}\nstore: {{url: \"sqlite:store.db\"}}\nlog: {{level: warn}}\n"
            f"sources: {{prod: {{type: trigger-api, url: \"{url}\", key: \"${{env:BENCH_KEY}}\", every: {house.every_s * 1000:g}ms, "
            f"budget: {house.budget}, method: {house.method}}}}}\n"
            f"destinations: {{ops: {{type: console}}}}\nrules:\n{RULES % (task, task)}")


def ask(url, body=None):
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


class Watch:
    """A runbell that looks at the fake, seen from outside."""

    def __init__(self, runbell, port, fake_url):
        self.runbell, self.port, self.fake_url = runbell, port, fake_url

    def source(self):
        raw = peers.get(f"http://127.0.0.1:{self.port}/v1/sources", 10)[1]
        return json.loads(raw)["data"][0] if raw else {}

    def looked(self, looks, seconds):
        """Waits for so many more looks to end; gives how the last was."""
        for _ in range(looks):
            before = self.source().get("last_look_at")
            peers.wait_until("a look", lambda: self.runbell.alive() and self.source().get("last_look_at") != before, seconds, 0.05)
        return self.source()

    def asked(self):
        return ask(self.fake_url + "/_fake/requests")


# --- one run of the house ------------------------------------------------------------------------------------------
def run_house(bench, house):
    """What happened, what was seen, and at what price."""
    folder, port = bench.folder(), peers.free_port()
    with peers.Program("fake", [sys.executable, FAKE], folder) as fake:
        peers.wait_until("the fake is ready", lambda: fake.alive() and os.path.getsize(fake.log) > 0, 20)
        with open(fake.log, encoding="utf-8") as said:
            place = json.loads(said.readline())
        os.environ["BENCH_KEY"] = place["key"]
        ask(place["url"] + "/_fake/steady", {"active": house.active, "per_s": house.per_s, "retried": house.retried,
                                             "seconds": LEAD_S + house.seconds + TAIL_S})
        with bench.runbell(folder, config(port, place["url"], house), port) as runbell:
            got = watch_house(Watch(runbell, port, place["url"]), house)
            got["truth"] = ask(f"{place['url']}/_fake/truth?since={int(got['since'] * 1000)}")
    got["hits"], got["storms"] = stored(folder)
    shutil.rmtree(folder)
    return got


def limited(asked):
    """Requests that count against the API's limit."""
    return sum(asked.get(name, 0) for name in ("query", "list", "retrieve"))


def watch_house(watch, house):
    patience = max(60, house.every_s * 6)
    peers.wait_until("a first look", lambda: watch.runbell.alive() and watch.source().get("state") == "ok", patience, 0.05)
    watch.looked(house.warm, patience)
    since, before, cpu = time.time(), watch.asked(), watch.runbell.cpu_seconds()
    look_ms, totals = [], [limited(before)]
    while time.time() < since + house.seconds:
        look_ms.append(watch.looked(1, patience)["look_ms"])
        totals.append(limited(watch.asked()))
    until, after, cpu = time.time(), watch.asked(), watch.runbell.cpu_seconds() - cpu
    watch.looked(2, patience)
    made = {name: after.get(name, 0) - before.get(name, 0) for name in ("query", "list", "retrieve", "realtime")}
    busy = {name: after["seconds"].get(name, 0) - before["seconds"].get(name, 0) for name in made}
    return {"since": since, "until": until, "made": made, "busy": busy, "longest": after["longest"], "look_ms": look_ms,
            "look_requests": max(b - a for a, b in zip(totals, totals[1:])), "cpu": cpu / (until - since),
            "memory": watch.runbell.peak_bytes()}


def stored(folder):
    """({(run, "end" or attempt): when the rule hit}, runs of which a storm opened)"""
    db = sqlite3.connect(f"file:{folder}/store.db?mode=ro", uri=True)
    hits = collections.defaultdict(list)
    for rule, at, body in db.execute("SELECT i.rule, n.at_ms, n.body FROM notes n JOIN incidents i ON i.id = n.incident WHERE n.what = 'hit'"):
        note = json.loads(body)
        if rule != "retry-storm":
            hits[note["run"], "end" if rule == "failed" else note["attempt"]].append(at)
    storms = {key for key, in db.execute("SELECT key FROM incidents WHERE rule = 'retry-storm'")}
    db.close()
    return hits, storms


# --- what should have been seen ------------------------------------------------------------------------------------
def asked_for(got, house):
    """{(run, "end" or attempt): true at} of what the rules ask for, and the runs that must have opened a storm."""
    from_ms, to_ms, wanted = got["since"] * 1000, got["until"] * 1000, {}
    for one in got["truth"]:
        at = when(one["at"])
        if not from_ms <= at < to_ms:
            continue
        if one["status"] in FAILED:
            wanted[one["run"], "end"] = at
        elif one["status"] == "EXECUTING" and one["attempt"] > 1 and house.retried_task in (None, one["task"]):
            wanted[one["run"], one["attempt"]] = at
    storms = collections.Counter(run for run, what in wanted if what != "end")
    return wanted, {run for run, n in storms.items() if n >= 3}


def when(text):
    """Milliseconds of 2026-05-03T10:16:41.702Z."""
    return SECONDS[text[:19]] * 1000 + int(text[20:23])


class Seconds(dict):
    def __missing__(self, text):
        self[text] = int(time.mktime(time.strptime(text + " UTC", "%Y-%m-%dT%H:%M:%S %Z"))) - time.timezone
        return self[text]


SECONDS = Seconds()


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, math.ceil(len(values) * percent / 100) - 1)] if values else math.nan


class Result:
    """One run, judged."""

    def __init__(self, name, house, got):
        wanted, storms = asked_for(got, house)
        if not wanted:
            raise peers.BenchError(f"{name}: nothing happened that a rule asks for")
        hits = got["hits"]
        self.missed = sum(key not in hits for key in wanted) + len(storms - got["storms"])
        self.twice = sum(len(hits[key]) > 1 for key in wanted if key in hits)
        lags = {key: (hits[key][0] - at) / 1000 for key, at in wanted.items() if key in hits}
        self.ends = [lag for key, lag in lags.items() if key[1] == "end"]
        self.retries = [lag for key, lag in lags.items() if key[1] != "end"]
        self.storms, self.wanted = len(storms), len(wanted)
        self.house, self.seconds = house, got["until"] - got["since"]
        self.happened = sum(got["since"] * 1000 <= when(one["at"]) < got["until"] * 1000 for one in got["truth"])
        self.limited = limited(got["made"])
        self.per_minute = self.limited / self.seconds * 60
        self.per_1000 = self.limited / self.happened * 1000
        self.got, self.memory_mb = got, got["memory"] / 1e6

    def of_limit(self):
        """In per cent; of a budget that can be used up, what was put by before counts, too."""
        admitted = LIMIT_PER_MINUTE * self.seconds / 60 + (BUCKET if self.house.method == "list" else 0)
        return self.limited / admitted * 100

    @property
    def lags(self):
        return self.ends + self.retries

    def fake_ms(self):
        """How long the fake took for an answer of a look: on average, and at most."""
        names = ("query", "list", "retrieve")
        return (sum(self.got["busy"][n] for n in names) / max(1, self.limited) * 1000, max(self.got["longest"].get(n, 0) for n in names) * 1000)

    def look_s(self):
        return percentile(self.got["look_ms"], 50) / 1000, max(self.got["look_ms"]) / 1000

    def told(self):
        fake, look = self.fake_ms(), self.look_s()
        return (f"{self.happened / self.seconds:,.0f} transitions/s, {self.wanted} asked for, {self.missed} missed; lag p50 {percentile(self.lags, 50):.2f} "
                f"p99 {percentile(self.lags, 99):.2f} max {max(self.lags, default=math.nan):.2f} s; {self.per_minute:.0f} requests/min; look {look[0]:.2f} s "
                f"(max {look[1]:.2f}), the fake {fake[0]:.0f} ms an answer (max {fake[1]:.0f}); {self.memory_mb:.0f} MB, {self.got['cpu'] * 100:.0f} % of a core")


# --- the figures -----------------------------------------------------------------------------------------------------
def spread(lags):
    return f"p50 {percentile(lags, 50):.2f}, p99 {percentile(lags, 99):.2f} s"


def common_rows(title, results):
    first = results[0]
    fake = [r.fake_ms() for r in results]
    return [Row(f"{title}: missed or twice", "", ("<=", 0), [r.missed + r.twice for r in results],
                f"of {first.wanted:,} transitions that the rules ask for, {first.storms} storms of retries; {first.happened:,} happened"),
            Row(f"{title}: requests, of the API's limit", " %", ("<=", first.house.budget), [r.of_limit() for r in results],
                f"{first.per_minute:.0f} a minute, {first.per_1000:.1f} per 1,000 transitions; {max(m for _, m in fake):.0f} ms the fake's slowest answer"),
            Row(f"{title}: memory", " MB", ("<=", 150), [r.memory_mb for r in results], f"{first.got['cpu'] * 100:.0f} % of a core")]


def query_rows(results, house):
    lags = [r.lags for r in results]
    return [Row("queries: lag, longest", " s", ("<=", house.every_s + 2), [max(some) for some in lags],
                f"{spread(sum(lags, []))}; every {house.every_s:g} s, a look {results[0].look_s()[0]:.2f} s, of it {results[0].fake_ms()[0]:.0f} ms an answer the fake's")]


def live_rows(results, house):
    ends, retries = [r.ends for r in results], [r.retries for r in results]
    return [Row("live: lag of failures, p99", " s", ("<=", 1), [percentile(some, 99) for some in ends],
                f"p50 {percentile(sum(ends, []), 50):.3f} s, longest {max(sum(ends, [])):.2f} s; {results[0].got['made']['realtime'] / results[0].seconds:.0f} feed requests/s"),
            Row("live: lag of retries, longest", " s", ("<=", house.every_s + 2), [max(some, default=0) for some in retries],
                f"{spread(sum(retries, []))}: the feed tells no attempts, only ways through the queue")]


def list_rows(results, house):
    """A look makes so many requests, and the budget admits so many a second. What changes just after its page was read is seen at that
    place of the next look, which begins `every` after the last one began, or when that is over."""
    rate = LIMIT_PER_MINUTE * house.budget / 100 / 60
    looks = [r.got["look_requests"] / rate for r in results]
    formula = [max(house.every_s, look) + look for look in looks]
    first = results[0]
    return [Row("lists: longest lag, of the formula's", "", ("<=", 1), [max(r.lags) / f for r, f in zip(results, formula)],
                f"{spread(sum((r.lags for r in results), []))}, longest {max(first.lags):.2f} s; {formula[0]:.2f} s by the formula: a look of up to "
                f"{first.got['look_requests']} requests at {rate:g}/s, every {house.every_s:g} s; {first.got['made']['list']} pages, "
                f"{first.got['made']['retrieve']} by id, longest look {first.look_s()[1]:.2f} s")]


FIGURES = {"source-query": ("queries", query_rows), "source-live": ("live", live_rows), "source-list": ("lists", list_rows)}


def polling(bench, rounds, wanted):
    rows = []
    for name, (title, own_rows) in FIGURES.items():
        if name not in wanted:
            continue
        house, results = (QUICK if bench.quick else HOUSES)[name], []
        for k in range(min(rounds, 2)):
            results.append(Result(name, house, run_house(bench, house)))
            print(f"  {name}, round {k + 1}: {results[-1].told()}", flush=True)
        rows += own_rows(results, house) + common_rows(title, results)
    return rows
