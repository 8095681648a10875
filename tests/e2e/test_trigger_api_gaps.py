"""What a trigger-api source must not lose, tell twice or tell too late: restarts, reloads, clocks, methods that change."""
import json
import sqlite3
import time
import urllib.parse

import pytest

from conftest import wait_for
from test_trigger_api import FAILURES, METHODS, RETRIES, crash, source, start, state, trigger  # noqa: F401


def long_run(fake, task="long", **more):
    return fake.add(task=task, steps=[(0, "PENDING"), (0.01, "DEQUEUED"), (0.02, "EXECUTING")], **more)


def happened(fake, run, status):
    wait_for(lambda: any(one.run == run.id and one.status == status for one in fake.ground_truth()), f"{status} at the fake")


def look(runbell, name="prod"):
    """A whole one that begins after this call: the one that ends next may have begun before."""
    for _ in range(2):
        before = state(runbell, name).get("last_look_at")
        wait_for(lambda: state(runbell, name).get("last_look_at") != before, "a look")


def position(runbell, name="prod"):
    with sqlite3.connect(f"file:{runbell.folder / 'runbell.db'}?mode=ro", uri=True) as db:
        return next((str(row[0]) for row in db.execute("SELECT value FROM meta WHERE key = ?", ("position/" + name,))), "")


def asked(fake, path, since=0.0):
    """Query strings of the requests, decoded."""
    return [urllib.parse.unquote(one[2].partition("?")[2]) for one in fake.requests.copy() if one[2].startswith(path) and one[0] >= since]


def test_a_run_followed_by_id_keeps_its_environment(runbell, trigger):
    """Only the list names the environment; a run that ended while nobody looked is read by id."""
    start(runbell, trigger, FAILURES, method="list")
    run = long_run(trigger)
    happened(trigger, run, "EXECUTING")
    for seconds in (900, 10):  # the windows of looks within the overlap are gone then
        trigger.jump(seconds)
        look(runbell)
    runbell.stop()
    trigger.set(run, "TIMED_OUT")
    runbell.start()
    assert runbell.wait_incident("&rule=failures")["key"] == run.id
    assert [one["env"] for one in runbell.incidents()] == ["prod"]


@pytest.mark.parametrize("method", METHODS)
def test_a_rule_that_is_new_does_not_ring_for_what_ended_before_it(runbell, trigger, method):
    rules = {"crashes": {"when": {"status": "CRASHED"}, "notify": "out", "resolve": "manual"}}  # asks for no other end
    start(runbell, trigger, rules, method=method)
    long_run(trigger)  # the list's window begins with it
    timed_out = trigger.add(task="before", steps=[(0, "PENDING"), (0.01, "DEQUEUED"), (0.02, "EXECUTING"), (0.05, "TIMED_OUT")])
    happened(trigger, timed_out, "TIMED_OUT")
    trigger.jump(60)
    look(runbell)
    runbell.reload_and_wait(rules=FAILURES, sources={"prod": source(runbell, trigger, method=method)})
    look(runbell)
    after = crash(trigger)
    wait_for(lambda: any(one["key"] == after.id for one in runbell.incidents()), "the crash")
    look(runbell)
    assert [one["key"] for one in runbell.incidents()] == [after.id]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("skew_s", [-3600, 3600])
def test_a_server_whose_clock_is_wrong(runbell, trigger, method, skew_s):
    trigger.knobs.set(clock_skew_s=skew_s)
    start(runbell, trigger, {**FAILURES, **RETRIES}, method=method)
    run = long_run(trigger, task="sync")
    happened(trigger, run, "EXECUTING")
    trigger.set(run, "EXECUTING", attempt=4)
    assert runbell.wait_incident("&rule=retry-storm", "open")["hits"] == 3
    trigger.set(run, "CRASHED")
    assert runbell.wait_incident("&rule=failures", "open")["key"] == run.id
    runbell.restart()
    look(runbell)
    again = crash(trigger)
    wait_for(lambda: any(one["key"] == again.id for one in runbell.incidents("&rule=failures")), "the crash after a restart")
    assert {one["key"] for one in runbell.incidents("&rule=failures")} == {run.id, again.id}


@pytest.mark.parametrize("method", METHODS)
def test_a_clock_that_is_set_back(runbell, trigger, method):
    trigger.knobs.set(clock_skew_s=3600)
    start(runbell, trigger, FAILURES, method=method)
    first = crash(trigger)
    runbell.wait_incident("&rule=failures", "open")
    trigger.knobs.set(clock_skew_s=0)
    second = crash(trigger)
    wait_for(lambda: any(one["key"] == second.id for one in runbell.incidents()), "the crash after it")
    look(runbell)
    assert sorted(one["key"] for one in runbell.incidents()) == sorted([first.id, second.id])
    assert "source.clock_set_back" in runbell.log()


