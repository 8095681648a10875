"""The fake on the wire: realtime feeds, faults, and the sender of alerts."""
import http.client
import json
import socket
import threading

import pytest
from conftest import START, Client, fixture, wait_for
from receiver import Receiver
from trigger_dev import alerts

UP = {"headers": {"control": "up-to-date"}}


class Feed:
    """What a client of the shape protocol does: snapshot, then live polls; rows merged by key."""

    def __init__(self, client, path="/realtime/v1/runs", **params):
        self.client, self.path, self.params, self.rows = client, path, params, {}
        self.cursor = ""
        self.take(client.get(path, {"offset": "-1", "log": "full", **params}))

    def take(self, answer):
        assert answer.status == 200, answer.raw
        self.answer, self.operations = answer, []
        for one in answer.json:
            if "key" in one:
                self.operations.append(one["headers"]["operation"])
                self.rows.setdefault(one["key"], {}).update(one["value"])
        self.handle, self.offset = answer.headers["electric-handle"], answer.headers["electric-offset"]
        self.cursor = answer.headers.get("electric-cursor", self.cursor)
        return answer.json

    def ask(self):
        return self.client.get(self.path, {"cursor": self.cursor, "handle": self.handle, "live": "true", "log": "full", "offset": self.offset, **self.params})

    def live(self):
        return self.take(self.ask())

    def statuses(self):
        return {row["friendlyId"]: row["status"] for row in self.rows.values()}


def test_a_row_looks_like_the_fixture(fake, client):
    fake.knobs.set(realtime_dialect="electric")
    wanted = fixture("realtime-live-update")
    value = wanted[0]["value"]
    run = fake.add(id=value["friendlyId"], task="send-invoice", created=1777803600000 - 629500, ttl="1h", payload={"invoiceId": 7719}, metadata={"try": 2},
                   tags=["invoice_7719", 'org:"acme"'], steps=[(0.01, "PENDING"), (0.5, "DEQUEUED"), (0.5, "EXECUTING"), (327.502, "EXECUTING", {"attempt": 2})])
    feed = Feed(client)
    snapshot = fixture("realtime-snapshot")
    for one in (snapshot[0], feed.answer.json[0]):
        for paid in ("usageDurationMs", "costInCents"):
            one["value"].pop(paid)
    got = feed.answer.json
    got[0]["value"].pop("usageDurationMs"), got[0]["value"].pop("costInCents")
    assert got == snapshot
    fake.set(run, "COMPLETED_WITH_ERRORS", error=json.loads(value["error"]))
    got = feed.live()
    assert set(got[0]["value"]) == set(value) and got[0]["value"]["error"] == value["error"] and got[1] == wanted[1]
    assert got[0]["headers"] == {"operation": "update"} and got[0]["value"]["completedAt"] == "2026-05-03T10:20:00"


def test_headers_and_their_aliases_of_old(fake, client):
    fake.add()
    feed = Feed(client, skipColumns="payload,status,error")
    assert feed.handle.startswith(f"runs_{START - 86400000}_") and feed.offset.startswith(f"{START}_")
    schema = json.loads(feed.answer.headers["electric-schema"])
    assert schema["runTags"] == {"type": "text", "dims": 1} and "payload" not in schema and "error" not in schema and "status" in schema
    assert "payload" not in feed.answer.json[0]["value"] and feed.answer.json[0]["value"]["status"] == "PENDING"
    old = client.get("/realtime/v1/runs", {"offset": "-1"}, **{"x-trigger-electric-version": None})
    assert {"electric-shape-id", "electric-chunk-last-offset"} <= set(old.headers) and "electric-handle" not in old.headers
    again = client.get("/realtime/v1/runs", {"offset": feed.offset, "shape_id": feed.handle})
    assert again.headers["electric-handle"] == feed.handle and again.json[0]["headers"]["operation"] == "insert"


def test_a_live_poll_answers_when_something_happens(fake, client):
    fake.knobs.set(realtime_hold_s=20)
    fake.add(created=START - 10000)
    feed = Feed(client)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(feed.live()))
    waiting.start()
    wait_for(lambda: fake.realtime._live["cmenvprod0001q8x2v7k4m9ab"])
    run = fake.add(task="new")
    waiting.join(10)
    assert [one.get("value", {}).get("friendlyId") for one in answers[0]] == [run.id, None] and feed.operations == ["insert"]
    fake.jump(1)
    fake.set(run, "DEQUEUED")
    feed.live()
    assert feed.operations == ["update"] and feed.statuses()[run.id] == "DEQUEUED"


