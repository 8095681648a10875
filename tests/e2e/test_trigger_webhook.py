"""Trigger.dev's alert webhooks over real HTTP: signed, rotated, replayed, unknown, twice, and what rules make of them."""
import hashlib
import hmac
import json

import pytest

from conftest import FIXTURES, a_run, hook, now, seed_run, wait_for

HEADER = "x-trigger-signature-hmacsha256"
SECRET = "whsec_canary_51f0"
FIXTURE_NAMES = sorted(path.name for path in FIXTURES.glob("webhook-*.json"))
KNOWN = [name for name in FIXTURE_NAMES if "agent-watch" not in name]
RULES = {"crashed": {"when": {"status": "CRASHED"}, "by": "run", "notify": "out"},
         "failed": {"when": {"status": "failed"}, "by": "run", "notify": "out"},
         "deploys": {"when": {"kind": "deployment", "status": "failed"}, "by": "env", "notify": "out"},
         "groups": {"when": {"kind": "error"}, "by": ["task", "metadata.fingerprint"], "notify": "out"}}


def body_of(name, **changes):
    """A fixture as it is sent: compact, made now unless a test says otherwise."""
    body = json.loads((FIXTURES / name).read_text())
    if "created" in body:
        body["created"] = now()
    body.update(changes)
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def signature(raw, secret=SECRET):
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def post(server, raw, sign=None, type="application/json", path="/v1/trigger"):
    headers = {} if sign is False else {HEADER: sign or signature(raw)}
    return server.request("POST", path, raw, {**headers, **({"Content-Type": type} if type else {})})


def accept(server, raw, **more):
    answer = post(server, raw, **more)
    assert answer.status == 202 and not answer.json["rejected"], answer
    return answer.json


def rejected(server):
    return server.api("/v1/rejected")["data"]


def rules_hit(server):
    return sorted(one["rule"] for one in server.incidents())


def sources(server, **more):
    return {"push": {"type": "webhook", "token": server.token},
            "alerts": {"type": "trigger-webhook", "secret": server.plant("TRIGGER_SECRET", SECRET), **more}}


@pytest.fixture
def server(runbell):
    return runbell.start(sources=sources(runbell), rules=RULES)


# --- what is taken ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", KNOWN)
def test_every_fixture_is_taken_once(server, name):
    raw = body_of(name)
    first = accept(server, raw)
    assert (first["accepted"], first["duplicates"]) == (1, 0) and first["ids"][0].startswith("evt_")
    again = accept(server, raw)
    assert (again["accepted"], again["duplicates"], again["ids"]) == (0, 1, first["ids"])
    hits = rules_hit(server)
    expected = {"deployment-failed": ["deploys"], "deployment-success": [], "error-group": ["groups"], "oom": ["crashed", "failed"]}
    assert hits == next((rules for part, rules in expected.items() if part in name), ["failed"])
    assert all(one["hits"] == 1 and one["env"] == "prod" and one["project"] == "default" for one in server.incidents())


def test_what_a_crash_tells(server):
    accept(server, body_of("webhook-alert-run-failed-crashed-oom.json"))
    shown, = server.api("/v1/runs/run_cmf7k2q9x000008l4a1b2c3d4")["seen"]
    run = shown["events"][-1]
    assert (run["state"], run["source"]) == ("CRASHED", "alerts")
    snapshot = json.dumps(shown)
    for part in ("render-video", "20260503.1", "small-2x", "user_8841", "TASK_PROCESS_OOM_KILLED", "ran out of memory", "cloud.trigger.example.com"):
        assert part in snapshot, part


def test_an_error_group_that_is_tried_again_has_a_new_id(server):
    first = accept(server, body_of("webhook-alert-error-group.json", id="nano-1"))
    assert accept(server, body_of("webhook-alert-error-group.json", id="nano-2", created=now(2)))["ids"] == first["ids"]
    assert rules_hit(server) == ["groups"]


def test_two_channels_tell_of_one_run(server):
    name = "webhook-alert-run-failed-timed-out.json"
    first = accept(server, body_of(name, id="channel-a"))
    assert accept(server, body_of(name, id="channel-b"))["ids"] == first["ids"]


# --- who may ----------------------------------------------------------------------------------------------------------
def test_signatures(server):
    raw = body_of(KNOWN[0])
    good = signature(raw)
    for wrong in (False, signature(raw, "whsec_canary_51f1"), signature(raw + b" "), good.upper(), "sha256=" + good, good[:-1], good + "0", "0" * 64):
        answer = post(server, raw, wrong)
        assert answer.status == 401, (wrong, answer)
        assert HEADER in answer.problem
    assert server.status()["store"]["events"] == 0 and not rejected(server)
    assert post(server, raw + b"\n", good).status == 401, "the bytes are signed, not what they mean"
    assert post(server, raw, good).status == 202
    bearer = server.request("POST", "/v1/trigger", raw, {"Authorization": "Bearer " + server.environment["INGEST_TOKEN"]})
    assert bearer.status == 401 and "a source of type webhook" in bearer.problem


