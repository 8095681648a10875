"""What is on disk: one owner, kill -9, a full disk."""
import contextlib
import os
import signal
import subprocess
import threading

import pytest

from conftest import Runbell, a_run, hook, wait_for

CRASHED = {"when": {"status": "CRASHED"}, "by": "run", "notify": "out"}


def test_second_process_is_refused(new_runbell):
    first = new_runbell()
    first.start(rules={"r": {**CRASHED}})
    second = Runbell(first.folder)
    second.path = first.folder / "given-second.yaml"
    second.stderr_path = first.folder / "second.log"
    second.configure(rules={"r": {**CRASHED}})
    process = second.spawn()
    assert process.wait(10) not in (0, -signal.SIGSEGV)
    assert "runbell.db" in second.log() and any(word in second.log() for word in ("another process", "in use", "already"))
    first.accept(a_run("run_1"))
    assert len(first.incidents()) == 1


def test_address_in_use(new_runbell):
    first, second = new_runbell("first"), new_runbell("second")
    first.start(rules={"r": {**CRASHED}})
    second.port = first.port
    second.configure(rules={"r": {**CRASHED}})
    assert second.spawn().wait(10) == 3
    assert str(first.port) in second.log() and "in use" in second.log()


@pytest.mark.parametrize("url, word", [("sqlite:/proc/none/x.db", "/proc/none"), ("sqlite:given-text.db", "given-text.db"), ("mysql://x", "mysql")])
def test_stores_that_cannot_be(runbell, url, word):
    (runbell.folder / "given-text.db").write_text("this is no database at all\n" * 100)
    runbell.configure(rules={"r": {**CRASHED}}, store={"url": url})
    assert runbell.spawn().wait(10) in (1, 3)
    assert word in runbell.log(), runbell.log()