def test_a_quiet_poll_ends_up_to_date(fake, client):
    feed = Feed(client)
    assert feed.live() == fixture("realtime-live-timeout") == [UP]
    assert feed.cursor


def test_a_feed_shows_every_final_state(fake, client):
    fake.knobs.set(realtime_hold_s=0.01)
    fake.load_random(80, seed=2, over_s=1, pace=0.2)
    feed = Feed(client)
    for _ in range(40):
        fake.jump(0.2)
        feed.live()
    assert feed.statuses() == {run.id: run.state.status for run in fake.population.runs.values()}


def test_tags_are_all_of_them(fake, client):
    both, one = fake.add(tags=["a", "b"]), fake.add(tags=["a"])
    assert set(Feed(client, tags="a,b").statuses()) == {both.id} and set(Feed(client, tags="a").statuses()) == {both.id, one.id}
    for bad in ("", "a,,b", 'q"', "back\\slash", "new\nline"):
        assert client.get("/realtime/v1/runs", {"tags": bad}).status == 400, bad


def test_the_window_and_the_cap(fake, client):
    old, hour, new = (fake.add(created=START - 3600000 * hours) for hours in (25, 2, 0))
    assert set(Feed(client).statuses()) == set(Feed(client, createdAt="30d").statuses()) == {hour.id, new.id}
    feed = Feed(client, createdAt="1h")
    assert set(feed.statuses()) == {new.id}
    fake.jump(1)
    fake.set(hour, "CRASHED")
    fake.set(old, "CRASHED")
    assert feed.live() == [UP]
    fake.knobs.set(realtime_cap=1)
    assert set(Feed(client).statuses()) == {new.id}


def test_one_run(fake, client):
    run, other = fake.add(), fake.add()
    feed = Feed(client, f"/realtime/v1/runs/{run.id}")
    assert feed.handle == f"run-{run.id}" and set(feed.statuses()) == {run.id}
    fake.jump(1)
    fake.set(other, "EXECUTING")
    assert feed.live() == [UP]
    fake.set(run, "EXECUTING")
    feed.live()
    assert feed.statuses() == {run.id: "EXECUTING"} and client.get("/realtime/v1/runs/run_none").status == 404


def test_partial_updates(fake, client):
    fake.knobs.set(realtime_partial=True)
    run = fake.add(steps=[(0, "PENDING"), (0, "EXECUTING")])
    feed = Feed(client)
    fake.jump(1)
    fake.set(run, "CANCELED")
    got = feed.live()
    assert set(got[0]["value"]) == {"id", "status", "updatedAt", "completedAt", "usageDurationMs", "costInCents", "error"}
    assert feed.statuses() == {run.id: "CANCELED"}


def test_must_refetch_both_ways(fake, client):
    feed = Feed(client)
    fake.knobs.set(realtime_refetch=1)
    assert feed.ask().json == [{"headers": {"control": "must-refetch"}}]
    fake.knobs.set(realtime_conflict=1)
    answer = feed.ask()
    assert answer.status == 409 and answer.headers["electric-handle"] != feed.handle and answer.json == [{"headers": {"control": "must-refetch"}}]
    assert feed.live() == [UP]
    run = fake.add()
    new = answer.headers["electric-handle"]
    again = client.get("/realtime/v1/runs", {"handle": new, "offset": "-1"})
    assert again.json[0]["value"]["friendlyId"] == run.id  # the window is not what a handle of the future says


def test_a_forgotten_handle_goes_by_its_offset(fake, client):
    run = fake.add(created=START - 5000)
    feed = Feed(client)
    fake.knobs.set(realtime_forget=True)
    fake.jump(1)
    fake.set(run, "EXECUTING")
    feed.live()
    assert feed.operations == ["update"] and feed.statuses() == {run.id: "EXECUTING"} and feed.live() == [UP]


def test_without_the_version_header_dequeued_is_executing(fake):
    fake.add(steps=[(0, "DEQUEUED")])
    assert list(Feed(Client(fake, version=None)).statuses().values()) == ["EXECUTING"]


