"""What the tests of the fake share: a fake whose time stands still, and a client that keeps its connection."""
import http.client
import json
import pathlib
import time
import urllib.parse

import pytest
from trigger_dev import TriggerDev

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "trigger-dev"
START = 1777803600000  # 2026-05-03T10:20:00Z


def wait_for(condition, timeout=20):
    """Polls until condition() is true. The only place where these tests wait."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


class Answer:
    def __init__(self, answer):
        self.status, self.headers, self.raw = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    @property
    def json(self):
        return json.loads(self.raw)


class Client:
    def __init__(self, fake, key=None, version="2025-07-16"):
        self.fake, self.key, self.version = fake, fake.key if key is None else key, version
        self.connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=20)

    def ask(self, method, path, params=None, body=None, headers=None):
        target = path + ("?" + urllib.parse.urlencode(params) if params else "")
        sent = {"authorization": f"Bearer {self.key}", "x-trigger-api-version": self.version, "x-trigger-electric-version": "1.0.0-beta.1"}
        sent = {k: v for k, v in {**sent, **(headers or {})}.items() if v is not None}
        self.connection.request(method, target, None if body is None else json.dumps(body), sent)
        return Answer(self.connection.getresponse())

    def get(self, path, params=None, **headers):
        return self.ask("GET", path, params, headers=headers)

    def list(self, **params):
        """Names as in filter_status, page_size, createdAt_from."""
        return self.get("/api/v1/runs", {_parameter(name): value for name, value in params.items()})

    def ids(self, **params):
        return [one["id"] for one in self.list(**params).json["data"]]

    def pages(self, **params):
        """All pages, following next."""
        while True:
            page = self.list(**params).json
            yield page["data"]
            if "next" not in page["pagination"]:
                return
            params["page_after"] = page["pagination"]["next"]

    def query(self, sql, **more):
        return self.ask("POST", "/api/v1/query", body={"query": sql, **more})

    def rows(self, sql, **more):
        answer = self.query(sql, **more)
        assert answer.status == 200, answer.raw
        return answer.json["results"]

    def close(self):
        self.connection.close()


def _parameter(name):
    group, _, rest = name.partition("_")
    if group == "createdAt":
        return f"filter[createdAt][{rest}]"
    return f"{group}[{rest}]"


def fixture(name):
    return json.loads((FIXTURES / f"{name}.json").read_text())


@pytest.fixture
def fake():
    """Frozen at START; fake.jump() moves it."""
    with TriggerDev(start_ms=START, clock_scale=0, realtime_hold_s=0.2, alert_scale=0.02) as one:
        yield one


@pytest.fixture
def client(fake):
    one = Client(fake)
    yield one
    one.close()