def test_store_is_private(runbell):
    runbell.start(rules={"r": {**CRASHED}})
    runbell.accept(a_run("run_1"))
    for path in runbell.folder.glob("runbell.db*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_restart_keeps_everything(runbell, fakes):
    """Incidents, windows, acknowledgements, timers: what was due meanwhile fires once, late, and says so."""
    config = dict(rules={"r": {**CRASHED, "notify": "out", "escalate": {"700ms": "pager"}},
                         "counted": {"when": {"status": "TIMED_OUT"}, "count": "3 in 10m", "notify": "out"}},
                  destinations={"out": hook(fakes), "pager": hook(fakes, "pager")})
    runbell.start(**config)
    runbell.accept([a_run("run_1"), a_run("run_2"), a_run("run_3", "TIMED_OUT"), a_run("run_4", "TIMED_OUT")])
    wait_for(lambda: len(fakes.taken("/hook/a")) == 2, "the openings")
    acked = next(one["id"] for one in runbell.incidents() if one["key"] == "run_1")
    runbell.api(f"/v1/incidents/{acked}/ack", {"who": "ann"})
    before = {one["id"]: (one["state"], one["hits"]) for one in runbell.incidents()}
    runbell.kill9()
    runbell.start()
    assert {one["id"]: (one["state"], one["hits"]) for one in runbell.incidents()} == before
    page = wait_for(lambda: fakes.taken("/hook/pager"), "the escalation")
    runbell.accept(a_run("run_5", "TIMED_OUT"))
    assert [one["hits"] for one in runbell.incidents("&rule=counted")] == [3]
    wait_for(lambda: any(one.body["data"]["rule"] == "counted" for one in fakes.taken("/hook/a")), "the message")
    assert {one.body["data"]["run"] for one in page} == {"run_2"} and len(fakes.taken("/hook/pager")) == 1
    assert sum(one.body["data"]["kind"] == "open" for one in fakes.taken("/hook/a")) == 3


def test_killed_while_messages_wait(runbell, fakes):
    """The receiver was down: after kill -9 and a start each message comes once, with the id it had."""
    config = dict(rules={"r": {**CRASHED}}, destinations={"out": hook(fakes)}, defaults={"limit": "1000 per 1m"})
    fakes.fault("/hook/a", status=503)
    runbell.start(**config)
    runbell.accept([a_run(f"run_{k}") for k in range(4)])  # few enough to leave the breaker closed
    wait_for(lambda: fakes.to("/hook/a"), "a first try")
    ids = {one.headers["webhook-id"] for one in fakes.to("/hook/a")}
    runbell.kill9()
    fakes.heal()
    runbell.start()
    wait_for(lambda: len(fakes.taken("/hook/a")) >= 4, "all of them")
    wait_for(lambda: not runbell.deliveries("&state=retrying") and not runbell.deliveries("&state=pending"), "the ledger")
    taken = fakes.taken("/hook/a")
    assert len(taken) == 4 and len({one.headers["webhook-id"] for one in taken}) == 4
    assert ids <= {one.headers["webhook-id"] for one in taken}


def test_killed_again_and_again_under_load(runbell, fakes):
    """Every id answered 2xx is there afterwards, every matched one was sent, repeats carry the same id."""
    config = dict(rules={"r": {**CRASHED}}, destinations={"out": hook(fakes)}, defaults={"limit": "100000 per 1m"})
    runbell.start(**config)
    acknowledged, stop = [], threading.Event()

    def load():
        number = 0
        while not stop.is_set():
            number += 1
            batch = [f"run_{number:06d}_{k}" for k in range(3)]
            try:
                if runbell.post([a_run(one) for one in batch]).status == 202:
                    acknowledged.extend(batch)
            except (OSError, ValueError):
                stop.wait(0.005)
            except Exception:  # http.client's own: cut off in the middle of an answer
                stop.wait(0.005)

    worker = threading.Thread(target=load)
    worker.start()
    try:
        for round_ in range(6):
            goal = len(acknowledged) + 30
            wait_for(lambda: len(acknowledged) >= goal, "some load")
            runbell.kill9()
            runbell.start()
    finally:
        stop.set()
        worker.join()
    wait_for(lambda: set(acknowledged) <= {one.body["data"]["run"] for one in fakes.taken("/hook/a")}, "every message", timeout=40)
    by_run = {}
    for one in fakes.taken("/hook/a"):
        by_run.setdefault(one.body["data"]["run"], set()).add(one.headers["webhook-id"])
    assert all(len(ids) == 1 for ids in by_run.values()), "a repeat carries the same id"
    assert runbell.status()["store"]["events"] >= len(acknowledged)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes, all to ourselves."""
    if os.geteuid() != 0:
        pytest.skip("wants root, to mount a small tmpfs")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "runbell-test", folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("cannot mount a tmpfs here: " + done.stderr.strip())
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_disk_full_heals_by_itself(small_disk, runbell, fakes):
    """503 while it lasts, deliveries go on, nothing acknowledged is lost, no restart needed."""
    runbell.start(rules={"r": {**CRASHED}, "big": {"when": {"status": "TIMED_OUT"}, "notify": "out"}}, destinations={"out": hook(fakes)},
                  store={"url": f"sqlite:{small_disk}/runbell.db"}, defaults={"limit": "100000 per 1m"})
    runbell.accept(a_run("run_before"))
    wait_for(lambda: fakes.taken("/hook/a"), "the first message")
    ballast = small_disk / "ballast"
    with open(ballast, "wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(b"x" * 4096)
    answers, accepted = [], ["run_before"]
    for k in range(400):
        answer = runbell.post(a_run(f"run_{k:04d}", metadata={"blob": "x" * 20000}))
        answers.append(answer.status)
        if answer.status == 202:
            accepted.append(f"run_{k:04d}")
        if answers.count(503) >= 3:
            break
    assert set(answers) <= {202, 503} and answers[-1] == 503, answers
    refused = runbell.post(a_run("run_refused"))
    assert refused.status == 503 and int(refused.headers["retry-after"]) >= 1
    assert runbell.request("GET", "/readyz").status == 503 and runbell.request("GET", "/healthz").status == 200
    assert runbell.process.poll() is None

    ballast.unlink()
    wait_for(lambda: runbell.request("GET", "/readyz").status == 200, "it to heal")
    runbell.accept(a_run("run_after"))
    accepted.append("run_after")
    wait_for(lambda: set(accepted) <= {one.body["data"]["run"] for one in fakes.taken("/hook/a")}, "every message")
    assert "run_refused" not in {one.body["data"]["run"] for one in fakes.taken("/hook/a")}
    assert {one["key"] for one in runbell.incidents("&rule=r")} >= set(accepted[-50:])
    assert "store.healed" in runbell.log()
