"""The fake itself: what it is made of, who may ask what, and which answer a path gives."""
import collections
import email.utils
import threading
import time

from . import access as A
from . import alerts, query, realtime
from .access import Access, Reply
from .clock import Clock
from .knobs import Faults, Knobs
from .lists import list_runs
from .population import Environment, Population, truth_json
from .render import compact, retrieved
from .scenarios import random_timelines, steady_timelines
from .server import Connection, Server
from .vocab import API_VERSION

PROJECT = "proj_qzkxwvnmhtrplydcbafj"
KEYS = {"prod": "tr_prod_a1b2c3d4e5f6g7h8i9j0k1l2", "dev": "tr_dev_a1b2c3d4e5f6g7h8i9j0k1l2",
        "stg": "tr_stg_a1b2c3d4e5f6g7h8i9j0k1l2", "preview": "tr_preview_a1b2c3d4e5f6g7h8i9j0k1l2"}
TYPES = {"prod": "PRODUCTION", "dev": "DEVELOPMENT", "stg": "STAGING", "preview": "PREVIEW"}
PAT = "tr_pat_0123456789abcdefghijklmnopqrstuvwxyzABCD"


class TriggerDev:
    """See the docstring of the package."""

    def __init__(self, port=0, seed=1, host="127.0.0.1", start_ms=None, **knobs):
        self.knobs = Knobs(**knobs)
        self.clock = Clock(self.knobs.clock_scale, self.knobs.clock_skew_s, start_ms)
        self.knobs.on_change = self._knobs_changed
        self.population = Population(self.clock, self.knobs, seed)
        self.faults, self.limiter, self.seed = Faults(seed), A.Limiter(self.knobs, self.clock), seed
        self.project, self.key, self.pat = PROJECT, KEYS["prod"], PAT
        self.environments = {slug: Environment(f"cmenv{slug[:4]:0<4}0001q8x2v7k4m9ab", slug, TYPES[slug], PROJECT, key, None)
                             for slug, key in KEYS.items()}
        self.access = {one.key: Access("secret", one, frozenset(), one.key) for one in self.environments.values()}
        self.access[PAT] = Access("pat", None, frozenset(), PAT)
        self.counts, self.statuses, self.requests = collections.Counter(), collections.Counter(), collections.deque(maxlen=20000)
        self.seconds, self.longest = collections.Counter(), collections.Counter()  # of answering, by endpoint
        self.queries = query.Queries(self)
        self.realtime = realtime.Realtime(self)
        self.closing, self.connections = threading.Event(), set()
        self._server = Server((host, port), Connection)
        self._server.app = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """From now on connections are refused, and those that are open end."""
        if self.closing.is_set():
            return
        self.closing.set()
        with self.population.lock:
            self.population.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self.drop_connections()
        self._thread.join()

    def drop_connections(self):
        for one in list(self.connections):
            one.drop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def http_date(self):
        return email.utils.formatdate(self.clock.now() / 1000, usegmt=True)

    def _knobs_changed(self, new):
        if "clock_scale" in new or "clock_skew_s" in new:
            self.clock.set(self.knobs.clock_scale, self.knobs.clock_skew_s)
        with self.population.lock:
            self.population.changed.notify_all()

    # --- what tests do -------------------------------------------------------------------------------------------------
    def jump(self, seconds):
        """Moves the server's clock on; with clock_scale=0 it moves by nothing else."""
        self.clock.jump(seconds)
        self.population.advance()

    def env(self, slug="prod"):
        return self.environments[slug]

    def add(self, env="prod", **facts):
        """One run; see Population.add."""
        run = self.population.add(self.env(env), **facts)
        self.population.advance()
        return run

    def set(self, run, status, **changes):
        self.population.set(run, status, **changes)

    def then(self, run, after_s, status, **changes):
        """The run will take this step so many seconds from now."""
        self.population.step_at(run, self.clock.now() + int(after_s * 1000), status, **changes)

    def load_random(self, n, seed=None, env="prod", over_s=10.0, start_ms=None, **more):
        """n random runs, created from start (now) on; see scenarios.random_timelines."""
        start = self.clock.now() if start_ms is None else start_ms
        specs = random_timelines(self.seed if seed is None else seed, n, start, over_s, **more)
        runs = [self.population.add(self.env(env), **spec) for spec in specs]
        self.population.advance()
        return runs

    def load_steady(self, active, per_s, seconds, seed=None, env="prod", **more):
        """A full house from now on; see scenarios.steady_timelines."""
        specs = steady_timelines(self.seed if seed is None else seed, active, self.clock.now(), per_s, seconds, **more)
        for spec in sorted(specs, key=lambda one: one["created"]):
            self.population.add(self.env(env), **spec)
        self.population.advance()

    def fault(self, where, mode="status", times=None, probability=1.0, **how):
        return self.faults.add(where, mode, times, probability, **how)

    def script(self, endpoint, entries):
        return self.faults.script(endpoint, entries)

    def ground_truth(self, since_ms=0):
        return self.population.ground_truth(since_ms)

    def add_environment(self, slug, kind="PREVIEW", project=PROJECT, key=None, branch=None):
        key = key or f"tr_{slug[:4]}_{self.population.new_key()[:24]}"
        one = Environment("cmenv" + self.population.new_key()[5:], slug, kind, project, key, branch)
        self.environments[slug] = one
        self.access[key] = Access("secret", one, frozenset(), key)
        return one

    def add_token(self, token, scopes, env="prod"):
        """A public access token (JWT) of these scopes."""
        self.access[token] = Access("jwt", self.env(env), frozenset(scopes), token)

    def sender(self, url, secret):
        """A channel of alert webhooks."""
        return alerts.Sender(self, url, secret)

    # --- answering -----------------------------------------------------------------------------------------------------
    def answer(self, request):
        if request.path.startswith("/_fake/"):
            return _fake(self, request)
        endpoint, handler, rest = route(request)
        self.counts[endpoint] += 1
        reply = self._answer(request, endpoint, handler, rest)
        took = time.monotonic() - request.at
        self.seconds[endpoint] += took
        self.longest[endpoint] = max(self.longest[endpoint], took)
        self.statuses[f"{endpoint} {reply.status}" + (f" {reply.fault.mode}" if reply.fault else "")] += 1
        self.requests.append((request.at, request.method, request.target, request.headers, reply.status))
        return reply

    def _answer(self, request, endpoint, handler, rest):
        fault = self.faults.next(endpoint, request.path)
        limit = None
        if endpoint != "realtime" and request.path.startswith("/api"):
            refused, limit = self._limit(request)
            if refused:
                reply = refused
            else:
                reply = self._judge(request, endpoint, handler, rest, fault)
            reply.headers += A.rate_headers(*limit) if limit else []
        else:
            reply = self._judge(request, endpoint, handler, rest, fault)
        reply.fault = fault
        return reply

    def _limit(self, request):
        token = A.bearer(request.headers)
        if token is None:
            return A.no_header(), None
        who = self.access.get(token) or Access("unknown", None, frozenset(), token)
        allowed, *limit = self.limiter.take(who)
        return (None if allowed else A.too_many(*limit, self.clock.now())), limit

    def _judge(self, request, endpoint, handler, rest, fault):
        if fault and fault.mode == "status":
            return self._on_order(request, endpoint, **fault.how)
        if handler is None:
            return A.not_found()
        return handler(self, request, rest)

    def _on_order(self, request, endpoint, status=500, body=None, headers=None):
        if status == 429 and body is None:
            reply = A.too_many(self.knobs.rate_burst, -1, self.clock.now() + 1000, self.clock.now())
        else:
            reply = A.standard(status, endpoint == "retrieve")
        if body is not None:
            reply = Reply(status, body)
        reply.headers += list((headers or {}).items())
        return reply

    def allowed(self, request, pat=False):
        """(who asks, None) or (None, the refusal)."""
        token = A.bearer(request.headers)
        if token is None:
            return None, A.no_header()
        who = self.access.get(token)
        if pat:
            return (who, None) if who and who.kind == "pat" else (None, A.unauthorized("Invalid or Missing PAT"))
        if not token:
            return None, A.unauthorized("Invalid or Missing API key")
        if who is None or who.kind == "pat":
            return None, A.unauthorized("Invalid Public Access Token" if token.startswith("eyJ") else "Invalid API key")
        branch = request.headers.get("x-trigger-branch")
        if branch and who.env.type == "PREVIEW":
            child = next((one for one in self.environments.values() if one.branch == branch), None)
            who = who._replace(env=child) if child else who
        return who, None


