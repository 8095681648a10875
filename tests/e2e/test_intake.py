"""What may be posted, what is made of it, and what is refused with which words."""
import json

import pytest

from conftest import FIXTURES, a_run, hook, now, seed_run, wait_for

SPELLINGS = {
    "DELAYED": ["DELAYED"], "QUEUED": ["QUEUED", "PENDING"], "PENDING_VERSION": ["PENDING_VERSION", "WAITING_FOR_DEPLOY"],
    "DEQUEUED": ["DEQUEUED"], "EXECUTING": ["EXECUTING"], "REATTEMPTING": ["REATTEMPTING", "RETRYING_AFTER_FAILURE"],
    "WAITING": ["WAITING", "WAITING_TO_RESUME", "FROZEN", "PAUSED"], "COMPLETED": ["COMPLETED", "COMPLETED_SUCCESSFULLY", "Completed"],
    "FAILED": ["FAILED", "COMPLETED_WITH_ERRORS", "Failed"], "CRASHED": ["CRASHED", "Crashed"], "SYSTEM_FAILURE": ["SYSTEM_FAILURE"],
    "FAILED_TO_RUN": ["FAILED_TO_RUN"], "INTERRUPTED": ["INTERRUPTED"], "TIMED_OUT": ["TIMED_OUT", "Timed out"],
    "EXPIRED": ["EXPIRED"], "CANCELED": ["CANCELED", "CANCELLED"],
}
ALL_FAILURES = {"all-failures": {"when": {"status": "failed"}, "by": "run", "notify": "out"}}


@pytest.fixture
def server(runbell):
    return runbell.start(rules=ALL_FAILURES)


def seen(server, run):
    """What /v1/runs knows of it: state and the sender's spelling of each transition, oldest first."""
    one, = server.api(f"/v1/runs/{run}")["seen"]
    return [(t["state"], t["status"]) for t in one["transitions"]]


def fixture_names():
    return sorted(path.name for path in FIXTURES.glob("*.json") if path.name.startswith(("seed-run-", "retrieve-run-")))


# --- shapes -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", fixture_names())
def test_every_fixture_in_every_wrapping(server, name):
    run = json.loads((FIXTURES / name).read_text())
    first = server.accept(run)
    assert first["accepted"] == 1 and first["ids"][0].startswith("evt_")
    for body in ({"run": run}, [run], [{"run": run}], {"data": [run]}):
        again = server.accept(body)
        assert (again["accepted"], again["duplicates"], again["ids"]) == (0, 1, first["ids"])
    line = json.dumps(run)
    for kind in ("application/x-ndjson", "application/jsonl; charset=utf-8"):
        assert server.accept(line + "\n\n" + line + "\n", type=kind)["duplicates"] == 2
    assert server.accept(line + "\r\n" + line)["duplicates"] == 2, "NDJSON is noticed without its type"
    assert server.accept(line, type=None)["duplicates"] == 1
    own = [one for one in server.api(f"/v1/runs/{run['id']}")["seen"][0]["transitions"] if not one.get("derived")]
    assert [one["status"] for one in own] == [run["status"]], "the sender's own spelling is kept"


def test_spellings(server):
    runs = [(state, spelling, f"run_{k}_{j}") for k, (state, all_of_it) in enumerate(SPELLINGS.items()) for j, spelling in enumerate(all_of_it)]
    server.accept([a_run(ident, spelling) for _, spelling, ident in runs])
    for state, spelling, ident in runs:
        shown = server.api(f"/v1/runs/{ident}")["seen"][0]
        assert shown["transitions"][-1]["state"] == state, spelling
        assert shown["events"][-1]["status"] == spelling, "the sender's own spelling is kept"
        assert shown["events"][-1]["state"] == state
    failed = {"FAILED", "CRASHED", "SYSTEM_FAILURE", "FAILED_TO_RUN", "INTERRUPTED", "TIMED_OUT", "EXPIRED"}
    wanted = {ident for state, _, ident in runs if state in failed}
    assert {one["key"] for one in server.incidents()} == wanted


