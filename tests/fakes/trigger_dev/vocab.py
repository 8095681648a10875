"""The words of Trigger.dev: run statuses in their four spellings, the booleans, what an error makes of a run."""
from collections import namedtuple

Status = namedtuple("Status", "api legacy title final failed")

# By the database's word (which is also the one on the realtime wire): with the version header, without it, in the
# dashboard and the query tables; whether it ends a run, whether the code calls it failed.
STATUSES = {
    "DELAYED": Status("DELAYED", "DELAYED", "Delayed", False, False),
    "PENDING": Status("QUEUED", "QUEUED", "Queued", False, False),
    "PENDING_VERSION": Status("PENDING_VERSION", "PENDING_VERSION", "Pending version", False, False),
    "WAITING_FOR_DEPLOY": Status("PENDING_VERSION", "WAITING_FOR_DEPLOY", "Pending version", False, False),
    "DEQUEUED": Status("DEQUEUED", "EXECUTING", "Dequeued", False, False),
    "EXECUTING": Status("EXECUTING", "EXECUTING", "Executing", False, False),
    "RETRYING_AFTER_FAILURE": Status("EXECUTING", "REATTEMPTING", "Reattempting", False, False),
    "WAITING_TO_RESUME": Status("WAITING", "FROZEN", "Waiting", False, False),
    "PAUSED": Status("WAITING", "FROZEN", "Paused", False, False),
    "COMPLETED_SUCCESSFULLY": Status("COMPLETED", "COMPLETED", "Completed", True, False),
    "COMPLETED_WITH_ERRORS": Status("FAILED", "FAILED", "Failed", True, True),
    "CANCELED": Status("CANCELED", "CANCELED", "Canceled", True, False),
    "INTERRUPTED": Status("FAILED", "INTERRUPTED", "Interrupted", True, True),
    "SYSTEM_FAILURE": Status("SYSTEM_FAILURE", "SYSTEM_FAILURE", "System failure", True, True),
    "CRASHED": Status("CRASHED", "CRASHED", "Crashed", True, True),
    "EXPIRED": Status("EXPIRED", "EXPIRED", "Expired", True, False),
    "TIMED_OUT": Status("TIMED_OUT", "TIMED_OUT", "Timed out", True, True),
}
FINAL = frozenset(name for name, s in STATUSES.items() if s.final)
ACTIVE = frozenset(STATUSES) - FINAL
# The query table's is_finished is an expression of its own: it counts PAUSED in and leaves INTERRUPTED out.
QUERY_FINISHED = (FINAL | {"PAUSED"}) - {"INTERRUPTED"}

API_VERSION = "2025-07-16"

# What filter[status] accepts, and the database statuses each word stands for: not the inverse of the table above.
FILTER_STATUSES = {
    "DELAYED": ("DELAYED",), "QUEUED": ("PENDING",), "PENDING_VERSION": ("PENDING_VERSION",),
    "WAITING_FOR_DEPLOY": ("WAITING_FOR_DEPLOY",), "DEQUEUED": ("DEQUEUED",), "EXECUTING": ("EXECUTING",),
    "REATTEMPTING": ("RETRYING_AFTER_FAILURE",), "FROZEN": ("PAUSED", "WAITING_TO_RESUME"),
    "WAITING": ("WAITING_TO_RESUME",), "COMPLETED": ("COMPLETED_SUCCESSFULLY",), "FAILED": ("COMPLETED_WITH_ERRORS",),
    "CANCELED": ("CANCELED",), "INTERRUPTED": ("INTERRUPTED",), "SYSTEM_FAILURE": ("SYSTEM_FAILURE",),
    "CRASHED": ("CRASHED",), "EXPIRED": ("EXPIRED",), "TIMED_OUT": ("TIMED_OUT",),
}
MACHINES = ("micro", "small-1x", "small-2x", "medium-1x", "medium-2x", "large-1x", "large-2x")

_QUEUED = {"QUEUED", "WAITING_FOR_DEPLOY", "DELAYED", "PENDING_VERSION"}
_EXECUTING = {"EXECUTING", "REATTEMPTING", "FROZEN", "DEQUEUED"}
_COMPLETED = {"COMPLETED", "CANCELED", "FAILED", "CRASHED", "INTERRUPTED", "SYSTEM_FAILURE"}


