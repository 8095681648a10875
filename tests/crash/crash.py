#!/usr/bin/python3
"""The crash test: kills the server with SIGKILL again and again, under load, and checks that what it promised holds.

usage: crash.py [--kills N | --quick] [--seed N] [--keep]

Kills fall at random moments, at every named point (failpoint(...) in src, by RUNBELL_FAILPOINT), during the start
after a kill, during a graceful stop and during reloads. Every ROUND kills, and at the end, everything is drained, the server is
stopped properly, and the books are compared: what was answered 2xx, what the store says, what the receiver got.
RUNBELL_BIN names the program (build/runbell). Ends with "N passed, N failed"."""
import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import time

from ledger import Ledger
from world import Load, Receiver, SECRET, TOKEN, id_number, read_http

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("RUNBELL_BIN", ROOT / "build" / "runbell")).resolve()
ROUND = 200          # kills on one store
CONNECTIONS = 8
PATIENCE_S = 60.0    # for what must happen in the end
CHECKS = ["acknowledged events are stored", "the API shows what was acknowledged", "one incident for each matched run",
          "matched runs were told", "messages are delivered in the end", "same message", "one id for each message",
          "repeats were in flight", "order", "first ids", "impossible states", "integrity", "signatures", "answers",
          "named points reached", "clean stop", "log"]
CONFIG = """version: 1
server: {{listen: "127.0.0.1:{port}"}}
store: {{url: "sqlite:bell.db"}}
log: {{level: warn}}
sources: {{push: {{type: webhook, token: "${{env:CRASH_TOKEN}}"}}}}
destinations: {{sink: {{type: webhook, url: "http://127.0.0.1:{sink}/", secret: "${{env:CRASH_SECRET}}"}}}}
defaults: {{by: run, wait: 0s, limit: 1000000 per 1s, notify: sink}}
rules:
  fails: {{when: {{status: FAILED}}, resolve: 3s quiet}}
  retries: {{when: {{status: REATTEMPTING}}, resolve: success}}
"""


def failpoints():
    found = set()
    for path in sorted((ROOT / "src").rglob("*.c")):
        found |= set(re.findall(r'failpoint\("([^"]+)"\)', path.read_text()))
    return sorted(found)


