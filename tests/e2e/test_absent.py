"""What does not happen: rules that wait, over kills and restarts, and with sources that lag or are down."""
import json
import time

import pytest

from conftest import a_run, now, wait_for
from test_trigger_api import METHODS, source, state, trigger  # noqa: F401


def quiet(every="1500ms", **more):
    return {"quiet": {"when": {"task": "sync", "status": "success"}, "absent": every, "linger": "0s", "repeat": "never", "notify": "out", **more}}


def success(ident, task="sync"):
    return a_run(ident, "COMPLETED_SUCCESSFULLY", task, finishedAt=now(), env="prod")


def pass_time(seconds):
    """Nothing runs that could be waited for but the clock."""
    until = time.time() + seconds
    wait_for(lambda: time.time() > until, "the clock")


def titles(runbell):
    return [one["title"] for one in runbell.incidents("&rule=quiet")]


def test_it_rings_and_the_next_success_ends_it(runbell):
    runbell.start(rules=quiet())
    runbell.accept(success("run_1"))
    incident = runbell.wait_incident("&rule=quiet", "open")
    assert incident["key"] == "sync" and incident["env"] == "prod" and incident["runs"] == 0 and incident["hits"] == 1
    assert incident["title"].startswith("sync in prod has not succeeded for 1s") and "(last at " in incident["title"]
    assert runbell.status()["absent"] == {"keys": 1, "unknown": 0}
    runbell.accept(success("run_2"))
    runbell.wait_incident("&rule=quiet", "resolved")
    whole = runbell.api("/v1/incidents/" + incident["id"])
    assert [one["what"] for one in whole["timeline"] if one["what"] != "told"] == ["absent", "opened", "hit", "resolved"]
    done = runbell.run("explain", "run_2")
    assert done.returncode == 0 and "a hit, it ended an absence" in done.stdout and "key sync is armed: last_hit=" in done.stdout
    wait_for(lambda: len(titles(runbell)) == 2, "the second absence")
    done = runbell.run("explain", "run_2")
    assert "key sync is absent, it waits for a hit: last_hit=" in done.stdout
    rule = runbell.api("/v1/rules")["data"][0]
    assert rule["condition"] == {"kind": "absent", "every": "1s500ms", "grace": "0s"}
    done = runbell.run("incidents")
    assert "has not succeeded" in done.stdout


def test_a_kill_before_it_is_due(runbell):
    """Nobody knows what was posted meanwhile: a whole period after the start, once."""
    runbell.start(rules=quiet("2s"))
    runbell.accept(success("run_1"))
    runbell.kill9()
    pass_time(2.1)
    before = time.time()
    runbell.start()
    assert titles(runbell) == []
    runbell.wait_incident("&rule=quiet", "open")
    assert time.time() - before >= 1.9
    runbell.kill9()
    runbell.start()
    runbell.accept(success("run_2"))
    runbell.wait_incident("&rule=quiet", "resolved")
    assert len(titles(runbell)) == 1


def test_a_named_task_that_was_never_seen(runbell):
    runbell.start(rules={"quiet": {**quiet("1s")["quiet"], "when": {"task": ["sync", "import"], "env": "prod", "status": "success"}}})
    wait_for(lambda: len(titles(runbell)) == 2, "both")
    assert sorted(one["key"] for one in runbell.incidents()) == ["import", "sync"]


def test_the_backtest_rings_as_the_server_did(runbell):
    runbell.start(rules=quiet())
    runbell.accept(success("run_1"))
    runbell.wait_incident("&rule=quiet", "open")
    runbell.accept(success("run_2"))
    wait_for(lambda: len(titles(runbell)) == 2, "two absences")
    runbell.stop()
    done = runbell.run("backtest", "--since", "1h", "--json")
    assert done.returncode == 0, done.stderr
    assert '"openings_total":2' in done.stdout


