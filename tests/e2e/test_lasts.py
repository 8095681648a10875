"""Rules with `lasts`: durable timers, pollers that follow runs, what explain says."""
import json
import sqlite3
import time

import pytest

from conftest import a_run, hook, now, wait_for
from trigger_dev import TriggerDev

METHODS = ["query", "list"]


def rule(lasts, **more):
    return {"when": {"status": "EXECUTING"}, "lasts": lasts, "linger": "0s", "repeat": "never", "notify": "out", **more}


def told(fakes, kind="open", name="a"):
    return [one.body["data"] for one in fakes.taken(f"/hook/{name}") if one.body["data"]["kind"] == kind]


def barrier(runbell, fakes, ident):
    """Everything decided before a message of another rule has been told before it, too."""
    runbell.accept(a_run(ident, "CRASHED", task=ident))
    wait_for(lambda: any(one["task"] == ident for one in told(fakes, name="b")), "the barrier")


BARRIER = {"barrier": {"when": {"status": "CRASHED"}, "notify": "other"}}


def places(fakes):
    return {"out": hook(fakes), "other": hook(fakes, "b")}


def test_killed_in_the_middle_of_timers(runbell, fakes):
    """An overdue one fires once, whatever is killed."""
    runbell.start(rules={"stuck": rule("1500ms"), **BARRIER}, destinations=places(fakes))
    for k in range(20):
        runbell.accept(a_run(f"run_{k}", "EXECUTING", "sync", updatedAt=now()))
    runbell.accept(a_run("run_7", "COMPLETED", "sync", updatedAt=now(), finishedAt=now()))
    runbell.kill9()
    runbell.start()
    runbell.accept(a_run("run_8", "COMPLETED", "sync", updatedAt=now(), finishedAt=now()))
    runbell.kill9()
    runbell.start()
    wait_for(lambda: runbell.incidents("&rule=stuck") and runbell.incidents("&rule=stuck")[0]["runs"] == 18, "18 runs")
    runbell.kill9()
    runbell.start()
    barrier(runbell, fakes, "one")
    (incident,) = runbell.incidents("&rule=stuck")
    assert (incident["state"], incident["hits"], incident["runs"]) == ("open", 18, 18)
    assert len(told(fakes)) == 1
    assert runbell.metric("watched_runs") == 18 and runbell.metric("unwatched_runs_total") == 0
    for k in set(range(20)) - {7, 8}:
        runbell.accept(a_run(f"run_{k}", "COMPLETED", "sync", updatedAt=now(), finishedAt=now()))
    runbell.wait_incident("&rule=stuck", "resolved")
    wait_for(lambda: len(told(fakes, "resolve")) == 1, "the resolve")
    assert runbell.metric("watched_runs") == 0


def test_long_overdue_says_so(runbell, fakes):
    """Two hours of downtime, by moving what is stored back."""
    runbell.start(rules={"stuck": rule("30m")}, destinations=places(fakes))
    runbell.accept(a_run("run_1", "EXECUTING", "sync", updatedAt=now()))
    runbell.stop()
    store = sqlite3.connect(runbell.folder / "runbell.db")
    ((key, blob),) = store.execute("SELECT key, blob FROM cells WHERE key LIKE 'r/%'").fetchall()
    cell = json.loads(blob)
    cell["at"] -= 7200000
    cell["stays"][0][2] -= 7200000
    cell["stays"][0][4] -= 7200000
    store.execute("UPDATE cells SET blob = ? WHERE key = ?", (json.dumps(cell), key))
    store.commit()
    store.close()
    runbell.start()
    (message,) = wait_for(lambda: told(fakes), "the message")
    assert message["title"] == "sync: 1 run EXECUTING for over 30m" and message["late_by"].startswith("1h 30m")
    assert "later than due: runbell was not running" in message["note"]


