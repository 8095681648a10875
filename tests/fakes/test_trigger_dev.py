"""The fake Trigger.dev against the facts it plays: rendering by the fixtures, filters, pages, refusals, limits, lag."""
import hashlib
import json
import pathlib
import subprocess
import sys

import pytest
from conftest import START, Client, fixture, wait_for
from trigger_dev import STATUSES, TriggerDev
from trigger_dev.clock import Clock, iso, parse_time
from trigger_dev.scenarios import KINDS, random_timelines
from trigger_dev.vocab import STATUS_OF_CODE, booleans, status_of_error

PAID = ("costInCents", "durationMs")  # the fixtures' own figures


def seconds(text, since):
    return (parse_time(text) - parse_time(since)) / 1000


def as_fixture(fake, shown, last, **facts):
    """A run whose timeline leads to what a fixture shows."""
    begin, started, updated = shown["createdAt"], shown.get("startedAt"), shown["updatedAt"]
    steps = [(0, "PENDING")]
    if started:
        steps += [(seconds(started, begin), "DEQUEUED"), (seconds(started, begin), "EXECUTING")]
    steps.append((seconds(updated, begin), *last))
    return fake.add(id=shown["id"], task=shown["taskIdentifier"], created=parse_time(begin), steps=steps, tags=shown["tags"],
                    metadata=shown.get("metadata"), ttl=shown.get("ttl"), version=shown.get("version"), **facts)


def same(got, wanted):
    for one in (got, wanted):
        for name in PAID:
            one.pop(name)
    assert got == wanted


CRASH = ("CRASHED", {"error": {"type": "INTERNAL_ERROR", "code": "TASK_PROCESS_OOM_KILLED", "message": "Out of memory."}})


@pytest.mark.parametrize("page, at, last", [
    ("list-runs-page1", 0, CRASH), ("list-runs-page1", 1, ("TIMED_OUT",)), ("list-runs-page1", 2, ("EXECUTING", {"attempt": 2})),
    ("list-runs-page2", 1, ("COMPLETED_SUCCESSFULLY",)), ("list-runs-page2", 2, ("PENDING_VERSION",))])
def test_a_list_item_looks_like_the_fixtures(fake, client, page, at, last):
    wanted = fixture(page)["data"][at]
    as_fixture(fake, wanted, last, kind=wanted["taskKind"])
    got = client.list().json["data"][0]
    if "idempotencyKey" in wanted:
        wanted.pop("idempotencyKey")
    same(got, wanted)


def test_an_expired_run_has_its_time_in_the_list(fake, client):
    run = fake.add(task="send-invoice", ttl="10m", created=START - 700_000, steps=[(0, "PENDING"), (600.401, "EXPIRED")])
    got, wanted = client.list().json["data"][0], fixture("list-runs-page2")["data"][0]
    assert set(got) == set(wanted)
    assert got["expiredAt"] == got["finishedAt"] == iso(run.created + 600401)


RETRIEVED = [
    ("retrieve-run-crashed", CRASH, {"payload": {"videoId": "vid_5521", "preset": "1080p"}}),
    ("retrieve-run-timed-out", ("TIMED_OUT",), {"payload": {"ledger": "eu-west", "since": "2026-05-02"}}),
    ("retrieve-run-retrying-executing", ("EXECUTING", {"attempt": 2}), {"payload": {"invoiceId": 7719}, "idempotency_key": "invoice-7719-v1"}),
    ("retrieve-run-retrying-queued", ("PENDING",), {"payload": {"invoiceId": 7719}, "idempotency_key": "invoice-7719-v1"}),
]


@pytest.mark.parametrize("name, last, facts", RETRIEVED)
def test_a_retrieved_run_looks_like_the_fixtures(fake, client, name, last, facts):
    wanted = fixture(name)
    as_fixture(fake, wanted, last, **facts)
    same(client.get(f"/api/v3/runs/{wanted['id']}").json, wanted)


def test_an_error_between_attempts_is_not_shown(fake, client):
    error = {"type": "STRING_ERROR", "raw": "once"}
    run = fake.add(steps=[(0, "EXECUTING"), (0, "EXECUTING", {"attempt": 2, "error": error})])
    assert "error" not in client.get("/api/v3/runs/" + run.id).json
    fake.set(run, "COMPLETED_WITH_ERRORS", error=error)
    assert client.get("/api/v3/runs/" + run.id).json["error"] == {"message": "once"}


