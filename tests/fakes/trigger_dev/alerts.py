"""The sender of alert webhooks: bodies of every type, signed, three tries within seconds, then lost."""
import hashlib
import hmac
import http.client
import random
import string
import threading
import time
import urllib.parse

from .clock import iso
from .render import compact
from .vocab import STATUSES

ORGANIZATION = {"id": "cmorg0000000008l4n0rthw1nd", "slug": "northwind-4f2a", "name": "Northwind"}
APP = "https://cloud.trigger.example.com"
HEADER = "x-trigger-signature-hmacsha256"
ALERTING = {"COMPLETED_WITH_ERRORS", "CRASHED", "SYSTEM_FAILURE", "TIMED_OUT"}
OUT_OF_MEMORY = {"TASK_PROCESS_OOM_KILLED", "TASK_PROCESS_MAYBE_OOM_KILLED"}
MOST_REDIRECTS = 5


def sign(secret, body):
    """Lower-case hex of HMAC-SHA256 over the exact bytes of the body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _project(env):
    return {"id": "cmprj0000000008l4b1ll1ng00", "ref": env.project, "slug": "billing-9sKe", "name": "Billing"}


def _environment(env):
    return {"id": env.id, "type": env.type, "slug": env.slug, **({"branchName": env.branch} if env.branch else {})}


def _dashboard(env, rest):
    return f"{APP}/orgs/{ORGANIZATION['slug']}/projects/billing-9sKe/env/{env.slug}/{rest}"


def _error(state):
    return state.error or {"type": "CUSTOM_ERROR", "raw": "{}"}


def _cuid():
    return "cm" + "".join(random.choices(string.ascii_lowercase + string.digits, k=23))


def _nanoid():
    return "".join(random.choices(string.ascii_letters + string.digits + "_-", k=21))


def _envelope(kind, version, obj, created, id=None):
    return {"id": id or _cuid(), "created": created, "webhookVersion": version, "type": kind, "object": obj}


def run_failed(run, created, sdk="4.5.12"):
    """alert.run.failed of a run as it stands."""
    s, error = run.state, _error(run.state)
    shown = {"id": run.id, "number": 0, "status": STATUSES[s.status].api, "createdAt": iso(run.created)}
    if s.started is not None:
        shown["startedAt"] = iso(s.started)
    if s.completed is not None:
        shown["completedAt"] = iso(s.completed)
    shown["isTest"] = run.is_test
    if run.idempotency_key:
        shown["idempotencyKey"] = run.idempotency_hash
    shown.update(tags=list(s.tags), error=error, isOutOfMemoryError=error.get("code") in OUT_OF_MEMORY, machine=run.machine or "Unknown",
                 dashboardUrl=_dashboard(run.env, f"runs/{run.id}"))
    version = s.version or "Unknown"
    task = {"id": run.task, "filePath": run.file_path or "Unknown", "exportName": "task", "version": version,
            "sdkVersion": sdk if s.version else "Unknown", "cliVersion": sdk if s.version else "Unknown"}
    return _envelope("alert.run.failed", "v1", {"task": task, "run": shown, "environment": _environment(run.env),
                                                "organization": ORGANIZATION, "project": _project(run.env)}, created)


def legacy_run_failed(run):
    """What channels of old send: no envelope, no status, no tags."""
    return {"task": {"id": run.task, "fileName": run.file_path, "exportName": "task"},
            "run": {"id": run.id, "isTest": run.is_test, "createdAt": iso(run.created), "idempotencyKey": run.idempotency_hash},
            "environment": {"id": run.env.id, "type": run.env.type, "slug": run.env.slug}, "organization": ORGANIZATION,
            "project": _project(run.env), "error": _error(run.state)}


def deployment(env, created, failed=False, status=None, version="20260503.1", legacy=False):
    """alert.deployment.success or alert.deployment.failed (status FAILED or TIMED_OUT)."""
    one = {"id": "deployment_" + _cuid()[2:23], "status": status or ("FAILED" if failed else "DEPLOYED"), "version": version,
           "shortCode": _cuid()[2:10], ("failedAt" if failed else "deployedAt"): created}
    obj = {"deployment": one}
    if not failed:
        obj["tasks"] = [{"id": "render-video", "filePath": "src/trigger/video.ts", "exportName": "renderVideo", "triggerSource": "STANDARD"},
                        {"id": "nightly-report", "filePath": "src/trigger/report.ts", "exportName": "nightlyReport", "triggerSource": "SCHEDULED"}]
    obj.update(environment=_environment(env), organization=ORGANIZATION, project=_project(env))
    if failed:
        obj["error"] = {"name": "BuildError", "message": "Failed to index tasks", "stderr": 'Could not resolve "./missing-module"'}
    else:
        obj["git"] = {"branch": "main", "commitSha": "9f31c07", "commitMessage": "Raise ledger batch size",
                      "commitUrl": "https://git.example.com/northwind/billing/commit/9f31c07",
                      "branchUrl": "https://git.example.com/northwind/billing/tree/main", "pullRequestNumber": 412,
                      "pullRequestTitle": "Ledger tuning", "pullRequestUrl": "https://git.example.com/northwind/billing/pull/412",
                      "provider": "github"}
    return obj if legacy else _envelope("alert.deployment." + ("failed" if failed else "success"), "v1", obj, created)


def error_group(run, created, classification="new_issue", occurrences=1):
    """alert.error: id and created are new on every try."""
    error, env = _error(run.state), run.env
    shown = {"fingerprint": run.fingerprint, "type": error.get("name") or error.get("code") or error["type"],
             "message": error.get("message") or error.get("raw") or "", **({"stackTrace": error["stackTrace"]} if "stackTrace" in error else {}),
             "firstSeen": iso(run.created), "lastSeen": iso(run.state.completed or run.state.updated), "occurrenceCount": occurrences,
             "taskIdentifier": run.task}
    return _envelope("alert.error", "2025-01-01", {
        "classification": classification, "error": shown, "environment": {"id": env.id, "name": env.slug}, "organization": ORGANIZATION,
        "project": _project(env), "dashboardUrl": _dashboard(env, f"errors/{run.fingerprint}")}, created, _nanoid())


def agent_watch(run, created, watch="watch_5r8t2y7u1i4o9p3a6s0df", channel="cmchan000000008l4c0ffee00"):
    """alert.dashboard_agent_watch: sent, and in no published schema."""
    env = run.env
    return _envelope("alert.dashboard_agent_watch", "2026-08-02", {
        "watch": {"id": watch, "identity": f"run:{run.id}", "kind": "run_finished", "note": "Tell me when the run ends", "outcome": "fired",
                  "resolution": "condition_met", "observed": None, "firedAt": created, "facts": {"status": STATUSES[run.state.status].api}},
        "environment": {"id": env.id, "name": env.slug}, "organization": ORGANIZATION, "project": _project(env),
        "dashboardUrl": _dashboard(env, "runs")}, created, f"watch:{watch}:channel:{channel}")


class Attempt:
    """One POST: when (monotonic), what was sent, and what came: a status, or the error's text."""

    def __init__(self, at, id, body, status, error):
        self.at, self.id, self.body, self.status, self.error = at, id, body, status, error