def test_explain_says_since_when_and_until_when(runbell, fakes):
    runbell.start(rules={"stuck": rule("30m"), "soon": rule("5m")}, destinations=places(fakes))
    began = now(-600)
    runbell.accept(a_run("run_1", "QUEUED", "sync", updatedAt=now(-700)))
    runbell.accept(a_run("run_1", "EXECUTING", "sync", updatedAt=began))
    seen = runbell.api("/v1/runs/run_1/explain")["seen"][0]["transitions"]
    rules = {one["match"]["rule"]: one for one in seen[-1]["rules"]}
    (stay,) = rules["stuck"]["stays"]
    assert stay["since"] == began and stay["lasts"] == "30m" and not stay["over"] and stay["still"] == 0
    assert rules["stuck"]["verdict"] == "a hit, watched: it rings if it lasts" and rules["stuck"]["incidents"] == []
    (stay,) = rules["soon"]["stays"]
    assert stay["over"] and stay["still"] == 1 and rules["soon"]["verdict"] == "joined an incident"
    assert rules["soon"]["incidents"][0]["now"]["still"] == 1
    text = runbell.run("explain", "run_1", env={"RUNBELL_TOKEN": runbell.environment["API_TOKEN"]}).stdout
    assert f"stay in sync: since {began}, rings at " in text and f"stay in sync: since {began}, rang at " in text, text
    (one,) = [one for one in runbell.api("/v1/rules")["data"] if one["name"] == "stuck"]
    assert one["condition"] == {"kind": "lasts", "for": "30m"}


def test_backtest_rings_as_it_did(runbell, fakes):
    runbell.start(rules={"stuck": rule("200ms")}, destinations=places(fakes))
    runbell.accept(a_run("run_1", "EXECUTING", "sync", updatedAt=now()))
    runbell.wait_incident("&rule=stuck", "open")
    runbell.accept(a_run("run_1", "COMPLETED", "sync", updatedAt=now(), finishedAt=now()))
    runbell.wait_incident("&rule=stuck", "resolved")
    found = runbell.api("/v1/backtest", {"since": "1h"})
    (line,) = [one for one in found["rules"] if one["rule"] == "stuck" and "openings" in one]
    assert (line["openings"], line["resolves"]) == (1, 1)


# --- pollers ------------------------------------------------------------------------------------------------------------
def source(runbell, fake, **more):
    key = runbell.plant("TRIGGER_KEY", fake.key)
    return {"type": "trigger-api", "url": fake.url, "key": key, "every": "100ms", "overlap": "1s", "budget": 100, "timeout": "5s", **more}


