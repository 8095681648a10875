"""The commands as people and scripts use them: output, --json, exit status."""
import json

import pytest

from conftest import ROOT, a_run, hook, seed_run, wait_for

COMMANDS = ["serve", "check", "test", "explain", "backtest", "render", "send", "status", "incidents", "ack", "resolve", "silence", "deliveries",
            "retry", "runs", "providers", "demo", "healthcheck", "version"]
RULES = {"crashed": {"when": {"status": "CRASHED"}, "notify": ["out", "hooked"]},
         "timed-out": {"when": {"status": "TIMED_OUT"}, "count": "3 in 10m", "wait": "1h", "notify": "out"}}
FINE, WRONG, USAGE, UNREACHED = 0, 1, 2, 3


@pytest.fixture
def server(runbell, fakes, slack_hook):
    return runbell.start(rules=RULES, destinations={"out": slack_hook, "hooked": hook(fakes)})


def ok(done, code=FINE):
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def as_json(done, code=FINE):
    return json.loads(ok(done, code))


def event(runbell, **changes):
    path = runbell.folder / "given-event.json"
    path.write_text(json.dumps(seed_run("crashed", **changes)))
    return path


# --- help, usage, version -------------------------------------------------------------------------------------------
def test_help(runbell):
    for arguments in (["--help"], ["-h"], ["help"]):
        text = ok(runbell.run(*arguments, config=False))
        assert all(f"  {name} " in text for name in COMMANDS)
    for name in COMMANDS:
        for flag in ("--help", "-h"):
            text = ok(runbell.run(name, flag, config=False))
            assert text.startswith(f"runbell {name} - ") and "Usage:" in text


@pytest.mark.parametrize("arguments, word", [
    ([], "Usage"), (["incidnets"], "did you mean incidents"), (["ack"], "ID"), (["ack", "a", "b"], "b"), (["check", "--jsno"], "--json"),
    (["explain"], "--event"), (["render", "crashed"], "--event"), (["render"], "RULE"), (["status", "-c"], "-c"), (["version", "x"], "x"),
    (["serve", "--json=1"], "json"),
])
def test_usage(runbell, arguments, word):
    done = runbell.run(*arguments, config=False)
    assert done.returncode == USAGE and word in done.stderr and not done.stdout, done


def test_version(runbell):
    text = ok(runbell.run("version", config=False))
    assert text.startswith("runbell ")
    assert ok(runbell.run("--version", config=False)) == text
    assert as_json(runbell.run("version", "--json", config=False))["version"] in text


# --- check ------------------------------------------------------------------------------------------------------------
def test_check(runbell, fakes):
    runbell.configure(rules=RULES, destinations={"out": {"type": "console"}, "hooked": hook(fakes)})
    assert "fine, 2 rules, 1 source, 2 destinations" in ok(runbell.run("check"))
    assert as_json(runbell.run("check", "--json"))["ok"] is True
    assert "fine" in ok(runbell.run("check", runbell.path, config=False)), "secrets that are not here are warnings"
    for path in sorted((ROOT / "rules").glob("*.yaml")):
        assert "fine" in ok(runbell.run("check", path, config=False))
    assert runbell.run("check", "missing.yaml").returncode == UNREACHED


def test_check_shows_place_line_caret_and_suggestion(runbell):
    from test_rules_reload import TEN_MISTAKES
    path = runbell.folder / "given-bad.yaml"
    path.write_text(TEN_MISTAKES + "destinations: {out: {type: console}}\n")
    done = runbell.run("check", path)
    assert done.returncode == WRONG and not done.stdout
    assert f"{path}:3:" in done.stderr and "given-bad.yaml:3:" in done.stderr and "    3 | " in done.stderr and "^" in done.stderr
    for line in range(3, 13):
        assert f":{line}:" in done.stderr, line
    assert "notify" in done.stderr and "`CRASHED`" in done.stderr and "status" in done.stderr
    found = as_json(runbell.run("check", "--json", path), WRONG)
    assert found["ok"] is False and found["errors"] >= 10
    assert all(one["line"] and one["col"] and one["text"] for one in found["diagnostics"])


LIVE = {
    "a": {"when": {"task": ["sync-orders", "sync-ordres"], "status": "failed", "env": "default"}, "notify": "out"},
    "b": {"when": {"task": "pay-*", "tags": ["billing", "invoice"], "status": "failed", "not": {"queue": "bulkk"}}, "notify": "out"},
}


