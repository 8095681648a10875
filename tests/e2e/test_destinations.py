"""Delivery: to Slack, PagerDuty and webhooks as they are, and as they are on a bad day."""
import json
import time

import pytest

from conftest import a_run, hook, wait_for
from receiver import closed_port

SECRET = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktMDAwMQ=="
OTHER_SECRET = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktMDAwMg=="
CRASHED = {"when": {"status": "CRASHED"}, "notify": "out"}


def resolve(runbell, incident=None):
    incident = incident or runbell.incidents()[0]["id"]
    runbell.api(f"/v1/incidents/{incident}/resolve", {"who": "ann", "why": "fixed"})


def acknowledge(runbell, incident=None):
    incident = incident or runbell.incidents()[0]["id"]
    runbell.api(f"/v1/incidents/{incident}/ack", {"who": "ann"})


def state_of(runbell, name):
    return next(one for one in runbell.api("/v1/destinations")["data"] if one["name"] == name)


def settled(runbell):
    """Nothing is on its way."""
    return not runbell.deliveries("&state=pending") and not runbell.deliveries("&state=retrying")


# --- Slack ------------------------------------------------------------------------------------------------------------
def test_slack_bot_edits_its_message_and_replies_in_the_thread(runbell, fakes, slack_bot):
    runbell.start(rules={"r": {**CRASHED, "update": "50ms", "escalate": {"700ms": "out"}}}, destinations={"out": slack_bot})
    runbell.accept(a_run("run_1"))
    first = wait_for(fakes.posts, "the opening")[0]
    assert first.body["channel"] == "#ops" and "thread_ts" not in first.body
    channel = fakes.channels["#ops"]
    (ts, versions), = channel.messages.items()

    runbell.accept(a_run("run_2"))
    wait_for(lambda: "2 runs" in versions[-1]["blocks"][0]["text"]["text"], "the edit with both runs")
    escalation = wait_for(lambda: [one for one in fakes.posts() if one.body.get("thread_ts")], "the escalation")[0]
    assert escalation.body["thread_ts"] == ts and escalation.body["reply_broadcast"] and "ESCALATED" in escalation.first_line
    acknowledge(runbell)
    wait_for(lambda: "ACKNOWLEDGED" in json.dumps(versions[-1]), "the edit that says acknowledged")
    resolve(runbell)
    wait_for(lambda: "RESOLVED" in json.dumps(versions[-1]), "the edit that says resolved")
    wait_for(lambda: len(fakes.posts()) == 3, "the good news in the thread")
    last = fakes.posts()[-1].body
    assert last["thread_ts"] == ts and last["reply_broadcast"] and "RESOLVED" in json.dumps(last) and "ann" in json.dumps(last)
    assert all(one.body["ts"] == ts and one.body["channel"] == channel.ident for one in fakes.updates())
    assert len(channel.messages) == 3, "one message and two replies"


def test_slack_hook_gets_no_edits(runbell, fakes, slack_hook):
    runbell.start(rules={"r": {**CRASHED, "update": "10ms"}}, destinations={"out": slack_hook})
    for k in range(5):
        runbell.accept(a_run(f"run_{k}"))
    resolve(runbell)
    wait_for(lambda: len(fakes.taken("/services/")) == 2 and settled(runbell), "opening and resolve")
    assert "RESOLVED" in fakes.taken("/services/")[1].first_line


def test_slack_message_was_deleted(runbell, fakes, slack_bot):
    """A fresh one is posted, and edits go there from now on."""
    runbell.start(rules={"r": {**CRASHED, "update": "50ms"}}, destinations={"out": slack_bot})
    runbell.accept(a_run("run_1"))
    wait_for(lambda: fakes.posts() and settled(runbell), "the opening")
    channel = fakes.channels["#ops"]
    gone, = channel.messages
    fakes.forget_message("#ops", gone)
    runbell.accept(a_run("run_2"))
    wait_for(lambda: channel.messages, "a new message")
    fresh, = channel.messages
    runbell.accept(a_run("run_3"))
    wait_for(lambda: "3 runs" in json.dumps(channel.messages[fresh][-1]), "an edit of the new one")
    assert fresh != gone and len(channel.messages) == 1
    wait_for(lambda: settled(runbell), "all delivered")
    assert not runbell.deliveries("&state=dead")