class Sender:
    """A channel: url and secret. send() delivers in a thread of its own and gives a Delivery to wait for."""

    def __init__(self, app, url, secret):
        self.app, self.url, self.secret, self._following = app, url, secret, threading.Event()

    def send(self, body):
        """body: an envelope, a legacy body, or a function that makes one of (created text) for every try."""
        one = Delivery(self, body)
        one.thread.start()
        return one

    def run_failed(self, run):
        return self.send(run_failed(run, self.now()))

    def legacy_run_failed(self, run):
        return self.send(legacy_run_failed(run))

    def deployment(self, env="prod", **how):
        return self.send(deployment(self.app.env(env), self.now(), **how))

    def error_group(self, run, **how):
        return self.send(lambda created: error_group(run, created, **how))

    def agent_watch(self, run):
        return self.send(agent_watch(run, self.now()))

    def now(self):
        return iso(self.app.clock.now())

    def follow(self):
        """From now on every run that fails for good is told, as the engine does. Ends with stop() or the fake."""
        thread = threading.Thread(target=self._follow, args=(len(self.app.population.log),), daemon=True)
        thread.start()
        return thread

    def stop(self):
        self._following.set()
        with self.app.population.lock:
            self.app.population.changed.notify_all()

    def _follow(self, position):
        population = self.app.population
        while not (self._following.is_set() or self.app.closing.is_set()):
            with population.lock:
                population.advance()
                fresh, position = population.log[position:], len(population.log)
                if not fresh:
                    due = population.next_due()
                    left = None if due is None else self.app.clock.real_seconds_until(due)
                    population.changed.wait(None if left is None or left > 3600 else max(0.0005, left))
            for entry in fresh:
                if entry.state.status in ALERTING and not entry.run.gone:
                    self.run_failed(entry.run)


class Delivery:
    def __init__(self, sender, body):
        self.sender, self.body, self.attempts, self.delivered = sender, body, [], False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def wait(self, timeout=30):
        """Until it was taken or lost; whether it was taken."""
        self.thread.join(timeout)
        if self.thread.is_alive():
            raise TimeoutError("the alert is still on its way")
        return self.delivered

    def _run(self):
        app = self.sender.app
        scale = app.knobs.alert_scale
        for number in range(3):
            body = self.body(self.sender.now()) if callable(self.body) else self.body
            raw, at = compact(body).encode(), time.monotonic()
            status, error = post(self.sender.url, self.sender.secret, raw, app.knobs.alert_timeout_s * scale)
            self.attempts.append(Attempt(at, body.get("id"), raw, status, error))
            if status is not None and 200 <= status < 300:
                self.delivered = True
                return
            if number < 2 and app.closing.wait(random.uniform(1, 2) * 2 ** number * scale):
                return


def post(url, secret, raw, timeout):
    """(status, None) or (None, why); the time-out is for all of it, up to five redirects re-POST the same body."""
    end = time.monotonic() + timeout
    headers = {"content-type": "application/json", HEADER: sign(secret, raw), "content-length": str(len(raw))}
    for _ in range(MOST_REDIRECTS + 1):
        try:
            status, location = _once(url, headers, raw, end)
        except (OSError, http.client.HTTPException) as why:
            return None, f"{type(why).__name__}: {why}"
        if status not in (301, 302, 303, 307, 308) or not location:
            return status, None
        url = urllib.parse.urljoin(url, location)
    return None, "too many redirects"


def _once(url, headers, raw, end):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=max(0.001, end - time.monotonic()))
    try:
        connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), raw, headers)
        answer = connection.getresponse()
        while answer.read1(65536):  # the body counts, too
            if time.monotonic() > end:
                raise TimeoutError("the answer took too long")
            connection.sock and connection.sock.settimeout(max(0.001, end - time.monotonic()))
        return answer.status, answer.getheader("location")
    finally:
        connection.close()