def test_what_can_never_be_heard_is_refused(runbell):
    runbell.configure(rules={"quiet": {**quiet()["quiet"], "when": {"task": "sync", "status": "success", "env": "prd"}}},
                      sources={"push": {"type": "webhook", "token": runbell.token, "env": "prod"}})
    done = runbell.run("check")
    assert done.returncode == 1 and "waits for hits in env `prd`, and no source brings events of it" in done.stderr + done.stdout


def test_what_would_be_sent_is_shown(runbell):
    rules = {**quiet("2h"), "nightly": {**quiet()["quiet"], "when": {"task": ["export", "import"], "env": "prod", "status": "success"},
                                        "absent": {"cron": "0 3 * * *", "grace": "30m", "zone": "Europe/Berlin"}}}
    runbell.configure(rules=rules, destinations={"out": {"type": "webhook", "url": "http://127.0.0.1:9/hook"}})
    event = runbell.folder / "event.json"
    event.write_text(json.dumps(success("run_1")))
    done = runbell.run("explain", "--event", event)
    assert done.returncode == 0 and "rings when from then on there is no hit for 2h\n" in done.stdout
    done = runbell.run("render", "quiet", "--event", event)
    assert done.returncode == 0 and done.stdout.count("sync in prod has not succeeded for 2h (last at ") >= 1
    assert runbell.run("render", "nightly", "--event", event).returncode == 1  # another task
    event.write_text(json.dumps(success("run_1", "export")))
    done = runbell.run("render", "nightly", "--event", event)
    assert done.returncode == 0 and "export in prod did not succeed by " in done.stdout and "import in prod" not in done.stdout


# --- polling ---------------------------------------------------------------------------------------------------------
def succeed(fake, task="sync"):
    run = fake.add(task=task, steps=[(0, "PENDING"), (0.01, "DEQUEUED"), (0.02, "EXECUTING"), (0.03, "COMPLETED_SUCCESSFULLY")])
    wait_for(lambda: any(one.run == run.id and one.status.startswith("COMPLETED") for one in fake.ground_truth()), "the success at the fake")
    return run


def begin(runbell, fake, method, every="1s"):
    runbell.start(rules=quiet(every), sources={"prod": source(runbell, fake, method=method, timeout="500ms")})
    wait_for(lambda: state(runbell)["state"] == "ok", "a first look")
    succeed(fake)
    wait_for(lambda: runbell.status().get("absent"), "the first hit")


@pytest.mark.parametrize("method", METHODS)
def test_a_polling_source_rings_once_it_has_caught_up(runbell, trigger, method):
    begin(runbell, trigger, method)
    incident = runbell.wait_incident("&rule=quiet", "open")
    assert incident["key"] == "sync" and incident["env"] == "prod"
    succeed(trigger)
    runbell.wait_incident("&rule=quiet", "resolved")


@pytest.mark.parametrize("method", METHODS)
def test_a_source_that_is_down_is_unknown(runbell, trigger, method):
    begin(runbell, trigger, method, "1500ms")
    trigger.fault("query" if method == "query" else "list", "status", status=500)
    wait_for(lambda: state(runbell)["state"] == "failing", "its failing")
    succeed(trigger)  # nobody hears it
    wait_for(lambda: runbell.status()["absent"] == {"keys": 1, "unknown": 1}, "what is not known")
    assert runbell.metric("absent_unknown") == 1 and "unknown: 1" in runbell.run("status").stdout
    assert titles(runbell) == []
    trigger.faults.clear()
    wait_for(lambda: state(runbell)["state"] == "ok", "its healing")
    runbell.wait_incident("&rule=quiet", "open")  # nothing came after that one
    assert len(titles(runbell)) == 1


def test_an_overdue_one_rings_late_after_a_restart(runbell, trigger):
    """The source goes on where it was, and what came meanwhile is found first."""
    begin(runbell, trigger, "query", "2s")
    runbell.kill9()
    succeed(trigger)
    pass_time(2.1)
    succeed(trigger)
    runbell.start()
    wait_for(lambda: state(runbell)["state"] == "ok", "a look")
    assert titles(runbell) == []  # both were there
    runbell.wait_incident("&rule=quiet", "open")
    assert len(titles(runbell)) == 1