def test_check_live(runbell):
    """Names of the rules that the log has never seen, beside the running server and without it."""
    runbell.configure(rules=LIVE, destinations={"out": {"type": "console"}})
    none = runbell.run("check", "--live")
    assert none.returncode == UNREACHED and "No such file" in none.stderr and "fine" in none.stdout
    runbell.start(rules=LIVE, destinations={"out": {"type": "console"}})
    assert "the store has no events yet" in ok(runbell.run("check", "--live"))
    runbell.accept(a_run("run_1", "COMPLETED", "sync-orders", tags=["billing", "invoices"], queue={"name": "bulk"}))
    for _ in range(2):
        done = runbell.run("check", "--live")
        text = ok(done)
        assert "fine, 2 rules" in text and "live: 3 of 7 names in the rules were seen in the newest 1 events, which is all of the log" in text
        for line in ("no task in the log is called `sync-ordres`", "the nearest that was seen is `sync-orders`", "no task in the log fits `pay-*`", "seen: `sync-orders`",
                     "no tag in the log is called `invoice`", "no queue in the log is called `bulkk`", "^~~~~~~~~~~"):
            assert line in done.stderr, (line, done.stderr)
        assert done.stderr.count("warning: ") == 4
        found = as_json(runbell.run("check", "--live", "--json"))
        assert found["ok"] and found["warnings"] == 4 and found["live"]["events"] == 1 and found["live"]["distinct"] == {"tasks": 1, "tags": 2, "queues": 1, "envs": 1}
        assert {(one["what"], one["name"], one["rule"], one.get("nearest")) for one in found["live"]["unseen"]} == {
            ("task", "sync-ordres", "a", "sync-orders"), ("task", "pay-*", "b", None), ("tag", "invoice", "b", "invoices"), ("queue", "bulkk", "b", "bulk")}
        assert {(one["line"], one["col"]) for one in found["live"]["unseen"]} <= {(one["line"], one["col"]) for one in found["diagnostics"]}
        runbell.stop()
    rules = runbell.folder / "given-more.yaml"
    rules.write_text("version: 1\nrules:\n  x: {when: {task: sync-order, status: failed}, notify: out}\n")
    done = runbell.run("check", "--live", rules)
    assert "live: 0 of 1 names" in ok(done) and "given-more.yaml:3:20: warning" in done.stderr and "`sync-orders`" in done.stderr
    rules.write_text("version: 1\nrules:\n  x: {when: {status: failed}, notify: out}\n")
    assert "the rules name no task, tag, queue or environment" in ok(runbell.run("check", "--live", rules))
    rules.write_text("version: 1\nrules:\n  x: {when: {stauts: failed}, notify: out}\n")
    bad = runbell.run("check", "--live", rules)
    assert bad.returncode == WRONG and "live" not in bad.stdout and "`status`" in bad.stderr
    assert "live" not in as_json(runbell.run("check", "--json"))


# --- test, explain, render ----------------------------------------------------------------------------------------------
def test_test(runbell):
    paths = sorted((ROOT / "rules").glob("*.yaml"))
    text = ok(runbell.run("test", *paths, config=False))
    assert text.endswith("0 failed\n") and text.count("\nok ") >= 10
    assert "ok " not in ok(runbell.run("test", "-q", *paths, config=False))
    broken = runbell.folder / "given-broken.yaml"
    broken.write_text(paths[0].read_text().replace("text: render-video crashed", "text: render-video exploded"))
    done = runbell.run("test", broken, config=False)
    assert done.returncode == WRONG and "FAIL  a crash is told at once" in done.stdout and "exploded" in done.stdout and "crashed" in done.stdout
    found = as_json(runbell.run("test", "--json", broken, config=False), WRONG)
    assert found["failed"] == 1 and [one["name"] for one in found["tests"] if not one["passed"]] == ["a crash is told at once"]
    assert runbell.run("test", "missing.yaml", config=False).returncode == UNREACHED


def test_explain(runbell, fakes, slack_hook):
    runbell.configure(rules=RULES, destinations={"out": slack_hook, "hooked": hook(fakes)})
    text = ok(runbell.run("explain", "--event", event(runbell)))
    assert "crashed: HIT" in text and "timed-out: no" in text and 'saw "CRASHED"' in text
    rules = {one["rule"]: one for one in as_json(runbell.run("explain", "--json", "--event", event(runbell)))}
    assert rules["crashed"]["hit"] and rules["crashed"]["keys"] == ["render-video"] and not rules["timed-out"]["hit"]
    assert rules["timed-out"]["clauses"][0]["value"] == "CRASHED"
    assert ok(runbell.run("explain", "--event", "-", stdin=event(runbell).read_text())) == text
    assert runbell.run("explain", "--event", event(runbell, status="COMPLETED")).returncode == WRONG
    assert runbell.run("explain", "--event", "missing.json").returncode == UNREACHED
    assert runbell.run("explain", "--event", "-", stdin="{").returncode == WRONG


