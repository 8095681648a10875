"""Everything a test can turn while the fake runs, and the faults it can order for single requests."""
import collections
import random
import threading

DEFAULTS = {
    # the analytics store: ids of lists, the whole query table
    "replica_lag_s": 0.0,        # it hears of a change so much later
    "replica_jitter_s": 0.0,     # and up to so much later still, each change by itself (so out of order)
    "commit_delay_s": 0.0,       # transactions end up to so long after the time they write: late rows with old times
    # the list
    "short_pages": 0.0,          # share of a page's items that a post-filter takes away; 1: empty pages with `next`
    "rename_status": {},         # {"EXECUTING": "HIBERNATING"}: statuses nobody has heard of
    "metadata_bytes": 0,         # every run's metadata is so large (262144 is the service's ceiling)
    "vanished": [],              # run ids that retrieve answers with 404 (Population.vanish takes a run away everywhere)
    "old_server": False,         # knows no version header: old status names, `attempts` filled
    # limits of the API
    "rate_burst": 750, "rate_refill": 250, "rate_interval_s": 10.0,
    "jwt_rate": 60, "jwt_window_s": 60.0,
    # the query endpoint
    "query_absent": False,       # an older server: 404
    "query_rows": 10000, "query_lookback_days": 30, "query_period": "7d",
    "query_concurrency": 3, "query_busy_status": 429, "query_slow_s": 0.0,
    # realtime
    "realtime_hold_s": 20.0, "realtime_jitter": 0.15, "realtime_cap": 1000, "realtime_concurrency": 500,
    "realtime_dialect": "native",  # or "electric": its times, its headers, its 409s
    "realtime_partial": False,   # updates carry only the changed columns
    "realtime_refetch": 0,       # so many of the next answers to calls with a handle are must-refetch controls
    "realtime_conflict": 0,      # or 409 with a new handle
    "realtime_forget": False,    # handles are unknown on every call, as after a hop to another instance
    # alerts
    "alert_scale": 1.0, "alert_timeout_s": 5.0,
    # the clock
    "clock_scale": 1.0, "clock_skew_s": 0.0,
}


class Knobs:
    def __init__(self, **first):
        self.__dict__.update({name: (value.copy() if isinstance(value, (dict, list)) else value) for name, value in DEFAULTS.items()})
        self.generation = 0
        self.on_change = None
        self.set(**first)

    def set(self, **new):
        for name, value in new.items():
            if name not in DEFAULTS:
                raise ValueError(f"{name}: no such knob; the knobs are {', '.join(DEFAULTS)}")
            wanted = type(DEFAULTS[name])
            if wanted is float and type(value) is int:
                value = float(value)
            if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                raise ValueError(f"{name}: needs a {wanted.__name__}, not {value!r}")
            setattr(self, name, value)
        self.generation += 1
        if self.on_change:
            self.on_change(new)

    def shown(self):
        return {name: getattr(self, name) for name in DEFAULTS}


MODES = {"ok", "status", "slow", "hang", "close_before", "close_after", "reset", "truncate", "invalid", "wrong_shape", "oversized"}


class Fault:
    def __init__(self, where, mode, times=None, probability=1.0, **how):
        if mode not in MODES:
            raise ValueError(f"{mode}: no such fault; one of {', '.join(sorted(MODES))}")
        self.where, self.mode, self.left, self.probability, self.how = where, mode, times, probability, how
        self.done = 0

    def fits(self, endpoint, path):
        return self.where in ("*", endpoint) or (self.where.startswith("/") and path.startswith(self.where))


class Faults:
    """Scripts come first (one entry for each request of its endpoint), then the oldest fault that fits."""

    def __init__(self, seed=1):
        self._lock, self._random = threading.Lock(), random.Random(seed)
        self._faults, self._scripts = [], collections.defaultdict(collections.deque)

    def add(self, where, mode="status", times=None, probability=1.0, **how):
        """where: list, project, retrieve, query, realtime, "*" or the beginning of a path."""
        one = Fault(where, mode, times, probability, **how)
        with self._lock:
            self._faults.append(one)
        return one

    def script(self, endpoint, entries):
        """The next requests of this endpoint: "ok", a status, or {"mode": ..., ...} each."""
        made = []
        for entry in entries:
            if entry == "ok":
                made.append(Fault(endpoint, "ok"))
            elif isinstance(entry, int):
                made.append(Fault(endpoint, "status", status=entry))
            else:
                made.append(Fault(endpoint, **entry))
        with self._lock:
            self._scripts[endpoint].extend(made)
        return made

    def clear(self):
        with self._lock:
            self._faults.clear()
            self._scripts.clear()

    def next(self, endpoint, path):
        with self._lock:
            script = self._scripts.get(endpoint)
            if script:
                one = script.popleft()
                one.done += 1
                return None if one.mode == "ok" else one
            for one in self._faults:
                if one.left == 0 or not one.fits(endpoint, path) or self._random.random() >= one.probability:
                    continue
                if one.left is not None:
                    one.left -= 1
                one.done += 1
                return one
        return None
