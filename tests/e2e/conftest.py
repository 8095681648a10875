"""End-to-end tests: the real binary, real HTTP, fakes for what it talks to.

The fixture `runbell` is one server with a folder of its own. At the end of every test it checks what must
hold whatever the test is about: a clean exit, no sanitizer report, no planted secret in logs, answers or store,
nothing dropped. The fixture `fakes` is a receiver (tests/fakes); a body that breaks a schema fails the test."""
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "fakes"))
from receiver import Receiver  # noqa: E402

BINARY = pathlib.Path(os.environ.get("RUNBELL_BIN", ROOT / "build" / "runbell")).resolve()
FIXTURES = ROOT / "tests" / "fixtures" / "trigger-dev"
PATIENCE = float(os.environ.get("RUNBELL_E2E_PATIENCE", "1"))  # more for sanitizers and busy machines
DEADLINE_S = 20.0 * PATIENCE
SANITIZED = any(word in BINARY.read_bytes() for word in (b"__tsan_init", b"__asan_init"))  # they take several times the memory
SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehavior", "ThreadSanitizer", "runtime error:")


def wait_for(condition, what="the condition", timeout=None):
    """Polls until condition() is true, and gives what it gave. The only place where tests wait."""
    end = time.monotonic() + (timeout or DEADLINE_S)
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(f"waited in vain for {what}" + (f": {condition.__doc__}" if condition.__doc__ else ""))
        time.sleep(0.01)


def seed_run(name, **changes):
    """A fixture's run object with some members replaced."""
    run = json.loads((FIXTURES / f"seed-run-{name}.json").read_text())
    run.update(changes)
    return run


def now(offset_s=0.0):
    at = time.time() + offset_s
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"


def a_run(ident, status="CRASHED", task="render-video", **more):
    """A fresh run object in the seed's shape."""
    run = {"id": ident, "status": status, "taskIdentifier": task, "version": "20260503.1", "createdAt": now(-60),
           "startedAt": now(-59), "updatedAt": now(), "isTest": False, "tags": [], "metadata": {}, "attempts": []}
    run.update(more)
    return run


class Answer:
    def __init__(self, status, headers, raw):
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def problem(self):
        assert self.headers.get("content-type", "").startswith("application/problem+json"), (self.status, self.headers, self.raw)
        return self.json["title"] + ": " + self.json.get("detail", "")

    def __repr__(self):
        return f"<{self.status} {self.raw[:300]!r}>"