def test_published_vectors(runbell):
    """The signatures that trigger-dev's own verifier takes."""
    runbell.environment["TRIGGER_SECRET"] = "whsec_test_51f0"
    runbell.start(sources={"alerts": {"type": "trigger-webhook", "secret": "${env:TRIGGER_SECRET}", "replays": True}}, rules=RULES)
    cafe = ('{"id":"cmf7k2w0a000a08l4hookcrash","created":"2026-05-03T10:16:41.702Z","webhookVersion":"v1",'
            '"type":"alert.run.failed","object":{"note":"café"}}').encode()
    for raw, sign in ((b"{}", "217e9a02292b887ed37eb9cc8a8b2658bc575f7477eb67847bd928c513b7e052"),
                      (cafe, "3949853492a54f2a13dfbbf2b1cf14e7d2d44a2885fcf29f129538f945f7bd0b")):
        assert post(runbell, raw, sign).status == 400, "signed well, and no alert"
        assert post(runbell, raw, sign[::-1]).status == 401


def test_rotation(runbell):
    old, new = runbell.plant("OLD_SECRET", "whsec_canary_old"), runbell.plant("NEW_SECRET", "whsec_canary_new")
    raw = body_of(KNOWN[0])

    def both():
        return [post(runbell, raw, signature(raw, secret)).status for secret in ("whsec_canary_old", "whsec_canary_new")]

    def with_secret(secret):
        return {"sources": {"alerts": {"type": "trigger-webhook", "secret": secret}}, "rules": RULES}

    runbell.start(**with_secret(old))
    assert both() == [202, 401]
    runbell.reload_and_wait(**with_secret([new, old]))
    assert both() == [202, 202]
    runbell.reload_and_wait(**with_secret(new))
    assert both() == [401, 202]


# --- what is refused --------------------------------------------------------------------------------------------------
def test_replays(runbell):
    runbell.start(sources={**sources(runbell), "old": {"type": "trigger-webhook", "path": "/v1/old", "secret": "${env:TRIGGER_SECRET}", "replays": True}}, rules=RULES)
    raw = body_of(KNOWN[0], created=now(-86400 - 60))
    answer = post(runbell, raw)
    assert answer.status == 400 and "replays: true" in answer.problem
    kept, = rejected(runbell)
    assert kept["source"] == "alerts" and "replays: true" in kept["reason"] and json.loads(kept["body"]) == json.loads(raw)
    assert runbell.metric("rejected_total") == 1
    accept(runbell, raw, path="/v1/old")
    accept(runbell, body_of(KNOWN[1], created=now(-86400 + 600)))
    accept(runbell, body_of(KNOWN[2], created=now(30 * 86400)))


def test_unknown_types_are_kept_and_shown(server):
    raw = body_of("webhook-alert-dashboard-agent-watch.json")
    answer = post(server, raw)
    assert answer.status == 202
    assert (answer.json["accepted"], answer.json["duplicates"], answer.json["ids"]) == (0, 0, [])
    only, = answer.json["rejected"]
    assert only["index"] == 0 and "alert.dashboard_agent_watch" in only["error"] and "/v1/rejected" in only["error"]
    kept, = rejected(server)
    assert "alert.dashboard_agent_watch" in kept["reason"] and json.loads(kept["body"]) == json.loads(raw)
    assert server.metric("rejected_total") == 1
    assert not server.incidents() and server.status()["store"]["events"] == 0


@pytest.mark.parametrize("raw, status, words", [
    (b"{\"id\":", 400, "\"line\": 1"), (b"{}", 400, "no type"), (b"", 400, ""), (b"7", 400, ""),
    (b'{"type":"alert.run.failed","created":"2099-01-01T00:00:00Z","object":{"run":{"id":"run_1"}}}', 400, "status is missing"),
    (b'{"type":"alert.error","created":"2099-01-01T00:00:00Z","object":{}}', 400, "error.fingerprint is missing"),
    (b'{"a":' * 70 + b"1" + b"}" * 70, 400, "deep"),
])
def test_bodies_that_are_no_alerts(server, raw, status, words):
    answer = post(server, raw)
    assert answer.status == status and words in json.dumps(answer.json), answer
    assert rejected(server)[0]["source"] == "alerts"


def test_limits_and_types(runbell):
    runbell.start(sources=sources(runbell), rules=RULES, server={"limits": {"body": "64KiB"}})
    raw = body_of(KNOWN[0])
    assert post(runbell, raw, type="text/plain").status == 415
    assert post(runbell, raw, type=None).status == 202
    big = b'{"type":"' + b"x" * 70000 + b'"}'
    assert post(runbell, big).status == 413
    assert runbell.request("GET", "/v1/trigger").status == 405


