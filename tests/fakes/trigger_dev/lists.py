"""GET /api/v1/runs: filters, cursors, pages. Ids come from the analytics store, rows from the database."""
import base64
import bisect
import heapq
import itertools
import json
import operator
import re

from .access import Reply, query_error
from .clock import duration_ms, parse_time
from .render import compact, list_item
from .vocab import FILTER_STATUSES, MACHINES

WEEK_MS = 7 * 86400000
PLAIN = {"version": "filter[version]", "queue": "filter[queue]", "region": "filter[region]", "machine": "filter[machine]"}


class BadQuery(Exception):
    def __init__(self, details):
        super().__init__(details)
        self.details = details


class Filters:
    """The query parameters, judged. All complaints are gathered, as the service does."""

    def __init__(self, params, now):
        self.problems = []
        self.size = self._size(params.get("page[size]"))
        self.statuses = self._statuses(params.get("filter[status]"))
        self.tasks, self.tags = self._words(params, "filter[taskIdentifier]"), self._words(params, "filter[tag]")
        self.plain = {name: self._words(params, key) for name, key in PLAIN.items() if params.get(key)}
        for machine in self.plain.get("machine") or ():
            if machine not in MACHINES:
                self._complain("custom", f"Invalid machine values: {machine}", "filter[machine]")
        self.is_test = self._is_test(params.get("filter[isTest]"))
        self.one = {name: params.get(f"filter[{name}]") or None for name in ("batch", "schedule", "error", "bulkAction")}
        self.since, self.until = self._window(params, now)
        self.before, self.after = params.get("page[before]") or None, params.get("page[after]") or None
        if self.problems:
            raise BadQuery(self.problems)

    def _complain(self, code, message, path, **more):
        self.problems.append({"code": code, **more, "message": message, "path": [path]})

    @staticmethod
    def _words(params, key):
        return set(params[key].split(",")) if params.get(key) else None

    def _size(self, text):
        if text is None:
            return 25
        key = "page[size]"
        if text.strip() == "":
            text = "0"
        if not re.fullmatch(r"\s*[+-]?\d+(\.\d*)?\s*", text):
            self._complain("invalid_type", "Expected number, received nan", key, expected="number", received="nan")
            return 25
        size = float(text)
        if size != int(size):
            self._complain("invalid_type", "Expected integer, received float", key, expected="integer", received="float")
        bounds = {"type": "number", "inclusive": True, "exact": False}
        if size <= 0:
            self._complain("too_small", "Number must be greater than 0", key, minimum=0, **{**bounds, "inclusive": False})
        if size < 1:
            self._complain("too_small", "Number must be greater than or equal to 1", key, minimum=1, **bounds)
        if size > 100:
            self._complain("too_big", "Number must be less than or equal to 100", key, maximum=100, **bounds)
        return int(size)

    def _statuses(self, text):
        if not text:
            return None
        words = text.split(",")
        bad = [word for word in words if word not in FILTER_STATUSES]
        if bad:
            self._complain("custom", f"Invalid status values: {', '.join(bad)}", "filter[status]")
        return {status for word in words for status in FILTER_STATUSES.get(word, ())}

    def _is_test(self, text):
        if not text:
            return None
        if text not in ("true", "false"):
            self._complain("custom", f"Invalid value for isTest: {text}", "filter[isTest]")
        return text == "true"

    def _date(self, params, key):
        text = params.get(key)
        if text is None or text == "":
            return None
        ms = int(float(text)) if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) else parse_time(text)
        if ms is None:
            self._complain("invalid_date", "Invalid date", key)
        return ms

    def _window(self, params, now):
        since, until = self._date(params, "filter[createdAt][from]"), self._date(params, "filter[createdAt][to]")
        period = params.get("filter[createdAt][period]")
        if period:
            return now - (duration_ms(period) or WEEK_MS), None
        if since is None and until is None:
            return now - WEEK_MS, None
        return since, until

    def fit(self, run):
        """Of what the analytics store knows of the run."""
        return (self.tasks is None or run.task in self.tasks) and (self.is_test is None or run.is_test == self.is_test) and \
            (self.tags is None or not self.tags.isdisjoint(run.seen.tags)) and self._fit_rare(run)

    def _fit_rare(self, run):
        for name, wanted in self.plain.items():
            if (run.seen.version if name == "version" else getattr(run, name)) not in wanted:
                return False
        one = self.one
        return (one["batch"] is None or run.batch == one["batch"]) and \
            (one["schedule"] is None or (run.schedule or {}).get("id") == one["schedule"]) and \
            (one["bulkAction"] is None or one["bulkAction"] in run.bulk) and \
            (one["error"] is None or (run.seen.error and "error_" + run.fingerprint == one["error"]))


