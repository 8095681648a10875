"""The fake Trigger.dev against the published SDK: the real client drives it, the published schemas judge its bodies.

The SDK is installed into build/sdk from the lock file, once; without node, npm or the registry the tests are skipped."""
import hashlib
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import threading
import urllib.request

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "fakes"))
from receiver import Receiver  # noqa: E402
from trigger_dev import STATUSES, TriggerDev, alerts  # noqa: E402
from trigger_dev.clock import iso  # noqa: E402

FILES = ("package.json", "package-lock.json", ".npmrc")
OUT_OF_REACH = re.compile(r"ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|network|E50\d")
PATIENCE_S = 60


def installed(folder):
    """The SDK under this folder, installed again when the lock file is another one."""
    stamp, want = folder / "stamp", hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()
    if stamp.exists() and stamp.read_text() == want:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(HERE / name, folder / name)
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()]
        if OUT_OF_REACH.search(done.stderr):
            pytest.skip("the npm registry cannot be reached: " + (last[0] if last else "npm says nothing"))
        pytest.fail("npm ci: " + "\n".join(last[-15:]))
    stamp.write_text(want)


@pytest.fixture(scope="session")
def node():
    for program in ("node", "npm"):
        if not shutil.which(program):
            pytest.skip(f"no {program} here: the contract with the SDK is not tested")
    folder = ROOT / "build" / "sdk"
    installed(folder)
    return Node(folder / "node_modules")


class Node:
    def __init__(self, modules):
        self.environment = {**os.environ, "NODE_PATH": str(modules), "TRIGGER_TELEMETRY_DISABLED": "1"}

    def command(self, what, *arguments):
        return ["node", str(HERE / "contract.cjs"), what, *arguments]

    def ask(self, what, *arguments, given=None):
        done = subprocess.run(self.command(what, *arguments), env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S,
                              input=None if given is None else json.dumps(given))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def follow(self, what, *arguments):
        return Following(subprocess.Popen(self.command(what, *arguments), env=self.environment, stdout=subprocess.PIPE, text=True))

    def judge(self, bodies):
        """bodies: (schema, value); none may be refused."""
        bodies = list(bodies)
        said = self.ask("judge", given=[{"schema": schema, "value": value} for schema, value in bodies])
        assert [(one, why) for one, why in zip(bodies, said) if why != "good"] == []
        return len(bodies)


class Following:
    """A subscription in a process of its own; next() is what it says next."""

    def __init__(self, process):
        self.process, self.said = process, queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.said.put(json.loads(line))

    def next(self):
        return self.said.get(timeout=PATIENCE_S)

    def until(self, condition):
        while not condition(one := self.next()):
            pass
        return one

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE_S)


@pytest.fixture
def fake():
    with TriggerDev(realtime_hold_s=1) as one:
        yield one


@pytest.fixture
def crowd(fake):
    """A mixed population of the last minutes, some runs still on their way, relations among them."""
    runs = fake.load_random(120, seed=9, over_s=60, start_ms=fake.clock.now() - 90000, pace=8)
    parent = fake.add(task="parent", created=fake.clock.now() - 1000, steps=[(0, "PENDING"), (0.1, "EXECUTING")],
                      schedule={"id": "sched_1", "generator": {"type": "CRON", "expression": "0 2 * * *", "description": "At 02:00 AM"}})
    child = fake.add(task="child", parent=parent, batch="batch_cmf7k2h8x000508l4c9d0e1f2", trigger="batchTriggerAndWait",
                     steps=[(0, "PENDING"), (0, "EXECUTING"), (0, "CRASHED")])
    return [*runs, parent, child]


