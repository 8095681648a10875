"""A trigger-api source against a faithful fake of Trigger.dev: every method, the third mission rule, faults, gaps."""
import collections
import json

import pytest

from conftest import wait_for
from trigger_dev import TriggerDev

METHODS = ["query", "list"]


@pytest.fixture
def trigger():
    with TriggerDev(realtime_hold_s=1) as fake:
        yield fake


def source(runbell, fake, **more):
    key = runbell.plant("TRIGGER_KEY", fake.key)
    return {"type": "trigger-api", "url": fake.url, "key": key, "every": "100ms", "overlap": "1s", "budget": 100, "timeout": "5s", **more}


FAILURES = {"failures": {"when": {"status": "failed"}, "notify": "out", "by": "run"}}
RETRIES = {"retry-storm": {"when": {"status": "REATTEMPTING"}, "count": "3 in 10m", "by": "run", "notify": "out"}}
EVERYTHING = {"everything": {"when": {"status": ["finished", "REATTEMPTING"]}, "by": "run", "notify": "out", "resolve": "manual"}}


def start(runbell, fake, rules, **more):
    runbell.start(rules=rules, sources={"prod": source(runbell, fake, **more)}, defaults={"limit": "100000 per 1s", "repeat": "never"})
    wait_for(lambda: state(runbell)["state"] == "ok", "a first look")
    return runbell


def state(runbell, name="prod"):
    return next(one for one in runbell.api("/v1/sources")["data"] if one["name"] == name)


def seen(runbell, run):
    """(state, attempt) of a run's events in the order of the timeline."""
    answer = runbell.request("GET", "/v1/runs/" + run.id, headers={"Authorization": "Bearer " + runbell.environment["API_TOKEN"]})
    return answer.json if answer.status == 200 else None


def crash(fake, task="render-video", **more):
    return fake.add(task=task, steps=[(0, "PENDING"), (0.05, "DEQUEUED"), (0.1, "EXECUTING"),
                                      (0.3, "CRASHED", {"error": {"type": "INTERNAL_ERROR", "code": "TASK_PROCESS_OOM_KILLED",
                                                                 "message": "out of memory"}})], **more)


@pytest.mark.parametrize("method", METHODS)
def test_a_crash_is_found(runbell, trigger, method):
    start(runbell, trigger, FAILURES, method=method)
    run = crash(trigger)
    incident = runbell.wait_incident("&rule=failures", "open")
    assert incident["key"] == run.id and incident["hits"] == 1
    assert state(runbell)["method"] == method
    out = wait_for(lambda: runbell.stdout_path.read_text(), "the message")
    assert "render-video" in out and "crashed" in out


@pytest.mark.parametrize("method", [*METHODS, "live"])
@pytest.mark.parametrize("route", ["stays executing", "is queued again"])
def test_the_third_mission_rule(runbell, trigger, method, route):
    """Today's server never says REATTEMPTING."""
    how = {"live": True} if method == "live" else {"method": method}
    runbell.configure()
    start(runbell, trigger, {"retry-storm": {**RETRIES["retry-storm"], "escalate": {"300ms": "out"}}}, **how)
    run = trigger.add(task="sync", steps=[(0, "PENDING"), (0.02, "DEQUEUED"), (0.05, "EXECUTING")])
    wait_for(lambda: any(one.status == "EXECUTING" for one in trigger.ground_truth()), "the first attempt")
    for attempt in (2, 3, 4):
        before = state(runbell)["last_look_at"]
        wait_for(lambda: state(runbell)["last_look_at"] > before, "a look")
        if route == "is queued again":
            trigger.set(run, "PENDING")
            trigger.set(run, "DEQUEUED")
        trigger.set(run, "EXECUTING", attempt=attempt)
    incident = runbell.wait_incident("&rule=retry-storm", "open")
    assert incident["key"] == run.id and incident["hits"] == 3
    wait_for(lambda: any(one["kind"] == "escalation" for one in runbell.deliveries()), "the escalation")
    trigger.set(run, "COMPLETED_SUCCESSFULLY")
    runbell.wait_incident("&rule=retry-storm", "resolved")