def free_port():
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Runbell:
    """One server, its folder, its configuration. Destinations and rules are set by each test."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.path = folder / "runbell.yaml"
        self.stderr_path, self.stdout_path = folder / "stderr.log", folder / "stdout.log"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("RUNBELL_")}
        self.environment["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0"
        self.secrets, self.exits, self.starts = [], [], 0
        self.dirty_exit_is_fine = self.leaves_open = False
        self.token = self.plant("INGEST_TOKEN", "canary-ingest-5b1f")
        self.api_token = self.plant("API_TOKEN", "canary-api-77aa")

    # --- configuration ------------------------------------------------------------------------------------------
    def plant(self, name, value):
        """A secret by environment variable. It must appear nowhere; the check at the end looks for it."""
        self.environment[name] = value
        if value not in self.secrets:
            self.secrets.append(value)
        return "${env:" + name + "}"

    def configure(self, rules=None, destinations=None, defaults=None, **more):
        config = {
            "version": 1,
            "server": {"listen": f"127.0.0.1:{self.port}", "token": self.api_token, **more.pop("server", {})},
            "store": more.pop("store", {"url": "sqlite:runbell.db"}),
            "sources": more.pop("sources", {"push": {"type": "webhook", "token": self.token}}),
            "destinations": destinations or {"out": {"type": "console"}},
        }
        if defaults:
            config["defaults"] = defaults
        if rules:
            config["rules"] = rules
        config.update(more)
        self.path.write_text(yaml.safe_dump(config, sort_keys=False, width=1000))

    # --- life -----------------------------------------------------------------------------------------------------
    def spawn(self):
        self.starts += 1
        with open(self.stderr_path, "ab") as err, open(self.stdout_path, "ab") as out:
            return subprocess.Popen([str(BINARY), "serve", "-c", str(self.path)], cwd=self.folder, env=self.environment,
                                    stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def start(self, **config):
        if config or not self.path.exists():
            self.configure(**config)
        self.process = self.spawn()
        wait_for(self._is_ready, "the server to be ready")
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            pytest.fail(f"the server ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def stop(self):
        """SIGTERM; gives the exit status."""
        if not self.process:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.process = None
            pytest.fail("did not end within 15 s of SIGTERM:\n" + self.log())
        status = self.process.returncode
        self.exits.append(status)
        self.process = None
        return status

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self, **config):
        assert self.stop() == 0
        return self.start(**config)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def reload_and_wait(self, **config):
        before = self.status()["reloads"]["done"]
        self.configure(**config)
        self.reload()
        wait_for(lambda: self.status()["reloads"]["done"] == before + 1, "the reload")

    def log(self):
        return self.stderr_path.read_text("utf-8", "replace") if self.stderr_path.exists() else ""

    # --- HTTP -----------------------------------------------------------------------------------------------------
    def connect(self, timeout=None):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout or DEADLINE_S)

    def request(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post(self, body, path="/v1/events", token=None, type="application/json", headers=None):
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        raw = raw.encode() if isinstance(raw, str) else raw
        all_headers = {"Authorization": "Bearer " + (token or self.environment["INGEST_TOKEN"]), **(headers or {})}
        if type:
            all_headers["Content-Type"] = type
        return self.request("POST", path, raw, all_headers)

    def accept(self, body, **more):
        """Posts what must be accepted whole."""
        answer = self.post(body, **more)
        assert answer.status == 202 and not answer.json["rejected"], answer
        return answer.json

    def api(self, path, body=None, method=None, status=200):
        headers = {"Authorization": "Bearer " + self.environment["API_TOKEN"]}
        raw = None
        if body is not None:
            raw = json.dumps(body)
            headers["Content-Type"] = "application/json"
        answer = self.request(method or ("GET" if body is None else "POST"), path, raw, headers)
        assert answer.status == status, (path, answer)
        return answer.json if answer.raw and "json" in answer.headers.get("content-type", "") else answer.raw.decode()

    def status(self):
        return self.api("/v1/status")

    def incidents(self, query=""):
        return self.api("/v1/incidents?limit=100" + query)["data"]

    def deliveries(self, query=""):
        return self.api("/v1/deliveries?limit=100" + query)["data"]

    def metric(self, name):
        """Of /metrics, by its name with labels."""
        for line in self.api("/metrics").splitlines():
            if line.startswith("runbell_" + name + " "):
                return float(line.rsplit(" ", 1)[1])
        pytest.fail(f"no metric {name}")

    def wait_incident(self, query="", state=None):
        def found():
            rows = [one for one in self.incidents(query) if state in (None, one["state"])]
            return rows[0] if rows else None
        return wait_for(found, f"an incident {query} {state or ''}")

    # --- commands ---------------------------------------------------------------------------------------------------
    def run(self, *arguments, stdin=None, env=None, config=True):
        """A command of the binary, with this server's configuration."""
        command = [str(BINARY), *[str(one) for one in arguments]]
        environment = {**self.environment, **(env or {})}
        if config:
            environment["RUNBELL_CONFIG"] = str(self.path)
        done = subprocess.run(command, cwd=self.folder, env=environment, input=stdin, capture_output=True, text=True,
                              stdin=None if stdin is not None else subprocess.DEVNULL, timeout=60)
        assert not any(word in done.stderr for word in SANITIZER_WORDS), done.stderr
        return done

    # --- what always holds --------------------------------------------------------------------------------------------
    def answers(self):
        pages = ["/v1/status", "/v1/incidents?limit=200", "/v1/deliveries?limit=200", "/v1/rejected", "/v1/rules",
                 "/v1/sources", "/v1/destinations", "/metrics"]
        texts = {page: self._text(page) for page in pages}
        for one in json.loads(texts["/v1/incidents?limit=200"])["data"][:5]:
            texts[one["id"]] = self._text("/v1/incidents/" + one["id"])
        return texts

    def _text(self, path):
        return self.request("GET", path, headers={"Authorization": "Bearer " + self.environment["API_TOKEN"]}).raw.decode()

    def close(self):
        texts = {}
        if self.process and self.process.poll() is None:
            texts = self.answers()
            assert "runbell_dropped_total 0\n" in texts["/metrics"]
            self.stop()
        elif self.process:
            pytest.fail(f"the server ended by itself with {self.process.returncode}")
        for path in self.folder.iterdir():
            if path.is_file() and not path.name.startswith("given-"):
                texts[path.name] = path.read_bytes().decode("utf-8", "replace")
        assert not [word for word in SANITIZER_WORDS if word in texts.get("stderr.log", "")]
        for where, text in texts.items():
            for secret in self.secrets:
                assert secret not in text, f"the secret {secret} is in {where}"
        assert all(status == 0 for status in self.exits), self.exits


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for one in getattr(item, "servers", []):
            report.sections.append(("the server's log", one.log()[-8000:]))
    setattr(item, "report_" + report.when, report)


@pytest.fixture
def new_runbell(tmp_path, request):
    """Makes servers, each in a folder of its own."""
    request.node.servers = made = []

    def make(name="server"):
        folder = tmp_path / name
        folder.mkdir()
        made.append(Runbell(folder))
        return made[-1]

    yield make
    failed = getattr(request.node, "report_call", None) and request.node.report_call.failed
    for one in made:
        try:
            if not failed:
                one.close()
        finally:
            if one.process and one.process.poll() is None:
                one.process.kill()
                one.process.wait()


@pytest.fixture
def runbell(new_runbell):
    return new_runbell()


@pytest.fixture
def fakes():
    """A receiver. What the real services would refuse or lose without a word fails the test."""
    with Receiver() as receiver:
        yield receiver
        assert not receiver.violations, "\n".join(receiver.violations)
        assert not receiver.silently_dropped, receiver.silently_dropped


@pytest.fixture
def slack_bot(runbell, fakes):
    """Destination: a bot in #ops."""
    fakes.tokens = {"xoxb-canary-3c9e-bot"}
    return {"type": "slack", "token": runbell.plant("SLACK_TOKEN", "xoxb-canary-3c9e-bot"), "channel": "#ops",
            "base_url": fakes.url("/api"), "rate": "1000 per 1s"}


@pytest.fixture
def slack_hook(runbell, fakes):
    """Destination: an incoming webhook, whose address is the secret."""
    runbell.plant("SLACK_URL", fakes.url("/services/T1/B1/canary8d2e"))
    return {"type": "slack", "url": "${env:SLACK_URL}", "rate": "1000 per 1s"}


@pytest.fixture
def pager(runbell, fakes):
    return {"type": "pagerduty", "routing_key": runbell.plant("PD_KEY", "canarycanarycanarycanary00000001"),
            "base_url": fakes.url("/pd"), "rate": "1000 per 1s"}


def hook(fakes, name="a", **more):
    """Destination: a Standard Webhooks receiver."""
    return {"type": "webhook", "url": fakes.url(f"/hook/{name}"), **more}
