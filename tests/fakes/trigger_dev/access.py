"""Who may ask, and how often: keys, tokens, scopes, the rate limiter, and the bodies of every refusal."""
import collections
import json
import threading

from .render import compact

Access = collections.namedtuple("Access", "kind env scopes token")  # kind: secret, jwt, pat


class Reply:
    __slots__ = ("status", "body", "headers", "kind", "fault")

    def __init__(self, status, body, headers=(), kind="application/json; charset=utf-8"):
        self.status, self.headers, self.kind, self.fault = status, list(headers), kind, None
        self.body = body if isinstance(body, bytes) else (body if isinstance(body, str) else compact(body)).encode()


MDN = "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/"
PROBLEM = "application/problem+json"
NO_RETRY = (("x-should-retry", "false"),)


def no_header():
    said = "No authorization header provided"
    return Reply(401, {"title": "Unauthorized", "status": 401, "type": MDN + "401", "detail": said, "error": said}, kind=PROBLEM)


def unauthorized(word):
    return Reply(401, {"error": word})


def forbidden():
    return Reply(403, {"error": "Unauthorized", "code": "unauthorized", "param": "access_token", "type": "authorization"})


def not_found(retry=False, word="Not found"):
    return Reply(404, {"error": word}, [("x-should-retry", "true" if retry else "false")])


def query_error(details):
    return Reply(400, {"error": "Query Error", "details": details})


def server_error():
    return Reply(500, {"error": "Internal Server Error"})


def too_many(limit, remaining, reset_ms, now_ms):
    left = max(0, reset_ms - now_ms) / 1000
    said = f"Rate limit exceeded {max(0, remaining)}/{limit} requests remaining. Retry in {left} seconds."
    return Reply(429, {"title": "Rate Limit Exceeded", "status": 429, "type": MDN + "429", "detail": said, "reset": reset_ms, "limit": limit,
                       "remaining": remaining, "secondsUntilReset": left, "error": said}, kind=PROBLEM)


def standard(status, retry_404=False):
    """The body the service has for a status, for faults on order."""
    if status == 404:
        return not_found(retry_404)
    made = {401: lambda: unauthorized("Invalid API key"), 403: forbidden, 500: server_error,
            502: lambda: Reply(502, "<html><head><title>502 Bad Gateway</title></head></html>", kind="text/html"),
            503: lambda: Reply(503, "Service Unavailable", kind="text/plain")}.get(status)
    return made() if made else Reply(status, {"error": f"Status {status} on order"})


class Limiter:
    """A token bucket for each environment: whole refills at whole intervals; a fixed window for each JWT."""

    def __init__(self, knobs, clock):
        self.knobs, self.clock = knobs, clock
        self._lock, self._buckets, self._windows = threading.Lock(), {}, {}

    def take(self, access):
        """(allowed, limit, remaining, reset ms)"""
        with self._lock:
            return self._window(access.token) if access.kind == "jwt" else self._bucket(access.env.id if access.env else access.token)

    def reset(self):
        with self._lock:
            self._buckets.clear()
            self._windows.clear()

    def _bucket(self, who):
        burst, interval, now = self.knobs.rate_burst, int(self.knobs.rate_interval_s * 1000), self.clock.now()
        tokens, since = self._buckets.get(who, (burst, now))
        refills = max(0, (now - since) // interval) if interval else 0
        tokens, since = min(burst, tokens + refills * self.knobs.rate_refill), since + refills * interval
        if tokens <= 0:
            self._buckets[who] = tokens, since
            return False, burst, -1, since + interval
        self._buckets[who] = tokens - 1, since
        return True, burst, tokens - 1, since + interval

    def _window(self, token):
        size, now = int(self.knobs.jwt_window_s * 1000), self.clock.now()
        number = now // size if size else 0
        at, used = self._windows.get(token, (number, 0))
        used = used + 1 if at == number else 1
        self._windows[token] = number, used
        return used <= self.knobs.jwt_rate, self.knobs.jwt_rate, self.knobs.jwt_rate - used, (number + 1) * size


def rate_headers(limit, remaining, reset_ms):
    return [("x-ratelimit-limit", str(limit)), ("x-ratelimit-remaining", str(max(0, remaining))), ("x-ratelimit-reset", str(reset_ms))]


# --- scopes: a secret key may everything; a JWT what its scopes say ----------------------------------------------------
def may_list(access, tasks=None):
    if access.kind != "jwt" or access.scopes & {"read:runs", "read:tasks", "read:all", "admin"}:
        return True
    return bool(tasks) and all(f"read:tasks:{task}" in access.scopes for task in tasks)


def may_read(access, run):
    if access.kind != "jwt" or access.scopes & {"read:runs", "read:all", "admin"}:
        return True
    fitting = {f"read:runs:{run.id}", f"read:tasks:{run.task}", f"read:batch:{run.batch}"} | {f"read:tags:{tag}" for tag in run.state.tags}
    return bool(access.scopes & fitting)


def may_follow(access, tags):
    if access.kind != "jwt" or access.scopes & {"read:runs", "read:all", "admin"}:
        return True
    return any(f"read:tags:{tag}" in access.scopes for tag in tags)


def bearer(headers):
    """The token of the request; None without a header, '' for an empty one."""
    said = headers.get("authorization")
    if said is None:
        return None
    scheme, _, token = said.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else said


def parse_json(raw):
    try:
        return json.loads(raw)
    except ValueError:
        return None