def ask(fake, path, key=None):
    request = urllib.request.Request(fake.url + path, headers={"authorization": f"Bearer {key or fake.key}", "x-trigger-api-version": "2025-07-16",
                                                               "x-trigger-electric-version": "1.0.0-beta.1"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def test_the_client_walks_all_pages(node, fake, crowd):
    found = node.ask("list", fake.url, fake.key, "10")
    assert [one["id"] for one in found] == [run.id for run in sorted(crowd, key=lambda run: (run.created, run.key), reverse=True)]
    assert fake.counts["list"] == 13
    for one in found:
        run = fake.population.runs[one["id"]]
        assert one["createdAt"] == iso(run.created) and one["tags"] == list(run.state.tags) and one["taskIdentifier"] == run.task


def test_the_client_filters(node, fake, crowd):
    wanted = {run.id for run in crowd if run.state.status in ("CRASHED", "TIMED_OUT") and run.created > fake.clock.now() - 3600000}
    found = node.ask("filtered", fake.url, fake.key, json.dumps({"status": ["CRASHED", "TIMED_OUT"], "from": fake.clock.now() - 3600000, "limit": 100}))
    assert wanted <= {one["id"] for one in found} and wanted and {one["status"] for one in found} <= {"CRASHED", "TIMED_OUT"}
    found = node.ask("filtered", fake.url, fake.key, json.dumps({"taskIdentifier": ['weird "task", with \\ all'.replace(",", "")], "period": "1h"}))
    assert found == []
    found = node.ask("filtered", fake.url, fake.key, json.dumps({"tag": ["región:münchen"], "limit": 100}))
    assert found and {one["id"] for one in found} == {run.id for run in crowd if "región:münchen" in run.state.tags}


def test_the_client_retrieves(node, fake):
    run = fake.add(task="x", payload={"a": [1, None]}, metadata={"k": "ü"}, tags=['q"', "n\nl"], steps=[(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING"),
                   (0, "EXECUTING", {"attempt": 2}), (0, "CRASHED", {"error": {"type": "INTERNAL_ERROR", "code": "TASK_PROCESS_OOM_KILLED"}})])
    got = node.ask("retrieve", fake.url, fake.key, run.id)
    assert got["status"] == "CRASHED" and got["attemptCount"] == 2 and got["payload"] == {"a": [1, None]} and got["metadata"] == {"k": "ü"}
    assert got["error"] == {"message": "trigger.dev internal error (TASK_PROCESS_OOM_KILLED)"} and got["tags"] == ["n\nl", 'q"']


def test_the_client_knows_the_refusals(node, fake):
    got = node.ask("missing", fake.url, fake.key, "run_none")
    assert got["refused"] and got["name"] == "TriggerApiError" and got["status"] == 404
    got = node.ask("badlist", fake.url, fake.key + "x", "FAILED")
    assert got["refused"] and got["status"] == 401
    got = node.ask("badlist", fake.url, fake.key, "NONSENSE")
    assert got["refused"] and got["status"] == 400


def test_the_client_waits_out_a_full_bucket(node, fake):
    run = fake.add()
    fake.knobs.set(rate_burst=1, rate_refill=1, rate_interval_s=0.3)
    assert node.ask("list", fake.url, fake.key, "1")[0]["id"] == run.id
    fake.script("retrieve", [{"mode": "status", "status": 429, "headers": {"x-ratelimit-reset": str(fake.clock.now() + 50)}}, "ok"])
    assert node.ask("retrieve", fake.url, fake.key, run.id)["id"] == run.id
    assert fake.counts["retrieve"] >= 2


def test_the_client_lists_a_project(node, fake):
    now = fake.clock.now()
    staged = [fake.add(env="stg", created=now - i) for i in range(5)]
    fake.add()
    assert [one["id"] for one in node.ask("project", fake.url, fake.pat, fake.project)] == [run.id for run in staged]
    assert fake.counts["project"] == 3


@pytest.mark.parametrize("knobs", [{}, {"realtime_dialect": "electric"}, {"realtime_partial": True, "realtime_dialect": "electric"}, {"realtime_forget": True}])
def test_the_client_follows_a_run_to_its_end(node, fake, knobs):
    fake.knobs.set(**knobs)
    run = fake.add(tags=['org:"acme"', "a,b"], payload={"n": 1}, metadata={"try": 1})
    with node.follow("run", fake.url, fake.key, run.id) as following:
        assert following.next() == {"following": True}
        first = following.next()
        assert first["status"] == "QUEUED" and sorted(first["tags"]) == ["a,b", 'org:"acme"'] and first["payload"] == {"n": 1} and first["metadata"] == {"try": 1}
        for status in ("DEQUEUED", "EXECUTING", "WAITING_TO_RESUME"):
            fake.set(run, status)
            assert following.until(lambda one: one["status"] == STATUSES[status].api)["id"] == run.id
        fake.set(run, "COMPLETED_WITH_ERRORS", error={"type": "BUILT_IN_ERROR", "name": "TypeError", "message": "rows", "stackTrace": "TypeError: rows"})
        last = following.until(lambda one: one["status"] == "FAILED")
        assert last["error"]["message"] == "rows" and last["isFailed"] and last["finishedAt"] == iso(run.state.completed)
        assert following.next() == {"ended": True}


def test_the_client_follows_a_tag_through_a_refetch(node, fake):
    one = fake.add(tags=["t", "u"])
    fake.add(tags=["u"])
    with node.follow("tag", fake.url, fake.key, "t") as following:
        assert following.next() == {"following": True} and following.next()["id"] == one.id
        two = fake.add(tags=["t"])
        assert following.until(lambda run: run["id"] == two.id)["status"] == "QUEUED"
        fake.knobs.set(realtime_conflict=1)
        fake.set(two, "TIMED_OUT")
        seen = following.until(lambda run: run["id"] == two.id and run["status"] == "TIMED_OUT")
        assert seen["isFailed"]  # by the client's own rule, which is not REST's
        fake.set(one, "EXECUTING")
        following.until(lambda run: run["id"] == one.id and run["status"] == "EXECUTING")


def test_the_schemas_take_every_body(node, fake, crowd):
    page = ask(fake, "/api/v1/runs?page[size]=100")
    bodies = [("ListRunResponse", page)] + [("RetrieveRunResponse", ask(fake, f"/api/v3/runs/{one['id']}")) for one in page["data"]]
    for name in STATUSES:
        run = fake.add(steps=[(0, name)], created=fake.clock.now() - 1)
        bodies.append(("RetrieveRunResponse", ask(fake, f"/api/v3/runs/{run.id}")))
    for dialect in ("native", "electric"):
        fake.knobs.set(realtime_dialect=dialect)
        rows = [one["value"] for one in ask(fake, "/realtime/v1/runs?offset=-1") if "value" in one]
        bodies += [("SubscribeRunRawShape", row) for row in rows]
    assert node.judge(bodies) > 350


def test_the_schemas_refuse_what_the_fake_would_get_wrong(node, fake):
    run = fake.add()
    good = ask(fake, f"/api/v3/runs/{run.id}")
    bad = [{**good, "status": "REATTEMPTING"}, {k: v for k, v in good.items() if k != "taskIdentifier"}, {**good, "createdAt": "soon"}]
    said = node.ask("judge", given=[{"schema": "RetrieveRunResponse", "value": one} for one in bad])
    assert "good" not in said


def test_webhooks_are_signed_and_shaped_as_the_sdk_wants(node, fake):
    runs = [fake.add(task='té"st', tags=["a"], idempotency_key="k", steps=[(0, "PENDING"), (0, "EXECUTING"), (0, name)]) for name in sorted(alerts.ALERTING)]
    runs.append(fake.add(steps=[(0, "PENDING"), (0, "SYSTEM_FAILURE")]))  # never started: no version, no time
    with Receiver() as receiver:
        receiver.fault("/hook/a", status=204)
        sender = fake.sender(receiver.url("/hook/a"), "whsec_test_51f0")
        sent = [sender.run_failed(run) for run in runs] + [sender.deployment(), sender.deployment(failed=True), sender.deployment(failed=True, status="TIMED_OUT")]
        sent += [sender.error_group(run) for run in runs]
        assert all(one.wait() for one in sent)
        arrived = [(one.raw.decode(), one.headers[alerts.HEADER]) for one in receiver.to("/hook/a")]
    given = [{"payload": raw, "header": signature, "secret": "whsec_test_51f0"} for raw, signature in arrived]
    said = node.ask("construct", given=given)
    assert sorted(one.get("type", one.get("refused")) for one in said) == \
        sorted(["alert.run.failed"] * 5 + ["alert.error"] * 5 + ["alert.deployment.success"] + ["alert.deployment.failed"] * 2)
    raw, signature = arrived[0]
    bent = [{"payload": raw + " ", "header": signature}, {"payload": raw, "header": signature.upper()}, {"payload": raw, "header": "sha256=" + signature}]
    assert {one.get("refused") for one in node.ask("construct", given=[{**one, "secret": "whsec_test_51f0"} for one in bent])} == {"Invalid signature"}
    watch = alerts.compact(alerts.agent_watch(runs[0], iso(fake.clock.now())))
    said = node.ask("construct", given=[{"payload": watch, "header": alerts.sign("s", watch.encode()), "secret": "s"}])
    assert said[0]["refused"].startswith("Webhook parsing failed")  # sent by the service, in no published schema