def test_unknown_states_are_kept_shown_and_matched(runbell):
    runbell.start(rules={"odd": {"when": {"status": "HIBERNATING"}, "by": "run", "notify": "out"}, **ALL_FAILURES})
    runbell.accept([a_run("run_1", "HIBERNATING"), a_run("run_2", "hibernating"), a_run("run_3", "ÜBERZEUGT")])
    assert seen(runbell, "run_1") == [("", "HIBERNATING")] and seen(runbell, "run_3")[0][1] == "ÜBERZEUGT"
    assert [(one["rule"], one["key"]) for one in runbell.incidents()] == [("odd", "run_1")]
    assert runbell.metric("unknown_states_total") == 3


def test_array_of_a_thousand(server):
    answer = server.accept([a_run(f"run_{k:04d}") for k in range(1000)])
    assert answer["accepted"] == 1000 and len(set(answer["ids"])) == 1000
    assert answer["ids"] == sorted(answer["ids"]), "ids are in the order of time"
    assert server.status()["store"]["events"] == 1000


def test_environments_never_share_state(runbell):
    sources = {"push": {"type": "webhook", "token": runbell.token}, "stage": {"type": "webhook", "token": runbell.token, "path": "/stage", "env": "staging", "project": "web"}}
    runbell.start(sources=sources, rules={"thrice": {"when": {"status": "CRASHED"}, "count": "2 in 10m", "notify": "out"}})
    runbell.accept(a_run("run_1", env={"name": "prod"}))
    runbell.accept(a_run("run_1", env={"name": "dev"}))
    runbell.accept(a_run("run_1", env={"name": "prod"}), path="/stage")
    assert not runbell.incidents()
    runbell.accept(a_run("run_2", env={"name": "prod"}))
    runbell.accept(a_run("run_2", env={"name": "prod"}), path="/stage")
    assert {(one["project"], one["env"]) for one in runbell.incidents()} == {("default", "prod"), ("web", "staging")}
    assert len(runbell.api("/v1/runs/run_1")["seen"]) == 3


# --- the same again, more of it, late ---------------------------------------------------------------------------------
def test_duplicates(server):
    run = a_run("run_1", "CRASHED")
    first = server.accept(run)
    for again in (run, dict(reversed(run.items())), {**run, "updatedAt": now(5)}, {**run, "status": "Crashed"},
                  {**run, "status": "COMPLETED_WITH_ERRORS"}, {**run, "status": "COMPLETED"}):
        answer = server.accept(again)
        assert (answer["accepted"], answer["duplicates"], answer["ids"]) == (0, 1, first["ids"]), again
    answer = server.accept([run, a_run("run_2"), run, a_run("run_2")])
    assert (answer["accepted"], answer["duplicates"]) == (1, 3)
    assert answer["ids"][1] == answer["ids"][3] and answer["ids"][0] == first["ids"][0]
    assert [one["hits"] for one in server.incidents()] == [1, 1]
    assert server.status()["events"]["duplicate"] == 9


def test_duplicates_over_a_restart(server):
    first = server.accept(a_run("run_1"))
    server.restart()
    assert server.accept(a_run("run_1"))["ids"] == first["ids"]
    assert [one["hits"] for one in server.incidents()] == [1]


def test_each_attempt_is_an_event_of_its_own(server):
    for attempt in (2, 2, 3, 3, 4):
        server.accept(a_run("run_1", "REATTEMPTING", attempt={"number": attempt}) if attempt % 2 else
                      a_run("run_1", "RETRYING_AFTER_FAILURE", attemptCount=attempt - 1))
    assert [state for state, _ in seen(server, "run_1")] == ["REATTEMPTING"] * 3


def test_fuller_report(runbell):
    """Evaluated for exactly those rules that read what was absent."""
    runbell.start(rules={
        "plain": {"when": {"status": "CRASHED"}, "notify": "out"},
        "vip": {"when": {"status": "CRASHED", "metadata.customer": "acme"}, "notify": "out"}})
    bare = a_run("run_1")
    del bare["metadata"]
    runbell.accept(bare)
    assert [one["rule"] for one in runbell.incidents()] == ["plain"]
    answer = runbell.accept({**bare, "metadata": {"customer": "acme"}})
    assert answer["accepted"] == 1
    assert {one["rule"]: one["hits"] for one in runbell.incidents()} == {"plain": 1, "vip": 1}
    assert runbell.accept({**bare, "metadata": {"customer": "acme"}})["duplicates"] == 1
    assert runbell.status()["events"]["fuller"] == 1


