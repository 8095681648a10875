"""Runs and their true timelines; what the analytics store knows of them, with its lag.

A run is facts that never change and a state that steps make. A step is (time, status, changes); it is applied when
the clock has passed it, and from then on it is true: ground_truth() has it. Rows of the database are current;
the analytics store (ids of lists, the query table) hears of each change lag + jitter later."""
import bisect
import collections
import hashlib
import heapq
import itertools
import random
import threading

from .clock import iso
from .vocab import ACTIVE, FINAL, STATUSES, default_error

State = collections.namedtuple("State", "version_seq status attempt updated queued started executed completed expired version "
                                        "error metadata tags output usage_ms cost attempts")
Transition = collections.namedtuple("Transition", "run status state attempt at env task final")
Entry = collections.namedtuple("Entry", "commit run state")
Environment = collections.namedtuple("Environment", "id slug type project key branch")

CENTS_PER_MS = 0.00000338  # of a small-1x
BASE_CENTS = 0.0025
_ALNUM = "0123456789abcdefghijklmnopqrstuvwxyz"
NOTHING = State(0, None, 0, 0, None, None, None, None, None, None, None, None, (), None, 0, 0, ())
CHANGES = {"attempt", "error", "metadata", "tags", "output", "version", "commit_after_s"}


class Run:
    __slots__ = ("id", "key", "env", "task", "created", "queue", "ttl", "delay_until", "is_test", "idempotency_key", "payload",
                 "payload_url", "parent", "root", "children", "depth", "batch", "schedule", "machine", "region", "kind",
                 "trigger", "will_version", "bulk", "concurrency_key", "file_path",
                 "state", "seen", "last_visible", "cache", "gone")

    def __repr__(self):
        return f"<{self.id} {self.task} {self.state.status} {self.state.attempt}>"

    @property
    def idempotency_hash(self):
        return hashlib.sha256(self.idempotency_key.encode()).hexdigest() if self.idempotency_key else None

    @property
    def fingerprint(self):
        error = self.state.error or {}
        text = f"{self.task}:{error.get('name') or error.get('code') or error.get('type')}:{error.get('message') or error.get('raw')}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Index:
    """What the analytics store knows of one environment's runs, in the orders in which it is asked."""

    def __init__(self):
        self.created, self.completed = [], []  # (ms, internal id, run), ascending
        self.retried = {}                      # runs of more than one attempt
        self.by_status = {name: [] for name in STATUSES}

    def learn(self, run, state):
        key, old = (run.created, run.key, run), run.seen
        if old is None:
            bisect.insort(self.created, key)
        elif old.status != state.status:
            _remove(self.by_status[old.status], key)
        if old is None or old.status != state.status:
            bisect.insort(self.by_status[state.status], key)
        if old is not None and old.completed is not None and old.completed != state.completed:
            _remove(self.completed, (old.completed, run.key, run))
        if state.completed is not None and (old is None or old.completed != state.completed):
            bisect.insort(self.completed, (state.completed, run.key, run))
        if state.attempt > 1:
            self.retried[run] = True  # a dict keeps their order
        run.seen = state

    def forget(self, run):
        if run.seen is None:
            return
        _remove(self.created, (run.created, run.key, run))
        self.retried.pop(run, None)
        _remove(self.by_status[run.seen.status], (run.created, run.key, run))
        if run.seen.completed is not None:
            _remove(self.completed, (run.seen.completed, run.key, run))
        run.seen = None


def _remove(ordered, key):
    at = bisect.bisect_left(ordered, key[:2], key=lambda one: one[:2])
    if at < len(ordered) and ordered[at][2] is key[2]:
        del ordered[at]


