"""How a run looks: to the list, to retrieve, on the realtime wire, in the query table."""
import json

from .clock import iso, sql_time
from .population import BASE_CENTS
from .vocab import FINAL, QUERY_FINISHED, STATUSES, booleans, rest_error


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def status_word(knobs, status, versioned):
    """The word for a status: by the version header, unless a knob gives it a name nobody has heard of."""
    names = STATUSES[status]
    word = names.api if versioned and not knobs.old_server else names.legacy
    return knobs.rename_status.get(word, word)


def _metadata(knobs, state):
    """The stored metadata without the streams' keys; a knob blows it up."""
    found = state.metadata
    if isinstance(found, dict):
        found = {k: v for k, v in found.items() if k not in ("$$streams", "$$streamsVersion", "$$streamsBaseUrl")}
    if knobs.metadata_bytes:
        found = dict(found or {})
        found["padding"] = "x" * max(0, knobs.metadata_bytes - len(compact(found)) - 15)
    return found


def _put(shown, **members):
    """Absent members are left out, not null."""
    for name, value in members.items():
        if value is not None:
            shown[name] = value


def _time(ms):
    return None if ms is None else iso(ms)


def _finished(state):
    if state.completed is not None:
        return iso(state.completed)
    return iso(state.updated) if state.status in FINAL else None


def list_item(knobs, run, versioned):
    """Compact JSON of one item of the list."""
    key = ("list", versioned, run.state.version_seq, knobs.generation)
    if run.cache.get("list:key") != key:
        run.cache["list:key"], run.cache["list"] = key, compact(_list_item(knobs, run, versioned))
    return run.cache["list"]


def _list_item(knobs, run, versioned):
    s = run.state
    word = status_word(knobs, s.status, versioned)
    item = {"id": run.id, "status": word, "taskIdentifier": run.task}
    _put(item, idempotencyKey=run.idempotency_hash, version=s.version)
    item.update(createdAt=iso(run.created), updatedAt=iso(s.updated))
    _put(item, startedAt=_time(s.started), finishedAt=_finished(s), delayedUntil=_time(run.delay_until))
    item["isTest"] = run.is_test
    _put(item, ttl=run.ttl, expiredAt=_time(s.expired))
    item.update(env={"id": run.env.id, "name": run.env.slug}, tags=list(s.tags), costInCents=s.cost, baseCostInCents=BASE_CENTS,
                durationMs=s.usage_ms, depth=run.depth)
    _put(item, metadata=_metadata(knobs, s), taskKind=run.kind, region=run.region)
    item.update(booleans(word))
    return item


def common(knobs, run, versioned):
    """What retrieve shows of the run itself and of each related one."""
    s = run.state
    word = status_word(knobs, s.status, versioned)
    shown = {"id": run.id, "taskIdentifier": run.task}
    _put(shown, idempotencyKey=run.idempotency_key, version=s.version)
    shown.update(status=word, createdAt=iso(run.created))
    _put(shown, startedAt=_time(s.started))
    shown["updatedAt"] = iso(s.updated)
    _put(shown, finishedAt=_finished(s), expiredAt=_time(s.expired), delayedUntil=_time(run.delay_until), ttl=run.ttl)
    shown.update(costInCents=s.cost, baseCostInCents=BASE_CENTS, durationMs=s.usage_ms, isTest=run.is_test, depth=run.depth,
                 tags=list(s.tags), **booleans(word), triggerFunction=run.trigger)
    _put(shown, batchId=run.batch, metadata=_metadata(knobs, s), region=run.region)
    return shown


def retrieved(knobs, run, versioned):
    s = run.state
    shown = common(knobs, run, versioned)
    if run.payload_url:
        shown["payloadPresignedUrl"] = run.payload_url
    else:
        _put(shown, payload=run.payload)
    if s.status == "COMPLETED_SUCCESSFULLY":
        _put(shown, output=s.output)
    if s.error and s.status in FINAL:
        shown["error"] = rest_error(s.error)
    _put(shown, schedule=run.schedule)
    shown["attemptCount"] = s.attempt
    shown["attempts"] = [_attempt(run, one) for one in s.attempts] if knobs.old_server else []
    related = {}
    if run.root:
        related["root"] = common(knobs, run.root, versioned)
    if run.parent:
        related["parent"] = common(knobs, run.parent, versioned)
    related["children"] = [common(knobs, child, versioned) for child in run.children if child.state.status]
    shown["relatedRuns"] = related
    return shown


def _attempt(run, attempt):
    number, started, completed, error = attempt
    status = "EXECUTING" if completed is None else "FAILED" if error else "COMPLETED"
    shown = {"id": f"attempt_{run.key[2:17]}{number:06d}", "status": status, "createdAt": iso(started),
             "updatedAt": iso(completed or started), "startedAt": iso(started)}
    _put(shown, completedAt=_time(completed), error=rest_error(error) if error else None)
    return shown


