"""What the rule language's section 5 says and only a server shows. The rest of it, line by line: tests/unit/test_replay_semantics_*.c.
Each test is named after what the text says."""
import json

import pytest

from conftest import a_run, hook, now, wait_for
from trigger_dev import TriggerDev

FAILURES = {"r": {"when": {"status": "failed"}, "by": "run", "notify": "out"}}


@pytest.fixture
def trigger():
    with TriggerDev(realtime_hold_s=1) as fake:
        yield fake


def polled(runbell, fake):
    return {"prod": {"type": "trigger-api", "url": fake.url, "key": runbell.plant("TRIGGER_KEY", fake.key), "every": "100ms", "overlap": "1s",
                     "budget": 100, "timeout": "5s"}}


def source(runbell):
    return runbell.api("/v1/sources")["data"][0]


def crash(fake, **more):
    return fake.add(task="render-video", steps=[(0, "PENDING"), (0.02, "EXECUTING"), (0.1, "CRASHED")], **more)


# --- Events and windows, 2nd line ---------------------------------------------------------------------------------------------
def test_what_is_older_than_the_source_takes_is_recorded_and_not_evaluated(runbell):
    runbell.start(sources={"push": {"type": "webhook", "token": runbell.token, "ignore_older": "24h"}}, rules=FAILURES)
    runbell.accept(a_run("run_old", updatedAt=now(-25 * 3600), finishedAt=now(-25 * 3600)))
    runbell.accept(a_run("run_new", updatedAt=now(-23 * 3600), finishedAt=now(-23 * 3600)))
    assert [one["key"] for one in runbell.incidents()] == ["run_new"]
    assert runbell.api("/v1/runs/run_old")["seen"][0]["transitions"]


def test_a_new_polling_source_starts_at_now_and_imported_history_never_rings(runbell, trigger):
    old = crash(trigger)
    wait_for(lambda: not trigger.population.active(), "the past to be over")
    trigger.jump(600)
    runbell.start(sources=polled(runbell, trigger), rules=FAILURES)
    wait_for(lambda: source(runbell)["state"] == "ok", "a first look")
    done = runbell.run("import", "--source", "prod", "--since", "1d", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["runs"] == 1, done.stderr
    assert runbell.api("/v1/runs/" + old.id)["seen"]
    new = crash(trigger)
    runbell.wait_incident("&rule=r", "open")
    assert [one["key"] for one in runbell.incidents()] == [new.id]


# --- Conditions, 4th line -----------------------------------------------------------------------------------------------------
def test_while_a_source_is_unhealthy_absence_is_unknown_and_told_to_the_operator_as_source_down(runbell, fakes, trigger):
    trigger.fault("*", "status", status=401)
    runbell.start(sources=polled(runbell, trigger), destinations={"out": hook(fakes), "boss": hook(fakes, "boss")}, operator="boss",
                  rules={"quiet": {"when": {"task": "sync", "status": "success", "env": "prod"}, "absent": "2s", "notify": "out"}})
    wait_for(lambda: runbell.status().get("absent", {}).get("unknown") == 1, "the key to be unknown")
    told = wait_for(lambda: fakes.taken("/hook/boss"), "word to the operator")[0].body["data"]
    assert "Source prod cannot read runs" in told["title"], told
    assert source(runbell)["state"] == "failing" and not runbell.incidents() and not fakes.taken("/hook/a")


# --- Reload and restart, 2nd line ---------------------------------------------------------------------------------------------
def test_a_file_that_fails_to_load_leaves_the_running_rules_in_place_and_says_so(runbell, fakes):
    places = {"destinations": {"out": hook(fakes), "boss": hook(fakes, "boss")}, "operator": "boss"}
    runbell.start(rules=FAILURES, **places)
    runbell.configure(rules={"r": {"when": {"status": "CRASHED"}, "notify": "out"}, "new": {"when": {"status": "EXPIRED"}, "notify": "nowhere"}}, **places)
    runbell.reload()
    told = wait_for(lambda: fakes.taken("/hook/boss"), "word to the operator")[0].body["data"]
    assert "stay in force" in told["title"]
    runbell.accept([a_run("run_a"), a_run("run_b", "EXPIRED")])
    assert sorted((one["rule"], one["key"]) for one in runbell.incidents()) == [("r", "run_a"), ("r", "run_b")]


def test_deliveries_to_a_removed_destination_go_dead_with_that_reason(runbell, fakes):
    both = {"out": hook(fakes), "gone": hook(fakes, "gone")}
    runbell.start(destinations=both, rules={"r": {"when": {"status": "failed"}, "notify": ["out", "gone"]}})
    fakes.fault("/hook/gone", status=503)
    runbell.accept(a_run("run_a"))
    wait_for(lambda: runbell.deliveries("&state=retrying"), "the delivery to be tried again")
    runbell.reload_and_wait(destinations={"out": both["out"]}, rules={"r": {"when": {"status": "failed"}, "notify": "out"}})
    dead = wait_for(lambda: runbell.deliveries("&state=dead"), "it to be given up")
    assert [one["destination"] for one in dead] == ["gone"] and "destination removed" in dead[0]["last_error"]