def free_port(rng):
    """Below the ports that connections get: a client must not meet itself while nobody listens."""
    while True:
        port = rng.randrange(20000, 30000)
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Round:
    """One store, killed again and again."""

    def __init__(self, test, folder):
        self.test, self.rng, self.faults = test, test.rng, test.faults
        self.folder, self.store = folder, folder / "bell.db"
        self.port = free_port(self.rng)
        self.process, self.checked, self.uncertain = None, 0, set()

    async def begin(self):
        self.receiver = Receiver(self.faults)
        await self.receiver.start()
        self.load = Load(self.port, self.rng, CONNECTIONS, self.faults)
        (self.folder / "runbell.yaml").write_text(CONFIG.format(port=self.port, sink=self.receiver.port))

    # --- one life ------------------------------------------------------------------------------------------------
    async def start(self, failpoint=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RUNBELL_")}
        environment.update(CRASH_TOKEN=TOKEN, CRASH_SECRET=SECRET)
        if failpoint:
            environment["RUNBELL_FAILPOINT"] = failpoint
        with open(self.folder / "log", "ab") as log:
            self.process = await asyncio.create_subprocess_exec(str(self.test.program), "serve", "-c", "runbell.yaml", cwd=self.folder,
                                                                env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
        self.receiver.life += 1
        self.load.go.set()

    def signal(self, number):
        """Not by the process object, which might take the child's end away from the loop that waits for it."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    async def died(self, within_s):
        try:
            await asyncio.wait_for(self.process.wait(), within_s)
            return True
        except asyncio.TimeoutError:
            return False

    async def reap(self, left=False):
        """After the kill: what was acknowledged is there, and who may be told again is known. left: a graceful stop
        may have been faster."""
        self.signal(signal.SIGKILL)
        await self.process.wait()
        self.test.kills += self.process.returncode == -signal.SIGKILL
        if self.process.returncode != -signal.SIGKILL and not (left and self.process.returncode in (0, -signal.SIGTERM)):
            self.faults.append(("log", f"the server ended by itself with {self.process.returncode}: {self.log_tail()}"))
        self.load.go.clear()
        while self.load.in_hand:  # every post learns that its connection is gone
            await asyncio.sleep(0)
        if self.store.exists() and self.store.stat().st_size > 0:
            self.look()

    def look(self):
        self.judge_repeats()
        with Ledger(self.store) as ledger:
            if not ledger.rows("SELECT 1 FROM sqlite_master WHERE name = 'deliveries'"):
                return
            lost = ledger.missing(self.load.acked[self.checked:])
            self.faults += [("acknowledged events are stored", f"{r.ident} {r.run} {r.status} was acknowledged and is not there") for r in lost]
            self.uncertain, bad = ledger.undelivered()
        self.checked = len(self.load.acked)
        self.faults += [("impossible states", text) for text in bad]
        in_flight = sum(1 for m in self.receiver.messages if id_number(m) in self.uncertain)
        self.test.in_flight += in_flight
        self.test.in_flight_most = max(self.test.in_flight_most, in_flight)

    def judge_repeats(self):
        """A message comes again only when the store did not know at the kill before that it had arrived; once a life."""
        seen = set()
        for ident, life in self.receiver.repeats:
            if id_number(ident) not in self.uncertain or (ident, life) in seen or self.receiver.messages[ident].life == life:
                self.faults.append(("repeats were in flight", f"{ident} came again without need, in life {life}"))
            seen.add((ident, life))
        self.test.repeats += len(self.receiver.repeats)
        self.receiver.repeats.clear()

    def log_tail(self):
        return (self.folder / "log").read_text(errors="replace")[-600:]

    # --- kinds of kills ---------------------------------------------------------------------------------------------
    async def kill_at_random(self):
        leave, reload, acked = self.rng.random() < 0.07, self.rng.random() < 0.1, len(self.load.acked)
        self.load.pace(self.rng.choice([100, 1000, 5000]))
        await self.start()
        if self.rng.random() < 0.15:
            await self.sleep(0.0, 0.06)  # in the start, most often
        else:
            await self.sleep(0.06, 0.6)
        if reload and len(self.load.acked) > acked:
            self.signal(signal.SIGHUP)
            await self.sleep(0.0, 0.02)
        if leave:
            self.signal(signal.SIGTERM)
            await self.sleep(0.0, 0.02)
        await self.reap(leave)

    async def kill_in_recovery(self):
        """A kill under load, then five more while it recovers."""
        await self.kill_at_random()
        for _ in range(5):
            await self.start()
            await self.sleep(0.0, 0.03)
            await self.reap()

    async def kill_at(self, name):
        slow = name.startswith("store.checkpoint")  # when enough was written and all is quiet
        for attempt in range(3):
            self.load.pace(5000, 2000 if slow else None)
            await self.start(f"{name}:{1 if slow or attempt else self.rng.randint(1, 20)}")
            reached = await self.died(8 * self.test.patience)
            await self.reap()
            if reached:
                self.test.reached.add(name)
                return
        self.faults.append(("named points reached", f"{name} was not passed in {attempt + 1} lives"))

    async def sleep(self, low, high):
        await self.died(self.rng.uniform(low, high) * self.test.patience)

    # --- the books ----------------------------------------------------------------------------------------------------
    async def until(self, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.02)
        return True

    def expected(self):
        """(run, kind) of every message that acknowledged reports ask for."""
        out = set()
        for report in self.load.acked:
            if report.rule == "fails":
                out |= {(report.run, "open"), (report.run, "resolve")}
            elif report.rule == "retries":
                out.add((report.run, "open" if report.attempt else "resolve"))
        return out

    def told(self):
        return {(m.run, m.kind) for m in self.receiver.messages.values()}

    async def api_shows(self, reports):
        for report in reports:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(f"GET /v1/runs/{report.run} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            first, _, body = await read_http(reader)
            writer.close()
            if " 200 " not in first or report.ident not in [t["event"] for s in json.loads(body)["seen"] for t in s["transitions"]]:
                self.faults.append(("the API shows what was acknowledged", f"{report.run} {report.ident}: {first} {body[:300]!r}"))

    async def finish(self):
        self.load.pace(0)
        await self.start()
        drained = await self.until(lambda: not self.load.waiting and not self.load.in_hand or self.process.returncode is not None)
        if not drained:
            self.faults.append(("answers", f"{len(self.load.waiting)} reports got no answer in {PATIENCE_S} s"))
        expected = self.expected()
        await self.until(lambda: expected <= self.told())
        await self.api_shows(self.rng.sample(self.load.acked, min(20, len(self.load.acked))))
        await self.load.stop()
        self.signal(signal.SIGTERM)
        stopped = await self.died(PATIENCE_S)
        if not stopped or self.process.returncode != 0:
            self.faults.append(("clean stop", f"returned {self.process.returncode}: {self.log_tail()}"))
        self.signal(signal.SIGKILL)
        self.look()
        self.compare(expected)
        self.test.add(self)
        self.receiver.server.close()

    def compare(self, expected):
        told, add = self.told(), self.faults.append
        for what in sorted(expected - told)[:5]:
            add(("matched runs were told", f"{what} was never sent"))
        for what in sorted(told - expected)[:5]:
            add(("matched runs were told", f"{what} was sent and nobody asked for it"))
        ids = {}
        for ident, m in self.receiver.messages.items():
            if ids.setdefault((m.run, m.kind), ident) != ident:
                add(("one id for each message", f"{m.run} {m.kind} was sent as {ident} and as {ids[m.run, m.kind]}"))
        for (run, kind), ident in ids.items():
            opened = ids.get((run, "open"))
            if kind == "resolve" and (not opened or self.receiver.messages[opened].order > self.receiver.messages[ident].order):
                add(("order", f"{run}: resolve came before open"))
        with Ledger(self.store) as ledger:
            incidents = ledger.incidents()
            for report in self.load.acked:
                if report.rule and (report.rule, report.run) not in incidents:
                    add(("one incident for each matched run", f"{report.rule} {report.run} has none"))
            if len(incidents) != len({run for run, _ in expected}):
                add(("one incident for each matched run", f"{len(incidents)} incidents of {len({run for run, _ in expected})} runs"))
            for report in ledger.missing(self.load.acked):
                add(("acknowledged events are stored", f"{report.ident} {report.run} is gone at the end"))
            if self.uncertain:
                add(("messages are delivered in the end", f"{len(self.uncertain)} are not"))
            for text in ledger.impossible():
                add(("impossible states", text))
            for text in ledger.integrity(False):
                add(("integrity", text))
        for line in (self.folder / "log").read_text(errors="replace").splitlines():
            if "level=error" in line or "Sanitizer" in line or "runtime error" in line:
                add(("log", line[:300]))


class Test:
    def __init__(self, arguments):
        self.seed = arguments.seed if arguments.seed is not None else random.SystemRandom().getrandbits(32)
        self.rng, self.arguments, self.faults = random.Random(self.seed), arguments, []
        self.points, self.reached = failpoints(), set()
        self.patience = float(os.environ.get("RUNBELL_CRASH_PATIENCE", "1"))  # a slow build: 10 under a sanitizer
        self.shown = self.retried = 0
        self.kills = self.repeats = self.in_flight = self.in_flight_most = 0
        self.acked = self.posts = self.again = self.refused = self.messages = self.sends = 0
        self.began = time.monotonic()

    def add(self, done):
        self.acked += len(done.load.acked)
        self.posts += done.load.posts
        self.again += done.load.again
        self.retried += sum(r.tries > 1 for r in done.load.acked)
        self.refused += done.load.refused
        self.messages += len(done.receiver.messages)
        self.sends += done.receiver.requests

    def plan(self, kills):
        """What to do in a round: every named point once, recoveries, and random kills for the rest."""
        plan = [("at", name) for name in self.points] + [("recovery", None)] * (1 if kills < 100 else 3)
        used = len(self.points) + 6 * (len(plan) - len(self.points))
        plan += [("random", None)] * max(0, kills - used)  # a graceful stop that was faster is no kill: some come on top
        self.rng.shuffle(plan)
        return plan

    async def round(self, kills, folder):
        folder.mkdir()
        r, goal = Round(self, folder), self.kills + kills
        await r.begin()
        for kind, name in self.plan(kills) + [("random", None)] * kills:
            if self.kills >= goal:
                break
            before = self.kills
            if kind == "at":
                await r.kill_at(name)
            elif kind == "recovery":
                await r.kill_in_recovery()
            else:
                await r.kill_at_random()
            if before // 25 < self.kills // 25:
                self.progress(r)
        await r.finish()
        self.progress(None)
        if not self.faults and not self.arguments.keep:
            shutil.rmtree(folder)

    def progress(self, r):
        acked, sends = (len(r.load.acked), r.receiver.requests) if r else (0, 0)
        for what, text in self.faults[self.shown:]:
            print(f"FAIL {what}: {text}")
        self.shown = len(self.faults)
        print(f"{self.kills} kills, {self.acked + acked} acknowledged, {self.sends + sends} sent, {self.repeats} of them again, "
              f"{len(self.faults)} faults, {time.monotonic() - self.began:.0f} s", flush=True)

    async def run(self, folder):
        left, number = self.arguments.kills, 0
        while left > 0 and len(self.faults) < 100:
            kills = left if left < ROUND + ROUND // 2 else ROUND
            number += 1
            await self.round(kills, folder / f"round-{number}")
            left -= kills

    def report(self):
        failed = [c for c in CHECKS if any(what == c for what, _ in self.faults)]
        print(f"{self.kills} kills, {len(self.reached)} of {len(self.points)} named points, {time.monotonic() - self.began:.0f} s, "
              f"seed {self.seed}")
        print(f"reports: {self.acked} acknowledged in {self.posts} posts; {self.retried} had to be posted again before their answer, "
              f"{self.again} were after it; {self.refused} posts answered 503")
        print(f"messages: {self.messages}, sent {self.sends} times: {self.repeats} came again; {self.in_flight} had arrived unknown to "
              f"the store when it was killed, {self.in_flight_most} at once at most")
        print(f"{len(CHECKS) - len(failed)} passed, {len(failed)} failed")
        return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="36 kills, each named point once")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep", action="store_true", help="keep the stores")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.kills = 36
    test = Test(arguments)
    print(f"seed {test.seed}, {arguments.kills} kills of {BINARY}", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="runbell-crash-"))
    test.program = shutil.copy(BINARY, folder)  # one program from beginning to end, whatever is built meanwhile
    asyncio.run(test.run(folder))
    if test.faults or arguments.keep:
        print(f"stores and logs: {folder}")
    else:
        shutil.rmtree(folder)
    return test.report()


if __name__ == "__main__":
    sys.exit(main())