def test_too_many_live_polls(fake, client):
    feed = Feed(client)
    fake.knobs.set(realtime_concurrency=0)
    answer = feed.ask()
    assert (answer.status, answer.json) == (429, {"error": "Too many concurrent requests"})


# --- faults -----------------------------------------------------------------------------------------------------------------------
def raw_answer(fake, path="/api/v1/runs"):
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as one:
        one.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {fake.key}\r\n\r\n".encode())
        one.shutdown(socket.SHUT_WR)
        data = b""
        try:
            while block := one.recv(65536):
                data += block
        except ConnectionResetError:
            return "reset"
        return data


def test_two_requests_on_one_connection(fake, client):
    client.list()
    socket_of = client.connection.sock
    client.list()
    assert client.connection.sock is socket_of and socket_of is not None


def test_every_fault_is_what_it_says(fake):
    fake.add()
    whole = raw_answer(fake)
    head, _, body = whole.partition(b"\r\n\r\n")
    assert json.loads(body)["data"] and b"content-length: %d" % len(body) in head
    seen = {}
    for mode in ("close_before", "close_after", "reset", "truncate", "invalid", "wrong_shape"):
        fake.fault("list", mode, times=1)
        seen[mode] = raw_answer(fake)
    assert seen["close_before"] == b"" and seen["reset"] == "reset"
    assert seen["close_after"].endswith(b"\r\n\r\n") and b"content-length: %d" % len(body) in seen["close_after"]
    assert seen["truncate"].partition(b"\r\n\r\n")[2] == body[:len(body) // 2]
    with pytest.raises(ValueError):
        json.loads(seen["invalid"].partition(b"\r\n\r\n")[2])
    assert json.loads(seen["wrong_shape"].partition(b"\r\n\r\n")[2])["data"] == {"id": 7}
    fake.fault("list", "oversized", times=1, bytes=3 << 20)
    assert json.loads(raw_answer(fake).partition(b"\r\n\r\n")[2]) == json.loads(body)
    assert raw_answer(fake).partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize("status, kind", [(401, "application/json"), (403, "application/json"), (404, "application/json"), (429, "application/problem+json"),
                                          (500, "application/json"), (502, "text/html")])
def test_statuses_on_order_have_the_bodies_of_the_service(fake, client, status, kind):
    fake.fault("*", "status", times=1, status=status)
    answer = client.list()
    assert answer.status == status and answer.headers["content-type"].startswith(kind) and client.list().status == 200


def test_scripts_and_chances(fake, client):
    fake.script("retrieve", ["ok", 500, {"mode": "status", "status": 502}, "ok"])
    run = fake.add()
    assert [client.get("/api/v3/runs/" + run.id).status for _ in range(5)] == [200, 500, 502, 200, 200]
    assert client.list().status == 200
    fake.fault("/api/v1/runs", "status", probability=0.3, status=503)
    found = [client.list().status for _ in range(100)]
    assert 15 < found.count(503) < 45
    fake.faults.clear()
    assert client.list().status == 200
    with pytest.raises(ValueError, match="no such fault"):
        fake.fault("list", "explode")


def test_slow_and_closed(fake, client):
    fake.fault("list", "slow", times=1, seconds=0.05)
    assert client.list().status == 200
    fake.fault("list", "hang", times=1)
    hung = Client(fake)
    hung.connection.timeout = 0.2
    with pytest.raises(TimeoutError):
        hung.list()
    fake.close()
    with pytest.raises((OSError, http.client.HTTPException)):
        Client(fake).list()


# --- alerts -------------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def receiver():
    with Receiver() as one:
        yield one


def test_the_signature_has_the_known_values():
    body = '{"id":"cmf7k2w0a000a08l4hookcrash","created":"2026-05-03T10:16:41.702Z","webhookVersion":"v1","type":"alert.run.failed","object":{"note":"café"}}'
    assert alerts.sign("whsec_test_51f0", b"{}") == "217e9a02292b887ed37eb9cc8a8b2658bc575f7477eb67847bd928c513b7e052"
    assert alerts.sign("whsec_test_51f0", body.encode()) == "3949853492a54f2a13dfbbf2b1cf14e7d2d44a2885fcf29f129538f945f7bd0b"


def _shape(value):
    """Keys and kinds of a JSON value."""
    if isinstance(value, dict):
        return {key: _shape(one) for key, one in value.items()}
    return type(value).__name__ if not isinstance(value, list) else [_shape(one) for one in value[:1]]


def test_bodies_are_shaped_like_the_fixtures(fake):
    oom = {"type": "INTERNAL_ERROR", "code": "TASK_PROCESS_OOM_KILLED", "message": "Your task ran out of memory."}
    run = fake.add(tags=["a", "b"], steps=[(0, "PENDING"), (0, "EXECUTING"), (0, "CRASHED", {"error": oom})])
    failed = fake.add(steps=[(0, "PENDING"), (0, "EXECUTING"), (0, "COMPLETED_WITH_ERRORS")])
    at = "2026-05-03T10:16:41.702Z"
    for body, name in [(alerts.run_failed(run, at), "webhook-alert-run-failed-crashed-oom"), (alerts.legacy_run_failed(run), "webhook-legacy-v1-run-failed"),
                       (alerts.deployment(fake.env(), at), "webhook-alert-deployment-success"),
                       (alerts.deployment(fake.env(), at, failed=True), "webhook-alert-deployment-failed"),
                       (alerts.error_group(failed, at), "webhook-alert-error-group"), (alerts.agent_watch(failed, at), "webhook-alert-dashboard-agent-watch")]:
        wanted = fixture(name)
        assert _shape(body) == _shape(wanted), name
        assert [body.get(key) for key in ("webhookVersion", "type")] == [wanted.get(key) for key in ("webhookVersion", "type")]
    assert alerts.run_failed(run, at)["object"]["run"]["isOutOfMemoryError"] is True


def test_three_tries_and_the_same_id(fake, receiver):
    receiver.fault("/hook/a", status=500)
    sender = fake.sender(receiver.url("/hook/a"), "s3cret")
    run = fake.add(steps=[(0, "EXECUTING"), (0, "CRASHED")])
    delivery = sender.run_failed(run)
    assert delivery.wait() is False
    assert [one.status for one in delivery.attempts] == [500] * 3 and len({one.id for one in delivery.attempts}) == 1
    gaps = [b.at - a.at for a, b in zip(delivery.attempts, delivery.attempts[1:])]
    assert 1 * 0.02 <= gaps[0] < gaps[1] + 0.5 and gaps[1] >= 2 * 0.02
    for one, attempt in zip(receiver.to("/hook/a"), delivery.attempts):
        assert one.raw == attempt.body and one.headers[alerts.HEADER] == alerts.sign("s3cret", one.raw) and int(one.headers["content-length"]) == len(one.raw)
        assert b": " not in one.raw.split(b"stackTrace")[0] and one.headers["content-type"] == "application/json"


def test_an_error_group_has_a_new_id_on_every_try(fake, receiver):
    receiver.fault("/hook/a", status=503, times=2)
    delivery = fake.sender(receiver.url("/hook/a"), "s").error_group(fake.add(steps=[(0, "EXECUTING"), (0, "COMPLETED_WITH_ERRORS")]))
    delivery.wait()
    assert len({one.id for one in delivery.attempts}) == 3


def test_redirects_are_followed_and_silence_is_not_waited_for(fake, receiver):
    sender = fake.sender(receiver.url("/hook/a"), "s")
    receiver.fault("/hook/a", mode="redirect", times=1, to="/hook/b")
    receiver.hook_secrets["b"] = []
    delivery = sender.deployment()
    delivery.wait()
    assert len(receiver.to("/hook/b")) == 1 and receiver.to("/hook/b")[0].raw == receiver.to("/hook/a")[0].raw
    receiver.fault("/hook/a", mode="hang")
    slow = sender.deployment(failed=True)
    assert slow.wait() is False and all("imed" in one.error for one in slow.attempts)


def test_every_run_that_fails_for_good_is_told(fake, receiver):
    receiver.hook_secrets["a"] = []
    receiver.fault("/hook/a", status=200)
    sender = fake.sender(receiver.url("/hook/a"), "s")
    sender.follow()
    runs = fake.load_random(60, seed=4, over_s=1, pace=0.1)
    fake.jump(30)
    wanted = {run.id for run in runs if run.state.status in alerts.ALERTING}
    wait_for(lambda: {json.loads(one.raw)["object"]["run"]["id"] for one in receiver.to("/hook/a")} >= wanted)
    sender.stop()
    told = [json.loads(one.raw)["object"]["run"]["id"] for one in receiver.to("/hook/a")]
    assert sorted(told) == sorted(wanted) and len(wanted) > 10