def test_late_reports_never_move_a_run_back(server):
    server.accept(a_run("run_1", "COMPLETED", updatedAt=now(), finishedAt=now()))
    server.accept(a_run("run_1", "EXECUTING", updatedAt=now(-30)))
    server.accept(a_run("run_1", "QUEUED", updatedAt=now(-50), startedAt=None))
    assert [state for state, _ in seen(server, "run_1")] == ["QUEUED", "EXECUTING", "COMPLETED"]


def test_a_month_late_it_still_rings_and_says_so(runbell, fakes):
    runbell.start(rules={"r": {"when": {"status": "CRASHED"}, "notify": "out"}}, destinations={"out": hook(fakes)})
    runbell.accept(seed_run("crashed"))
    sent = wait_for(lambda: fakes.taken("/hook/a"), "the message")[0]
    assert sent.body["data"].get("late_by"), sent.body
    runbell.wait_incident(state="open")
    assert runbell.status()["events"]["late"] == 1


def test_late_hit_that_has_since_succeeded(runbell, fakes):
    """One message that says so, and the incident is resolved."""
    runbell.start(rules={"r": {"when": {"status": "REATTEMPTING"}, "by": "run", "notify": "out"}}, destinations={"out": hook(fakes)})
    runbell.accept(a_run("run_1", "COMPLETED", updatedAt=now(), finishedAt=now(), attemptCount=1))
    runbell.accept(a_run("run_1", "REATTEMPTING", updatedAt=now(-40), attempt={"number": 2}))
    runbell.wait_incident(state="resolved")
    sent = wait_for(lambda: fakes.taken("/hook/a"), "the message")
    runbell.accept(a_run("run_2", "REATTEMPTING", attempt={"number": 2}))
    wait_for(lambda: any(one.body["data"]["run"] == "run_2" for one in fakes.taken("/hook/a")), "a later message")
    told = [one.body["data"] for one in fakes.taken("/hook/a") if one.body["data"]["run"] == "run_1"]
    assert [(one["state"], one["reason"]) for one in told] == [("resolved", "the run has succeeded since")], sent


def test_late_hits_of_one_run_that_has_since_succeeded(runbell, fakes):
    """A retry storm that is over before anybody heard of it calls nobody."""
    runbell.start(rules={"r": {"when": {"status": "REATTEMPTING"}, "count": "3 in 10m", "by": "run", "notify": "out", "escalate": {"300ms": "pager"}}},
                  destinations={"out": hook(fakes), "pager": hook(fakes, "pager")})
    runbell.accept(a_run("run_1", "COMPLETED", updatedAt=now(), finishedAt=now(), attemptCount=1))
    for attempt in (2, 3, 4):
        runbell.accept(a_run("run_1", "REATTEMPTING", updatedAt=now(attempt - 50), attempt={"number": attempt}))
        runbell.accept(a_run("run_2", "REATTEMPTING", attempt={"number": attempt}))
    wait_for(lambda: fakes.taken("/hook/pager"), "the page for the other run")
    assert {one.body["data"]["run"] for one in fakes.taken("/hook/pager")} == {"run_2"}
    told = [one.body["data"] for one in fakes.taken("/hook/a") if one.body["data"]["run"] == "run_1"]
    assert [one["state"] for one in told] == ["resolved"]


def test_retries_told_with_their_success(runbell, fakes):
    """The only report of a run is its success, with four attempts: each rule says in one message that it is over."""
    rules = {"any": {"when": {"status": "REATTEMPTING"}, "notify": "out"},
             "storm": {"when": {"status": "REATTEMPTING"}, "count": "3 in 10m", "by": "run", "notify": "out"}}
    runbell.start(rules=rules, destinations={"out": hook(fakes)})
    runbell.accept(a_run("run_1", "COMPLETED", createdAt=now(1), updatedAt=now(5), finishedAt=now(5), attemptCount=4))
    attempts = [{"id": f"a{k}", "status": "FAILED", "startedAt": now(2 + k / 10), "completedAt": now(2 + k / 10)} for k in range(4)]
    runbell.accept(a_run("run_2", "COMPLETED", task="other", createdAt=now(1), startedAt=now(2), updatedAt=now(5), finishedAt=now(5), attempts=attempts))
    wait_for(lambda: len(fakes.taken("/hook/a")) >= 4 and runbell.status()["deliveries"]["undelivered"] == 0, "both runs' messages")
    told = [(one.body["data"]["run"], one.body["data"]["rule"], one.body["data"]["state"]) for one in fakes.taken("/hook/a")]
    assert sorted(told) == [(run, rule, "resolved") for run in ("run_1", "run_2") for rule in ("any", "storm")]


