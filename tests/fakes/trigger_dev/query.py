"""POST /api/v1/query: the only way to ask by completion. Answers from what the analytics store knows."""
import bisect
import threading

from . import sql
from .access import Reply, not_found, forbidden, parse_json
from .clock import duration_ms, parse_time
from .lists import candidates
from .render import QUERY_COLUMNS, compact, query_value

DAY_MS = 86400000
SCOPES = ("environment", "project", "organization")


class Queries:
    def __init__(self, app):
        self.app, self._lock, self._running = app, threading.Lock(), {}

    def answer(self, who, request):
        knobs = self.app.knobs
        if knobs.query_absent:
            return not_found()
        if who.kind == "jwt" and not who.scopes & {"read:query", "read:all", "admin"}:
            return forbidden()
        body = parse_json(request.body)
        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            return _refused('Required: "query"')
        if body.get("scope", "environment") not in SCOPES or body.get("format", "json") != "json":
            return _refused("Invalid enum value in scope or format")
        project = who.env.project
        with self._lock:
            if self._running.get(project, 0) >= knobs.query_concurrency:
                return Reply(knobs.query_busy_status, {"error": f"You've exceeded your query concurrency of {knobs.query_concurrency} "
                                                                "for this project. Please try again later."})
            self._running[project] = self._running.get(project, 0) + 1
        try:
            return self._run(who, body)
        except sql.SqlError as why:
            return _refused(str(why))
        finally:
            with self._lock:
                self._running[project] -= 1

    def _run(self, who, body):
        app = self.app
        select = sql.parse(body["query"])
        if app.knobs.query_slow_s:
            app.closing.wait(app.knobs.query_slow_s)
        with app.population.lock:
            now = app.population.advance()
            window = _window(body, select, now, app.knobs)
            rows = []
            for env in self._environments(who, body.get("scope", "environment")):
                rows += find_rows(app.population, env, select, window)
        return Reply(200, '{"format":"json","results":[' + ",".join(_rendered(rows, select, app.knobs.query_rows)) + "]}")

    def _environments(self, who, scope):
        return [who.env] if scope == "environment" else [one for one in self.app.environments.values() if one.project == who.env.project]


def _refused(word):
    return Reply(400, {"error": word})


def _time(body, name):
    if body.get(name) is None:
        return None
    text = str(body[name])
    ms = int(text) if text.isdigit() else parse_time(text)
    if ms is None:
        raise sql.SqlError(f"Invalid {name}: {text}")
    return ms


def _window(body, select, now, knobs):
    """(low, high) of triggered_at beside what the SQL says; the plan's lookback cuts all."""
    since, until, period = _time(body, "from"), _time(body, "to"), body.get("period")
    if period:
        since, until = now - (duration_ms(period) or duration_ms(knobs.query_period)), None
    elif since is None and until is None and "triggered_at" not in select.mentioned:
        since = now - duration_ms(knobs.query_period)
    return max(since or 0, now - knobs.query_lookback_days * DAY_MS), until


def _limits(low_a, high_a, low_b, high_b):
    """The narrower of two windows as keys of an index: [low, high)."""
    lows, highs = [x for x in (low_a, low_b) if x is not None], [x for x in (high_a, high_b) if x is not None]
    return ((max(lows), "") if lows else None), ((min(highs) + 1, "") if highs else None)


def _slice(ordered, low, high):
    first = 0 if low is None else bisect.bisect_left(ordered, low, key=lambda one: one[:2])
    return first, len(ordered) if high is None else max(first, bisect.bisect_left(ordered, high, key=lambda one: one[:2]))


def plan(population, env, select, window):
    """(runs that can be rows, the column whose order they are in or None, ascending): the index that has the fewest."""
    index = population.index(env)
    ids = sql.chosen(select.where, sql.leaf_ids)
    if ids is not None:
        found = (population.runs.get(one) for one in sorted(ids))
        return [run for run in found if run and run.env is env and run.seen], None
    newest_first = bool(select.order and select.order[0][1])
    low, high = _limits(*(sql.hull(select.where, "triggered_at") or (None, None)), *window)
    statuses = sql.chosen(select.where, sql.leaf_statuses)
    orders = [index.created] if statuses is None else [index.by_status[s] for s in statuses]
    by_creation = sum(last - first for first, last in (_slice(order, low, high) for order in orders))
    completed = sql.hull(select.where, "completed_at")
    if completed:
        first, last = _slice(index.completed, *_limits(*completed, None, None))
        if last - first <= by_creation or (select.order and select.order[0][0] == "completed_at"):
            numbers = range(last - 1, first - 1, -1) if newest_first else range(first, last)
            return (index.completed[i][2] for i in numbers), "completed_at"
    if not by_creation:
        return [], None
    if sql.chosen(select.where, sql.leaf_retried) and len(index.retried) <= by_creation:
        return list(index.retried), None
    return candidates(index, statuses, low, high, newest_first), "triggered_at"


def find_rows(population, env, select, window):
    """(run, state) of every row, cut once an index in the wanted order has given more than the limit."""
    runs, ordered_by = plan(population, env, select, window)
    fits, (low, high) = sql.compiled(select.where), window
    most = min(population.knobs.query_rows, population.knobs.query_rows if select.limit is None else select.limit)
    early = bool(select.order) and select.order[0][0] == ordered_by
    value_of = QUERY_COLUMNS[ordered_by] if early else None
    rows = []
    for run in runs:
        state = run.seen
        if run.created < low or (high is not None and run.created > high) or not fits(run, state):
            continue
        if early and len(rows) >= most and value_of(run, state) != value_of(*rows[-1]):
            break
        rows.append((run, state))
    return rows


def _sorted(rows, order):
    """Nulls last, whichever way."""
    for name, descending in reversed(order):
        value_of = QUERY_COLUMNS[name]
        nulls = [row for row in rows if value_of(*row) is None]
        rows = sorted((row for row in rows if value_of(*row) is not None), key=lambda row: value_of(*row), reverse=descending) + nulls
    return rows


def _rendered(rows, select, most):
    columns, asked = [(name, QUERY_COLUMNS[name]) for name in select.columns], tuple(select.columns)
    for run, state in _sorted(rows, select.order)[:most if select.limit is None else min(most, select.limit)]:
        if run.cache.get("row:key") != (state.version_seq, asked):
            run.cache["row:key"] = state.version_seq, asked
            run.cache["row"] = compact({name: query_value(name, value_of(run, state)) for name, value_of in columns})
        yield run.cache["row"]
