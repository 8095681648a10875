"""Random timelines from a seed: what runs do, with the frequencies of a bad day."""
import random

from .vocab import STATUS_OF_CODE, builtin, internal

TASKS = ("render-video", "sync-ledger", "send-invoice", "nightly-report", "report-section", "brand-new-task",
         "facturación/año", 'weird "task", with \\ all')
TAGS = ("org_northwind", "user_8841", "invoice_7719", 'org:"acme"', "región:münchen", "line\nbreak", "a,b,c", "✓ done", "cron")
# kind: weight
KINDS = {"success": 40, "retry_short": 10, "retry_long": 10, "wait": 6, "fail": 8, "crash": 6, "time_out": 4, "expire": 4,
         "cancel": 4, "cancel_queued": 1, "system_failure": 3, "delayed": 3, "pending_version": 1}


class Timeline(list):
    """The steps of a run, each some seconds after the last."""

    def __init__(self, rng, pace):
        super().__init__()
        self.rng, self.pace, self.at = rng, pace, 0.0

    def step(self, status, low=0.0, high=0.0, **changes):
        self.at = round(self.at + self.rng.uniform(low, high) * self.pace, 3)
        self.append((self.at, status, changes) if changes else (self.at, status))
        return self

    def start(self):
        return self.step("PENDING").step("DEQUEUED", 0.05, 2).step("EXECUTING", 0.01, 0.5)


def _error(rng, status):
    if status == "COMPLETED_WITH_ERRORS":
        return rng.choice([builtin("TypeError", "Cannot read properties of undefined (reading 'rows')"),
                           builtin("Error", 'SMTP 550 "rejected"\nby pólicy'),
                           {"type": "STRING_ERROR", "raw": "thrown as text"},
                           {"type": "CUSTOM_ERROR", "raw": '{"why":"thrown as an object"}'}])
    codes = sorted(code for code, of in STATUS_OF_CODE.items() if of == status)
    return internal(rng.choice(codes), f"It ended as {status}")


def _retry(line, legacy, long):
    for attempt in range(2, 2 + line.rng.randint(1, 3)):
        if long:
            line.step("PENDING", 0.2, 2).step("DEQUEUED", 0.05, 1).step("EXECUTING", 0.01, 0.3)
        elif legacy:
            line.step("RETRYING_AFTER_FAILURE", 0.2, 2).step("EXECUTING", 0.1, 1, attempt=attempt)
        else:
            line.step("EXECUTING", 0.2, 2, attempt=attempt)


def steps_of(kind, rng, pace=1.0, legacy=False):
    """The steps of a run of this kind. pace: 1 makes runs of seconds, 60 of minutes."""
    line = Timeline(rng, pace)
    if kind == "cancel_queued":
        return line.step("PENDING").step("CANCELED", 0.5, 5)
    if kind == "expire":
        return line.step("PENDING").step("EXPIRED", 1, 4)
    if kind == "pending_version":
        line.step("WAITING_FOR_DEPLOY" if legacy else "PENDING_VERSION").step("PENDING", 1, 4)
        return line.step("DEQUEUED", 0.05, 1).step("EXECUTING", 0.01, 0.3).step("COMPLETED_SUCCESSFULLY", 0.5, 3, output={"ok": True})
    if kind == "delayed":
        line.step("DELAYED").step("PENDING", 1, 4).step("DEQUEUED", 0.05, 1).step("EXECUTING", 0.01, 0.3)
        return line.step("COMPLETED_SUCCESSFULLY", 0.5, 3, output={"ok": True})
    line.start()
    if kind == "wait":
        line.step("WAITING_TO_RESUME", 0.3, 2).step("EXECUTING", 0.5, 4)
    if kind in ("retry_short", "retry_long"):
        _retry(line, legacy, kind == "retry_long")
    end = {"fail": "COMPLETED_WITH_ERRORS", "crash": "CRASHED", "time_out": "TIMED_OUT", "cancel": "CANCELED",
           "system_failure": "SYSTEM_FAILURE"}.get(kind, "COMPLETED_SUCCESSFULLY")
    if kind.startswith("retry") and rng.random() < 0.4:
        end = "COMPLETED_WITH_ERRORS"
    if end == "COMPLETED_SUCCESSFULLY":
        return line.step(end, 0.3, 4, output={"sections": rng.randint(1, 20)})
    if end == "CANCELED":
        return line.step(end, 0.3, 4)
    return line.step(end, 0.3, 4, error=_error(rng, end))