def test_slack_token_revoked(runbell, fakes, slack_bot):
    """The breaker opens at once, the operator hears of it, no message is burnt; a good token heals it all."""
    runbell.secrets.append("xoxb-canary-old-11aa")
    token = runbell.folder / "given-token"
    token.write_text("xoxb-canary-old-11aa\n")
    config = dict(rules={"r": {**CRASHED, "by": "run", "notify": ["out", "other"]}}, operator="boss",
                  destinations={"out": {**slack_bot, "token": f"${{file:{token}}}"}, "other": hook(fakes), "boss": hook(fakes, "boss")})
    runbell.start(**config)
    for k in range(12):
        runbell.accept(a_run(f"run_{k}"))
    wait_for(lambda: state_of(runbell, "out")["state"] == "breaker_open", "the breaker to open")
    wait_for(lambda: len(fakes.taken("/hook/a")) == 12, "the other destination, which is fine")
    told = wait_for(lambda: fakes.taken("/hook/boss"), "word to the operator")
    assert "out" in told[0].body["data"]["title"] and "invalid_auth" in json.dumps(told[0].body)
    assert len(fakes.to("/api/")) <= 4, "a breaker that is open lets nothing through"
    waiting = runbell.deliveries("&destination=out")
    assert len(waiting) == 12 and {one["state"] for one in waiting} <= {"pending", "retrying"}
    assert sum(one["attempts"] for one in waiting) <= 4 and runbell.status()["deliveries"]["breakers_open"] == 1
    assert not fakes.channels

    token.write_text(runbell.environment["SLACK_TOKEN"] + "\n")
    runbell.reload_and_wait(**config)
    wait_for(lambda: len(fakes.posts()) == 12, "all twelve messages", timeout=8)
    wait_for(lambda: settled(runbell), "everything settled")
    assert not runbell.deliveries("&state=dead") and len(fakes.channels["#ops"].messages) == 12
    assert state_of(runbell, "out")["state"] == "ok"


def test_slack_refuses_the_body(runbell, fakes, slack_bot):
    """Once more in plain words; refused again it is dead, and the next message is not held up."""
    refusal = json.dumps({"ok": False, "error": "invalid_blocks"}).encode()
    runbell.start(rules={"r": {**CRASHED, "by": "run"}}, destinations={"out": slack_bot, "boss": hook(fakes, "boss")}, operator="boss")
    fakes.fault("/api/chat.postMessage", status=200, body=refusal, times=1)
    runbell.accept(a_run("run_1"))
    wait_for(lambda: settled(runbell), "the first")
    reduced, = fakes.posts()
    assert "blocks" not in reduced.body and "render-video crashed" in reduced.body["text"]
    fakes.fault("/api/chat.postMessage", status=200, body=refusal, times=2)
    runbell.accept(a_run("run_2"))
    dead = wait_for(lambda: runbell.deliveries("&state=dead"), "the second to die")
    assert "invalid_blocks" in dead[0]["last_error"] and dead[0]["attempts"] == 2
    runbell.accept(a_run("run_3"))
    wait_for(lambda: len(fakes.posts()) == 2, "the third")
    told = wait_for(lambda: fakes.taken("/hook/boss"), "word to the operator")
    assert "could not be delivered" in told[0].body["data"]["title"]


def test_slack_errors_in_200_that_pass(runbell, fakes, slack_bot):
    for word in ("internal_error", "service_unavailable"):
        fakes.fault("/api/", status=200, body=json.dumps({"ok": False, "error": word}).encode(), times=1)
    fakes.fault("/api/", status=429, headers={"Retry-After": "1"}, body=b'{"ok":false,"error":"ratelimited"}', times=1)
    runbell.start(rules={"r": CRASHED}, destinations={"out": slack_bot})
    runbell.accept(a_run("run_1"))
    wait_for(fakes.posts, "the message, at last")
    delivery, = wait_for(lambda: runbell.deliveries("&state=delivered"), "the ledger")
    assert delivery["attempts"] == 4
    tries = runbell.api("/v1/incidents/" + runbell.incidents()[0]["id"])["deliveries"][0]["tries"]
    assert sorted(one["verdict"] for one in tries) == ["ok", "rate_limited", "retry", "retry"]