@pytest.mark.parametrize("method", METHODS)
def test_runs_older_than_the_source_are_followed_from_its_start_on(runbell, trigger, method):
    """What they went through before is history, what comes after it is not, also after a restart."""
    at_work = [(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING")]
    fresh, tired, late = (trigger.add(task=task, steps=at_work) for task in ("fresh", "tired", "late"))
    trigger.set(tired, "EXECUTING", attempt=2)
    trigger.jump(5)  # a server's Date has whole seconds: what began in the second of the start may be either
    runbell.configure()
    start(runbell, trigger, {"retried": {"when": {"status": "REATTEMPTING"}, "by": "run", "notify": "out"}}, method=method)
    before = state(runbell)["last_look_at"]
    trigger.set(fresh, "EXECUTING", attempt=2)
    trigger.set(tired, "EXECUTING", attempt=3)
    wait_for(lambda: len(runbell.incidents()) == 2, "the retries")
    wait_for(lambda: state(runbell)["last_look_at"] > before, "a look")
    runbell.stop()
    trigger.set(late, "EXECUTING", attempt=2)
    runbell.start()
    wait_for(lambda: len(runbell.incidents()) == 3, "the retry while nobody looked")
    assert {one["key"]: one["hits"] for one in runbell.incidents()} == {fresh.id: 1, tired.id: 1, late.id: 1}


def test_of_runs_that_end_well_only_the_retried_are_asked_for(runbell, trigger):
    rule = {"retried": {"when": {"status": "REATTEMPTING"}, "by": "task", "notify": "out", "resolve": "manual"}}
    start(runbell, trigger, rule, method="query")
    smooth = [(0, "PENDING"), (0, "DEQUEUED"), (0, "EXECUTING"), (0, "COMPLETED_SUCCESSFULLY")]
    bumpy = smooth[:3] + [(0, "EXECUTING", {"attempt": 2}), (0, "COMPLETED_SUCCESSFULLY")]
    trigger.add(task="smooth", steps=smooth)
    run = trigger.add(task="bumpy", steps=bumpy)
    assert runbell.wait_incident("&rule=retried")["key"] == "bumpy"  # and is over: it succeeded
    assert seen(runbell, run) and state(runbell)["transitions"] == 1


def test_auto_takes_the_query_endpoint_or_does_without(runbell, trigger):
    trigger.knobs.set(query_absent=True)
    start(runbell, trigger, FAILURES)
    one = state(runbell)
    assert one["method"] == "list" and "404" in one["why"]
    crash(trigger)
    runbell.wait_incident("&rule=failures", "open")


@pytest.mark.parametrize("method", METHODS)
def test_history_does_not_ring_and_nothing_is_missed_while_down(runbell, trigger, method):
    old = crash(trigger)
    wait_for(lambda: any(one.status == "CRASHED" for one in trigger.ground_truth() if one.run == old.id), "the old crash")
    trigger.jump(60)
    start(runbell, trigger, FAILURES, method=method)
    looks = state(runbell)
    long = trigger.add(task="long", steps=[(0, "PENDING"), (0.01, "DEQUEUED"), (0.02, "EXECUTING")])
    wait_for(lambda: state(runbell)["last_look_at"] != looks["last_look_at"], "a look")
    wait_for(lambda: method == "query" or state(runbell)["active_runs"] == 1, "the long run to be seen")
    assert not runbell.incidents()
    runbell.stop()
    new = [crash(trigger), crash(trigger, task="other")]
    trigger.set(long, "TIMED_OUT")
    wait_for(lambda: sum(one.status == "CRASHED" for one in trigger.ground_truth()) == 3, "the crashes")
    runbell.start()
    wait_for(lambda: len(runbell.incidents()) == 3, "the incidents")
    assert {one["key"] for one in runbell.incidents()} == {long.id, *(run.id for run in new)}


def test_a_refused_key_is_said_and_told_to_the_operator(runbell, trigger, fakes):
    runbell.start(rules=FAILURES, sources={"prod": {**source(runbell, trigger), "key": runbell.plant("WRONG", "tr_prod_canarywrongkey00000000000")}},
                  operator="out")
    wait_for(lambda: state(runbell)["state"] == "failing", "the trouble")
    assert "401" in state(runbell)["trouble"] and "is the key right" in state(runbell)["trouble"]
    wait_for(lambda: "cannot read runs" in runbell.stdout_path.read_text(), "the operator's message")
    assert runbell.metric('source_up{source="prod"}') == 0


FAULTS = {
    "500": {"mode": "status", "status": 500}, "502": {"mode": "status", "status": 502}, "404": {"mode": "status", "status": 404},
    "403": {"mode": "status", "status": 403}, "truncated": {"mode": "truncate"}, "invalid": {"mode": "invalid"}, "reset": {"mode": "reset"},
    "close_after": {"mode": "close_after"}, "wrong_shape": {"mode": "wrong_shape"},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_heal_without_a_loss(runbell, trigger, method, fault):
    start(runbell, trigger, FAILURES, method=method)
    how = dict(FAULTS[fault])
    trigger.fault("query" if method == "query" else "list", how.pop("mode"), times=6, **how)
    run = crash(trigger)
    incident = runbell.wait_incident("&rule=failures", "open")
    assert incident["key"] == run.id and incident["hits"] == 1
    wait_for(lambda: state(runbell)["state"] == "ok", "its healing")
    assert len(runbell.incidents()) == 1


def test_one_source_that_is_down_does_not_hold_up_another(runbell, trigger):
    trigger.fault("list", "hang", times=50)
    runbell.start(rules=FAILURES, sources={"prod": source(runbell, trigger, method="list", timeout="10s"),
                                           "other": source(runbell, trigger, method="query", env="prod2")})
    wait_for(lambda: state(runbell, "other")["state"] == "ok", "the other source")
    crash(trigger)
    runbell.wait_incident("&rule=failures", "open")


def test_the_budget_is_kept(runbell, trigger):
    trigger.knobs.set(rate_burst=20, rate_refill=10, rate_interval_s=1)
    runbell.start(rules=FAILURES, sources={"prod": source(runbell, trigger, every="50ms", budget=10)})
    wait_for(lambda: state(runbell)["requests"]["limit"] == 20, "the limit to be heard")
    wait_for(lambda: state(runbell)["requests"]["waited_ms"] > 500, "the budget to be felt")
    one = state(runbell)["requests"]
    assert one["budget_per_minute"] == 4 and one["limited"] == 0


def test_details_are_fetched_where_a_rule_reads_them(runbell, trigger):
    rules = {"customers": {"when": {"status": "failed", "metadata.customer": {"exists": True}}, "by": "metadata.customer", "notify": "out"}}
    start(runbell, trigger, rules, method="query")
    run = crash(trigger, metadata={"customer": "acme"})
    crash(trigger)
    incident = runbell.wait_incident("&rule=customers", "open")
    assert incident["key"] == "acme" and incident["last_run"] == run.id


def test_the_feed_rings_at_once(runbell, trigger):
    runbell.start(rules=FAILURES, sources={"prod": source(runbell, trigger, every="30s", live=True)})
    wait_for(lambda: state(runbell).get("live", {}).get("connected"), "the feed")
    run = crash(trigger)
    incident = runbell.wait_incident("&rule=failures", "open")
    assert incident["key"] == run.id
    assert state(runbell)["live"]["reports"] >= 1
    trigger.knobs.set(realtime_refetch=1)
    again = crash(trigger, task="after-refetch")
    wait_for(lambda: any(one["key"] == again.id for one in runbell.incidents()), "the crash after a refetch")
    trigger.knobs.set(realtime_conflict=1)
    third = crash(trigger, task="after-conflict")
    wait_for(lambda: any(one["key"] == third.id for one in runbell.incidents()), "the crash after a 409")


def test_reload_changes_rules_and_sources(runbell, trigger):
    start(runbell, trigger, {"nothing": {"when": {"task": "no-such"}, "notify": "out"}})
    sources = {"prod": source(runbell, trigger)}
    runbell.reload_and_wait(rules=FAILURES, sources=sources)
    crash(trigger)
    runbell.wait_incident("&rule=failures", "open")
    runbell.reload_and_wait(rules=FAILURES, sources={"second": source(runbell, trigger, method="list")})
    wait_for(lambda: any(one["name"] == "second" and one["state"] == "ok" for one in runbell.api("/v1/sources")["data"]), "the new source")
    assert [one["name"] for one in runbell.api("/v1/sources")["data"]] == ["second"]


def finished_in_log(runbell):
    import sqlite3
    db = sqlite3.connect(f"file:{runbell.folder / 'runbell.db'}?mode=ro", uri=True)
    try:
        return collections.Counter(run for run, in db.execute("SELECT run FROM events WHERE state IN ('COMPLETED', 'CRASHED', 'FAILED', 'TIMED_OUT', "
                                                              "'CANCELED', 'EXPIRED', 'SYSTEM_FAILURE')"))
    finally:
        db.close()


@pytest.mark.parametrize("method", METHODS)
def test_history_is_imported_and_does_not_ring(runbell, trigger, method):
    old = trigger.load_random(150, seed=5, over_s=3600, start_ms=trigger.clock.now() - 2 * 3600 * 1000)
    wait_for(lambda: not trigger.population.active(), "the past to be over")
    start(runbell, trigger, FAILURES, method=method)
    done = runbell.run("import", "--source", "prod", "--since", "1d", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"] == len(old) and "100%" in done.stderr
    assert finished_in_log(runbell) == {run.id: 1 for run in old}
    assert not runbell.incidents() and not runbell.stdout_path.read_text()
    crash(trigger)
    runbell.wait_incident("&rule=failures", "open")


def test_an_import_goes_on_after_a_restart(runbell, trigger):
    trigger.knobs.set(query_rows=100)  # as a self-hosted server may be set to, whatever it is asked for
    old = trigger.load_random(450, seed=6, over_s=3600, start_ms=trigger.clock.now() - 2 * 3600 * 1000)
    wait_for(lambda: not trigger.population.active(), "the past to be over")
    start(runbell, trigger, FAILURES, method="query", every="1s")
    trigger.fault("query", "slow", seconds=0.1)
    runbell.api("/v1/sources/prod/import?since=1d", method="POST", status=202)
    wait_for(lambda: state(runbell).get("import", {}).get("runs", 0) > 0, "the first page")
    assert state(runbell)["import"]["state"] == "running"
    runbell.kill9()
    runbell.start()
    done = runbell.run("import", "--source", "prod", "--watch", "--json")
    assert done.returncode == 0, done.stderr
    assert finished_in_log(runbell) == {run.id: 1 for run in old}


def test_import_says_what_is_wrong(runbell, trigger):
    runbell.start(rules=FAILURES, sources={"prod": source(runbell, trigger), "push": {"type": "webhook", "token": runbell.token}})
    for arguments, says, status in ((["--source", "prod"], "wants --source NAME and --since DUR", 2), (["--source", "push", "--since", "1d"], "no trigger-api source", 1),
                                    (["--source", "prod", "--since", "soon"], "since= wants a duration", 1), (["--source", "prod", "--watch"], "has been asked for", 1)):
        done = runbell.run("import", *arguments)
        assert done.returncode == status and says in done.stderr, (arguments, done)


def test_status_tells_of_polled_sources(runbell, trigger):
    start(runbell, trigger, FAILURES)
    done = runbell.run("status")
    assert done.returncode == 0
    for word in ("polled_sources", "prod", "method: query", "lag_ms", "budget_per_minute"):
        assert word in done.stdout, done.stdout


def test_a_run_is_read_again_on_request(runbell, trigger):
    start(runbell, trigger, FAILURES, every="1h")
    wait_for(lambda: state(runbell)["last_look_at"], "the first look")
    run = crash(trigger)
    wait_for(lambda: any(one.status == "CRASHED" for one in trigger.ground_truth()), "the crash")
    done = runbell.run("runs", run.id, "--reread")
    assert done.returncode == 0 and "read again" in done.stdout, done
    assert runbell.wait_incident("&rule=failures", "open")["key"] == run.id
    runbell.configure(rules=FAILURES)
    runbell.restart()
    assert "no trigger-api source" in runbell.run("runs", run.id, "--reread").stderr


@pytest.mark.parametrize("method", METHODS)
def test_a_rule_on_an_active_state_alone(runbell, trigger, method):
    """No end is asked for."""
    start(runbell, trigger, {"running": {"when": {"status": "EXECUTING"}, "by": "task", "notify": "out", "resolve": "manual"}}, method=method)
    trigger.add(task="sync", steps=[(0, "PENDING"), (0.02, "DEQUEUED"), (0.05, "EXECUTING")])
    assert runbell.wait_incident("&rule=running", "open")["key"] == "sync"
    looks = state(runbell)["last_look_at"]
    wait_for(lambda: state(runbell)["last_look_at"] > looks, "another look")
    assert state(runbell)["state"] == "ok"