def random_timelines(seed, n, start_ms, over_s=10.0, pace=1.0, legacy=False, kinds=None):
    """n runs created over so many seconds from start, oldest first: arguments of Population.add, without the environment."""
    rng = random.Random(seed)
    weights = kinds or KINDS
    names = sorted(weights)
    for at in sorted(rng.uniform(0, over_s) for _ in range(n)):
        kind = rng.choices(names, [weights[k] for k in names])[0]
        created = int(start_ms + at * 1000)
        steps = steps_of(kind, rng, pace, legacy)
        task = rng.choice(TASKS)
        spec = {"task": task, "steps": list(steps), "created": created, "tags": rng.sample(TAGS, rng.randint(0, 3)),
                "is_test": rng.random() < 0.05, "version": f"20260503.{rng.randint(1, 3)}",
                "machine": rng.choice(("micro", "small-1x", "small-2x"))}
        if rng.random() < 0.3:
            spec["metadata"] = {"stage": rng.choice(("load", "encode", "ünder\nway")), "progress": round(rng.random(), 3)}
        if rng.random() < 0.1:
            spec["idempotency_key"] = f"key-{seed}-{rng.randint(0, 10 ** 9)}"
        if kind == "expire":
            spec["ttl"] = "10m"
        if kind == "delayed":
            spec["delay_until"] = created + int(steps[1][0] * 1000)
        if rng.random() < 0.2:
            spec["payload"] = {"n": rng.randint(0, 99)}
        yield spec


def steady_timelines(seed, active, now_ms, per_s, seconds, retried=0.0,
                     kinds=("COMPLETED_SUCCESSFULLY",) * 8 + ("COMPLETED_WITH_ERRORS", "CRASHED")):
    """A full house: so many runs at work at any time, so many transitions a second, for so many seconds.

    Every turn ends one run (1 transition) and begins another (3); those that no turn ends stay at work. retried: the share of the
    runs of the beginning that need a second attempt, or before a turn ends them a fourth: half of them by way of the queue."""
    rng = random.Random(seed)
    turns = int(per_s * seconds / (4 + 6 * retried))
    ends = sorted(rng.uniform(0, seconds) for _ in range(turns))
    for i in range(active):
        created = now_ms - 1 - int(rng.uniform(0, 3600_000))
        steps = [(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING")]
        again = rng.random() < retried
        if i < turns:
            end = (now_ms - created) / 1000 + ends[i]
            steps += _attempts(end, ends[i], rng.random() < 0.5) if again else []
            steps.append((end, rng.choice(kinds)))
        elif again:
            steps.append((0, "EXECUTING", {"attempt": 2}))
        yield {"task": f"task-{i % 50}", "created": created, "steps": steps, "tags": [f"org_{i % 997}"]}
    for i, at in enumerate(ends):
        steps = [(0, "PENDING"), (0.02, "DEQUEUED"), (0.05, "EXECUTING")]
        yield {"task": f"task-{i % 50}", "created": now_ms + int(at * 1000), "steps": steps, "tags": [f"org_{i % 997}"]}


def _attempts(end, last_s, queued):
    """The steps of three more attempts, spread over the last seconds of a run."""
    for attempt in (2, 3, 4):
        at = end - last_s * (5 - attempt) / 4
        yield from [(at - 0.002, "PENDING"), (at - 0.001, "DEQUEUED")] if queued else []
        yield (at, "EXECUTING", {"attempt": attempt})
