"""The task hooks of docs/sources.md: their types are the SDK's, and run by node they tell a real server what they promise.
What they need comes from npm, by the lock file in tests/hooks; without node or npm, or without a registry, they are skipped."""
import json
import os
import re
import shutil
import subprocess

import pytest

from conftest import ROOT, now

ASSETS = ROOT / "tests" / "hooks"
PLACE = ROOT / "build" / "hooks"
OFFLINE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|network")
HOOKS = ("onFailure", "onSuccess", "onStartAttempt", "catchError")


def snippets():
    """The page's ts blocks: the function that posts, and each hook by its name."""
    page = (ROOT / "docs" / "sources.md").read_text()
    shared, *rest = re.findall(r"^```ts\n(.*?)^```", page, re.M | re.S)
    return shared, {re.match(r"tasks\.(\w+)", text).group(1): text for text in rest}


@pytest.fixture(scope="module")
def packages():
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not on this machine: the task hooks of docs/sources.md were not run")
    PLACE.mkdir(parents=True, exist_ok=True)
    wanted = "".join((ASSETS / name).read_text() for name in ("package.json", "package-lock.json", ".npmrc"))
    done = PLACE / "installed"
    if not done.exists() or done.read_text() != wanted:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(ASSETS / name, PLACE / name)
        ran = subprocess.run(["npm", "ci"], cwd=PLACE, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if ran.returncode and OFFLINE.search(ran.stderr):
            pytest.skip("npm reaches no registry: the task hooks of docs/sources.md were not run")
        assert ran.returncode == 0, ran.stderr
        done.write_text(wanted)
    shutil.copy(ASSETS / "drive.mjs", PLACE / "drive.mjs")
    return PLACE


def context(run, attempt=1, **more):
    return {"task": {"id": "send-invoice", "filePath": "trigger/invoice.ts"}, "queue": {"id": "queue_1", "name": "invoices"},
            "environment": {"id": "env_1", "slug": "prod", "type": "PRODUCTION"}, "organization": {"id": "o", "slug": "o", "name": "O"},
            "project": {"id": "p", "ref": "proj_x", "slug": "p", "name": "P"}, "machine": {"name": "small-2x", "cpu": 1, "memory": 1, "centsPerMs": 0},
            "attempt": {"number": attempt, "startedAt": now(-1)},
            "run": {"id": run, "tags": ["billing"], "isTest": False, "createdAt": now(-30), "startedAt": now(-29), "version": "20260503.1",
                    "parentTaskRunId": "run_parent", **more}}


def drive(packages, tmp_path, names, scenario, url, token):
    shared, hooks = snippets()
    source = packages / f"given-{tmp_path.name}.ts"
    source.write_text(shared + "".join(hooks[name] for name in names))
    env = {**os.environ, "RUNBELL_URL": url, "RUNBELL_INGEST_TOKEN": token}
    done = subprocess.run(["node", "drive.mjs", source.name], cwd=packages, env=env, input=json.dumps(scenario), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def tell(packages, tmp_path, runbell):
    """Starts a server and gives what calls hooks against it."""
    runbell.start(rules={"failed": {"when": {"status": "failed", "tags": "billing"}, "notify": "out", "linger": "0s"},
                         "retries": {"when": {"status": "REATTEMPTING"}, "by": "run", "count": "2 in 10m", "notify": "out"}})

    def call(names, *scenario):
        return drive(packages, tmp_path, names, scenario, f"http://127.0.0.1:{runbell.port}", runbell.environment["INGEST_TOKEN"])
    return call


def states(server, run):
    return [(one["state"], one.get("attempt", 0)) for one in server.api(f"/v1/runs/{run}")["seen"][0]["transitions"]]


def test_the_page_has_every_hook():
    shared, hooks = snippets()
    assert tuple(hooks) == HOOKS and "/v1/events" in shared


def test_types_are_the_sdks(packages):
    shared, hooks = snippets()
    (packages / "checked.ts").write_text(shared + "".join(hooks.values()))
    command = ["node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--noUnusedLocals", "--module", "esnext",
               "--moduleResolution", "bundler", "--target", "es2022", "--lib", "es2022,dom", "--types", "node", "checked.ts"]
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    (packages / "checked.ts").write_text(shared + "".join(hooks.values()).replace("ctx.attempt.number", "ctx.attempt.count"))
    assert subprocess.run(command, cwd=packages, capture_output=True, timeout=120).returncode != 0, "it would not have seen a mistake"


def test_on_failure(tell, runbell):
    answer, = tell(["onFailure"], {"hook": "onFailure", "ctx": context("run_1"), "error": {"name": "CardError", "message": "declined"}, "metadata": {"customer": "acme"}})
    assert answer["results"] == [None]
    incident = runbell.wait_incident("&rule=failed")
    seen, = runbell.api("/v1/runs/run_1")["seen"]
    assert incident["env"] == "prod" and seen["transitions"][-1]["state"] == "FAILED"
    text = json.dumps(runbell.api("/v1/incidents/" + incident["id"])) + json.dumps(seen)
    for part in ("CardError", "declined", "send-invoice", "invoices", "small-2x", "run_parent", "20260503.1", "acme"):
        assert part in text, part


def test_anything_can_be_thrown(tell, runbell):
    thrown = {"run_words": "just words", "run_object": {"message": "like an error", "code": 7}, "run_number": 404}
    tell(["onFailure"], *[{"hook": "onFailure", "ctx": context(run), "error": error} for run, error in thrown.items()])
    for run, shown in {"run_words": "just words", "run_object": "like an error", "run_number": "404"}.items():
        seen, = runbell.api(f"/v1/runs/{run}")["seen"]
        assert seen["transitions"][-1]["state"] == "FAILED" and f'"message": "{shown}"' in json.dumps(seen)


def test_on_success_resolves(tell, runbell):
    tell(["onFailure", "onSuccess"], {"hook": "onFailure", "ctx": context("run_1"), "error": {"name": "E", "message": "m"}})
    runbell.wait_incident("&rule=failed")
    tell(["onFailure", "onSuccess"], {"hook": "onSuccess", "ctx": context("run_2", startedAt=now(5)), "output": 1})
    runbell.wait_incident("&rule=failed", "resolved")
    assert states(runbell, "run_2")[-1][0] == "COMPLETED"


def test_each_retry_is_told_once_by_either_hook(tell, runbell):
    error = {"name": "E", "message": "m"}
    scenario = [{"hook": "onStartAttempt", "ctx": context("run_1", 1)}]
    for attempt in (1, 2):
        scenario += [{"hook": "catchError", "ctx": context("run_1", attempt), "error": error, "retryDelayInMs": 1000},
                     {"hook": "onStartAttempt", "ctx": context("run_1", attempt + 1)}]
    scenario += [{"hook": "catchError", "ctx": context("run_1", 3), "error": error}, {"hook": "onFailure", "ctx": context("run_1", 3), "error": error}]
    answers = tell(HOOKS, *scenario)
    assert all(answer["results"] == [None] for answer in answers), "what is retried stays the SDK's business"
    assert [state for state, _ in states(runbell, "run_1")] == ["REATTEMPTING", "REATTEMPTING", "FAILED"]
    assert [one["hits"] for one in runbell.incidents("&rule=retries")] == [2]


@pytest.mark.parametrize("name", ["onStartAttempt", "catchError"])
def test_one_of_both_hooks_is_enough(tell, runbell, name):
    """REATTEMPTING by attempt 2 and 3."""
    steps = [{"hook": name, "ctx": context("run_1", attempt + (name == "onStartAttempt")), "retryDelayInMs": 10, "error": {"name": "E", "message": "m"}} for attempt in (1, 2)]
    tell([name], *steps)
    assert [one["hits"] for one in runbell.incidents("&rule=retries")] == [2]


def test_nobody_there_fails_no_task(packages, tmp_path):
    answer, = drive(packages, tmp_path, ["onFailure"], [{"hook": "onFailure", "ctx": context("run_1"), "error": {"name": "E", "message": "m"}}], "http://127.0.0.1:9", "none")
    assert answer["results"] == [None]


def test_the_lock_file_names_no_place():
    lock = json.loads((ASSETS / "package-lock.json").read_text())
    assert lock["packages"] and not [name for name, one in lock["packages"].items() if "resolved" in one]
