"""Clients that misbehave, and many that do not."""
import json
import pathlib
import re
import select
import socket
import threading
import time

import pytest

from conftest import SANITIZED, a_run, hook, wait_for

RULES = {"r": {"when": {"status": "CRASHED"}, "notify": "out"}}
HEAD = ("POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer canary-ingest-5b1f\r\n"
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n")


@pytest.fixture
def server(runbell, fakes):
    return runbell.start(rules=RULES, destinations={"out": hook(fakes)})


def request(ident):
    body = json.dumps(a_run(ident))
    return (HEAD.format(len(body)) + body).encode()


def dial(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def is_closed(connection, timeout=20):
    """The other side has gone, within that time."""
    connection.settimeout(timeout)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("clients", [1, 128, 256, 300, 1000])
def test_lock_step(server, clients):
    """All send, all wait for their answer, again: nobody may be forgotten."""
    connections = [dial(server) for _ in range(clients)]
    rounds = 3
    for round_ in range(rounds):
        for n, one in enumerate(connections):
            one.sendall(request(f"run_{clients}_{round_}_{n}"))
        poller, waiting = select.poll(), {}
        for one in connections:
            poller.register(one, select.POLLIN)
            waiting[one.fileno()] = (one, b"")
        end = time.monotonic() + 15
        while waiting:
            assert time.monotonic() < end, f"{len(waiting)} of {clients} clients were forgotten"
            for fd, _ in poller.poll(500):
                one, text = waiting[fd]
                text += one.recv(65536)
                waiting[fd] = (one, text)
                if b"\r\n\r\n" in text and text.endswith(b"]}"):
                    assert text.startswith(b"HTTP/1.1 202 "), text
                    poller.unregister(fd)
                    del waiting[fd]
    for one in connections:
        one.close()
    assert server.status()["events"]["accepted"] == rounds * clients


def test_half_open_clients_disturb_nobody(server):
    """Two hundred that said half a request: others are served at once; the silent ones are put out."""
    silent = [dial(server) for _ in range(200)]
    for n, one in enumerate(silent):
        one.sendall(request("run_never")[: n % 60 + 1])
    begin = time.monotonic()
    for n in range(50):
        server.accept(a_run(f"run_{n}"))
    assert time.monotonic() - begin < 5
    assert is_closed(silent[0]) and is_closed(silent[-1]), "within the ten seconds for a header, give or take"
    assert time.monotonic() - begin > 5, "but not at once"
    for one in silent:
        one.close()
    assert server.status()["events"]["accepted"] == 50 and server.metric("http_deadlines_total") >= 1


def test_slow_drip(server):
    """A byte now and then keeps nobody's connection alive, neither in the header nor in the body."""
    header, body = dial(server), dial(server)
    body.sendall(HEAD.format(100000).encode())
    text = request("run_drip")
    begin, closed, at = time.monotonic(), set(), 0
    while len(closed) < 2 and time.monotonic() - begin < 25:
        for name, one in (("header", header), ("body", body)):
            if name in closed:
                continue
            readable, _, _ = select.select([one], [], [], 0)
            try:
                if readable and one.recv(4096) == b"":
                    closed.add(name)
                    continue
                one.sendall(text[at % 60: at % 60 + 1] if name == "header" else b" ")
            except OSError:
                closed.add(name)
        at += 1
        time.sleep(0.1)
    assert closed == {"header", "body"}
    server.accept(a_run("run_1"))


def test_clients_that_leave_in_the_middle(server):
    for n in range(300):
        one = dial(server)
        text = request(f"run_left_{n}")
        one.sendall(text if n % 3 == 0 else text[: 40 + n])
        if n % 2:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        one.close()
    server.accept(a_run("run_after"))
    wait_for(lambda: server.status()["process"]["open_files"] < 60, "their files to be closed")


def test_pipelined_requests(server):
    connection = dial(server)
    connection.sendall(b"".join(request(f"run_{n}") for n in range(20)))
    text = b""
    connection.settimeout(10)
    while text.count(b"HTTP/1.1 202") < 20 or not text.endswith(b"]}"):
        text += connection.recv(65536)
    assert server.status()["events"]["accepted"] == 20
    connection.close()


POST = "POST /v1/events HTTP/1.1\r\nHost: x\r\n"
NOT_QUITE_HTTP = {
    "length and chunks": POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "negative length": POST + "Content-Length: -1\r\n\r\n",
    "unknown transfer encoding": POST + "Transfer-Encoding: gzip\r\n\r\n",
    "blank in a name": "POST /v1/events HTTP/1.1\r\nHost : x\r\nContent-Length: 2\r\n\r\n{}",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "version": "GET / HTTP/9.9\r\n\r\n",
    "empty lines": "\r\n" * 5000,
    "long path": "GET /" + "a" * 100000 + " HTTP/1.1\r\nHost: x\r\n\r\n",
    "many headers": "GET /healthz HTTP/1.1\r\nHost: x\r\n" + "X-Y: z\r\n" * 20000 + "\r\n",
}


@pytest.mark.parametrize("name", NOT_QUITE_HTTP)
def test_not_quite_http(server, name):
    connection = dial(server)
    try:
        connection.sendall(NOT_QUITE_HTTP[name].encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    connection.settimeout(20)
    text = b""
    try:
        while piece := connection.recv(65536):
            text += piece
    except OSError:
        pass
    assert not text.startswith(b"HTTP/1.1 2"), text[:200]
    connection.close()
    server.accept(a_run("run_1"))


def test_full_queue_is_503_with_retry_after(runbell, fakes):
    """A queue of almost nothing and many writers: some are told to come again, none is lost, none hangs."""
    runbell.start(rules=RULES, destinations={"out": hook(fakes)}, server={"limits": {"queue": "64KiB"}})
    answers, lock = [], threading.Lock()

    def load(worker):
        for n in range(6):
            answer = runbell.post([a_run(f"run_{worker}_{n}_{k}", metadata={"x": "y" * 300}) for k in range(60)])
            with lock:
                answers.append(answer)

    workers = [threading.Thread(target=load, args=(k,)) for k in range(24)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len(answers) == 24 * 6 and {one.status for one in answers} <= {202, 503}
    assert all(int(one.headers["retry-after"]) >= 1 for one in answers if one.status == 503)
    accepted = sum(one.json["accepted"] for one in answers if one.status == 202)
    assert runbell.status()["store"]["events"] == accepted > 0


def test_memory_is_bounded_whatever_the_bodies_decode_to(runbell, fakes):
    """Many bodies of nothing but values at once: what waits for room in the queue is not decoded yet."""
    runbell.start(rules=RULES, destinations={"out": hook(fakes)})
    body = b'{"a":[' + b"0," * 500_000 + b"0]}"
    answers = []

    def load():
        answers.extend(runbell.post(body) for _ in range(2))

    workers = [threading.Thread(target=load) for _ in range(100)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len(answers) == 200 and {one.status for one in answers} <= {400, 503}
    peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{runbell.process.pid}/status").read_text())[1]) // 1024
    assert peak < 600 or SANITIZED, f"{peak} MiB"  # decoded at once they would be a gigabyte


def test_stop_under_load_loses_nothing(runbell, fakes):
    """SIGTERM: what was answered 2xx is there afterwards."""
    runbell.start(rules={"r": {**RULES["r"], "by": "run"}}, destinations={"out": hook(fakes)}, defaults={"limit": "100000 per 1m"})
    acknowledged, stop = [], threading.Event()

    def load(worker):
        number = 0
        while not stop.is_set():
            number += 1
            ident = f"run_{worker}_{number:05d}"
            try:
                if runbell.post(a_run(ident)).status == 202:
                    acknowledged.append(ident)
            except Exception:  # refused, or cut off: not acknowledged
                stop.wait(0.01)

    workers = [threading.Thread(target=load, args=(k,)) for k in range(3)]
    for one in workers:
        one.start()
    try:
        for _ in range(6):
            goal = len(acknowledged) + 20
            wait_for(lambda: len(acknowledged) > goal, "some load")
            begin = time.monotonic()
            assert runbell.stop() == 0 and time.monotonic() - begin < 10
            runbell.start()
    finally:
        stop.set()
        for one in workers:
            one.join()
    wait_for(lambda: set(acknowledged) <= {one.body["data"]["run"] for one in fakes.taken("/hook/a")}, "every message")
    assert len({one.headers["webhook-id"] for one in fakes.taken("/hook/a")}) == len({one.body["data"]["run"] for one in fakes.taken("/hook/a")})


def test_foreign_host_names_and_origins(runbell):
    """Without a token a page on another site must not speak to a server on loopback."""
    runbell.configure(rules={"r": {"when": {"status": "CRASHED"}, "notify": "out"}})
    runbell.path.write_text(runbell.path.read_text().replace("  token: ${env:API_TOKEN}\n", "", 1))
    runbell.start()
    assert runbell.request("GET", "/v1/status").status == 200
    for headers in ({"Host": "evil.example.com"}, {"Origin": "https://evil.example.com"}):
        answer = runbell.request("POST", "/v1/destinations/out/send", b"{}", {"Content-Type": "application/json", **headers})
        assert answer.status == 403, (headers, answer)
    assert runbell.stdout_path.read_text() == ""


def test_nobody_may_listen_beyond_loopback_without_a_token(runbell):
    runbell.configure(rules={"r": {"when": {"status": "CRASHED"}, "notify": "out"}})
    text = runbell.path.read_text().replace("listen: 127.0.0.1", "listen: 0.0.0.0").replace("  token: ${env:API_TOKEN}\n", "", 1)
    assert "API_TOKEN" not in text
    runbell.path.write_text(text)
    assert runbell.spawn().wait(10) != 0
    assert "server.token" in runbell.log()


def test_unix_socket(runbell):
    runbell.configure(rules={"r": {"when": {"status": "CRASHED"}, "notify": "out"}})
    runbell.path.write_text(runbell.path.read_text().replace(f"listen: 127.0.0.1:{runbell.port}", "listen: unix:bell.sock"))
    process = runbell.spawn()
    try:
        wait_for(lambda: runbell.run("healthcheck").returncode == 0, "the server")
        assert "ready: true" in runbell.run("status").stdout
        assert (runbell.folder / "bell.sock").stat().st_mode & 0o007 == 0
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert not (runbell.folder / "bell.sock").exists()
