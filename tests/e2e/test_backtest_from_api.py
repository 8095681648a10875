"""`backtest --from-api`: what the rules would have sent over the past that Trigger.dev's API tells."""
import json
import signal
import sqlite3
import subprocess

import pytest

from conftest import BINARY, wait_for
from receiver import closed_port
from test_trigger_api import METHODS, source, state, trigger  # noqa: F401

FINE, WRONG, USAGE, UNREACHED = 0, 1, 2, 3
RULES = {
    "failures": {"when": {"status": "failed"}, "by": "run", "notify": "out", "repeat": "never"},
    "row": {"when": {"status": "failed"}, "streak": 3, "by": "env", "notify": "out", "repeat": "never"},
}
AN_HOUR_AGO = 3600 * 1000


def past(fake, n=60, seed=5):
    runs = fake.load_random(n, seed=seed, over_s=1800, start_ms=fake.clock.now() - AN_HOUR_AGO)
    wait_for(lambda: not fake.population.active(), "the past to be over")
    return runs


def failed(fake):
    names = {"COMPLETED_WITH_ERRORS", "CRASHED", "SYSTEM_FAILURE", "TIMED_OUT", "EXPIRED", "INTERRUPTED", "FAILED"}
    return {one.run for one in fake.ground_truth() if one.status in names}


def configured(runbell, fake, rules=RULES, **more):
    runbell.configure(rules=rules, sources={"prod": source(runbell, fake, **more), "push": {"type": "webhook"}}, destinations={"out": {"type": "console"}})


def backtest(runbell, *arguments, **more):
    return runbell.run("backtest", "--from-api", "prod", "--since", "1d", *arguments, **more)


@pytest.fixture(autouse=True)
def no_leftovers(runbell, tmp_path):
    """Each test has a folder for what is temporary, and nothing may be left in it."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    runbell.environment["TMPDIR"] = str(folder)
    yield folder
    assert not list(folder.iterdir())


@pytest.mark.parametrize("method", METHODS)
def test_the_past_is_read_and_folded(runbell, trigger, method):
    past(trigger)
    configured(runbell, trigger, method=method)
    done = backtest(runbell, "--json")
    assert done.returncode == FINE, done.stderr
    found = json.loads(done.stdout)
    assert found["events"] == 60 and "100%" in done.stderr and f"60 runs that ended, by {method}" in done.stderr
    assert {one["key"] for one in found["openings"] if one["rule"] == "failures"} == failed(trigger)
    assert {one["env"] for one in found["openings"]} == {"prod"}
    at = [one["at"] for one in found["openings"]]
    assert at == sorted(at) and len(set(at)) > 5, "as it happened, and not all at once"
    assert not (runbell.folder / "runbell.db").exists(), "the configuration's store is left alone"
    text = backtest(runbell)
    assert text.returncode == FINE and "incidents and" in text.stdout and "failures" in text.stdout


def test_beside_a_running_server(runbell, trigger):
    """Nothing of it rings, and nothing of it gets into the server's log."""
    runbell.start(rules=RULES, sources={"prod": source(runbell, trigger), "push": {"type": "webhook", "token": runbell.token}})
    past(trigger, 20)
    looked = wait_for(lambda: state(runbell).get("last_look_at"), "a look")
    wait_for(lambda: state(runbell)["last_look_at"] > looked, "one after the past was over")
    with sqlite3.connect(f"file:{runbell.folder / 'runbell.db'}?mode=ro", uri=True) as db:
        before = db.execute("SELECT count(*) FROM events").fetchone()
        done = backtest(runbell, "--json")
        assert done.returncode == FINE and json.loads(done.stdout)["events"] == 20, done.stderr
        assert db.execute("SELECT count(*) FROM events").fetchone() == before
    assert not runbell.incidents()


def test_rules_are_compared(runbell, trigger):
    past(trigger)
    configured(runbell, trigger)
    for name, status in (("old", "failed"), ("new", "CRASHED")):
        (runbell.folder / f"{name}.yaml").write_text(f"version: 1\nrules:\n  failures: {{when: {{status: {status}}}, by: run, notify: out}}\n")
    before = len(trigger.requests)
    done = backtest(runbell, "--json", "--compare", runbell.folder / "old.yaml", runbell.folder / "new.yaml")
    assert done.returncode == FINE, done.stderr
    found = json.loads(done.stdout)
    crashed = {one.run for one in trigger.ground_truth() if one.status == "CRASHED"}
    assert not found["added"] and {one["key"] for one in found["removed"]} == failed(trigger) - crashed
    assert len(trigger.requests) - before < 10, "it is read once"


def test_what_the_past_does_not_tell(runbell, trigger):
    """Lists tell metadata and queries do not; nothing tells of the states on the way. Rules that miss it are named."""
    trigger.add(task="a", metadata={"customer": "acme"}, steps=[(0, "PENDING"), (0.01, "DEQUEUED"), (0.02, "EXECUTING"), (0.03, "CRASHED")])
    wait_for(lambda: not trigger.population.active(), "its end")
    customers = {"customers": {"when": {"status": "failed", "metadata.customer": {"exists": True}}, "by": "metadata.customer", "notify": "out"}}
    running = {"running": {"when": {"status": "EXECUTING"}, "notify": "out"}}
    configured(runbell, trigger, {**customers, **running})
    done = backtest(runbell, "--json")
    assert done.returncode == FINE, done.stderr
    assert [one["key"] for one in json.loads(done.stdout)["openings"]] == ["acme"] and "by list" in done.stderr
    assert "they miss what a server would see: running\n" in done.stderr
    configured(runbell, trigger, customers, method="query")
    done = backtest(runbell)
    assert "by query" in done.stderr and "no metadata" in done.stderr and "customers\n" in done.stderr