@pytest.mark.parametrize("how", [*METHODS, "live"])
def test_a_poller_follows_runs(runbell, fakes, how):
    with TriggerDev(realtime_hold_s=1) as trigger:
        polled = source(runbell, trigger, **({"live": True} if how == "live" else {"method": how}))
        runbell.start(rules={"stuck": rule("700ms")}, destinations=places(fakes), sources={"prod": polled, "push": {"type": "webhook", "token": runbell.token}})
        wait_for(lambda: runbell.api("/v1/sources")["data"][0]["state"] == "ok", "a first look")
        paused = trigger.add(task="sync", steps=[(0, "PENDING"), (0, "EXECUTING")])
        wait_for(lambda: runbell.metric("watched_runs") == 1, "the first run to be watched")
        trigger.set(paused, "WAITING_TO_RESUME")
        wait_for(lambda: runbell.metric("watched_runs") == 0, "it to be seen waiting")
        hangs = trigger.add(task="sync", steps=[(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING")])
        incident = runbell.wait_incident("&rule=stuck", "open")
        assert (incident["hits"], incident["last_run"]) == (1, hangs.id)
        trigger.set(hangs, "COMPLETED_SUCCESSFULLY")
        runbell.wait_incident("&rule=stuck", "resolved")
        assert runbell.incidents("&rule=stuck")[0]["hits"] == 1


def test_a_run_that_hung_before_anybody_looked(runbell, fakes):
    """By its updatedAt; and a new attempt is no such run."""
    with TriggerDev(start_ms=(time.time() - 7200) * 1000) as trigger:
        at_work = [(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING")]
        hangs = trigger.add(task="sync", steps=at_work)
        wait_for(lambda: any(one.status == "EXECUTING" for one in trigger.ground_truth()), "it to work")
        trigger.jump(7200)
        fresh = trigger.add(task="sync", steps=at_work)
        runbell.start(rules={"stuck": rule("30m")}, destinations=places(fakes), sources={"prod": source(runbell, trigger, method="list")})
        incident = runbell.wait_incident("&rule=stuck", "open")
        assert incident["last_run"] == hangs.id
        (message,) = wait_for(lambda: told(fakes), "the message")
        assert message["late_by"].startswith("1h 30m") and message["runs"] == 1
        wait_for(lambda: runbell.metric("watched_runs") == 2, "the fresh one to be watched")
        trigger.set(hangs, "CANCELED")
        runbell.wait_incident("&rule=stuck", "resolved")
        assert fresh.id != hangs.id


def test_a_rule_that_comes_later_sees_what_is_there(runbell, fakes):
    with TriggerDev(start_ms=(time.time() - 7200) * 1000) as trigger:
        other = {"crashed": {"when": {"status": ["CRASHED", "EXECUTING"]}, "notify": "other"}}
        hangs = trigger.add(task="sync", steps=[(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING")])
        wait_for(lambda: any(one.status == "EXECUTING" for one in trigger.ground_truth()), "it to work")
        trigger.jump(7200)
        config = dict(destinations=places(fakes), sources={"prod": source(runbell, trigger, method="list")})
        runbell.start(rules=other, **config)
        runbell.wait_incident("&rule=crashed", "open")
        runbell.reload_and_wait(rules={**other, "stuck": rule("30m")}, **config)
        assert runbell.wait_incident("&rule=stuck", "open")["last_run"] == hangs.id


# --- confirm ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
def test_before_it_opens_the_run_is_read_again(runbell, fakes, method):
    """Nobody looks for an hour: one run has ended meanwhile, the other has not."""
    with TriggerDev() as trigger:
        at_work = [(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING")]
        ended, hangs = trigger.add(task="sync", steps=at_work), trigger.add(task="other", steps=at_work)
        wait_for(lambda: sum(one.status == "EXECUTING" for one in trigger.ground_truth()) == 2, "them to work")
        runbell.start(rules={"stuck": rule("1s")}, destinations=places(fakes), sources={"prod": source(runbell, trigger, method=method, every="1h")})
        wait_for(lambda: runbell.metric("watched_runs") == 2, "the only look")
        assert not runbell.incidents()
        trigger.set(ended, "COMPLETED_SUCCESSFULLY")
        (message,) = wait_for(lambda: told(fakes), "the message")
        assert message["run"] == hangs.id and not message.get("note")
        wait_for(lambda: runbell.metric("watched_runs") == 1, "the end of the other")
        assert [one["key"] for one in runbell.incidents()] == ["other"]


def test_confirm_false_does_not_ask(runbell, fakes):
    with TriggerDev() as trigger:
        run = trigger.add(task="sync", steps=[(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING")])
        wait_for(lambda: any(one.status == "EXECUTING" for one in trigger.ground_truth()), "it to work")
        runbell.start(rules={"stuck": rule("1s", confirm=False)}, destinations=places(fakes),
                      sources={"prod": source(runbell, trigger, method="list", every="1h")})
        wait_for(lambda: runbell.metric("watched_runs") == 1, "the only look")
        trigger.set(run, "COMPLETED_SUCCESSFULLY")
        assert runbell.wait_incident("&rule=stuck", "open")["last_run"] == run.id


def test_killed_while_it_is_being_confirmed(runbell, fakes):
    """The next process asks again."""
    with TriggerDev() as trigger:
        run = trigger.add(task="sync", steps=[(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING")])
        wait_for(lambda: any(one.status == "EXECUTING" for one in trigger.ground_truth()), "it to work")
        hang = trigger.fault("retrieve", "hang")
        runbell.start(rules={"stuck": rule("500ms")}, destinations=places(fakes), sources={"prod": source(runbell, trigger, method="list", every="1h")})
        wait_for(lambda: hang.done, "the question")
        assert not runbell.incidents()
        runbell.kill9()
        trigger.faults.clear()
        runbell.start()
        (message,) = wait_for(lambda: told(fakes), "the message")
        assert message["run"] == run.id and "not confirmed" not in message.get("note", "")
