"""The three rules that runbell is for, as shipped in rules/, on the fixtures, over real HTTP."""
import copy
import json

import pytest

from conftest import PATIENCE, ROOT, now, seed_run, wait_for

ESCALATE = "escalate: {15m: pager}"


def use_shipped_rules(runbell):
    """rules/ as it is, but for the quarter of an hour until the pager rings."""
    text = (ROOT / "rules" / "mission-3-retry-storm.yaml").read_text()
    assert text.count(ESCALATE) == 1
    (runbell.folder / "rules").mkdir()
    for path in (ROOT / "rules").glob("mission-*.yaml"):
        changed = path.read_text().replace(ESCALATE, "escalate: {1500ms: pager}")
        (runbell.folder / "rules" / path.name).write_text(changed)


@pytest.fixture(params=["bot", "webhook"])
def mission(request, runbell, fakes, slack_bot, slack_hook, pager):
    use_shipped_rules(runbell)
    ops = slack_bot if request.param == "bot" else slack_hook
    billing = {**slack_hook, "url": runbell.plant("SLACK_BILLING_URL", fakes.url("/services/T1/B2/canary9f10"))}
    runbell.start(include=["rules/*.yaml"], destinations={"slack-ops": ops, "slack-billing": billing, "pager": pager},
                  defaults={"linger": "0s"})
    fakes.ops = fakes.posts if request.param == "bot" else lambda: fakes.taken("/services/T1/B1/")
    fakes.billing = lambda: fakes.taken("/services/T1/B2/")
    fakes.pages = lambda: [history for history in fakes.alerts.values()]
    return runbell


def retrying(finished, **changes):
    """The reattempting fixture with that many finished attempts."""
    run = seed_run("reattempting", **changes)
    third = copy.deepcopy(run["attempts"][1])
    third.update(id="attempt_retry3", startedAt="2026-05-03T10:13:40.000Z", completedAt="2026-05-03T10:14:02.000Z")
    run["attempts"] = (run["attempts"] + [third])[:finished]
    return run


def test_crashed_and_timed_out(mission, fakes):
    for name in ("crashed", "timed-out", "completed", "cancelled", "executing", "expired"):
        mission.accept(seed_run(name))
    wait_for(lambda: len(fakes.ops()) == 2, "two messages")
    lines = [one.first_line for one in fakes.ops()]
    assert any("render-video" in line and "crashed" in line for line in lines), lines
    assert any("sync-ledger" in line and "timed out" in line for line in lines), lines
    whole = json.dumps([one.body for one in fakes.ops()])
    assert "Process killed: out of memory (exit 137)" in whole and "maxDuration of 300s exceeded" in whole
    assert "run_crash7x2m9q4w1z8" in whole and "run_tmout3k8p5r2v6y1" in whole
    assert {one["rule"] for one in mission.incidents()} == {"crashed-or-timed-out"}
    assert not fakes.billing() and not fakes.pages()


def test_crashes_of_one_task_are_one_message(mission, fakes):
    for k in range(30):
        mission.accept(seed_run("crashed", id=f"run_crash{k:020d}"))
    wait_for(lambda: mission.wait_incident()["hits"] == 30, "thirty hits")
    wait_for(lambda: mission.deliveries("&state=delivered"), "the message")
    assert len(fakes.ops()) == 1
    incident, = mission.incidents()
    assert incident["runs"] == 30 and incident["state"] == "open"


@pytest.mark.parametrize("tag", ["billing", "invoices"])
@pytest.mark.parametrize("name", ["completed-with-errors", "crashed", "failed-to-run"])
def test_tagged_failure(mission, fakes, tag, name):
    mission.accept(seed_run(name, id="run_untagged0000000001"))
    mission.accept(seed_run(name, tags=["eu", tag]))
    mission.accept(seed_run("completed", tags=[tag]))
    sent = wait_for(fakes.billing, "the message")
    assert seed_run(name)["taskIdentifier"] in sent[0].first_line
    rows = mission.incidents("&rule=billing-failed")
    assert [one["hits"] for one in rows] == [1]
    assert len(fakes.billing()) == 1