def booleans(api):
    """The seven helpers by the REST rules, oddities and all: TIMED_OUT and EXPIRED are not completed."""
    completed = api in _COMPLETED
    return {"isQueued": api in _QUEUED, "isExecuting": api in _EXECUTING, "isCompleted": completed,
            "isFailed": completed and api != "COMPLETED", "isSuccess": api == "COMPLETED",
            "isCancelled": api == "CANCELED", "isWaiting": api == "WAITING"}


_CODES = {
    "COMPLETED_WITH_ERRORS": """RECURSIVE_WAIT_DEADLOCK TASK_INPUT_ERROR TASK_OUTPUT_ERROR TASK_MIDDLEWARE_ERROR
        TASK_RUN_UNCAUGHT_EXCEPTION TASK_RUN_STALLED_EXECUTING TASK_RUN_STALLED_EXECUTING_WITH_WAITPOINTS""",
    "CANCELED": "TASK_RUN_CANCELLED",
    "TIMED_OUT": "MAX_DURATION_EXCEEDED",
    "CRASHED": """TASK_PROCESS_OOM_KILLED TASK_PROCESS_MAYBE_OOM_KILLED TASK_PROCESS_SIGSEGV DISK_SPACE_EXCEEDED
        OUTDATED_SDK_VERSION HANDLE_ERROR_ERROR TASK_RUN_CRASHED TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE""",
    "SYSTEM_FAILURE": """COULD_NOT_FIND_EXECUTOR COULD_NOT_FIND_TASK COULD_NOT_IMPORT_TASK CONFIGURED_INCORRECTLY
        TASK_ALREADY_RUNNING TASK_PROCESS_SIGKILL_TIMEOUT TASK_RUN_HEARTBEAT_TIMEOUT TASK_DEQUEUED_INVALID_STATE
        TASK_DEQUEUED_QUEUE_NOT_FOUND TASK_RUN_DEQUEUED_MAX_RETRIES TASK_HAS_N0_EXECUTION_SNAPSHOT
        GRACEFUL_EXIT_TIMEOUT POD_EVICTED POD_UNKNOWN_ERROR TASK_EXECUTION_ABORTED TASK_EXECUTION_FAILED
        TASK_PROCESS_SIGTERM TASK_DID_CONCURRENT_WAIT BATCH_ITEM_COULD_NOT_TRIGGER PAYLOAD_TOO_LARGE
        UNSPECIFIED_ERROR""",
}
STATUS_OF_CODE = {code: status for status, codes in _CODES.items() for code in codes.split()}


def status_of_error(error):
    """The final status a raw TaskRunError gives its run."""
    if error["type"] != "INTERNAL_ERROR":
        return "COMPLETED_WITH_ERRORS"
    return STATUS_OF_CODE[error["code"]]


def internal(code, message=None):
    return {"type": "INTERNAL_ERROR", "code": code, **({"message": message} if message else {})}


def builtin(name, message, stack=None):
    return {"type": "BUILT_IN_ERROR", "name": name, "message": message,
            "stackTrace": stack or f"{name}: {message}\n    at run (file:///app/src/trigger/tasks.ts:31:18)"}


def default_error(status, ttl=None):
    """What is stored with a run that ends so, when a test names no error."""
    if status == "EXPIRED":
        after = f" ({ttl})" if ttl else ""
        return {"type": "STRING_ERROR", "raw": f"Run expired because the TTL{after} was reached"}
    return {"CRASHED": internal("TASK_RUN_CRASHED", "The run crashed"),
            "TIMED_OUT": internal("MAX_DURATION_EXCEEDED", "Run exceeded maximum compute time (maxDuration) of 300 seconds"),
            "SYSTEM_FAILURE": internal("TASK_RUN_HEARTBEAT_TIMEOUT", "The run did not send a heartbeat in time"),
            "COMPLETED_WITH_ERRORS": builtin("Error", "SMTP 550 rejected"),
            "INTERRUPTED": builtin("Error", "The process was interrupted"),
            "CANCELED": {"type": "STRING_ERROR", "raw": "Task run was cancelled by user"}}.get(status)


def rest_error(error):
    """How retrieve shows a stored error: of an internal one only its code is left."""
    kind = error.get("type")
    if kind == "BUILT_IN_ERROR":
        shown = {k: error[k] for k in ("name", "message", "stackTrace") if k in error}
        if "causes" in error:
            shown["causes"] = error["causes"]
        return shown
    if kind == "INTERNAL_ERROR":
        return {"message": f"trigger.dev internal error ({error['code']})"}
    return {"message": error.get("raw", "")}