def test_explain_tells_windows_of_several_events(runbell, fakes, slack_hook):
    rules = {"row": {"when": {"status": "failed"}, "streak": 2, "notify": "out"}, "new": {"when": {"status": "failed"}, "first": "1d", "notify": "out"}}
    runbell.configure(rules=rules, destinations={"out": slack_hook})
    lines = [json.dumps({"id": f"run_{k}", "status": status, "taskIdentifier": "sync", "updatedAt": f"2026-05-01T10:0{k}:00Z"})
             for k, status in enumerate(["FAILED", "COMPLETED", "FAILED", "CRASHED"])]
    found = as_json(runbell.run("explain", "--json", "--event", "-", stdin="\n".join(lines)))
    row, new = found[0::2], found[1::2]
    assert [(one["windows"][0]["count"], one["windows"][0]["holds"]) for one in row] == [(1, False), (0, False), (1, False), (2, True)]
    assert [one["windows"][0].get("last_seen") for one in new if one["hit"]] == [None, "2026-05-01T10:00:00.000Z", "2026-05-01T10:02:00.000Z"]
    text = ok(runbell.run("explain", "--event", "-", stdin="\n".join(lines)))
    assert "window of sync: 2 of 2 in a row; the row, newest last: hit hit; wants 2 in a row: it holds" in text
    alone = as_json(runbell.run("explain", "--json", "--event", "-", stdin=lines[0]))
    assert all("windows" not in one for one in alone), "one event is no history"


def test_explain_tells_what_would_hold_the_messages(runbell):
    held = {"by-day": {"when": {"status": "CRASHED"}, "during": "day", "notify": "out"},
            "behind": {"when": {"status": "CRASHED"}, "unless": "by-day", "notify": [{"to": "out", "during": "day"}]},
            "other": {"when": {"status": "FAILED"}, "during": "day", "notify": "out"}}
    runbell.configure(rules=held, schedules={"day": {"days": "all", "hours": "09:00-17:00", "zone": "UTC"}, "always-on": {"days": "all", "zone": "UTC"}},
                      mutes={"etl": {"when": {"task": "etl-*"}, "during": "always-on", "why": "planned"}})

    def holds(task, at):
        given = event(runbell, taskIdentifier=task, updatedAt=at, createdAt=at, startedAt=at, finishedAt=at)
        return {one["rule"]: one.get("holds") for one in as_json(runbell.run("explain", "--json", "--event", given))}

    assert holds("a", "2026-05-03T10:00:00Z") == {"by-day": [], "behind": ["stands behind by-day: held while that has an open incident"], "other": None}
    night = holds("etl-a", "2026-05-03T03:00:00Z")
    assert night["by-day"] == ["outside the hours of day: held until they begin", "mute etl (planned)"]
    assert night["behind"] == ["outside the hours of day, which one destination keeps", "mute etl (planned)", "stands behind by-day: held while that has an open incident"]
    assert "  messages: mute etl (planned)" in ok(runbell.run("explain", "--event", event(runbell, taskIdentifier="etl-a")))


def test_explain_tells_of_retries_that_follow_from_the_attempts(runbell, fakes, slack_hook):
    """As the server and render do: current Trigger.dev never reports REATTEMPTING."""
    rules = {"storm": {"when": {"status": "REATTEMPTING"}, "by": "run", "notify": "out"}}
    runbell.configure(rules=rules, destinations={"out": slack_hook})
    path = ROOT / "tests" / "fixtures" / "trigger-dev" / "retrieve-run-retrying-executing.json"
    text = ok(runbell.run("explain", "--event", path))
    assert "storm: HIT" in text and "also REATTEMPTING, attempt 2" in text
    (one,) = as_json(runbell.run("explain", "--json", "--event", path))
    assert one["hit"] and one["clauses"][0]["value"] == "REATTEMPTING"
    assert "attempt 2" in ok(runbell.run("render", "storm", "--event", path)), "render agrees"


def test_render(runbell, fakes, slack_hook):
    runbell.configure(rules=RULES, destinations={"out": slack_hook, "hooked": hook(fakes)})
    text = ok(runbell.run("render", "crashed", "--event", event(runbell)))
    assert "# open to out (slack)" in text and "# open to hooked (webhook)" in text and "render-video crashed" in text
    assert "canary8d2e" not in text and "POST http://127.0.0.1" in text
    only, = as_json(runbell.run("render", "crashed", "--to", "out", "--json", "--event", event(runbell)))
    assert only["destination"] == "out" and only["request"]["method"] == "POST" and "canary8d2e" not in json.dumps(only)
    from receiver import VALIDATORS
    VALIDATORS["webhook"].validate(json.loads(only["request"]["body"]))
    assert "render-video" in ok(runbell.run("render", "timed-out", "--event", event(runbell, status="Timed out"))), "count and wait are passed over"
    assert runbell.run("render", "timed-out", "--event", event(runbell)).returncode == WRONG
    assert runbell.run("render", "nobody", "--event", event(runbell)).returncode == WRONG
    assert not fakes.requests, "nothing was sent"


def test_providers(runbell):
    text = ok(runbell.run("providers", config=False))
    assert all(name in text for name in ("slack-bot", "slack-webhook", "pagerduty", "webhook", "console"))
    assert "routing_key" in ok(runbell.run("providers", "pagerduty", config=False))
    assert {one["name"] for one in as_json(runbell.run("providers", "--json", config=False))} >= {"slack-bot", "pagerduty", "webhook"}
    assert as_json(runbell.run("providers", "--json", "pagerduty", config=False))["type"] == "pagerduty"
    assert runbell.run("providers", "carrier-pigeon", config=False).returncode == WRONG


# --- with a running server ------------------------------------------------------------------------------------------------
def test_nobody_there(runbell):
    runbell.configure()
    for arguments in (["status"], ["incidents"], ["ack", "inc_0000000000000"], ["healthcheck"]):
        done = runbell.run(*arguments)
        assert done.returncode == UNREACHED and "cannot reach" in done.stderr, done
    assert runbell.run("status", config=False).returncode == UNREACHED, "no configuration here"


def test_wrong_token(server):
    done = server.run("status", env={"API_TOKEN": "guess"})
    assert done.returncode == WRONG and "401" in done.stderr and "RUNBELL_TOKEN" in done.stderr
    assert ok(server.run("status", "--url", f"http://127.0.0.1:{server.port}/", config=False, env={"RUNBELL_TOKEN": "canary-api-77aa"}))


def test_status_and_healthcheck(server):
    assert ok(server.run("healthcheck")) == ""
    assert "ready: true" in ok(server.run("status"))
    found = as_json(server.run("status", "--json"))
    assert found["ready"] and found["rules"] == 2 and found["events"]["dropped"] == 0


def test_incidents_ack_resolve(server, fakes):
    assert "nothing" in ok(server.run("incidents"))
    server.accept([a_run("run_1"), a_run("run_2", task="other\x1b[31mred")])
    text = ok(server.run("incidents"))
    assert "ID" in text and "STATE" in text and text.count("open") == 2 and "render-video crashed" in text and "\x1b" not in text
    rows = as_json(server.run("incidents", "--json"))["data"]
    ident = next(one["id"] for one in rows if one["task"] == "render-video")
    weird = next(one["id"] for one in rows if one["id"] != ident)
    assert "\x1b" not in ok(server.run("incidents", weird)) and "\x1b" not in ok(server.run("runs", "run_2"))
    assert ident in ok(server.run("incidents", "--task", "render-video", "--env", "default", "--rule", "crashed", "-q", "CRASHED"))
    assert "nothing" in ok(server.run("incidents", "--rule", "timed-out"))

    assert "acknowledged" in ok(server.run("ack", ident, "--by", "ann", "--why", "on it"))
    shown = as_json(server.run("incidents", ident, "--json"))
    assert shown["state"] == "acknowledged"
    assert "Timeline" in ok(server.run("incidents", ident)) and "who=ann" in ok(server.run("incidents", ident))
    assert "resolved" in ok(server.run("resolve", ident, "--by", "ann"))
    assert ident not in ok(server.run("incidents")), "resolved ones are not shown by default"
    assert ident in ok(server.run("incidents", "--all")) and ident in ok(server.run("incidents", "--state", "resolved"))
    assert [one["id"] for one in as_json(server.run("incidents", "--json"))["data"]] == [weird]
    for arguments in (["ack", ident], ["resolve", ident], ["ack", "inc_zzzzzzzzzzzzz"], ["ack", "nonsense/../x"], ["incidents", "inc_0000000000001"]):
        done = server.run(*arguments)
        assert done.returncode == WRONG and "404" in done.stderr, (arguments, done)
    assert server.run("incidents", "--state", "burning").returncode == WRONG
    assert "snoozed" in ok(server.run("ack", weird, "--for", "1h"))
    assert server.run("ack", weird, "--for", "soon").returncode == WRONG


