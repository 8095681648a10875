"""A trigger-api source and everything that can be wrong with its server: each is a clear line and a number, costs no
position and no run, and leaves the other sources alone."""
import http.server
import json
import ssl
import subprocess
import threading

import pytest

from conftest import PATIENCE, a_run, free_port, wait_for
from test_trigger_api import FAILURES, METHODS, RETRIES, crash, source, start, state, trigger  # noqa: F401
from test_trigger_api_gaps import happened, long_run, look

# (fault, what the status says)
SAID = {
    "401": ({"status": 401}, "is the key right, and for this environment?"),
    "403": ({"status": 403}, "HTTP 403: Unauthorized"),
    "404": ({"status": 404}, "is `url` the address of a Trigger.dev server?"),
    "429": ({"status": 429}, "HTTP 429: Rate limit exceeded"),
    "500": ({"status": 500}, "HTTP 500: Internal Server Error"),
    "502": ({"status": 502}, "HTTP 502"),
    "301": ({"status": 301}, "set `url` to the server's own address"),
    "hang": ({"mode": "hang"}, "no answer within the timeout"),
    "close_before": ({"mode": "close_before"}, "closed without a whole answer"),
    "truncate": ({"mode": "truncate"}, "cut short"),
    "oversized": ({"mode": "oversized"}, "larger than what is read at once"),
    "invalid": ({"mode": "invalid"}, "no JSON"),
    "wrong_shape": ({"mode": "wrong_shape"}, "the "),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", SAID)
def test_a_fault_is_said_and_heals(runbell, trigger, method, what):
    """Position and runs outlive it; a source beside it does not notice."""
    how, words = dict(SAID[what][0]), SAID[what][1]
    with type(trigger)(realtime_hold_s=1, seed=2) as healthy:  # whose runs have ids of their own
        runbell.start(rules=FAILURES, sources={"prod": source(runbell, trigger, method=method, timeout=f"{int(300 * PATIENCE)}ms"),
                                               "beside": source(runbell, healthy, env="other")},
                      defaults={"limit": "1000 per 1s", "repeat": "never"})
        wait_for(lambda: state(runbell)["state"] == "ok", "a first look")
        trigger.fault("query" if method == "query" else "list", how.pop("mode", "status"), **how)
        run = crash(trigger)
        trouble = wait_for(lambda: state(runbell).get("trouble"), "the trouble")
        assert words in trouble
        other = crash(healthy)
        assert runbell.wait_incident("&env=other", "open")["key"] == other.id
        if what != "429":  # which takes a second and more for each try
            wait_for(lambda: state(runbell)["state"] == "failing" and runbell.metric('source_up{source="prod"}') == 0, "its failing")
            assert runbell.metric('source_failed_total{source="prod"}') > 0 and state(runbell)["failing_since"]
        assert state(runbell, "beside")["state"] == "ok" and runbell.metric('source_up{source="beside"}') == 1
        trigger.faults.clear()
        wait_for(lambda: any(one["key"] == run.id for one in runbell.incidents()), "the crash")
        wait_for(lambda: state(runbell)["state"] == "ok" and "trouble" not in state(runbell), "its healing")
        assert len(runbell.incidents()) == 2 and runbell.metric('source_up{source="prod"}') == 1


def test_what_goes_wrong_is_shown_while_it_is_tried_again(runbell, trigger):
    start(runbell, trigger, FAILURES, method="query")
    trigger.fault("query", "status", times=3, status=502)
    wait_for(lambda: "HTTP 502" in state(runbell).get("trouble", ""), "the trouble")
    wait_for(lambda: "trouble" not in state(runbell), "its end")
    assert state(runbell)["state"] == "ok" and "failing_since" not in state(runbell)


# --- servers that are not there, or not to be trusted ---------------------------------------------------------------------
def test_a_name_that_does_not_resolve(runbell, trigger):
    runbell.start(rules=FAILURES, sources={"prod": source(runbell, trigger, method="query") | {"url": "http://no-such-host.invalid"}})
    wait_for(lambda: "could not be resolved" in state(runbell).get("trouble", ""), "the trouble")


def test_nobody_listens(runbell, trigger):
    runbell.start(rules=FAILURES, sources={"prod": source(runbell, trigger, method="query") | {"url": f"http://127.0.0.1:{free_port()}"}})
    wait_for(lambda: "connection refused" in state(runbell).get("trouble", ""), "the trouble")


@pytest.fixture
def tls(tmp_path):
    """(url, certificate) of a server that lists no runs, with a certificate that it has signed itself."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"data":[],"pagination":{}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    cert, key = tmp_path / "given-cert.pem", tmp_path / "given-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
                   check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}", cert
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_that_nobody_vouches_for(runbell, trigger, tls):
    url, cert = tls
    def sources(**more):
        return {"prod": source(runbell, trigger, method="list", **more) | {"url": url}}
    runbell.start(rules=FAILURES, sources=sources())
    wait_for(lambda: "not trusted" in state(runbell).get("trouble", ""), "the trouble")
    runbell.reload_and_wait(rules=FAILURES, sources=sources(tls={"ca": str(cert)}))
    wait_for(lambda: state(runbell)["state"] == "ok", "trust in the authority that was named")
    runbell.reload_and_wait(rules=FAILURES, sources=sources())
    wait_for(lambda: "not trusted" in state(runbell).get("trouble", ""), "the trouble again")
    runbell.reload_and_wait(rules=FAILURES, sources=sources(tls={"insecure": True}))
    wait_for(lambda: state(runbell)["state"] == "ok", "no question asked")


def test_proxies_of_the_environment_are_not_used(runbell, trigger):
    dead = f"http://127.0.0.1:{free_port()}"
    runbell.environment.update({name: dead for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")})
    start(runbell, trigger, FAILURES, live=True)
    wait_for(lambda: state(runbell)["live"]["connected"], "the feed")
    runbell.restart(rules=FAILURES, sources={"prod": source(runbell, trigger, method="query", proxy=dead)})
    wait_for(lambda: "connection refused" in state(runbell).get("trouble", ""), "the configured one to be used")


def test_a_server_that_repeats_the_key(runbell, trigger):
    """That the key is nowhere, the fixture looks for at the end."""
    start(runbell, trigger, FAILURES, method="query")
    trigger.fault("query", "status", status=401, body=json.dumps({"error": f"unknown key {trigger.key}"}))
    wait_for(lambda: "401" in state(runbell).get("trouble", ""), "the trouble")


def test_a_server_that_is_down_is_told_once(runbell, trigger):
    trigger.fault("*", "status", status=401)
    runbell.start(rules=FAILURES, sources={"prod": source(runbell, trigger, method="query")}, operator="out")
    wait_for(lambda: "cannot read runs" in runbell.stdout_path.read_text(), "the operator's message")
    trigger.faults.clear()
    wait_for(lambda: state(runbell)["state"] == "ok", "its healing")
    trigger.fault("*", "status", status=401)
    wait_for(lambda: state(runbell)["state"] == "failing", "its failing again")
    asked_before = len(trigger.requests)
    wait_for(lambda: len(trigger.requests) > asked_before + 2, "more failures")
    assert runbell.stdout_path.read_text().count("cannot read runs") == 1


def test_a_key_of_another_environment_is_shown(runbell, trigger):
    """Nothing refuses it: the status says whose runs they are."""
    key = runbell.plant("STAGING_KEY", trigger.env("stg").key)
    runbell.start(rules=FAILURES, sources={"prod": source(runbell, trigger, env="prod") | {"key": key}})
    crash(trigger, env="stg")
    assert runbell.wait_incident()["env"] == "prod"
    assert state(runbell)["environment"] == "stg"


# --- runs -------------------------------------------------------------------------------------------------------------------
def test_a_run_that_vanishes(runbell, trigger):
    start(runbell, trigger, {**FAILURES, **RETRIES}, method="list")
    run = long_run(trigger)
    happened(trigger, run, "EXECUTING")
    for seconds in (900, 10):
        trigger.jump(seconds)
        look(runbell)
    trigger.population.vanish(run)
    look(runbell)
    other = crash(trigger)
    assert runbell.wait_incident("&rule=failures", "open")["key"] == other.id
    assert state(runbell)["state"] == "ok" and state(runbell)["active_runs"] == 0


def test_one_run_that_cannot_be_read_does_not_stop_the_rest(runbell, trigger):
    start(runbell, trigger, FAILURES, method="list")
    run = long_run(trigger)
    happened(trigger, run, "EXECUTING")
    for seconds in (900, 10):
        trigger.jump(seconds)
        look(runbell)
    trigger.fault("/api/v3/runs/" + run.id, "status", status=500)
    trigger.set(run, "CRASHED")
    wait_for(lambda: "source.run_not_read" in runbell.log(), "the log to say it")
    other = crash(trigger)
    wait_for(lambda: any(one["key"] == other.id for one in runbell.incidents()), "the other crash")
    wait_for(lambda: state(runbell)["state"] == "ok", "the source to be well")
    trigger.faults.clear()
    wait_for(lambda: any(one["key"] == run.id for one in runbell.incidents()), "the run's own crash")


@pytest.mark.parametrize("method", METHODS)
def test_states_nobody_has_heard_of(runbell, trigger, method):
    trigger.knobs.set(rename_status={"EXECUTING": "HIBERNATING", "CRASHED": "MELTED"})
    start(runbell, trigger, FAILURES, method=method)
    run = crash(trigger)
    happened(trigger, run, "CRASHED")
    look(runbell)
    timed_out = trigger.add(task="other", steps=[(0, "PENDING"), (0.01, "DEQUEUED"), (0.02, "EXECUTING"), (0.3, "TIMED_OUT")])
    wait_for(lambda: any(one["key"] == timed_out.id for one in runbell.incidents()), "the run that ended in a known way")
    assert state(runbell)["state"] == "ok"
    # Queries have words of their own; in lists a word that is not known is no end.
    assert (run.id in [one["key"] for one in runbell.incidents()]) == (method == "query")


def test_large_metadata(runbell, trigger):
    """Pages of 25 MB, and one that is larger than what is read at once: fewer at a time are asked for."""
    trigger.knobs.set(metadata_bytes=262144)
    start(runbell, trigger, FAILURES, method="list")
    runs = [crash(trigger) for _ in range(120)]
    trigger.fault("list", "oversized", times=1, bytes=40 << 20)
    wait_for(lambda: len(runbell.api("/v1/incidents?limit=200")["data"]) == len(runs), "the crashes", timeout=60)
    assert "source.smaller_pages" in runbell.log() and state(runbell)["state"] == "ok"


ODD = ["it's", 'say "hi"', "back\\slash", "a, b", "line\nbreak", "naïve ☎", "a'b\\'c", "100%&x=1", "-- x"]


@pytest.mark.parametrize("method", METHODS)
def test_odd_names_reach_the_server_whole(runbell, trigger, method):
    rules = {"tasks": {"when": {"status": "failed", "task": list(ODD)}, "notify": "out", "by": "run"},
             "tags": {"when": {"status": "failed", "task": [*ODD, "plain"], "tags": list(ODD)}, "notify": "out", "by": "run"}}
    start(runbell, trigger, rules, method=method)
    runs = [crash(trigger, task=name) for name in ODD]
    tagged = [crash(trigger, task="plain", tags=[name]) for name in ODD]
    crash(trigger, task="unasked")
    wait_for(lambda: len(runbell.incidents("&rule=tasks")) == len(runs), "each task's")
    wait_for(lambda: len(runbell.incidents("&rule=tags")) == len(tagged), "each tag's")
    assert {one["key"] for one in runbell.incidents()} == {run.id for run in runs + tagged}


@pytest.mark.parametrize("method", METHODS)
def test_more_tasks_than_a_request_can_name(runbell, trigger, method):
    tasks = [f"task-number-{n}-of-many" for n in range(4000)]
    start(runbell, trigger, {"many": {"when": {"status": "failed", "task": tasks}, "notify": "out", "by": "run"}}, method=method)
    run = crash(trigger, task=tasks[3999])
    crash(trigger, task="unasked")
    assert runbell.wait_incident()["key"] == run.id
    assert max(len(one[2]) for one in trigger.requests.copy()) < 12000


def test_rows_that_cannot_be_read_end_the_look(runbell, trigger):
    start(runbell, trigger, FAILURES, method="query")
    trigger.fault("query", "invalid", body=json.dumps({"format": "json", "results": [{"run_id": 7}] * 10000}))
    wait_for(lambda: "do not move on" in state(runbell).get("trouble", ""), "the trouble")
    trigger.faults.clear()
    run = crash(trigger)
    assert runbell.wait_incident()["key"] == run.id


# --- servers of other kinds ---------------------------------------------------------------------------------------------------
def test_an_old_server(runbell, trigger):
    """No version header, other names, `attempts` filled, no queries: the literal states are the same events."""
    trigger.knobs.set(old_server=True, query_absent=True)
    start(runbell, trigger, {**FAILURES, **RETRIES})
    run = long_run(trigger)
    for attempt in (2, 3, 4):
        look(runbell)
        trigger.set(run, "RETRYING_AFTER_FAILURE")
        look(runbell)
        trigger.set(run, "EXECUTING", attempt=attempt)
    assert runbell.wait_incident("&rule=retry-storm", "open")["hits"] == 3
    trigger.set(run, "CRASHED")
    assert runbell.wait_incident("&rule=failures", "open")["key"] == run.id


def test_a_project_by_a_personal_token(runbell, trigger):
    token = runbell.plant("PAT", trigger.pat)
    one = source(runbell, trigger, env="stg", project_ref=trigger.project) | {"key": token}
    runbell.start(rules=FAILURES, sources={"prod": one})
    wait_for(lambda: state(runbell)["state"] == "ok", "a first look")
    assert state(runbell)["method"] == "list" and "personal token" in state(runbell)["why"]
    crash(trigger)
    run = crash(trigger, env="stg")
    assert runbell.wait_incident()["key"] == run.id
    assert [one["env"] for one in runbell.incidents()] == ["stg"]


@pytest.mark.parametrize("method", METHODS)
def test_a_preview_branch(runbell, trigger, method):
    parent = trigger.env("preview")
    trigger.add_environment("preview-feature", branch="feature/x")
    start(runbell, trigger, FAILURES, method=method, branch="feature/x", live=True,
          **{"key": runbell.plant("PREVIEW_KEY", parent.key)})
    crash(trigger, env="preview")
    run = crash(trigger, env="preview-feature")
    assert runbell.wait_incident()["key"] == run.id
    assert [one["env"] for one in runbell.incidents()] == ["preview-feature"]


def test_rules_that_lists_cannot_serve_are_said(runbell, trigger):
    trigger.knobs.set(query_absent=True)
    rules = {**FAILURES, "crowded": {"when": {"status": "failed", "queue": "emails"}, "notify": "out"}}
    runbell.start(rules=rules, sources={"prod": source(runbell, trigger)}, operator="out")
    wait_for(lambda: "crowded" in state(runbell).get("blind", ""), "the rule to be named")
    assert "failures" not in state(runbell)["blind"]
    wait_for(lambda: "cannot see what some rules ask for" in runbell.stdout_path.read_text(), "the operator's message")
    trigger.knobs.set(query_absent=False)
    runbell.restart()
    wait_for(lambda: state(runbell)["state"] == "ok", "a look")
    assert "blind" not in state(runbell)


# --- the feed -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("knobs", [{"realtime_hold_s": 0.001}, {"realtime_conflict": 10 ** 6}, {"realtime_refetch": 10 ** 6}])
def test_a_feed_that_does_not_hold_is_not_asked_without_end(runbell, trigger, knobs):
    trigger.knobs.set(**knobs)
    start(runbell, trigger, FAILURES, every="500ms", live=True)
    first = state(runbell)["requests"]["made"]
    wait_for(lambda: state(runbell)["requests"]["made"] >= first + 8, "eight looks")
    assert trigger.counts["realtime"] < 100
    run = crash(trigger)
    assert runbell.wait_incident()["key"] == run.id


def test_the_feed_tells_what_rules_name(runbell, trigger):
    start(runbell, trigger, {"one": {"when": {"task": "asked", "status": "failed"}, "notify": "out", "by": "run"}}, every="2s", live=True)
    wait_for(lambda: state(runbell)["live"]["connected"], "the feed")
    unasked, asked_for = crash(trigger, task="unasked"), crash(trigger, task="asked")
    assert runbell.wait_incident()["key"] == asked_for.id
    token = {"Authorization": "Bearer " + runbell.environment["API_TOKEN"]}
    assert runbell.request("GET", "/v1/runs/" + unasked.id, headers=token).status == 404


def test_webhook_and_feed_and_polls_are_of_one_run(runbell, trigger):
    push = {"type": "webhook", "token": runbell.token, "env": "prod"}
    runbell.start(rules=FAILURES, sources={"push": push, "prod": source(runbell, trigger, live=True)})
    wait_for(lambda: state(runbell).get("live", {}).get("connected"), "the feed")
    run = crash(trigger)
    runbell.wait_incident("", "open")
    runbell.accept(a_run(run.id, "CRASHED"))
    look(runbell)
    assert [one["hits"] for one in runbell.incidents()] == [1]