def test_retries_are_told_by_queries(runbell, trigger):
    steps = [(0, "PENDING"), (0.01, "DEQUEUED"), (0.02, "EXECUTING"), (0.03, "RETRYING_AFTER_FAILURE"), (0.04, "EXECUTING"), (0.05, "CRASHED")]
    trigger.load_random(40, seed=3, over_s=1800, start_ms=trigger.clock.now() - AN_HOUR_AGO)
    trigger.add(task="b", steps=steps)
    wait_for(lambda: not trigger.population.active(), "the past to be over")
    configured(runbell, trigger, {"retried": {"when": {"status": "REATTEMPTING"}, "by": "run", "notify": "out"}})
    done = backtest(runbell, "--json")
    assert done.returncode == FINE, done.stderr
    assert json.loads(done.stdout)["hits"] > 0 and "miss" not in done.stderr
    configured(runbell, trigger, {"retried": {"when": {"status": "REATTEMPTING"}, "by": "run", "notify": "out"}}, method="list")
    done = backtest(runbell, "--json")
    assert json.loads(done.stdout)["hits"] == 0 and "retried\n" in done.stderr


def test_the_rate_limit_is_obeyed(runbell, trigger):
    past(trigger, 650)
    configured(runbell, trigger, method="query")
    trigger.knobs.set(rate_burst=6, rate_refill=6, rate_interval_s=1, query_rows=100)
    done = runbell.run("backtest", "--from-api", "prod", "--json", "--since", "2h", "--warm-up", "0s")
    assert done.returncode == FINE, done.stderr
    assert json.loads(done.stdout)["events"] == 650
    assert len(trigger.requests) > 6
    assert not any(one[4] == 429 for one in trigger.requests), "what it is told of the limit, it keeps to"


def test_a_429_is_waited_out(runbell, trigger):
    past(trigger, 10)
    configured(runbell, trigger, method="query")
    trigger.fault("query", status=429, times=2, headers={"x-ratelimit-reset": "0"})
    done = backtest(runbell, "--json")
    assert done.returncode == FINE, done.stderr
    assert json.loads(done.stdout)["events"] == 10 and "again after: HTTP 429" in done.stderr


def test_a_server_that_stumbles(runbell, trigger):
    past(trigger, 10)
    configured(runbell, trigger, method="query")
    trigger.fault("query", status=503, times=5)
    done = backtest(runbell, "--json")
    assert done.returncode == FINE, done.stderr
    assert json.loads(done.stdout)["events"] == 10 and "again after: HTTP 503" in done.stderr


def test_what_goes_wrong_is_said(runbell, trigger, fakes):
    configured(runbell, trigger)
    for arguments, says, status in (
            (["--from-api", "prdo"], "there is no source `prdo`; did you mean `prod`?", WRONG),
            (["--from-api", "elsewhere"], "there is no source `elsewhere`; there is `prod`", WRONG),
            (["--from-api", "push"], "source `push` is of type webhook, and history is read from one of type trigger-api", WRONG)):
        done = runbell.run("backtest", *arguments)
        assert done.returncode == status and says in done.stderr and not done.stdout, (arguments, done)
    done = backtest(runbell, env={"TRIGGER_KEY": "tr_prod_wrong"})
    assert done.returncode == WRONG and "HTTP 401" in done.stderr and "is the key right" in done.stderr and "tr_prod_wrong" not in done.stderr, done
    runbell.configure(rules=RULES, sources={"prod": {**source(runbell, trigger), "key": "${env:NOT_SET_AT_ALL}"}}, destinations={"out": {"type": "console"}})
    done = backtest(runbell)
    assert done.returncode == WRONG and "the key of source `prod`, ${env:NOT_SET_AT_ALL}, cannot be resolved here" in done.stderr
    runbell.configure(rules=RULES, sources={"push": {"type": "webhook"}}, destinations={"out": {"type": "console"}})
    done = backtest(runbell)
    assert done.returncode == WRONG and "has none of type trigger-api" in done.stderr


def test_a_server_that_is_not_there(runbell, trigger):
    configured(runbell, trigger, url=f"http://127.0.0.1:{closed_port()}")
    done = backtest(runbell)
    assert done.returncode == UNREACHED and "source `prod`: " in done.stderr and not done.stdout, done


def test_an_interrupted_one_leaves_nothing(runbell, trigger, no_leftovers):
    past(trigger, 10)
    configured(runbell, trigger, method="query")
    trigger.fault("query", "hang", times=50)
    process = subprocess.Popen([str(BINARY), "backtest", "--from-api", "prod"], cwd=runbell.folder, env={**runbell.environment, "RUNBELL_CONFIG": str(runbell.path)},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: list(no_leftovers.glob("*/history.db*")), "its store")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT
