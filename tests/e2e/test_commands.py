"""The commands as people and scripts use them: output, --json, exit status."""
import json

import pytest

from conftest import ROOT, a_run, hook, seed_run, wait_for

COMMANDS = ["serve", "check", "test", "explain", "backtest", "render", "send", "status", "incidents", "ack", "resolve", "deliveries",
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


def test_check_names_what_is_for_later(runbell):
    path = runbell.folder / "given-later.yaml"
    for key, value in {"lasts": "10m", "during": "business", "unless": "other"}.items():
        path.write_text(f"version: 1\nrules:\n  a: {{when: {{status: failed, task: x}}, {key}: {value}, notify: out}}\n")
        done = runbell.run("check", "--rules", path)
        assert done.returncode == WRONG and f"`{key}`" in done.stderr and "yet" in done.stderr, (key, done.stderr)


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