def test_channel_from_metadata(runbell, fakes, slack_bot):
    rules = {"r": {"when": {"status": "CRASHED"}, "by": "run", "notify": {"to": "out", "channel": "#cust-{{metadata.customer}}"}}}
    runbell.start(rules=rules, destinations={"out": {**slack_bot, "channel": "#cust-*"}})
    runbell.accept(a_run("run_1", metadata={"customer": "acme"}))
    wait_for(lambda: "#cust-acme" in fakes.channels, "the customer's channel")
    runbell.accept([a_run("run_2", metadata={"customer": "globex"}), a_run("run_3", metadata={"customer": "acme"})])
    wait_for(lambda: len(fakes.posts()) == 3, "three messages")
    assert sorted(one.body["channel"] for one in fakes.posts()) == ["#cust-acme", "#cust-acme", "#cust-globex"]


def test_one_missing_channel_holds_up_no_other(runbell, fakes, slack_bot):
    rules = {"r": {"when": {"status": "CRASHED"}, "by": "run", "notify": {"to": "out", "channel": "#cust-{{metadata.customer}}"}}}
    runbell.start(rules=rules, destinations={"out": {**slack_bot, "channel": "#cust-*"}})
    fakes.fault("/api/chat.postMessage", status=200, body=b'{"ok":false,"error":"channel_not_found"}', times=1)
    runbell.accept(a_run("run_1", metadata={"customer": "nobody"}))
    wait_for(lambda: runbell.deliveries("&state=retrying") or fakes.posts(), "the refusal")
    assert state_of(runbell, "out")["state"] == "ok" and runbell.status()["deliveries"]["breakers_open"] == 0
    runbell.accept(a_run("run_2", metadata={"customer": "acme"}))
    wait_for(lambda: "#cust-acme" in fakes.channels, "the other customer's message")


# --- PagerDuty --------------------------------------------------------------------------------------------------------
def test_pagerduty_lifecycle(runbell, fakes, pager):
    """Trigger, acknowledge, resolve under one key; the next incident of the same task has another."""
    runbell.start(rules={"r": {**CRASHED, "severity": "critical", "runbook": "https://runbooks.example.com/r"}}, destinations={"out": pager},
                  sources={"push": {"type": "webhook", "token": runbell.token, "dashboard": "https://cloud.example.com/orgs/x"}})
    for round_ in (1, 2):
        runbell.accept(a_run(f"run_{round_}"))
        wait_for(lambda: len(fakes.alerts) == round_, "the page")
        history = list(fakes.alerts.values())[-1]
        trigger = history[0][1]
        assert trigger["payload"]["severity"] == "critical" and trigger["payload"]["source"] == "default/default"
        assert {"https://cloud.example.com/orgs/x/runs/" + f"run_{round_}", "https://runbooks.example.com/r"} <= {one["href"] for one in trigger["links"]}
        acknowledge(runbell)
        wait_for(lambda: len(history) == 2, "the acknowledgement")
        resolve(runbell)
        wait_for(lambda: len(history) == 3, "the end")
        assert [one for one, _ in history] == ["trigger", "acknowledge", "resolve"]
    assert len({key for _, key in fakes.alerts}) == 2
    assert all(key == runbell.environment["PD_KEY"] for key, _ in fakes.alerts)


def test_pagerduty_answer_lost(runbell, fakes, pager):
    """The pager rang, nobody here knows: told again under the same key, so it is one page."""
    fakes.fault("/pd/", "lost", times=2)
    runbell.start(rules={"r": CRASHED}, destinations={"out": pager})
    runbell.accept(a_run("run_1"))
    wait_for(lambda: runbell.deliveries("&state=delivered"), "the delivery")
    assert len(fakes.to("/pd/")) == 3 and len(fakes.alerts) == 1
    assert len({one.raw for one in fakes.to("/pd/")}) == 1, "the same bytes each time"


# --- webhooks -----------------------------------------------------------------------------------------------------------
def test_webhook_is_signed_and_keeps_its_id(runbell, fakes):
    fakes.hook_secrets["a"] = [SECRET]
    fakes.fault("/hook/a", status=500, times=1)
    fakes.fault("/hook/a", "drop", times=1)
    fakes.fault("/hook/a", "lost", times=1)
    runbell.start(rules={"r": CRASHED}, destinations={"out": hook(fakes, secret=runbell.plant("HOOK_SECRET", SECRET))})
    runbell.accept(a_run("run_1"))
    wait_for(lambda: runbell.deliveries("&state=delivered"), "the delivery")
    tries = fakes.to("/hook/a")
    assert len(tries) == 4 and len({one.headers["webhook-id"] for one in tries}) == 1 and len({one.raw for one in tries}) == 1
    for one in tries:
        assert abs(int(one.headers["webhook-timestamp"]) - one.wall) <= 2, "the time of this try"
    runbell.accept(a_run("run_2", task="other"))
    wait_for(lambda: len(fakes.taken("/hook/a")) == 2, "the second")
    assert fakes.taken("/hook/a")[1].headers["webhook-id"] != tries[0].headers["webhook-id"]


@pytest.mark.parametrize("known", [SECRET, OTHER_SECRET])
def test_webhook_while_secrets_change(runbell, fakes, known):
    """Signed with both; a receiver that knows either is content."""
    fakes.hook_secrets["a"] = [known]
    runbell.start(rules={"r": CRASHED}, destinations={"out": hook(fakes, secret=runbell.plant("HOOK_SECRET", f"{SECRET} {OTHER_SECRET}"))})
    runbell.secrets += [SECRET, OTHER_SECRET]
    runbell.accept(a_run("run_1"))
    one = wait_for(lambda: fakes.taken("/hook/a"), "the message")[0]
    assert len(one.headers["webhook-signature"].split()) == 2


def test_webhook_gone_for_good(runbell, fakes):
    """410: it will never work; nothing is burnt, nothing hammered."""
    fakes.fault("/hook/a", status=410)
    runbell.start(rules={"r": {**CRASHED, "by": "run"}}, destinations={"out": hook(fakes)})
    for k in range(6):
        runbell.accept(a_run(f"run_{k}"))
    wait_for(lambda: state_of(runbell, "out")["state"] == "breaker_open", "the breaker")
    assert len(fakes.to("/hook/a")) <= 3 and not runbell.deliveries("&state=dead")


def test_redirects_are_not_followed(runbell, fakes):
    fakes.fault("/hook/a", "redirect", to=fakes.url("/hook/elsewhere"))
    runbell.start(rules={"r": CRASHED}, destinations={"out": hook(fakes)})
    runbell.accept(a_run("run_1"))
    wait_for(lambda: state_of(runbell, "out")["state"] == "breaker_open", "the breaker")
    assert not fakes.to("/hook/elsewhere")


# --- bad days -------------------------------------------------------------------------------------------------------------
def test_429_is_obeyed(runbell, fakes):
    """Nothing at all goes there before the time it asked for; nobody else waits."""
    fakes.fault("/hook/a", status=429, headers={"Retry-After": "2"}, times=1)
    runbell.start(rules={"r": {**CRASHED, "by": "run", "notify": ["out", "other"]}}, destinations={"out": hook(fakes), "other": hook(fakes, "b")})
    runbell.accept(a_run("run_0"))
    refused = wait_for(lambda: fakes.to("/hook/a"), "the first try")[0]
    for k in range(1, 5):
        runbell.accept(a_run(f"run_{k}"))
    wait_for(lambda: len(fakes.taken("/hook/b")) == 5, "the other destination")
    assert len(fakes.to("/hook/a")) == 1 and time.monotonic() - refused.at < 2, "the other one did not wait"
    wait_for(lambda: len(fakes.taken("/hook/a")) == 5, "all five")
    assert min(one.at for one in fakes.taken("/hook/a")) - refused.at >= 1.99
    assert state_of(runbell, "out")["state"] == "ok" and runbell.status()["deliveries"]["breakers_open"] == 0


