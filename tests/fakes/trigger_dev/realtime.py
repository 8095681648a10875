"""GET /realtime/v1/runs[/{id}]: the shape protocol. A snapshot, a catch-up (the snapshot again), then live long polls.

What a handle has been shown is remembered under it (run -> updatedAt); a live poll shows what advanced since. A handle
nobody knows - after a restart, or always with the knob realtime_forget - is served by its offset's time alone. A feed
resolves at most realtime_cap runs, the newest; live polls show every change of a run that fits."""
import collections
import itertools
import random
import re
import threading
import time

from .access import Reply, forbidden, may_follow, may_read, not_found
from .clock import duration_ms
from .lists import candidates
from .render import COLUMNS, UNSKIPPABLE, compact, realtime_row, shape_schema
from .vocab import API_VERSION

DAY_MS = 86400000
UP_TO_DATE = '{"headers":{"control":"up-to-date"}}'
REFETCH = '[{"headers":{"control":"must-refetch"}}]'
Feed = collections.namedtuple("Feed", "env run_id tags floor skip versioned")


class Seen:
    """What one handle was shown."""

    def __init__(self, position):
        self.position, self.rows = position, {}  # in the population's log; internal id -> (updatedAt, state)


class Realtime:
    def __init__(self, app):
        self.app, self._lock = app, threading.Lock()
        self._seen, self._live = collections.OrderedDict(), collections.Counter()
        self._seq, self._random = itertools.count(1), random.Random(app.seed)

    def answer(self, who, request, run_id):
        params, population = request.params, self.app.population
        tags = params["tags"].split(",") if params.get("tags") is not None else []
        if any(tag == "" or re.search(r'[\x00-\x1f\x7f\\"]', tag) for tag in tags):
            return Reply(400, {"error": "Invalid tags"})
        with population.lock:
            population.advance()
            run = population.runs.get(run_id) if run_id else None
            if run_id and (run is None or run.env is not who.env or run.state.status is None):
                return not_found()
            if run and not may_read(who, run):
                return forbidden()
        if not run_id and not may_follow(who, tags):
            return forbidden()
        handle = params.get("handle") or params.get("shape_id")
        if handle and (bent := self._bend(request)):
            return bent
        skip = frozenset((params.get("skipColumns") or "").split(",")) - UNSKIPPABLE
        feed = Feed(who.env, run_id, tuple(tags), self._floor(handle if params.get("offset") != "-1" else None, params), skip,
                    request.headers.get("x-trigger-api-version") == API_VERSION)
        return self._serve(request, feed, handle)

    def _serve(self, request, feed, handle):
        offset = request.params.get("offset") or "-1"
        modern = request.headers.get("x-trigger-electric-version") is not None
        if offset == "-1" or not handle:
            return self._snapshot(feed, self._mint(feed), modern)
        if request.params.get("live") != "true":
            return self._snapshot(feed, handle, modern)
        with self._lock:
            if self._live[feed.env.id] >= self.app.knobs.realtime_concurrency:
                return Reply(429, {"error": "Too many concurrent requests"})
            self._live[feed.env.id] += 1
        try:
            return self._poll(feed, handle, offset, modern)
        finally:
            with self._lock:
                self._live[feed.env.id] -= 1

    def _bend(self, request):
        """must-refetch, in both of its forms, as the knobs order."""
        knobs = self.app.knobs
        with self._lock:
            if knobs.realtime_conflict > 0:
                knobs.realtime_conflict -= 1
                fresh = f"runs_{self._floor(None, request.params)}_{next(self._seq)}_{self._random.getrandbits(32):08x}"
                return Reply(409, REFETCH, [("electric-handle", fresh)])
            if knobs.realtime_refetch > 0:
                knobs.realtime_refetch -= 1
                handle, live = request.params.get("handle") or "", request.params.get("live") == "true"
                return Reply(200, REFETCH, [("electric-handle", handle), ("electric-offset", "0_0"),
                                            ("electric-cursor", "0") if live else ("electric-schema", shape_schema(frozenset()))])
        return None

    # --- handles -----------------------------------------------------------------------------------------------------------
    def _floor(self, handle, params):
        """The oldest creation the feed shows: pinned in the handle, never more than a day back."""
        now = self.app.clock.now()
        pinned = re.match(r"runs_(\d+)_", handle or "")
        wanted = int(pinned.group(1)) if pinned else now - (duration_ms(params.get("createdAt")) or DAY_MS)
        return max(wanted, now - DAY_MS)

    def _mint(self, feed):
        with self._lock:
            return f"run-{feed.run_id}" if feed.run_id else f"runs_{feed.floor}_{next(self._seq)}_{self._random.getrandbits(32):08x}"

    def _remember(self, handle, seen):
        if not self.app.knobs.realtime_forget:
            self._seen[handle] = seen
            self._seen.move_to_end(handle)
            while len(self._seen) > 10000:
                self._seen.popitem(last=False)

    # --- answers -----------------------------------------------------------------------------------------------------------
    def _fits(self, feed, run):
        if feed.run_id:
            return run.id == feed.run_id
        return run.env is feed.env and run.created >= feed.floor and set(feed.tags) <= set(run.state.tags)

    def _resolve(self, feed):
        """The feed's runs: ids as the analytics store knows them (a single run excepted), newest first, capped."""
        population = self.app.population
        if feed.run_id:
            run = population.runs.get(feed.run_id)
            return [run] if run else []
        walk = candidates(population.index(feed.env), None, (feed.floor, ""), None)
        return list(itertools.islice((run for run in walk if self._fits(feed, run)), self.app.knobs.realtime_cap))

    def _snapshot(self, feed, handle, modern):
        population = self.app.population
        with population.lock:
            population.advance()
            seen = Seen(len(population.log))
            rows = [(run, run.state, "insert", None) for run in self._resolve(feed)]
            latest = max((state.updated for _, state, _, _ in rows), default=0)
            seen.rows = {run.key: state for run, state, _, _ in rows}
            self._remember(handle, seen)
        return self._reply(feed, rows, handle, f"{latest}_{next(self._seq)}", modern)

    def _poll(self, feed, handle, offset, modern):
        """Holds until something advanced, or the time is over: then a last full look, as the service does."""
        app, population = self.app, self.app.population
        jitter = app.knobs.realtime_jitter
        end = time.monotonic() + app.knobs.realtime_hold_s * self._random.uniform(1 - jitter, 1 + jitter)
        floor = int(re.match(r"\d*", offset).group() or 0)
        with population.lock:
            population.advance()
            # A single run's handle is shared by all who follow it: there the offset alone counts.
            seen = None if app.knobs.realtime_forget or feed.run_id else self._seen.get(handle)
            known = seen is not None
            if not known:
                seen = Seen(len(population.log))
                rows = self._advanced(seen, known, floor, self._resolve(feed))
            else:
                rows = self._news(feed, seen, floor)
            while not rows and not app.closing.is_set() and (left := end - time.monotonic()) > 0:
                population.changed.wait(self._patience(left))
                population.advance()
                rows = self._news(feed, seen, floor)
            if not rows:
                rows = self._advanced(seen, known, floor, self._resolve(feed))
            self._remember(handle, seen)
        latest = max([floor] + [state.updated for _, state, _, _ in rows])
        return self._reply(feed, rows, handle, f"{latest}_{next(self._seq)}", modern, live=True)

    def _patience(self, left):
        due = self.app.population.next_due()
        if due is not None:
            left = min(left, max(0.0005, self.app.clock.real_seconds_until(due)))
        return left

    def _news(self, feed, seen, floor):
        """What the log has since the handle was served."""
        log = self.app.population.log
        changed = {}
        for at in range(seen.position, len(log)):
            run = log[at].run
            if not run.gone and self._fits(feed, run):
                changed[run.key] = run
        seen.position = len(log)
        return self._advanced(seen, True, floor, changed.values())

    @staticmethod
    def _advanced(seen, known, floor, runs):
        """Compared by updatedAt alone: a second change within its millisecond is not seen."""
        rows = []
        for run in runs:
            state, before = run.state, seen.rows.get(run.key)
            if (known and before is None) or (before is not None and state.updated > before.updated):
                rows.append((run, state, "insert" if before is None else "update", before))
            elif not known and before is None and state.updated > floor:
                rows.append((run, state, "update", None))
            seen.rows[run.key] = state if before is None or state.updated >= before.updated else before
        return rows

    def _message(self, feed, run, state, operation, before):
        knobs = self.app.knobs
        row = realtime_row(knobs, run, state, feed.versioned)
        if operation == "update" and before is not None and knobs.realtime_partial:
            old = realtime_row(knobs, run, before, feed.versioned)
            row = {name: value for name, value in row.items() if name == "id" or value != old[name]}
        return compact({"key": f'"public"."TaskRun"/"{run.key}"', "value": {k: v for k, v in row.items() if k not in feed.skip},
                        "headers": {"operation": operation}})

    def _reply(self, feed, rows, handle, offset, modern, live=False):
        body = "[" + ",".join([self._message(feed, *row) for row in rows] + [UP_TO_DATE]) + "]"
        names = ("electric-handle", "electric-offset") if modern else ("electric-shape-id", "electric-chunk-last-offset")
        headers = list(zip(names, (handle, offset))) + [("cache-control", "no-store")]
        if live:
            headers.append(("electric-cursor", offset.split("_")[1]))
        else:
            headers.append(("electric-schema", shape_schema(feed.skip & set(COLUMNS))))
        if self.app.knobs.realtime_dialect == "electric":
            headers.append(("electric-up-to-date", ""))
        return Reply(200, body, headers)