def test_ignore_older(runbell):
    runbell.start(sources={"push": {"type": "webhook", "token": runbell.token, "ignore_older": "1h"}}, rules=ALL_FAILURES)
    assert runbell.accept(seed_run("crashed"))["accepted"] == 1
    assert not runbell.incidents() and seen(runbell, "run_crash7x2m9q4w1z8")
    runbell.accept(a_run("run_1"))
    assert len(runbell.incidents()) == 1


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59.999Z", "2099-01-01T00:00:00+14:00"])
def test_a_time_in_the_far_future_counts_as_now(runbell, at):
    """It must neither stay in a window for ever nor be lost."""
    runbell.start(rules={"thrice": {"when": {"status": "CRASHED"}, "count": "2 in 10m", "notify": "out"}})
    runbell.accept(a_run("run_1", updatedAt=at, finishedAt=at))
    shown = runbell.api("/v1/runs/run_1")["seen"][0]["transitions"][0]["at"]
    assert shown[:4] == now()[:4] and shown <= now(301)
    runbell.accept(a_run("run_2"))
    assert [one["hits"] for one in runbell.incidents()] == [2]


# --- refused ----------------------------------------------------------------------------------------------------------
def deep(levels):
    """A run whose metadata makes the whole body that deep."""
    inner = b'{"k":' * (levels - 2) + b"1" + b"}" * (levels - 2)
    return b'{"id":"run_deep","status":"CRASHED","metadata":{"m":%s}}' % inner


GOOD = json.dumps(a_run("run_good")).encode()
REFUSED = {
    "empty": (b"", None),
    "blank": (b"  \n ", None),
    "word": (b"hello", None),
    "bare scalar": (b"42", None),
    "single quotes": (b"{'id': 'run_1'}", None),
    "trailing comma": (b'{"id":"run_1","status":"CRASHED",}', None),
    "two roots on one line": (GOOD + b" " + GOOD, None),
    "rubbish after": (GOOD + b"x", None),
    "truncated": (GOOD[:-1], None),
    "duplicate key": (b'{"id":"run_1","status":"CRASHED","id":"run_2"}', "given before"),
    "duplicate key, deeper": (b'{"id":"run_1","status":"CRASHED","metadata":{"a":{"b":1,"\\u0062":2}}}', "given before"),
    "bad utf-8": (b'{"id":"run_1","status":"CRA\xff"}', None),
    "overlong utf-8": (b'{"id":"run_1","status":"CRA\xc0\xaf"}', None),
    "lone surrogate": (b'{"id":"run_1","status":"CRASHED","metadata":{"a":"\\ud800"}}', None),
    "nul": (b'{"id":"run_1","status":"CRASHED"}\x00', None),
    "nul escaped in id": (b'{"id":"run_\\u0000","status":"CRASHED"}', None),
    "too deep": (deep(65), "deep"),
    "much too deep": (b"[" * 100000, None),
    "empty array": (b"[]", None),
    "empty object": (b"{}", "id"),
    "no id": (b'{"status":"CRASHED","taskIdentifier":"t"}', "id"),
    "id is null": (b'{"id":null,"status":"CRASHED"}', "id"),
    "id is a number": (b'{"id":7,"status":"CRASHED"}', "id"),
    "id is empty": (b'{"id":"","status":"CRASHED"}', "id"),
    "id is long": (b'{"id":"%s","status":"CRASHED"}' % (b"x" * 5000), "id"),
    "no status": (b'{"id":"run_1"}', "status"),
    "status is a list": (b'{"id":"run_1","status":["CRASHED"]}', "status"),
    "tags is a number": (b'{"id":"run_1","status":"CRASHED","tags":7}', "tags"),
    "tag is an object": (b'{"id":"run_1","status":"CRASHED","tags":["a",{}]}', "tags[1]"),
    "metadata is a list": (b'{"id":"run_1","status":"CRASHED","metadata":[1]}', "metadata"),
    "createdAt is a number": (b'{"id":"run_1","status":"CRASHED","createdAt":1767323045}', "createdAt"),
    "updatedAt is no time": (b'{"id":"run_1","status":"CRASHED","updatedAt":"yesterday"}', "updatedAt"),
    "isTest is text": (b'{"id":"run_1","status":"CRASHED","isTest":"no"}', "isTest"),
    "attempt count": (b'{"id":"run_1","status":"CRASHED","attemptCount":-1}', "attemptCount"),
    "attempt count 1e400": (b'{"id":"run_1","status":"CRASHED","attemptCount":1e400}', "attemptCount"),
    "a webhook of Trigger.dev": ((FIXTURES / "webhook-alert-run-failed-timed-out.json").read_bytes(), "trigger-webhook"),
}