def versioned(request):
    return request.headers.get("x-trigger-api-version") == API_VERSION


def route(request):
    """(name of the endpoint, handler or None, what the path holds)"""
    parts = request.path.strip("/").split("/")
    if request.method == "GET":
        if parts == ["api", "v1", "runs"]:
            return "list", _list, None
        if len(parts) == 5 and parts[:3] == ["api", "v1", "projects"] and parts[4] == "runs":
            return "project", _project, parts[3]
        if len(parts) == 4 and parts[:3] == ["api", "v3", "runs"]:
            return "retrieve", _retrieve, parts[3]
        if parts[:3] == ["realtime", "v1", "runs"] and len(parts) in (3, 4):
            return "realtime", _realtime, parts[3] if len(parts) == 4 else None
    if request.method == "POST" and parts == ["api", "v1", "query"]:
        return "query", _query, None
    return "other", None, None


def _list(app, request, _):
    who, refused = app.allowed(request)
    if refused:
        return refused
    tasks = request.params.get("filter[taskIdentifier]")
    if not A.may_list(who, tasks.split(",") if tasks else None):
        return A.forbidden()
    return list_runs(app, who.env, request.params, versioned(request))


def _project(app, request, ref):
    who, refused = app.allowed(request, pat=True)
    if refused:
        return refused
    if not any(one.project == ref for one in app.environments.values()):
        return A.not_found(word="Project not found")
    wanted = (request.params.get("filter[env]") or "").split(",")
    # Compared with slugs, and only the first that fits is used; none that fits is a mistake nobody catches.
    env = next((one for one in app.environments.values() if one.project == ref and one.slug in wanted), None)
    return list_runs(app, env, request.params, versioned(request)) if env else A.server_error()


