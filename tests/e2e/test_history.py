"""Why and what if: `explain RUN`, and `backtest` over the log of a server."""
import json

from conftest import a_run, hook, now, wait_for

FINE, WRONG, USAGE, UNREACHED = 0, 1, 2, 3
RULES = {
    "crashed": {"when": {"status": "CRASHED"}, "notify": "out", "escalate": {"1h": "hooked"}},
    "third": {"when": {"status": "CRASHED", "task": "sync"}, "count": "3 in 10m", "by": "env", "notify": "out"},
    "mail-only": {"when": {"status": "failed", "task": "mail"}, "notify": "hooked"},
}


def explained(runbell, run, code=FINE):
    done = runbell.run("explain", run, "--json", env={"RUNBELL_TOKEN": runbell.environment["API_TOKEN"]})
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def rules_of(transition):
    return {one["match"]["rule"]: one for one in transition["rules"]}


def test_explain_a_stored_run(runbell, fakes, slack_bot):
    runbell.start(rules=RULES, destinations={"out": slack_bot, "hooked": hook(fakes)})
    for k in range(3):
        runbell.accept(a_run(f"run_{k}", "EXECUTING", "sync", updatedAt=now(-5)))
        runbell.accept(a_run(f"run_{k}", "CRASHED", "sync"))
    found = explained(runbell, "run_1")
    assert found == runbell.api("/v1/runs/run_1/explain")
    (seen,) = found["seen"]
    assert (seen["env"], seen["task"]) == ("default", "sync")
    first, last = seen["transitions"]
    assert (first["state"], first["last_known"]) == ("EXECUTING", False) and (last["state"], last["last_known"]) == ("CRASHED", True)
    assert all(one["verdict"] == "no hit" and not one["match"]["hit"] for one in first["rules"]), "also where no rule fires"
    rules = rules_of(last)
    (clause,) = rules["crashed"]["match"]["clauses"]
    assert clause["hit"] and clause["value"] == "CRASHED"
    (incident,) = rules["crashed"]["incidents"]
    assert incident["hits"] == 3 and incident["state"] == "open" and rules["crashed"]["verdict"] == "joined an incident"
    assert incident["id"] in [one["id"] for one in runbell.incidents()]
    assert [one["detail"]["destination"] for one in incident["timeline"] if one["what"] == "told"][:1] == ["out"]
    assert incident["now"]["quiet_at"] and incident["now"]["reminder_at"] and incident["now"]["escalations"][0]["destination"] == "hooked"
    assert [(one["count"], one["of"], one["what"], one["in"]) for one in rules["third"]["windows"]] == [(2, 3, "hits", "10m")]
    assert rules["third"]["incidents"] == [] and "does not hold" in rules["third"]["verdict"]
    assert [one["value"] for one in rules["mail-only"]["match"]["clauses"] if not one["hit"]] == ["sync"]
    third = rules_of(explained(runbell, "run_2")["seen"][0]["transitions"][-1])["third"]
    assert [one["count"] for one in third["windows"]] == [3] and third["incidents"][0]["state"] == "open"


def test_explain_as_text(runbell, fakes):
    runbell.start(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")}, defaults={"limit": "1 per 1h"})
    runbell.accept(a_run("run_a", "CRASHED", "sync"))
    runbell.accept(a_run("run_b", "CRASHED", "other"))
    token = {"RUNBELL_TOKEN": runbell.environment["API_TOKEN"]}
    text = runbell.run("explain", "run_a", env=token).stdout
    for line in ("run_a, task sync, project default, env default", "(last known state)", "crashed: HIT, joined an incident", 'saw "CRASHED"',
                 "window: 1 of 3 hits in 10m", "told destination=out kind=open", "waits: quiet_at", "escalation to hooked",
                 "mail-only: no hit", "NO   task: wants"):
        assert line in text, (line, text)
    limited = runbell.run("explain", "run_b", env=token)
    assert "limited destination=out" in limited.stdout and limited.returncode == FINE
    runbell.accept(a_run("run_c", "EXECUTING", "sync"))
    quiet = runbell.run("explain", "run_c", env=token)
    assert quiet.returncode == WRONG and "no rule is hit by this run" in quiet.stdout and 'saw "EXECUTING"' in quiet.stdout


def test_explain_what_cannot_be(runbell, fakes):
    runbell.start(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")})
    token = {"RUNBELL_TOKEN": runbell.environment["API_TOKEN"]}
    missing = runbell.run("explain", "run_x", env=token)
    assert missing.returncode == WRONG and "never seen" in missing.stderr
    assert "known here: project env" in runbell.request("GET", "/v1/runs/run_x/explain?color=red", headers={
        "Authorization": "Bearer " + runbell.environment["API_TOKEN"]}).problem
    both = runbell.run("explain", "run_x", "--event", "x.json")
    assert both.returncode == USAGE and "wants RUN, or --event FILE" in both.stderr
    runbell.stop()
    gone = runbell.run("explain", "run_x", env=token)
    assert gone.returncode == UNREACHED and gone.stderr