@pytest.mark.parametrize("updated", [True, False])
def test_retry_storm(mission, fakes, updated):
    """updated: every report has an updatedAt of its own; else the fixture's stays."""
    times = ["2026-05-03T10:09:35.100Z", "2026-05-03T10:12:10.640Z", "2026-05-03T10:14:02.000Z"] if updated else [None] * 3
    for finished, at in enumerate(times, 1):
        mission.accept(retrying(finished, **({"updatedAt": at} if at else {})))
        if finished < 3:
            assert not mission.incidents() and not fakes.ops()
    wait_for(fakes.ops, "the message after the third retry")
    incident = mission.wait_incident("&rule=retry-storm", "open")
    assert incident["key"] == "run_retry5b9n2c7x4m1" and incident["hits"] == 3
    assert "send-invoice" in fakes.ops()[0].first_line
    assert "SMTP 421 try again later" in json.dumps(fakes.ops()[0].body)
    assert not fakes.pages()

    (key, dedup), history = wait_for(lambda: list(fakes.alerts.items()), "the page")[0]
    assert key == mission.environment["PD_KEY"]
    assert 1.4 < fakes.to("/pd/")[0].at - fakes.ops()[0].at < 3 * PATIENCE, "in its time, from the opening"
    trigger = history[0][1]
    assert trigger["event_action"] == "trigger" and "send-invoice" in trigger["payload"]["summary"]
    assert trigger["payload"]["severity"] == "error"

    before = len(fakes.ops())
    mission.accept(retrying(3, status="COMPLETED_SUCCESSFULLY", updatedAt="2026-05-03T10:15:30.000Z",
                            startedAt="2026-05-03T10:09:31.000Z", finishedAt="2026-05-03T10:15:30.000Z"))
    wait_for(lambda: history[-1][0] == "resolve", "the pager to resolve")
    wait_for(lambda: len(fakes.ops()) > before, "the good news at Slack")
    assert [action for action, _ in history] == ["trigger", "resolve"]
    assert len(fakes.alerts) == 1 and "RESOLVED" in fakes.ops()[-1].first_line
    assert mission.incidents("&state=resolved")[0]["id"] == incident["id"]


def other_run_is_paged(mission, fakes):
    """A run that starts to be retried now rings in its time; what was due before it would have rung by then."""
    for finished in (1, 2, 3):
        mission.accept(retrying(finished, id="run_other000000000001", taskIdentifier="other-task"))
    wait_for(lambda: fakes.alerts, "the other run's page")
    return [history[0][1]["payload"]["component"] for history in fakes.alerts.values()] == ["other-task"]


def test_retry_storm_in_one_report(mission, fakes):
    """Of a run that began after the server, whoever saw only the last report learns the same."""
    attempts = [{"id": f"attempt_{k}", "status": "FAILED", "startedAt": now(k), "completedAt": now(k + 0.5),
                 "error": {"name": "Error", "message": "SMTP 421"}} for k in range(3)]
    mission.accept(seed_run("reattempting", createdAt=now(), startedAt=now(), updatedAt=now(4), attempts=attempts))
    wait_for(fakes.ops, "the message")
    assert mission.wait_incident()["hits"] == 3


def test_success_before_the_page_is_due(mission, fakes):
    for finished in (1, 2, 3):
        mission.accept(retrying(finished))
    mission.wait_incident("&rule=retry-storm", "open")
    mission.accept(retrying(3, status="COMPLETED_SUCCESSFULLY", updatedAt="2026-05-03T10:15:30.000Z", finishedAt="2026-05-03T10:15:30.000Z"))
    mission.wait_incident("&rule=retry-storm", "resolved")
    assert other_run_is_paged(mission, fakes)


def test_acknowledged_before_the_page_is_due(mission, fakes):
    for finished in (1, 2, 3):
        mission.accept(retrying(finished))
    incident = mission.wait_incident("&rule=retry-storm", "open")
    mission.api(f"/v1/incidents/{incident['id']}/ack", {"who": "ann", "why": "on it"})
    shown = mission.api("/v1/incidents/" + incident["id"])
    assert shown["state"] == "acknowledged"
    acked, = [one for one in shown["timeline"] if one["what"] == "acknowledged"]
    assert acked["detail"] == {"who": "ann", "why": "on it"}
    assert other_run_is_paged(mission, fakes)


def test_all_three_at_once(mission, fakes):
    """One body with everything, as the array form."""
    runs = [seed_run("crashed"), seed_run("timed-out"), seed_run("completed-with-errors", tags=["billing"])]
    assert mission.accept(runs + [retrying(1), retrying(2), retrying(3)])["accepted"] == 6
    wait_for(lambda: len(fakes.ops()) == 3 and len(fakes.billing()) == 1, "four messages")
    wait_for(fakes.pages, "the page")
    assert {one["rule"] for one in mission.incidents()} == {"crashed-or-timed-out", "billing-failed", "retry-storm"}