def test_the_list_has_a_hash_where_retrieve_has_the_key(fake, client):
    run = fake.add(idempotency_key="mine")
    assert client.list().json["data"][0]["idempotencyKey"] == hashlib.sha256(b"mine").hexdigest()
    assert client.get("/api/v3/runs/" + run.id).json["idempotencyKey"] == "mine"


def test_relations_and_schedule_look_like_the_fixture(fake, client):
    wanted, child = fixture("retrieve-run-completed"), fixture("retrieve-run-failed-child-presigned")
    parent = as_fixture(fake, wanted, ("COMPLETED_SUCCESSFULLY", {"output": wanted["output"]}), schedule=wanted["schedule"], payload=wanted["payload"])
    error = child["error"]
    as_fixture(fake, child, ("COMPLETED_WITH_ERRORS", {"attempt": 3, "error": {"type": "BUILT_IN_ERROR", **error}}), parent=parent,
               batch=child["batchId"], trigger="batchTriggerAndWait", payload_url=child["payloadPresignedUrl"])
    for one in (wanted, child):
        got = client.get(f"/api/v3/runs/{one['id']}").json
        for shown in (got, one):
            shown.pop("attemptCount")
            for related in [shown, *shown["relatedRuns"]["children"], shown["relatedRuns"].get("root"), shown["relatedRuns"].get("parent")]:
                for paid in PAID:
                    related and related.pop(paid)
        assert got == one


def test_every_status_is_spelled_by_the_version_header(fake, client):
    old = Client(fake, version=None)
    for name, words in STATUSES.items():
        run = fake.add(steps=[(0, name)])
        for one, word in ((client, words.api), (old, words.legacy)):
            got = one.get(f"/api/v3/runs/{run.id}").json
            assert got["status"] == word and {k: v for k, v in got.items() if k.startswith("is") and k != "isTest"} == booleans(word)


@pytest.mark.parametrize("word, true", [
    ("QUEUED", {"isQueued"}), ("DELAYED", {"isQueued"}), ("PENDING_VERSION", {"isQueued"}), ("WAITING_FOR_DEPLOY", {"isQueued"}),
    ("DEQUEUED", {"isExecuting"}), ("EXECUTING", {"isExecuting"}), ("REATTEMPTING", {"isExecuting"}), ("FROZEN", {"isExecuting"}),
    ("WAITING", {"isWaiting"}), ("COMPLETED", {"isCompleted", "isSuccess"}), ("CANCELED", {"isCompleted", "isFailed", "isCancelled"}),
    ("FAILED", {"isCompleted", "isFailed"}), ("INTERRUPTED", {"isCompleted", "isFailed"}), ("TIMED_OUT", set()), ("EXPIRED", set())])
def test_booleans_have_the_rules_of_the_service(word, true):
    assert {name for name, value in booleans(word).items() if value} == true


def test_every_error_code_has_its_status():
    assert len(STATUS_OF_CODE) == 38
    assert status_of_error({"type": "STRING_ERROR", "raw": "x"}) == "COMPLETED_WITH_ERRORS"
    assert status_of_error({"type": "INTERNAL_ERROR", "code": "TASK_PROCESS_SIGTERM"}) == "SYSTEM_FAILURE"