def test_snooze_lapses(runbell, fakes):
    runbell.start(rules={"r": {"when": {"status": "CRASHED"}, "notify": "out", "repeat": "1s"}}, destinations={"out": hook(fakes)})
    runbell.accept(a_run("run_1"))
    ident = runbell.wait_incident(state="open")["id"]
    ok(runbell.run("ack", ident, "--for", "400ms"))
    assert runbell.incidents()[0]["state"] == "acknowledged"
    wait_for(lambda: runbell.incidents()[0]["state"] == "open", "the snooze to end")
    wait_for(lambda: any(one.body["data"]["kind"] == "reminder" for one in fakes.taken("/hook/a")), "a reminder afterwards")
    ok(runbell.run("resolve", ident))


def test_commands_reach_a_server_with_tls(new_runbell, tmp_path):
    """Its certificate is for its public name, not for the address that commands find in the configuration."""
    tls = {name: str(ROOT / "tests" / "fixtures" / "tls" / f"{name}.pem") for name in ("cert", "key")}
    one = new_runbell()
    one.configure(server={"tls": tls})
    one.process = one.spawn()
    wait_for(lambda: one.run("healthcheck").returncode == 0, "the server to be ready")
    assert "ready" in ok(one.run("status", env={"RUNBELL_TOKEN": one.environment["API_TOKEN"]}))
    (one.folder / "other.yaml").write_text(one.path.read_text().replace(tls["cert"], tls["cert"].replace("cert.pem", "other-cert.pem")))
    other = one.run("healthcheck", "-c", one.folder / "other.yaml")
    assert other.returncode == UNREACHED and "certificate" in other.stderr, "no other certificate is believed"
    assert one.stop() == 0


def test_deliveries_and_retry(server, fakes):
    refusal = fakes.fault("/services/", status=400, body=b"invalid_payload")
    server.accept(a_run("run_1"))
    dead = wait_for(lambda: as_json(server.run("deliveries", "--json", "--state", "dead"))["data"], "a dead letter")[0]
    text = ok(server.run("deliveries"))
    assert dead["id"] in text and "invalid_payload" in text and "delivered" in text
    alive = server.deliveries("&state=delivered")[0]["id"]
    refused = server.run("retry", alive)
    assert refused.returncode == WRONG and "only a dead one" in refused.stderr and "try again" not in refused.stderr
    assert "is delivered" in server.api(f"/v1/deliveries/{alive}/retry", {}, status=409)["detail"]
    assert server.run("retry", "dlv_0000000000001").returncode == WRONG
    refusal.left = 0
    assert "will be sent again" in ok(server.run("retry", dead["id"]))
    wait_for(lambda: fakes.taken("/services/"), "the message")
    wait_for(lambda: not server.deliveries("&state=dead"), "the ledger")
    for wrong in ("lost", "not a state", "dead&limit=1"):
        assert server.run("deliveries", "--state", wrong).returncode == WRONG


def test_send(server, fakes):
    for name, path in (("out", "/services/"), ("hooked", "/hook/a")):
        assert "drill" in ok(server.run("send", name))
        sent = wait_for(lambda: fakes.taken(path), "the drill")[0]
        assert "drill" in sent.first_line.lower()
    assert not server.incidents()
    done = server.run("send", "nowhere")
    assert done.returncode == WRONG and "nowhere" in done.stderr
    assert as_json(server.run("send", "out", "--json"))


def test_runs(server):
    server.accept([seed_run("crashed"), seed_run("reattempting")])
    assert "CRASHED" in ok(server.run("runs", "run_crash7x2m9q4w1z8"))
    assert as_json(server.run("runs", "--json", "run_retry5b9n2c7x4m1"))["seen"]
    assert server.run("runs", "run_nobody").returncode == WRONG


def test_api_paging_and_filters(server):
    server.accept([a_run(f"run_{k}", task=f"task-{k:02d}") for k in range(25)])
    seen, after = [], ""
    while True:
        page = server.api("/v1/incidents?limit=10" + after)
        seen += [one["task"] for one in page["data"]]
        if "next" not in page:
            break
        after = "&after=" + page["next"]
    assert sorted(seen) == [f"task-{k:02d}" for k in range(25)] and len(seen) == 25
    assert [one["task"] for one in server.api("/v1/incidents?q=TASK-07")["data"]] == ["task-07"]
    for query in ("?limit=0", "?limit=x", "?after=x", "?state=on", "?colour=red"):
        assert server.api("/v1/incidents" + query, status=400)["detail"]
    assert server.api("/v1/incidents/inc_0000000000001", status=404)
    assert server.api("/v1/nothing", status=404)
    assert server.api("/v1/status", body={}, status=405)