class Population:
    """All methods may be called from any thread. Whoever reads states takes `lock` and calls advance() first."""

    def __init__(self, clock, knobs, seed=1):
        self.clock, self.knobs, self.random = clock, knobs, random.Random(seed)
        self.dice = random.Random(seed)   # for what requests meet: runs stay the same, however many there are
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.runs, self.indexes = {}, {}
        self.log, self.truth = [], []     # Entry by commit; Transition
        self._due, self._replica = [], []  # heaps: steps to come; entries the analytics store has not heard of
        self._count = itertools.count()

    def index(self, env):
        if env.id not in self.indexes:
            self.indexes[env.id] = Index()
        return self.indexes[env.id]

    # --- making runs ------------------------------------------------------------------------------------------------
    def new_key(self):
        return "cm" + "".join(self.random.choices(_ALNUM, k=23))

    def add(self, env, task="render-video", steps=((0, "PENDING"),), created=None, id=None, tags=(), metadata=None, payload=None,
            parent=None, batch=None, schedule=None, queue=None, ttl=None, delay_until=None, is_test=False,
            idempotency_key=None, machine="small-1x", region="us-east-1", kind=None, trigger="trigger",
            version="20260503.1", payload_url=None, bulk=(), concurrency_key=None, file_path="src/trigger/tasks.ts"):
        """One run. steps: (seconds after creation, database status[, changes]); changes: see CHANGES."""
        with self.lock:
            run = Run()
            run.key = id[4:] if id else self.new_key()
            run.id, run.env, run.task = "run_" + run.key, env, task
            run.created = self.clock.now() if created is None else int(created)
            run.queue, run.ttl, run.delay_until, run.is_test = queue or f"task/{task}", ttl, delay_until, is_test
            run.idempotency_key, run.payload, run.payload_url = idempotency_key, payload, payload_url
            run.parent, run.root, run.children = parent, (parent.root or parent) if parent else None, []
            run.depth, run.batch, run.schedule = parent.depth + 1 if parent else 0, batch, schedule
            run.machine, run.region, run.trigger, run.will_version = machine, region, trigger, version
            run.kind = kind or ("SCHEDULED" if schedule else "STANDARD")
            run.bulk, run.concurrency_key, run.file_path = frozenset(bulk), concurrency_key, file_path
            run.state, run.seen, run.last_visible, run.cache, run.gone = \
                NOTHING._replace(tags=tuple(sorted(tags)), metadata=metadata), None, 0, {}, False
            if run.id in self.runs:
                raise ValueError(f"{run.id}: a run of this id is there already")
            self.runs[run.id] = run
            if parent:
                parent.children.append(run)
            for step in steps:
                self.step_at(run, run.created + int(step[0] * 1000), step[1], **(step[2] if len(step) > 2 else {}))
            return run

    def step_at(self, run, at, status, **changes):
        """The run will take this step at a time (ms). commit_after_s: others see it that much later than it says."""
        if status not in STATUSES:
            raise ValueError(f"{status}: no status of the database; one of {', '.join(STATUSES)}")
        if set(changes) - CHANGES:
            raise ValueError(f"{sorted(set(changes) - CHANGES)}: not among {sorted(CHANGES)}")
        late = changes.pop("commit_after_s", None)
        if late is None:
            late = self.random.uniform(0, self.knobs.commit_delay_s) if self.knobs.commit_delay_s else 0
        with self.lock:
            run.last_visible = max(run.last_visible, at + int(late * 1000))
            heapq.heappush(self._due, (run.last_visible, next(self._count), run, at, status, changes))
            self.changed.notify_all()

    def set(self, run, status, **changes):
        """The run takes this step now."""
        with self.lock:
            self.step_at(run, self.clock.now(), status, **changes)
            self.advance()

    def vanish(self, run):
        """The run is deleted: nobody ever hears of it again."""
        with self.lock:
            self.advance()
            run.gone = True
            self.runs.pop(run.id, None)
            self.index(run.env).forget(run)
            if run.parent:
                run.parent.children.remove(run)

    # --- time -------------------------------------------------------------------------------------------------------
    def advance(self):
        """Takes all steps whose time has come, tells the analytics store what it may know; gives the time."""
        with self.lock:
            now = self.clock.now()
            moved = False
            while self._due and self._due[0][0] <= now:
                commit, _, run, at, status, changes = heapq.heappop(self._due)
                if not run.gone:
                    self._take(commit, run, at, status, changes)
                    moved = True
            self._replicate(now)
            if moved:
                self.changed.notify_all()
            return now

    def next_due(self):
        return self._due[0][0] if self._due else None

    def _take(self, commit, run, at, status, changes):
        old, new = run.state, next_state(run, at, status, changes)
        run.state = new
        self.log.append(Entry(commit, run, new))
        jitter = self.knobs.replica_jitter_s
        known = commit + (int(self.random.uniform(0, jitter) * 1000) if jitter else 0)
        heapq.heappush(self._replica, (known, len(self.log), run, new))
        if (old.status, old.attempt) != (new.status, new.attempt):
            self.truth.append(Transition(run.id, status, STATUSES[status].api, new.attempt, at, run.env.slug, run.task, status in FINAL))

    def _replicate(self, now):
        limit = now - int(self.knobs.replica_lag_s * 1000)
        while self._replica and self._replica[0][0] <= limit:
            _, _, run, state = heapq.heappop(self._replica)
            # A row that comes late loses against a newer one: the store keeps the highest version.
            if not run.gone and (run.seen is None or state.version_seq > run.seen.version_seq):
                self.index(run.env).learn(run, state)

    # --- what was true ----------------------------------------------------------------------------------------------
    def ground_truth(self, since_ms=0):
        """Every transition that really happened, in the order in which they became true."""
        with self.lock:
            self.advance()
            return [one for one in self.truth if one.at >= since_ms]

    def active(self):
        with self.lock:
            self.advance()
            return [run for run in self.runs.values() if run.state.status in ACTIVE]