FAULTS = {
    "500": {"status": 500}, "503 with Retry-After": {"status": 503, "headers": {"Retry-After": "1"}}, "garbage": {"mode": "garbage"},
    "short": {"mode": "short"}, "drop": {"mode": "drop"}, "lost": {"mode": "lost"}, "reset": {"mode": "reset"}, "hang": {"mode": "hang"},
    "drip": {"mode": "drip"}, "endless": {"mode": "endless"},
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_then_fine(runbell, fakes, name):
    """Whatever goes wrong once: told again, with the same id, in its order; a healthy neighbour notices nothing."""
    fakes.fault("/hook/a", times=1, **FAULTS[name])
    runbell.start(rules={"r": {**CRASHED, "notify": ["out", "other"]}}, destinations={"out": hook(fakes, timeout="400ms"), "other": hook(fakes, "b")})
    runbell.accept(a_run("run_1"))
    acknowledge(runbell)
    resolve(runbell)
    wait_for(lambda: len(fakes.taken("/hook/b")) == 3, "the neighbour")
    wait_for(lambda: settled(runbell), "everything")
    kinds = [one.body["data"]["kind"] for one in fakes.taken("/hook/a")]
    tries = fakes.to("/hook/a")
    if name in ("short", "endless"):  # their status said 200 before the body went wrong
        assert kinds[-2:] == ["ack", "resolve"] and len(tries) <= 4
    else:
        assert kinds == ["open", "ack", "resolve"] and len(tries) == 4 and tries[0].headers["webhook-id"] == tries[1].headers["webhook-id"]
    assert not runbell.deliveries("&state=dead")


def test_slack_hook_that_answers_something_else(runbell, fakes, slack_hook):
    """200 is not yet "ok"."""
    fakes.fault("/services/", status=200, body=b"", times=1)
    fakes.fault("/services/", status=200, body=b"<html>sign in to the proxy</html>", times=1)
    runbell.start(rules={"r": CRASHED}, destinations={"out": slack_hook})
    runbell.accept(a_run("run_1"))
    wait_for(lambda: fakes.taken("/services/"), "the message")
    wait_for(lambda: settled(runbell), "the ledger")
    assert not runbell.deliveries("&state=dead")


def test_one_dead_destination_delays_no_other(runbell, fakes, slack_hook):
    """One refuses, one hangs, one is slow, one drips; the healthy one has everything at once."""
    runbell.plant("SLACK_URL", f"http://127.0.0.1:{closed_port()}/services/T1/B1/canary8d2e")
    names = {"refuses": slack_hook, "hangs": hook(fakes, "hangs"), "slow": hook(fakes, "slow"), "drips": hook(fakes, "drips")}
    fakes.fault("/hook/hangs", "hang")
    fakes.fault("/hook/slow", "slow", seconds=1.0)
    fakes.fault("/hook/drips", "drip")
    runbell.start(rules={"r": {**CRASHED, "by": "run", "notify": [*names, "fine"]}}, destinations={**names, "fine": hook(fakes, "fine")},
                  defaults={"limit": "1000 per 1m"})
    posted = {}
    for k in range(60):
        posted[f"run_{k}"] = time.monotonic()
        runbell.accept(a_run(f"run_{k}"))
    wait_for(lambda: len(fakes.taken("/hook/fine")) == 60, "all at the healthy one")
    late = sorted(one.at - posted[one.body["data"]["run"]] for one in fakes.taken("/hook/fine"))
    assert late[30] < 0.1 and late[-1] < 1.0, late[-5:]
    assert not runbell.deliveries("&state=dead")
    dark = next(one for one in runbell.api("/v1/destinations")["data"] if one["name"] == "refuses")
    assert dark["state"] == "breaker_open"


def test_order_per_incident(runbell, fakes):
    """Every third try fails; each incident's messages still come in their order."""
    runbell.start(rules={"r": {**CRASHED, "by": "run"}}, destinations={"out": hook(fakes)}, defaults={"limit": "1000 per 1m"})
    fakes.fault("/hook/a", status=500, times=4)
    runbell.accept([a_run(f"run_{k}") for k in range(12)])
    for one in runbell.incidents():
        acknowledge(runbell, one["id"])
        resolve(runbell, one["id"])
    wait_for(lambda: len(fakes.taken("/hook/a")) == 36, "three messages each")
    told = {}
    for one in fakes.taken("/hook/a"):
        told.setdefault(one.body["data"]["incident"], []).append(one.body["data"]["kind"])
    assert all(kinds == ["open", "ack", "resolve"] for kinds in told.values()), told


def test_template_that_fails(runbell, fakes, slack_hook):
    """At run time: the built-in text with a note, counted; the alert is not eaten."""
    loop = "{{#tags}}" * 6 + "{{.}}" + "{{/tags}}" * 6
    runbell.start(rules={"r": {**CRASHED, "message": {"title": "{{task}} broke", "body": loop}}}, destinations={"out": slack_hook})
    runbell.accept(a_run("run_1", tags=["fine"]))
    wait_for(lambda: fakes.taken("/services/"), "a message that works")
    assert "render-video broke" in fakes.taken("/services/")[0].first_line and runbell.metric("template_failures_total") == 0
    runbell.accept(a_run("run_2", task="other", tags=[f"t{k}" for k in range(60)], attempts=[{"status": "FAILED", "error": {"message": "boom 42"}}]))
    wait_for(lambda: len(fakes.taken("/services/")) == 2, "the message")
    text = json.dumps(fakes.taken("/services/")[1].body)
    assert "other broke" in text and "boom 42" in text and "template" in text
    assert runbell.metric("template_failures_total") == 1


def test_dead_letters_and_maximum_age(runbell, fakes):
    """Tried for as long as it is to be tried, then dead, told to the operator, and sent again by hand with the same id."""
    fakes.fault("/hook/a", status=500)
    runbell.start(rules={"r": CRASHED}, destinations={"out": hook(fakes, retry={"for": "1s"}), "boss": hook(fakes, "boss")}, operator="boss")
    runbell.accept(a_run("run_1"))
    dead = wait_for(lambda: runbell.deliveries("&state=dead"), "the dead letter")[0]
    assert "maximum age" in dead["last_error"]
    wait_for(lambda: fakes.taken("/hook/boss"), "word to the operator")
    fakes.heal("/hook/a")
    runbell.api(f"/v1/deliveries/{dead['id']}/retry", {}, status=202)
    again = wait_for(lambda: fakes.taken("/hook/a"), "the message")[0]
    assert {one.headers["webhook-id"] for one in fakes.to("/hook/a")} == {again.headers["webhook-id"]}
    wait_for(lambda: settled(runbell) and not runbell.deliveries("&state=dead"), "the ledger")


def test_destination_removed(runbell, fakes):
    """What waits for it is dead with that reason; what is left goes on."""
    fakes.fault("/hook/a", status=500)
    rules = {"r": {**CRASHED, "notify": ["out", "other"]}}
    runbell.start(rules=rules, destinations={"out": hook(fakes), "other": hook(fakes, "b")})
    runbell.accept(a_run("run_1"))
    wait_for(lambda: fakes.to("/hook/a"), "a first try")
    runbell.reload_and_wait(rules={"r": {**CRASHED, "notify": ["other"]}}, destinations={"other": hook(fakes, "b")})
    dead = wait_for(lambda: runbell.deliveries("&state=dead"), "the dead letter")
    assert "removed" in dead[0]["last_error"]
    resolve(runbell)
    wait_for(lambda: [one.body["data"]["kind"] for one in fakes.taken("/hook/b")] == ["open", "resolve"], "the other's messages")


def test_console(runbell):
    runbell.start(rules={"r": CRASHED})
    runbell.accept(a_run("run_1", attempts=[{"status": "FAILED", "error": {"name": "OutOfMemory", "message": "exit \x1b[31m137"}}]))
    text = wait_for(lambda: runbell.stdout_path.read_text(), "the printed message")
    wait_for(lambda: settled(runbell), "delivered")
    assert "render-video crashed" in text and "OutOfMemory" in text and "\x1b" not in text


def test_slow_consumers_get_the_newest_state(runbell, fakes, slack_bot):
    """Edits coalesce: a hundred hits while Slack is slow are a handful of edits, the last of which is right."""
    fakes.fault("/api/chat.update", "slow", seconds=0.3)
    runbell.start(rules={"r": {**CRASHED, "update": "10ms"}}, destinations={"out": slack_bot})
    for k in range(100):
        runbell.accept(a_run(f"run_{k}"))
    wait_for(lambda: any("100 runs" in one.first_line for one in fakes.updates()), "an edit with all of them")
    wait_for(lambda: settled(runbell), "everything")
    assert len(fakes.updates()) < 20 and "100 runs" in fakes.updates()[-1].first_line
