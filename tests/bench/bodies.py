"""What is posted: run reports of 1 KB, their Alertmanager counterparts, and the configurations around them."""
import json

SIZE = 1024
FILLED = {"@ID@": 16, "@NOW@": 24}  # how long load and probe make these


def _length(text):
    return len(text) + sum(text.count(mark) * (n - len(mark)) for mark, n in FILLED.items())


def _text(value):
    return json.dumps(value, separators=(",", ":"))


def padded(value, place):
    """As JSON of SIZE bytes; place(value, text) puts the padding in."""
    place(value, "")
    place(value, "x" * (SIZE - _length(_text(value))))
    return _text(value)


def many(text, n):
    return text if n == 1 else "[" + ",".join([text] * n) + "]"


def run_event():
    """A run that went well: rules look at it and none wants it."""
    event = {"id": "run_@ID@", "status": "COMPLETED", "taskIdentifier": "send-invoice", "version": "20260503.1",
             "createdAt": "@NOW@", "updatedAt": "@NOW@", "startedAt": "@NOW@", "finishedAt": "@NOW@", "isTest": False,
             "payload": {"invoiceId": 7719, "text": ""}, "output": {"ok": True}, "tags": ["org_northwind", "user_8841"],
             "metadata": {"stage": "encode", "customerId": "acme"},
             "relatedRuns": {"root": None, "parent": None, "children": []},
             "attempts": [{"id": "attempt_1", "status": "COMPLETED", "startedAt": "@NOW@", "completedAt": "@NOW@", "error": None}]}
    return padded(event, lambda e, x: e["payload"].update(text=x))


def failed_run(metadata_bytes):
    event = {"id": "run_@ID@", "status": "CRASHED", "taskIdentifier": "render-video", "version": "20260503.1",
             "createdAt": "@NOW@", "updatedAt": "@NOW@", "startedAt": "@NOW@", "finishedAt": "@NOW@", "isTest": False,
             "tags": ["org_northwind"], "metadata": {"stage": "encode", "note": ""},
             "attempts": [{"id": "attempt_1", "status": "CRASHED", "startedAt": "@NOW@", "completedAt": "@NOW@",
                           "error": {"name": "Error", "message": "out of memory"}}]}
    event["metadata"]["note"] = "x" * (metadata_bytes - len(_text(event["metadata"])))
    return _text(event)


def alert(annotation_bytes=None):
    value = {"labels": {"alertname": "RunFailed", "run": "run_@ID@", "task": "send-invoice", "env": "prod", "severity": "error"},
             "annotations": {"summary": "A run failed", "note": ""}, "generatorURL": "http://127.0.0.1/runs/run_@ID@"}
    if annotation_bytes is None:
        return padded(value, lambda v, x: v["annotations"].update(note=x))
    value["annotations"]["note"] = "x" * annotation_bytes
    return _text(value)


def alerts(n, annotation_bytes=None):
    return "[" + ",".join([alert(annotation_bytes)] * n) + "]"


KINDS = ["{{task: task-{n}, status: [CRASHED, TIMED_OUT]}}", "{{tags: [team-{n}, squad-{n}], status: failed}}",
         "{{task: \"batch-{n}-*\", status: failed}}", "{{status: REATTEMPTING, task: task-{n}}}",
         "{{status: failed, metadata.customerId: customer-{n}}}"]


def config(port, rules, destination="{type: console}"):
    return (f"version: 1\nserver: {{listen: \"127.0.0.1:{port}\"}}\nstore: {{url: \"sqlite:store.db\"}}\nlog: {{level: error}}\n"
            f"sources: {{push: {{type: webhook}}}}\ndestinations: {{ops: {destination}}}\nrules:\n{rules}")


def twenty_rules():
    return "".join(f"  rule-{n}: {{when: {KINDS[n % len(KINDS)].format(n=n)}, notify: ops}}\n" for n in range(20))


def every_failure():
    """Each failed run is an incident of its own and is told at once."""
    return "  every-failure: {when: {status: failed}, by: run, wait: 0s, limit: 1000000 per 1s, notify: ops}\n"


def hook(port):
    return f"{{type: webhook, url: \"http://127.0.0.1:{port}/hook\"}}"