def test_each_source_says_where_the_other_kind_belongs(server):
    answer = post(server, json.dumps(a_run("run_1")).encode())
    assert answer.status == 400 and "a source of type webhook" in answer.problem
    for name in FIXTURE_NAMES:
        answer = server.post(body_of(name))
        assert answer.status == 400 and "a source of type trigger-webhook" in answer.problem, name
    assert server.status()["store"]["events"] == 0


# --- what rules make of it --------------------------------------------------------------------------------------------
def test_legacy_then_full(server):
    """A failure without a name rings what takes every failure; the fuller report rings the rule on its name, once."""
    ident = "run_cmf7k2p4w000108l4e5f6g7h8"
    accept(server, body_of("webhook-legacy-v1-run-failed.json"))
    assert rules_hit(server) == ["failed"]
    full = {**seed_run("crashed", id=ident), "env": "prod"}
    server.accept(full)
    assert rules_hit(server) == ["crashed", "failed"]
    assert server.accept(full)["duplicates"] == 1
    assert accept(server, body_of("webhook-legacy-v1-run-failed.json"))["duplicates"] == 1
    assert sorted((one["rule"], one["hits"], one["runs"]) for one in server.incidents()) == [("crashed", 1, 1), ("failed", 1, 1)]


def test_webhook_and_task_hook_tell_of_one_failure(server):
    accept(server, body_of("webhook-alert-run-failed-crashed-oom.json"))
    answer = server.accept(a_run("run_cmf7k2q9x000008l4a1b2c3d4", "CRASHED", env="prod", metadata={"customer": "acme"}))
    assert answer["accepted"] == 1, "it knows more"
    assert [one["hits"] for one in server.incidents()] == [1, 1]


def test_a_failed_deployment_pages_and_only_by_name(runbell, fakes, pager):
    """And a good one after it resolves."""
    rules = {"deploys": {"when": {"kind": "deployment", "status": "failed"}, "by": "env", "linger": "0s", "notify": "pager"},
             "failed": {"when": {"status": "failed"}, "notify": "hook"}, "anything": {"when": {"env": "prod"}, "notify": "hook"}}
    runbell.start(sources=sources(runbell), rules=rules, destinations={"pager": pager, "hook": hook(fakes)})
    accept(runbell, body_of("webhook-alert-deployment-failed.json"))
    (action, page), *_ = wait_for(lambda: next(iter(fakes.alerts.values()), None), "the page")
    assert action == "trigger" and page["payload"]["summary"] == "Deployment 20260503.1 failed in prod"
    accept(runbell, body_of("webhook-alert-deployment-success.json"))
    runbell.wait_incident("&rule=deploys", "resolved")
    assert rules_hit(runbell) == ["deploys"]


def test_messages_of_error_groups(runbell, fakes):
    runbell.start(sources=sources(runbell), rules={"groups": {"when": {"kind": "error", "status": "failed"}, "notify": "hook"}}, destinations={"hook": hook(fakes)})
    accept(runbell, body_of("webhook-alert-error-group.json"))
    incident = runbell.wait_incident()
    detail = runbell.api("/v1/incidents/" + incident["id"])
    assert "Error group TypeError: Cannot read properties of undefined (reading 'rows') (regression) in task report-section" in json.dumps(detail)


def test_the_operator_hears_of_a_type_that_is_not_known(runbell, fakes):
    runbell.start(sources=sources(runbell), rules={"failed": {"when": {"status": "failed"}, "notify": "hook"}}, operator="hook", destinations={"hook": hook(fakes)})
    post(runbell, body_of("webhook-alert-dashboard-agent-watch.json"))
    wait_for(lambda: any(one["destination"] == "hook" and one["state"] == "delivered" for one in runbell.deliveries()), "the message to the operator")


def test_explain_and_render_read_alerts(server):
    path = FIXTURES / "webhook-alert-deployment-failed.json"
    done = server.run("explain", "--event", path)
    assert done.returncode == 0 and "deploys: HIT" in done.stdout and "failed: no" in done.stdout, done.stdout + done.stderr
    done = server.run("render", "deploys", "--event", path)
    assert done.returncode == 0 and "Deployment 20260503.1 failed in prod" in done.stdout, done.stdout + done.stderr
    done = server.run("explain", "--event", FIXTURES / "webhook-alert-dashboard-agent-watch.json")
    assert done.returncode == 1 and "alert.dashboard_agent_watch" in done.stderr
    kinds = server.folder / "given-kind.json"
    kinds.write_text(json.dumps({"id": "deployment_1", "status": "FAILED", "kind": "deployment", "version": "7"}))
    assert "deploys: HIT" in server.run("explain", "--event", kinds).stdout


def test_it_survives_a_kill(runbell):
    runbell.start(sources=sources(runbell), rules=RULES)
    first = accept(runbell, body_of(KNOWN[0]))
    runbell.kill9()
    runbell.start()
    assert accept(runbell, body_of(KNOWN[0]))["ids"] == first["ids"]