def next_state(run, at, status, changes):
    """The fold: what a step makes of a run's state."""
    old = run.state
    new = {"version_seq": old.version_seq + 1, "status": status, "updated": at}
    spent = at - old.updated if old.status == "EXECUTING" else 0
    if spent:
        new["usage_ms"] = old.usage_ms + spent
        new["cost"] = round(new["usage_ms"] * CENTS_PER_MS, 7)
    if status == "PENDING" and old.queued is None:
        new["queued"] = at
    if status in ("DEQUEUED", "EXECUTING") and old.started is None:
        new["started"] = at
        new["version"] = old.version or run.will_version
    if status == "EXECUTING":
        _begin_attempt(old, new, at, changes)
    if status in FINAL and old.completed is None:
        new["completed"] = at
        new["error"] = default_error(status, run.ttl)
        if status == "EXPIRED":
            new["expired"] = at
        if old.attempts and old.attempts[-1][2] is None:
            new["attempts"] = old.attempts[:-1] + ((*old.attempts[-1][:2], at, new["error"]),)
    for name, value in changes.items():
        new[name] = tuple(sorted(value)) if name == "tags" else value
    return old._replace(**new)


def _begin_attempt(old, new, at, changes):
    """EXECUTING begins an attempt when it comes from the queue; a retry that stays EXECUTING names its attempt."""
    waited = old.status in ("EXECUTING", "WAITING_TO_RESUME", "PAUSED")
    attempt = changes.get("attempt", old.attempt if waited and old.attempt else old.attempt + 1)
    new["attempt"] = attempt
    if old.executed is None:
        new["executed"] = at
    if attempt != old.attempt:
        failed = old.attempts
        if failed and failed[-1][2] is None:
            failed = failed[:-1] + ((*failed[-1][:2], at, default_error("COMPLETED_WITH_ERRORS")),)
        new["attempts"] = failed + ((attempt, at, None, None),)


def truth_json(one):
    return {**one._asdict(), "at": iso(one.at)}