# --- the realtime wire ----------------------------------------------------------------------------------------------
_TIMES = ("createdAt", "updatedAt", "startedAt", "delayUntil", "queuedAt", "expiredAt", "completedAt")
COLUMNS = {"id": "text", "taskIdentifier": "text", **{name: "timestamp" for name in _TIMES}, "friendlyId": "text", "number": "int4",
           "isTest": "bool", "status": "text", "usageDurationMs": "int4", "costInCents": "float8", "baseCostInCents": "float8",
           "ttl": "text", "payload": "text", "payloadType": "text", "metadata": "text", "metadataType": "text", "output": "text",
           "outputType": "text", "runTags": "text", "error": "jsonb", "realtimeStreams": "text"}
UNSKIPPABLE = {"id", "taskIdentifier", "friendlyId", "status", "createdAt"}


def shape_schema(skip):
    return compact({name: {"type": kind, "dims": 1} if name in ("runTags", "realtimeStreams") else {"type": kind}
                    for name, kind in COLUMNS.items() if name not in skip})


def _pg_array(values):
    return "{" + ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values) + "}"


def _number(value):
    return str(int(value)) if value == int(value) else repr(value)


def _wire_time(knobs, ms):
    """Native: ISO without its Z. Electric: as Postgres writes it, without the noughts at the end."""
    if ms is None:
        return None
    text = iso(ms)[:-1]
    return text.rstrip("0").rstrip(".") if knobs.realtime_dialect == "electric" else text


def realtime_row(knobs, run, state, versioned):
    """Column to Postgres text. Statuses are the database's own words."""
    times = zip(_TIMES, (run.created, state.updated, state.started, run.delay_until, state.queued, state.expired, state.completed))
    status = knobs.rename_status.get(state.status, state.status)
    metadata = _metadata(knobs, state)
    row = {"id": run.key, "taskIdentifier": run.task, **{name: _wire_time(knobs, ms) for name, ms in times},
           "friendlyId": run.id, "number": "0", "isTest": "t" if run.is_test else "f",
           "status": "EXECUTING" if status == "DEQUEUED" and not versioned else status,
           "usageDurationMs": str(state.usage_ms), "costInCents": _number(state.cost), "baseCostInCents": _number(BASE_CENTS),
           "ttl": run.ttl, "payload": compact({"json": run.payload}), "payloadType": "application/super+json",
           "metadata": None if metadata is None else compact(metadata), "metadataType": "application/json",
           "output": None if state.output is None else compact(state.output), "outputType": "application/json",
           "runTags": _pg_array(state.tags) if state.tags else None,
           "error": compact(state.error) if state.error else None, "realtimeStreams": "{}"}
    if run.payload_url:
        row.update(payload=f"runs/{run.id}/payload.json", payloadType="application/store")
    return row


# --- the query table: of what the analytics store knows (run.seen) -----------------------------------------------------
def _between(later, earlier):
    return None if later is None or earlier is None else later - earlier


# Text columns of the store that know no null are '' instead; attempt is 1 before the first.
QUERY_COLUMNS = {
    "run_id": lambda r, s: r.id, "environment": lambda r, s: r.env.slug, "project": lambda r, s: r.env.project,
    "status": lambda r, s: STATUSES[s.status].title, "attempt_count": lambda r, s: s.attempt or 1,
    "is_finished": lambda r, s: int(s.status in QUERY_FINISHED), "task_identifier": lambda r, s: r.task,
    "queue": lambda r, s: r.queue, "batch_id": lambda r, s: r.batch, "root_run_id": lambda r, s: r.root and r.root.id,
    "parent_run_id": lambda r, s: r.parent and r.parent.id, "depth": lambda r, s: r.depth, "region": lambda r, s: r.region,
    "triggered_at": lambda r, s: r.created, "queued_at": lambda r, s: s.queued, "dequeued_at": lambda r, s: s.started,
    "executed_at": lambda r, s: s.executed, "completed_at": lambda r, s: s.completed, "delay_until": lambda r, s: r.delay_until,
    "expired_at": lambda r, s: s.expired, "ttl": lambda r, s: r.ttl or "",
    "queued_duration": lambda r, s: _between(s.started, s.queued), "execution_duration": lambda r, s: _between(s.completed, s.executed),
    "total_duration": lambda r, s: _between(s.completed, r.created), "usage_duration": lambda r, s: s.usage_ms,
    "compute_cost": lambda r, s: s.cost / 100, "total_cost": lambda r, s: (s.cost + BASE_CENTS) / 100,
    "error": lambda r, s: s.error, "tags": lambda r, s: list(s.tags), "task_version": lambda r, s: s.version or "",
    "machine": lambda r, s: r.machine or "", "is_test": lambda r, s: int(r.is_test),
}
QUERY_TIMES = {"triggered_at", "queued_at", "dequeued_at", "executed_at", "completed_at", "delay_until", "expired_at"}


def query_value(column, value):
    return sql_time(value) if column in QUERY_TIMES and value is not None else value