def test_looking_for_queries_again_moves_no_window(runbell, trigger):
    """Each start asks an old server whether it has learned to answer queries."""
    trigger.knobs.set(query_absent=True)
    start(runbell, trigger, FAILURES)
    look(runbell)
    for _ in range(2):
        since = time.monotonic()
        runbell.restart()
        wait_for(lambda: state(runbell)["state"] == "ok", "a look")
        finals = [dict(urllib.parse.parse_qsl(one)) for one in asked(trigger, "/api/v1/runs", since)]
        finals = [one for one in finals if "CRASHED" in one["filter[status]"]]
        assert finals
        assert all(trigger.clock.now() - int(one["filter[createdAt][from]"]) < 3600000 for one in finals)


def test_auto_goes_on_by_queries_when_the_server_has_learned_them(runbell, trigger):
    trigger.knobs.set(query_absent=True)
    start(runbell, trigger, FAILURES)
    run = crash(trigger)
    runbell.wait_incident("&rule=failures", "open")
    runbell.stop()
    trigger.knobs.set(query_absent=False)
    between = crash(trigger)
    happened(trigger, between, "CRASHED")
    runbell.start()
    wait_for(lambda: len(runbell.incidents()) == 2, "the crash between")
    assert state(runbell)["method"] == "query"
    assert sorted(one["key"] for one in runbell.incidents()) == sorted([run.id, between.id])


def test_a_server_that_forgets_queries_is_listed(runbell, trigger):
    start(runbell, trigger, FAILURES)
    assert state(runbell)["method"] == "query"
    run = long_run(trigger)
    happened(trigger, run, "EXECUTING")
    look(runbell)
    trigger.knobs.set(query_absent=True)
    wait_for(lambda: state(runbell)["method"] == "list", "the other method")
    trigger.set(run, "CRASHED")
    assert runbell.wait_incident("&rule=failures", "open")["key"] == run.id


def test_without_rules_the_server_is_heard_all_the_same(runbell, trigger):
    """What comes under rules that are loaded later begins then, by the server's clock; a key that fails is said."""
    elsewhere = {"elsewhere": {"when": {"status": "failed", "env": "stg"}, "notify": "out", "by": "run"}}
    trigger.knobs.set(clock_skew_s=-3600)
    start(runbell, trigger, elsewhere, method="query", env="prod")
    runbell.restart()
    look(runbell)
    crash(trigger, task="before")
    trigger.jump(60)
    look(runbell)
    runbell.reload_and_wait(rules=FAILURES, sources={"prod": source(runbell, trigger, method="query", env="prod")})
    run = crash(trigger)
    runbell.wait_incident("&rule=failures", "open")
    assert [one["key"] for one in runbell.incidents()] == [run.id]
    runbell.reload_and_wait(rules=elsewhere, sources={"prod": source(runbell, trigger, method="query", env="prod")})
    trigger.fault("query", "status", status=401)
    wait_for(lambda: "401" in state(runbell).get("trouble", ""), "the trouble")


def test_details_that_could_not_be_had_come_after_a_kill(runbell, trigger):
    rules = {"customers": {"when": {"status": "failed", "metadata.customer": {"exists": True}}, "by": "metadata.customer", "notify": "out"}}
    start(runbell, trigger, rules, method="query")
    trigger.fault("retrieve", "status", status=500)
    crash(trigger, metadata={"customer": "acme"})
    wait_for(lambda: state(runbell)["details_waiting"] == 1, "details to be put off")
    trigger.jump(60)  # the run is out of the overlap
    look(runbell)
    wait_for(lambda: '"late":["run_' in position(runbell), "the position to be stored", timeout=40)
    runbell.kill9()
    trigger.faults.clear()
    runbell.start()
    incident = runbell.wait_incident("&rule=customers", "open")
    assert incident["key"] == "acme" and incident["env"] == "prod"


def test_details_from_a_copy_that_lags_are_fetched_again(runbell, trigger):
    """The run has ended by the query, and not yet by the retrieve."""
    rules = {"customers": {"when": {"status": "failed", "metadata.customer": {"exists": True}}, "by": "metadata.customer", "notify": "out"}}
    start(runbell, trigger, rules, method="query")
    run = long_run(trigger)
    happened(trigger, run, "EXECUTING")
    stale = {"id": run.id, "status": "EXECUTING", "taskIdentifier": "long", "createdAt": "2026-01-01T00:00:00.000Z",
             "updatedAt": "2026-01-01T00:00:00.000Z", "attemptCount": 1}
    trigger.script("retrieve", [{"mode": "status", "status": 200, "body": json.dumps(stale)}])
    trigger.set(run, "CRASHED", metadata={"customer": "acme"})
    assert runbell.wait_incident("&rule=customers", "open")["key"] == "acme"


def test_many_retries_are_told_while_details_are_slow(runbell, trigger):
    """What ended does not wait for what is fetched by id."""
    start(runbell, trigger, {**FAILURES, **RETRIES}, method="list")
    trigger.fault("retrieve", "slow", seconds=0.5)
    for n in range(40):
        trigger.add(task="sync", steps=[(0, "PENDING"), (0.01, "DEQUEUED"), (0.02, "EXECUTING"), (0.03, "COMPLETED_SUCCESSFULLY")])
    late = crash(trigger, task="late")
    began = time.monotonic()
    wait_for(lambda: any(one["key"] == late.id for one in runbell.incidents()), "the crash", timeout=60)
    assert time.monotonic() - began < 15