def test_refused_kept_and_shown(runbell, fakes):
    """Each gets a reason, and the body is kept under rejected; the operator hears of it."""
    runbell.start(rules=ALL_FAILURES, destinations={"out": {"type": "console"}, "boss": hook(fakes)}, operator="boss")
    for name, (body, word) in REFUSED.items():
        answer = runbell.post(body)
        assert answer.status == 400, (name, answer)
        assert answer.problem and (not word or word in answer.problem), (name, answer)
    assert runbell.post(deep(64)).status == 202
    kept, after = [], ""
    while True:
        page = runbell.api("/v1/rejected?limit=7" + after)
        kept += page["data"]
        if "next" not in page:
            break
        after = "&after=" + page["next"]
    assert len(kept) == len(REFUSED)
    for row, (body, _) in zip(reversed(kept), REFUSED.values()):
        assert row["source"] == "push" and row["reason"] and row["at"]
        assert row["body"][:20] == body[:20].decode("utf-8", "replace")
    assert runbell.metric("rejected_total") == len(REFUSED)
    told = wait_for(lambda: fakes.taken("/hook/boss") or fakes.taken("/hook/a"), "word to the operator")
    assert told[0].body["type"] == "runbell.operator" and "push" in told[0].body["data"]["title"]
    assert len(runbell.incidents()) == 1


def test_places_of_mistakes(server):
    answer = server.post('{"id": "run_1",\n "status": "CRASHED",\n "tags": [1 2]}')
    assert answer.status == 400 and answer.json["position"] == {"line": 3, "column": 13, "offset": 50}, answer


def test_every_truncation(server):
    """Cut anywhere, a body is refused politely, and the connection goes on."""
    whole = json.dumps(seed_run("crashed")).encode()
    connection = server.connect()
    headers = {"Authorization": "Bearer canary-ingest-5b1f", "Content-Type": "application/json"}
    for n in range(0, len(whole), 23):
        connection.request("POST", "/v1/events", whole[:n], headers)
        answer = connection.getresponse()
        assert answer.status == 400, (n, answer.read())
        answer.read()
    connection.request("POST", "/v1/events", whole, headers)
    assert connection.getresponse().status == 202
    connection.close()


def test_only_too_much_is_413(runbell):
    runbell.start(rules=ALL_FAILURES, server={"limits": {"body": "1MiB", "batch": 10}})
    fitting = a_run("run_1", payload="x" * (1 << 20))
    fitting["payload"] = "x" * ((1 << 20) - len(json.dumps({**fitting, "payload": ""})))
    assert len(json.dumps(fitting)) == 1 << 20
    assert runbell.post(fitting).status == 202
    answer = runbell.post({**fitting, "payload": fitting["payload"] + "x"})
    assert answer.status == 413 and "1048576" in answer.problem
    answer = runbell.post([a_run(f"run_{k}") for k in range(11)])
    assert answer.status == 413 and "10" in answer.problem
    answer = runbell.post("\n".join(json.dumps(a_run(f"run_{k}")) for k in range(11)), type="application/x-ndjson")
    assert answer.status == 413
    assert runbell.accept([a_run(f"run_{k}") for k in range(10)])["accepted"] == 9
    assert runbell.api("/v1/rejected")["data"] == []


