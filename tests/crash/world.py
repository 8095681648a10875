"""What the crash test has around the server: a load of run reports that remembers every promise it was given,
and a receiver that remembers everything it was sent. Both live on one asyncio loop."""
import asyncio
import base64
import hashlib
import hmac
import json
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
KEY = b"a key for the crash test, 32 by."
TOKEN = "a token for the crash test"
SECRET = "whsec_" + base64.b64encode(KEY).decode()

HEAD = (f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\n\r\n").encode()


def id_number(text):
    """evt_..., dlv_..., inc_... as the number that the store has."""
    value = 0
    for letter in text.split("_", 1)[1]:
        value = value * 32 + ALPHABET.index(letter)
    return value


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"


async def read_http(reader):
    """First line, headers and body of one message; None when the other side has left before it began."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as left:
        if left.partial:
            raise
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return first, headers, body


# --- the receiver ------------------------------------------------------------------------------------------------
class Message:
    """One webhook-id and what came under it."""
    __slots__ = ("incident", "kind", "run", "digest", "count", "life", "order")

    def __init__(self, incident, kind, run, digest, life, order):
        self.incident, self.kind, self.run, self.digest = incident, kind, run, digest
        self.count, self.life, self.order = 1, life, order


class Receiver:
    """Answers 204 at once. `repeats` has (webhook-id, life) of every message that came once more."""

    def __init__(self, faults):
        self.messages, self.repeats, self.faults = {}, [], faults
        self.life, self.requests, self.port, self.server = 0, 0, 0, None
        self.writers = set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=256)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while (message := await read_http(reader)):
                self.take(*message[1:])
                writer.write(b"HTTP/1.1 204 Taken\r\n\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # killed in the middle of a request
        finally:
            self.writers.discard(writer)
            writer.close()

    def take(self, headers, body):
        self.requests += 1
        ident, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        expected = base64.b64encode(hmac.digest(KEY, f"{ident}.{at}.".encode() + body, "sha256")).decode()
        if f"v1,{expected}" not in headers.get("webhook-signature", "").split():
            self.faults.append(("signatures", f"{ident}: the signature does not fit the body"))
        data = json.loads(body)["data"]
        digest = hashlib.sha256(body).digest()
        seen = self.messages.get(ident)
        if not seen:
            run = data.get("run") or data["key"]
            self.messages[ident] = Message(data.get("incident"), data["kind"], run, digest, self.life, self.requests)
            return
        seen.count += 1
        self.repeats.append((ident, self.life))
        if seen.incident != data.get("incident") or seen.digest != digest:
            self.faults.append(("same message", f"{ident} was sent again with another body: {body[:300]!r}"))


# --- the load -----------------------------------------------------------------------------------------------------
class Report:
    """One report of a run on its way: posted until it is answered."""
    __slots__ = ("run", "status", "attempt", "rule", "then", "tries", "ident")

    def __init__(self, run, status, rule=None, attempt=None, then=None):
        self.run, self.status, self.rule, self.attempt, self.then = run, status, rule, attempt, then
        self.tries, self.ident = 0, None

    def json(self):
        now = time.time()
        return {"id": self.run, "status": self.status, "taskIdentifier": {"fails": "charge-card", "retries": "sync-ledger"}.get(self.rule, "quiet"),
                "version": "20260503.1", "createdAt": stamp(now - 30), "startedAt": stamp(now - 29), "updatedAt": stamp(now),
                "isTest": False, "tags": ["crash-test"], "metadata": {"n": self.run},
                "attempts": [{"id": f"a{k}", "status": "FAILED", "error": {"name": "Error", "message": "no answer from the bank"}}
                             for k in range(1, self.attempt or 1)]}


class Load:
    """Posts from several keep-alive connections while `go` is set, at a pace. acked: what got a 2xx; waiting: what has
    no answer yet."""

    def __init__(self, port, rng, connections, faults):
        self.port, self.rng, self.faults = port, rng, faults
        self.go = asyncio.Event()
        self.waiting, self.acked, self.fresh = [], [], []
        self.made = self.posts = self.refused = self.again = self.in_hand = 0
        self.stopped = False
        self.pace(0)
        self.workers = [asyncio.ensure_future(self.work()) for _ in range(connections)]

    def pace(self, per_second, most=None):
        """New posts from now on: so many a second, at most so many in all. Those without an answer come in any case."""
        self.per_second, self.most, self.since, self.new = per_second, most, time.monotonic(), 0

    def may_make(self):
        if self.most is not None and self.new >= self.most:
            return False
        return self.new < (time.monotonic() - self.since) * self.per_second

    def make(self):
        self.made += 1
        run, dice = f"run_{self.made:08x}{self.rng.getrandbits(32):08x}", self.rng.random()
        if dice < 0.15:
            return Report(run, "FAILED", "fails")
        if dice < 0.30:
            return Report(run, "REATTEMPTING", "retries", 2, Report(run, "COMPLETED", "retries"))
        return Report(run, "COMPLETED")

    def pick(self):
        """One report or a few: new ones, those without an answer, now and then one that had its answer already."""
        if self.waiting:
            return [self.waiting.pop(self.rng.randrange(len(self.waiting)))]
        if not self.may_make():
            return []
        self.new += 1
        if self.fresh and self.rng.random() < 0.02:
            return [self.rng.choice(self.fresh)]
        return [self.make() for _ in range(3 if self.rng.random() < 0.03 else 1)]

    async def work(self):
        reader = writer = None
        while not self.stopped:
            await self.go.wait()
            batch = self.pick()
            if not batch:
                await asyncio.sleep(0.001)
                continue
            self.in_hand += 1
            try:
                if not writer:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                await self.post(reader, writer, batch)
            except (OSError, asyncio.IncompleteReadError):
                self.waiting += [r for r in batch if not r.ident]
                if writer:
                    writer.close()
                reader = writer = None
                await asyncio.sleep(0.002)
            finally:
                self.in_hand -= 1
        if writer:
            writer.close()

    async def post(self, reader, writer, batch):
        objects = [r.json() for r in batch]
        body = json.dumps(objects if len(batch) > 1 else objects[0]).encode()
        for report in batch:
            report.tries += not report.ident
        self.posts += 1
        writer.write(HEAD % len(body) + body)
        answer = await read_http(reader)
        if not answer:
            raise ConnectionResetError
        status = int(answer[0].split()[1])
        if status == 202:
            self.promised(batch, json.loads(answer[2]))
            return
        self.waiting += [r for r in batch if not r.ident]
        self.refused += 1
        if status != 503:
            self.faults.append(("answers", f"{answer[0]} {answer[2][:300]!r} to {body[:200]!r}"))

    def promised(self, batch, answer):
        for report, ident in zip(batch, answer["ids"], strict=True):
            if report.ident:  # it had its answer: a repeat gets the same id
                self.again += 1
                if report.ident != ident or answer["duplicates"] != 1:
                    self.faults.append(("first ids", f"{report.run} was {report.ident}; posted again it got {answer}"))
                continue
            report.ident = ident
            self.acked.append(report)
            self.fresh.append(report)
            if report.then:
                self.waiting.append(report.then)
                report.then = None
        if len(self.fresh) > 400:
            del self.fresh[:200]

    async def stop(self):
        self.stopped = True
        self.go.set()
        await asyncio.gather(*self.workers)