# --- pages and filters --------------------------------------------------------------------------------------------------------
def test_pages_hold_every_run_once_newest_first(fake, client):
    runs = [fake.add(created=START - 1000 * (i // 3)) for i in range(100)]
    pages = list(client.pages(page_size=7))
    assert [len(one) for one in pages] == [7] * 14 + [2]
    found = [(run["createdAt"], run["id"]) for page in pages for run in page]
    assert found == sorted(found, reverse=True) and {ident for _, ident in found} == {run.id for run in runs}


def test_the_way_back_shows_the_same_pages(fake, client):
    for i in range(20):
        fake.add(created=START - i)
    first = client.list(page_size=8).json
    second = client.list(page_size=8, page_after=first["pagination"]["next"]).json
    assert "previous" not in first["pagination"] and set(second["pagination"]) == {"next", "previous"}
    back = client.list(page_size=8, page_before=second["pagination"]["previous"]).json
    assert back["data"] == first["data"] and "previous" not in back["pagination"] and "next" in back["pagination"]


def test_a_bare_internal_id_is_a_cursor(fake, client):
    runs = [fake.add(created=START - i) for i in range(3)]
    assert client.ids(page_after=runs[0].key) == [runs[1].id, runs[2].id]


def test_new_runs_between_pages_move_nothing(fake, client):
    for i in range(10):
        fake.add(created=START - 1000 - i)
    pages = client.pages(page_size=4)
    first = next(pages)
    fake.add(created=START)
    assert len({run["id"] for page in [first, *pages] for run in page}) == 10


def test_the_window_is_seven_days_unless_it_is_said(fake, client):
    old, new = fake.add(created=START - 8 * 86400000), fake.add(created=START - 6 * 86400000)
    assert client.ids() == [new.id]
    assert client.ids(createdAt_from=old.created) == [new.id, old.id]
    assert client.ids(createdAt_from=iso(old.created), createdAt_to=iso(old.created)) == [old.id]
    assert client.ids(createdAt_to=START) == [new.id, old.id]
    assert client.ids(createdAt_from=0, createdAt_period="1h") == []


def test_filters(fake, client):
    a = fake.add(task="a", tags=["x", 'q"'], is_test=True, queue="own", machine="micro", region="eu", steps=[(0, "EXECUTING")], version="1")
    b = fake.add(task="b", tags=["y"], schedule={"id": "sched_1", "generator": {"type": "CRON", "expression": "* * * * *", "description": ""}},
                 batch="batch_1", bulk=["bulk_1"], created=START - 1, steps=[(0, "COMPLETED_WITH_ERRORS")])
    for params, wanted in [
            ({"taskIdentifier": "a,c"}, [a]), ({"tag": 'y,q"'}, [a, b]), ({"tag": "x"}, [a]), ({"isTest": "true"}, [a]), ({"isTest": "false"}, [b]),
            ({"queue": "own,task/z"}, [a]), ({"queue": "task/b"}, [b]), ({"machine": "micro"}, [a]), ({"region": "eu"}, [a]), ({"version": "1"}, [a]),
            ({"schedule": "sched_1"}, [b]), ({"batch": "batch_1"}, [b]), ({"bulkAction": "bulk_1"}, [b]), ({"error": "error_" + b.fingerprint}, [b]),
            ({"status": "EXECUTING,FAILED"}, [a, b]), ({"status": "QUEUED"}, []), ({"unheard": "of"}, [a, b])]:
        assert client.ids(**{f"filter_{k}": v for k, v in params.items()}) == [run.id for run in wanted], params


@pytest.mark.parametrize("word, found", [
    ("QUEUED", {"PENDING"}), ("EXECUTING", {"EXECUTING"}), ("REATTEMPTING", {"RETRYING_AFTER_FAILURE"}), ("FROZEN", {"PAUSED", "WAITING_TO_RESUME"}),
    ("WAITING", {"WAITING_TO_RESUME"}), ("FAILED", {"COMPLETED_WITH_ERRORS"}), ("PENDING_VERSION", {"PENDING_VERSION"}),
    ("WAITING_FOR_DEPLOY", {"WAITING_FOR_DEPLOY"}), ("COMPLETED", {"COMPLETED_SUCCESSFULLY"}), ("INTERRUPTED", {"INTERRUPTED"})])
def test_a_status_filter_finds_what_the_service_finds(fake, client, word, found):
    runs = {name: fake.add(steps=[(0, name)]) for name in STATUSES}
    assert set(client.ids(filter_status=word, page_size=100)) == {runs[name].id for name in found}


# --- refusals -------------------------------------------------------------------------------------------------------------------
def test_bad_filters_are_refused_with_the_fixtures_body(client):
    answer = client.list(filter_status="FOOBAR")
    assert (answer.status, answer.json) == (400, fixture("error-400-query"))
    answer = client.list(filter_isTest="yes", page_size="101")
    assert [(one["code"], one["path"]) for one in answer.json["details"]] == [("too_big", ["page[size]"]), ("custom", ["filter[isTest]"])]
    for size in ("0", "101", "x", "1.5", "-1", ""):
        assert client.list(page_size=size).status == 400, size
    assert client.list(page_size="1").status == client.list(page_size="100").status == 200


def test_who_may_not_is_told_so(fake, client):
    run = fake.add()
    elsewhere = fake.add(env="stg")
    for key, path, status, body in [
            (fake.key + "x", "/api/v1/runs", 401, fixture("error-401-invalid-key")), ("", "/api/v1/runs", 401, {"error": "Invalid or Missing API key"}),
            ("eyJhbGciOi.x.y", "/api/v1/runs", 401, {"error": "Invalid Public Access Token"}), (fake.pat, "/api/v3/runs/" + run.id, 401, None),
            (fake.key, f"/api/v1/projects/{fake.project}/runs", 401, {"error": "Invalid or Missing PAT"}),
            (fake.key, "/api/v3/runs/run_none", 404, fixture("error-404-run")), (fake.key, "/api/v3/runs/" + elsewhere.id, 404, None)]:
        answer = Client(fake, key=key).get(path)
        assert answer.status == status and (body is None or answer.json == body), (key, path)
    answer = client.get("/api/v1/runs", authorization=None)
    assert (answer.status, answer.json, answer.headers["content-type"]) == (401, fixture("error-401-no-auth-header"), "application/problem+json")


def test_a_lost_run_may_be_asked_for_again(client):
    assert client.get("/api/v3/runs/run_none").headers["x-should-retry"] == "true"
    assert client.get("/api/v1/nothing").headers["x-should-retry"] == "false"


def test_scopes_of_public_tokens(fake):
    run, other = fake.add(task="a", tags=["t"]), fake.add(task="b")
    fake.add_token("eyJ.one", ["read:tags:t"])
    fake.add_token("eyJ.all", ["read:runs"])
    one, everything = Client(fake, key="eyJ.one"), Client(fake, key="eyJ.all")
    assert one.get("/api/v3/runs/" + run.id).status == 200
    answer = one.get("/api/v3/runs/" + other.id)
    assert (answer.status, answer.json) == (403, fixture("error-403-scope"))
    assert one.list().status == 403 and len(everything.ids()) == 2


def test_the_project_variant_and_its_surprises(fake):
    mine, staged = fake.add(), fake.add(env="stg")
    path, pat = f"/api/v1/projects/{fake.project}/runs", Client(fake, key=fake.pat)
    assert [one["id"] for one in pat.get(path, {"filter[env]": "stg"}).json["data"]] == [staged.id]
    assert [one["id"] for one in pat.get(path, {"filter[env]": "stg,prod"}).json["data"]] == [mine.id]
    for params in ({}, {"filter[env]": "staging"}):
        answer = pat.get(path, params)
        assert (answer.status, answer.json) == (500, {"error": "Internal Server Error"})
    answer = pat.get("/api/v1/projects/proj_aaaaaaaaaaaaaaaaaaaa/runs")
    assert (answer.status, answer.json) == (404, {"error": "Project not found"})


# --- the rate limiter -------------------------------------------------------------------------------------------------------------
def test_the_bucket_empties_and_fills_in_steps(fake, client):
    fake.knobs.set(rate_burst=3, rate_refill=2, rate_interval_s=10)
    first = client.list()
    assert [first.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")] == ["3", "2", str(START + 10000)]
    assert [client.list().status for _ in range(3)] == [200, 200, 429]
    fake.jump(6.518)
    refused = client.list()
    assert refused.json == {**fixture("error-429-rate-limit"), "detail": "Rate limit exceeded 0/3 requests remaining. Retry in 3.482 seconds.",
                            "error": "Rate limit exceeded 0/3 requests remaining. Retry in 3.482 seconds.", "reset": START + 10000, "limit": 3}
    assert refused.headers["x-ratelimit-remaining"] == "0" and "retry-after" not in refused.headers
    assert client.get("/realtime/v1/runs").status == 200  # not behind it
    fake.jump(3.482)
    assert [client.list().status for _ in range(3)] == [200, 200, 429]


def test_a_public_token_has_a_window_of_its_own(fake, client):
    fake.add_token("eyJ.all", ["read:runs"])
    fake.knobs.set(jwt_rate=2)
    public = Client(fake, key="eyJ.all")
    assert [public.list().status for _ in range(3)] == [200, 200, 429] and client.list().status == 200
    fake.jump(60)
    again = public.list()
    assert again.status == 200 and again.headers["x-ratelimit-limit"] == "2"


def test_each_environment_has_its_bucket(fake, client):
    fake.knobs.set(rate_burst=1)
    assert [client.list().status, client.list().status, Client(fake, key=fake.env("stg").key).list().status] == [200, 429, 200]


# --- lag, and what the truth is -----------------------------------------------------------------------------------------------------
def test_a_lagging_list_knows_a_run_later_than_retrieve(fake, client):
    fake.knobs.set(replica_lag_s=5)
    run = fake.add()
    assert client.ids() == [] and client.get("/api/v3/runs/" + run.id).status == 200
    fake.jump(5)
    assert client.ids() == [run.id]
    fake.set(run, "EXECUTING")
    assert client.list().json["data"][0]["status"] == "EXECUTING"  # ids lag, rows do not
    assert client.ids(filter_status="EXECUTING") == []
    assert client.ids(filter_status="QUEUED") == []  # found by what was, taken away for what is
    assert client.rows("SELECT status FROM runs") == [{"status": "Queued"}]


def test_a_post_filter_makes_short_pages_that_have_a_next(fake, client):
    fake.knobs.set(replica_lag_s=5)
    runs = [fake.add(created=START - 10000 - i) for i in range(6)]
    fake.set(runs[0], "EXECUTING")
    fake.set(runs[1], "EXECUTING")
    page = client.list(filter_status="QUEUED", page_size=2).json
    assert page["data"] == [] and page["pagination"]["next"]
    assert [len(one) for one in client.pages(filter_status="QUEUED", page_size=2)] == [0, 2, 2]
    fake.knobs.set(short_pages=0.5)
    assert [len(one) for one in client.pages(page_size=2)] == [1, 1, 1]


def test_a_late_commit_shows_an_old_time_late(fake, client):
    run = fake.add()
    fake.set(run, "CRASHED", commit_after_s=3)
    assert client.list().json["data"][0]["status"] == "QUEUED"
    fake.jump(3)
    assert client.list().json["data"][0]["finishedAt"] == iso(START)


def test_changes_may_be_heard_of_out_of_order_but_the_last_one_wins(fake, client):
    fake.knobs.set(replica_jitter_s=60)
    runs = [fake.add(steps=[(i, "EXECUTING" if i % 2 else "PENDING") for i in range(30)]) for _ in range(20)]
    fake.jump(30)
    heard = {run.seen and run.seen.version_seq for run in runs}
    assert len(heard) > 1
    fake.jump(60)
    assert {run.seen.version_seq for run in runs} == {30}


def test_the_truth_is_every_transition(fake):
    run = fake.add(steps=[(0, "PENDING"), (1, "DEQUEUED"), (2, "EXECUTING"), (3, "EXECUTING", {"attempt": 2}), (4, "PENDING"), (5, "DEQUEUED"),
                          (6, "EXECUTING"), (6.5, "EXECUTING", {"metadata": {"a": 1}}), (7, "WAITING_TO_RESUME"), (8, "EXECUTING"), (9, "TIMED_OUT")])
    fake.jump(20)
    truth = [(one.status, one.attempt, (one.at - START) / 1000) for one in fake.ground_truth()]
    assert truth == [("PENDING", 0, 0), ("DEQUEUED", 0, 1), ("EXECUTING", 1, 2), ("EXECUTING", 2, 3), ("PENDING", 2, 4), ("DEQUEUED", 2, 5),
                     ("EXECUTING", 3, 6), ("WAITING_TO_RESUME", 3, 7), ("EXECUTING", 3, 8), ("TIMED_OUT", 3, 9)]
    assert run.state.started == START + 1000 and run.state.executed == START + 2000 and run.state.queued == START


def test_random_timelines_are_the_same_for_a_seed_and_end():
    one, again, other = (list(random_timelines(seed, 300, START)) for seed in (5, 5, 6))
    assert one == again and one != other
    assert {spec["steps"][-1][1] for spec in one} >= {"COMPLETED_SUCCESSFULLY", "COMPLETED_WITH_ERRORS", "CRASHED", "TIMED_OUT", "EXPIRED",
                                                     "CANCELED", "SYSTEM_FAILURE"}
    assert set(KINDS) >= {"retry_short", "retry_long"}
    for spec in one:
        assert STATUSES[spec["steps"][-1][1]].final and [s[0] for s in spec["steps"]] == sorted(s[0] for s in spec["steps"])


def test_a_full_house_is_as_full_and_as_busy_as_ordered():
    with TriggerDev(start_ms=START, clock_scale=0) as fake:
        fake.load_steady(1000, per_s=100, seconds=20, retried=0.1)
        assert len(fake.population.active()) == 1000
        fake.jump(20)
        truth = fake.ground_truth(START)
        assert 1900 <= len(truth) <= 2100  # chance decides who is retried
        assert 990 <= len(fake.population.active()) <= 1000
        attempts = [one.attempt for one in truth if one.status == "EXECUTING" and one.attempt > 1]
        assert len(attempts) > 100 and attempts.count(2) == attempts.count(3) == attempts.count(4)
        assert {one.attempt for one in truth if one.final} == {1, 4}


def test_what_is_polled_is_what_was_true(fake, client):
    """A reader of the list at every quarter second sees nothing that the truth does not have."""
    fake.load_random(60, seed=3, over_s=2, pace=0.3)
    seen = set()
    for _ in range(60):
        fake.jump(0.25)
        seen |= {(run["id"], run["status"]) for page in client.pages(page_size=100) for run in page}
    truth = {(one.run, one.state) for one in fake.ground_truth()}
    assert seen <= truth and len(seen) > 120
    assert {run for run, state in seen} == {run for run, _ in truth}


def test_a_vanished_run_is_gone(fake, client):
    run, kept = fake.add(), fake.add(created=START - 1)
    fake.population.vanish(run)
    assert client.ids() == [kept.id] and client.get("/api/v3/runs/" + run.id).status == 404 and client.rows("SELECT run_id FROM runs") == [{"run_id": kept.id}]


def test_an_old_server(fake, client):
    fake.knobs.set(old_server=True)
    run = fake.add(steps=[(0, "PENDING"), (0.1, "DEQUEUED"), (0.2, "EXECUTING"), (1, "RETRYING_AFTER_FAILURE"), (2, "EXECUTING", {"attempt": 2})])
    fake.jump(1)
    got = client.get("/api/v3/runs/" + run.id).json
    assert (got["status"], got["isExecuting"], len(got["attempts"])) == ("REATTEMPTING", True, 1)
    fake.jump(1)
    got = client.get("/api/v3/runs/" + run.id).json
    assert [one["status"] for one in got["attempts"]] == ["FAILED", "EXECUTING"]
    assert set(got["attempts"][0]) == set(fixture("retrieve-run-reattempting-legacy")["attempts"][0])
    answer = client.list(filter_status="DEQUEUED,EXECUTING,WAITING")
    assert answer.status == 400 and answer.json["details"][0]["message"] == "Invalid status values: DEQUEUED, WAITING"
    assert client.ids(filter_queue="nowhere") == [run.id]


def test_knobs_that_bend_runs(fake, client):
    run = fake.add(metadata={"a": "ü\n", "$$streams": ["x"]}, tags=['q"', "é", "n\nl", "a,b"])
    assert client.list().json["data"][0]["metadata"] == {"a": "ü\n"} and client.list().json["data"][0]["tags"] == sorted(run.state.tags)
    fake.knobs.set(rename_status={"QUEUED": "HIBERNATING"}, metadata_bytes=262144)
    item = client.list().json["data"][0]
    assert item["status"] == "HIBERNATING" and not item["isQueued"]
    assert 262100 <= len(json.dumps(item["metadata"], ensure_ascii=False, separators=(",", ":")).encode()) <= 262144
    fake.knobs.set(vanished=[run.id])
    assert client.get("/api/v3/runs/" + run.id).status == 404 and client.ids() == [run.id]
    with pytest.raises(ValueError, match="no such knob"):
        fake.knobs.set(replica_lag=1)


def test_the_clock_is_scaled_and_skewed():
    clock = Clock(scale=1000, skew_s=3600, start_ms=START)
    first = clock.now()
    assert first >= START + 3600_000
    wait_for(lambda: clock.now() > first + 1000)
    clock.set(skew_s=-3600)
    assert clock.now() < first
    with TriggerDev(clock_skew_s=-86400) as fake:
        assert iso(fake.add().created)[:10] < iso(Clock().now())[:10]


def test_as_a_program():
    program = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).parent / "trigger_dev"), "--runs", "20", "--over", "0.01",
                                "--knob", 'realtime_hold_s=1'], stdout=subprocess.PIPE, text=True)
    try:
        said = json.loads(program.stdout.readline())
        fake = type("Fake", (), {"key": said["key"], "port": int(said["url"].rsplit(":", 1)[1])})
        client = Client(fake)
        assert client.get("/_fake/knobs").json["realtime_hold_s"] == 1
        assert client.ask("POST", "/_fake/knobs", body={"rate_burst": 1}).status == 200
        assert client.ask("POST", "/_fake/knobs", body={"nonsense": 1}).status == 400
        ident = client.ask("POST", "/_fake/runs", body={"task": "mine"}).json["id"]
        assert client.ask("POST", "/_fake/set", body={"id": ident, "status": "CRASHED"}).status == 200
        assert [one["status"] for one in client.get("/_fake/truth").json if one["run"] == ident] == ["PENDING", "CRASHED"]
        assert [client.list().status, client.list().status] == [200, 429]
        counted = client.get("/_fake/requests").json
        assert counted["list"] == 2 and counted["answers"] == {"list 200": 1, "list 429": 1}
    finally:
        program.terminate()
        assert program.wait(10) == 0