def encode_cursor(run):
    return base64.urlsafe_b64encode(compact({"c": run.created, "r": run.key}).encode()).decode().rstrip("=")


def decode_cursor(text, population):
    """(createdAt, internal id); a bare internal id is a cursor of old."""
    run = population.runs.get("run_" + text)
    if run:
        return run.created, run.key
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(found["c"]), str(found["r"])
    except (ValueError, KeyError, TypeError):
        return None


_KEY = operator.itemgetter(0, 1)


def _slice(ordered, low, high):
    """The positions of the keys in [low, high); both are (ms, internal id) or None."""
    first = 0 if low is None else bisect.bisect_left(ordered, low, key=_KEY)
    last = len(ordered) if high is None else bisect.bisect_left(ordered, high, key=_KEY)
    return first, last


def candidates(index, statuses, low, high, newest_first=True):
    """Runs by creation, without copying an index: of these statuses, or all."""
    orders = [index.created] if statuses is None else [index.by_status[s] for s in sorted(statuses)]
    walks = []
    for order in orders:
        first, last = _slice(order, low, high)
        if first < last:
            numbers = range(last - 1, first - 1, -1) if newest_first else range(first, last)
            walks.append(map(order.__getitem__, numbers))
    merged = walks[0] if len(walks) == 1 else heapq.merge(*walks, key=_KEY, reverse=newest_first)
    return (key[2] for key in merged)


def find_page(index, filters, population):
    """The runs of the page, newest first, and whether there are more beyond it in the direction asked for."""
    low = None if filters.since is None else (filters.since, "")
    high = None if filters.until is None else (filters.until + 1, "")
    backward = filters.before is not None
    cursor = decode_cursor(filters.before or filters.after, population) if filters.before or filters.after else None
    if cursor and backward:
        beyond = (cursor[0], cursor[1] + "\0")
        low = max(low, beyond) if low else beyond
    elif cursor:
        high = min(high, cursor) if high else cursor
    walk = candidates(index, filters.statuses, low, high, not backward)
    found = list(itertools.islice((run for run in walk if filters.fit(run)), filters.size + 1))
    more = len(found) > filters.size
    found = found[:filters.size]
    return (found[::-1] if backward else found), more


def list_runs(app, env, params, versioned):
    population, knobs = app.population, app.knobs
    with population.lock:
        now = population.advance()
        try:
            filters = Filters(params, now)
        except BadQuery as why:
            return query_error(why.details)
        page, more = find_page(population.index(env), filters, population)
        # The database's rows are filtered once more: a run whose status went on is not shown, and the page is short.
        rows = [run for run in page if filters.statuses is None or run.state.status in filters.statuses]
        if knobs.short_pages:
            rows = rows[:int(len(rows) * (1 - knobs.short_pages))]
        items = [list_item(knobs, run, versioned) for run in rows]
    return Reply(200, '{"data":[' + ",".join(items) + '],"pagination":' + compact(_pagination(filters, page, more)) + "}")


def _pagination(filters, page, more):
    found = {}
    if not page:
        return found
    backward = filters.before is not None
    if backward or more:
        found["next"] = encode_cursor(page[-1])
    if (backward and more) or (not backward and filters.after is not None):
        found["previous"] = encode_cursor(page[0])
    return found