def _retrieve(app, request, run_id):
    who, refused = app.allowed(request)
    if refused:
        return refused
    with app.population.lock:
        app.population.advance()
        run = app.population.runs.get(run_id)
        if run is None or run.env is not who.env or run.state.status is None or run_id in app.knobs.vanished:
            return A.not_found(retry=True)
        if not A.may_read(who, run):
            return A.forbidden()
        return Reply(200, retrieved(app.knobs, run, versioned(request)))


def _query(app, request, _):
    who, refused = app.allowed(request)
    return refused or app.queries.answer(who, request)


def _realtime(app, request, run_id):
    who, refused = app.allowed(request)
    return refused or app.realtime.answer(who, request, run_id)


# --- the fake's own paths: no part of the service ------------------------------------------------------------------------
def _fake(app, request):
    what, body = request.path[len("/_fake/"):], A.parse_json(request.body) if request.body else {}
    try:
        if request.method == "POST":
            return Reply(200, _ordered(app, what, body) or {"ok": True})
        if what == "truth":
            found = app.ground_truth(int(request.params.get("since", 0)))
            return Reply(200, "[" + ",\n".join(compact(truth_json(one)) for one in found) + "]")
        if what == "requests":
            return Reply(200, {"total": sum(app.counts.values()), **dict(app.counts), "answers": dict(app.statuses),
                               "seconds": dict(app.seconds), "longest": dict(app.longest)})
        if what == "knobs":
            return Reply(200, app.knobs.shown())
    except (TypeError, ValueError, KeyError) as why:
        return Reply(400, {"error": str(why)})
    return A.not_found()


def _ordered(app, what, body):
    if what == "knobs":
        app.knobs.set(**body)
    elif what == "faults":
        app.fault(**body)
    elif what == "script":
        app.script(body["endpoint"], body["entries"])
    elif what == "clear":
        app.faults.clear()
        app.limiter.reset()
        app.counts.clear()
        app.statuses.clear()
        app.seconds.clear()
        app.longest.clear()
    elif what == "runs":
        return {"id": app.add(**body).id}
    elif what == "random":
        return {"count": len(app.load_random(**body))}
    elif what == "steady":
        app.load_steady(**body)
    elif what == "set":
        app.set(app.population.runs[body.pop("id")], body.pop("status"), **body)
    else:
        raise ValueError(f"/_fake/{what}: no such order")
    return None