def test_too_many_tokens_is_413(server):
    answer = server.post('{"id":"run_1","status":"CRASHED","payload":[' + "0," * 1_100_000 + "0]}")
    assert answer.status == 413 and "1048576" in answer.problem


def test_oversized_without_a_length(runbell):
    """Chunked, so that nobody knows before."""
    runbell.start(rules=ALL_FAILURES, server={"limits": {"body": "64KiB"}})

    def chunks(n):
        yield GOOD[:-1] + b',"payload":"'
        for _ in range(n):
            yield b"x" * 1000
        yield b'"}'

    connection = runbell.connect()
    headers = {"Authorization": "Bearer canary-ingest-5b1f", "Content-Type": "application/json"}
    connection.request("POST", "/v1/events", chunks(10), headers, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 202, answer.read()
    answer.read()
    connection.request("POST", "/v1/events", chunks(80), headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_who_may_post(server):
    for token in ("wrong", "canary-ingest-5b1", "canary-ingest-5b1ff", "canary-api-77aa"):
        assert server.post(a_run("run_1"), token=token).status == 401
    for value in ("canary-ingest-5b1f", "Basic canary-ingest-5b1f", "Bearer", "Bearer  ", ""):
        answer = server.post(a_run("run_1"), headers={"Authorization": value})
        assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Bearer"), value
    assert server.request("POST", "/v1/events", b"{}").status == 401
    assert server.request("GET", "/v1/incidents").status == 401
    assert server.request("GET", "/metrics").status == 401
    for path in ("/healthz", "/readyz"):
        assert server.request("GET", path).status == 200
    assert server.status()["store"]["events"] == 0 and server.api("/v1/rejected")["data"] == []


def test_paths_methods_and_types(server):
    assert server.post(a_run("run_1"), path="/v1/event").status == 404
    for method in ("GET", "PUT", "DELETE"):
        answer = server.request(method, "/v1/events", headers={"Authorization": "Bearer canary-ingest-5b1f"})
        assert answer.status == 405 and answer.headers["allow"] == "POST", answer
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = server.post(GOOD, type=kind)
        assert answer.status == 415 and "application/json" in answer.problem, answer
    assert server.post(GOOD, headers={"Content-Encoding": "gzip"}).status == 415
    for kind in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/cloudevents+json"):
        assert server.post(GOOD, type=kind).status == 202
    assert server.api("/v1/rejected")["data"] == []


# --- some of it ---------------------------------------------------------------------------------------------------------
def test_mixed_array(server):
    answer = server.post([a_run("run_1"), 7, {"status": "CRASHED"}, {"run": a_run("run_2")}, a_run("run_1"), {"id": "run_3", "status": {}}])
    assert answer.status == 202
    assert (answer.json["accepted"], answer.json["duplicates"], len(answer.json["ids"])) == (2, 1, 3)
    assert [one["index"] for one in answer.json["rejected"]] == [1, 2, 5]
    assert "id" in answer.json["rejected"][1]["error"] and "status" in answer.json["rejected"][2]["error"]
    assert {one["key"] for one in server.incidents()} == {"run_1", "run_2"}


def test_mixed_lines(server):
    lines = [json.dumps(a_run("run_1")), '{"id": "run_2", ', json.dumps(a_run("run_3")), "", "[]", json.dumps(a_run("run_4"))]
    answer = server.post("\n".join(lines), type="application/x-ndjson")
    assert answer.status == 202
    assert answer.json["accepted"] == 3 and [one["index"] for one in answer.json["rejected"]] == [1, 3]
    assert "line 2" in answer.json["rejected"][0]["error"]


def test_nothing_of_it(server):
    answer = server.post([{"status": "CRASHED"}, 7])
    assert answer.status == 400 and "id" in answer.problem, answer
    assert len(server.api("/v1/rejected")["data"]) == 1


def test_what_is_in_a_run_is_shown_but_payload_and_output(server):
    server.accept(a_run("run_1", payload={"card": "4111-1111"}, output={"pin": "9876"}, metadata={"customer": "acme"}))
    whole = json.dumps(server.api("/v1/runs/run_1"))
    assert "acme" in whole and "4111-1111" not in whole and "9876" not in whole
    server.stop()
    for path in server.folder.glob("runbell.db*"):
        assert b"4111-1111" not in path.read_bytes()
