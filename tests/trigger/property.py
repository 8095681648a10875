#!/usr/bin/python3
"""The property of trigger-api sources: the transitions seen are those that happened and the method can see, none twice.

usage: property.py [--runs N] [--method query|list|live|both ...] [--seed N] [--kills N] [--keep]

For each method a fake Trigger.dev (tests/fakes/trigger_dev) lives through N random timelines while faults are injected: its analytics
store lags and hears of changes out of order, answers fail, are cut short or garbage, pages are short, connections break. The server is
killed and stopped in between, and starts again. In the end the hits in its store are compared with what really happened: every final
state of every run, and every attempt from the second on (today's server never says REATTEMPTING). `both` is webhook and polling of one
environment together: what both see is one transition. RUNBELL_BIN names the program. Ends with "N passed, N failed"."""
import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "fakes"))
from trigger_dev import TriggerDev  # noqa: E402

BINARY = pathlib.Path(os.environ.get("RUNBELL_BIN", ROOT / "build" / "runbell")).resolve()
METHODS = ["query", "list", "live", "both"]
PATIENCE_S = 300.0
SECRET = "whsec_property_test"
FAILED = {"CRASHED", "TIMED_OUT", "SYSTEM_FAILURE", "FAILED"}
CONFIG = """version: 1
server: {{listen: "127.0.0.1:{port}"}}
store: {{url: "sqlite:bell.db"}}
log: {{level: info}}
sources:
  prod: {{type: trigger-api, url: "{url}", key: "${{env:KEY}}", every: 200ms, overlap: 4s, budget: 100, timeout: 5s, method: {method}{live}}}
{hook}destinations: {{out: {{type: console}}}}
defaults: {{by: run, limit: 1000000 per 1s, repeat: never, resolve: manual, notify: out, at_least: 1000}}
rules:
  finals: {{when: {{status: finished}}}}
  retries: {{when: {{status: REATTEMPTING}}}}
"""
HOOK = '  alerts: {type: trigger-webhook, secret: "${env:HOOK_SECRET}", env: prod}\n'


def free_port():
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    def __init__(self, folder, fake, method, key):
        self.folder, self.port, self.process = folder, free_port(), None
        self.log = open(folder / "log", "ab")
        hook = HOOK if method == "both" else ""
        (folder / "runbell.yaml").write_text(CONFIG.format(
            port=self.port, url=fake.url, hook=hook, method={"live": "auto", "both": "auto"}.get(method, method),
            live=", live: true" if method == "live" else ""))
        self.env = {**os.environ, "KEY": key, "HOOK_SECRET": SECRET}

    def start(self):
        self.process = subprocess.Popen([str(BINARY), "serve"], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log)
        self.wait(lambda: self.get("/readyz") is not None, "the server to be ready")

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.read()
        except (OSError, urllib.error.URLError):
            return None

    def source(self):
        raw = self.get("/v1/sources")
        return next((one for one in json.loads(raw)["data"] if one["name"] == "prod"), {}) if raw else {}

    def end(self, how):
        self.process.send_signal(how)
        status = self.process.wait(30)
        assert how == signal.SIGKILL or status == 0, f"it left with {status}"

    @staticmethod
    def wait(condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("waited in vain for " + what)
            time.sleep(0.02)


def expected(fake):
    """(rule, run, state or attempt) of what happened."""
    out = set()
    for one in fake.ground_truth():
        if one.state in ("COMPLETED", "FAILED", "CRASHED", "TIMED_OUT", "SYSTEM_FAILURE", "EXPIRED", "CANCELED", "INTERRUPTED"):
            out.add(("finals", one.run, one.state))
        elif one.status == "EXECUTING" and (one.attempt or 0) >= 2:
            out.add(("retries", one.run, one.attempt))
    return out


FOLD = {"COMPLETED_SUCCESSFULLY": "COMPLETED", "COMPLETED_WITH_ERRORS": "FAILED"}


def seen(folder):
    """The same from the store, with how often."""
    db = sqlite3.connect(folder / "bell.db")
    out = collections.Counter()
    for rule, body in db.execute("SELECT i.rule, n.body FROM notes n JOIN incidents i ON i.id = n.incident WHERE n.what = 'hit'"):
        note = json.loads(body)
        if note.get("fuller"):
            continue
        status = note["status"].upper().replace(" ", "_")
        out[(rule, note["run"], note["attempt"] if rule == "retries" else FOLD.get(status, status))] += 1
    db.close()
    return out


def disturb(fake, rng):
    fake.knobs.set(replica_lag_s=0.3, replica_jitter_s=0.7, commit_delay_s=0.3, rate_burst=10 ** 6, rate_refill=10 ** 6)
    for where in ("list", "query", "retrieve", "realtime"):
        fake.fault(where, "status", probability=0.02, status=rng.choice([500, 502, 503]))
        fake.fault(where, "truncate", probability=0.01)
        fake.fault(where, "invalid", probability=0.005)
        fake.fault(where, "reset", probability=0.01)
        fake.fault(where, "close_after", probability=0.005)


def load_old(fake, rng, n, over_s):
    """Runs that began hours ago and end while we look: far behind the window in which ends are listed, only their ids lead to them."""
    now_ms = fake.clock.now()
    for _ in range(n):
        age_s = rng.uniform(3600, 3 * 3600)
        end_s = age_s + rng.uniform(3, over_s + 3)
        kind = rng.choice(("COMPLETED_SUCCESSFULLY", "COMPLETED_WITH_ERRORS", "CRASHED", "TIMED_OUT"))
        fake.population.add(fake.env("prod"), task="old-timer", created=now_ms - int(age_s * 1000),
                            steps=[(0, "PENDING"), (1, "DEQUEUED"), (2, "EXECUTING"), (end_s, kind)])
    fake.population.advance()


def live_through(server, fake, rng, kills, until_s):
    """Kills and stops at random moments until every timeline has ended."""
    end = time.monotonic() + until_s
    moments = sorted(rng.uniform(0, until_s) for _ in range(kills))
    began = time.monotonic()
    for at in moments:
        while time.monotonic() - began < at:
            time.sleep(0.01)
        server.end(signal.SIGKILL if rng.random() < 0.6 else signal.SIGTERM)
        gap = rng.uniform(0, 1.5)
        again = time.monotonic() + gap
        while time.monotonic() < again:
            time.sleep(0.01)
        server.start()
    while time.monotonic() < end or fake.population.active():
        time.sleep(0.05)


def settle(server, want, folder):
    """Until everything wanted is there, or nothing new has come for long; then one more look, for what should not come."""
    last, since = -1, time.monotonic()
    while True:
        have = seen(folder)
        missing = want - set(have)
        if not missing:
            break
        if len(have) != last:
            last, since = len(have), time.monotonic()
        if time.monotonic() - since > 25:
            break
        time.sleep(0.2)
    looks = server.source().get("last_look_at")
    server.wait(lambda: server.source().get("last_look_at") != looks, "another look")


def one(method, args, folder):
    servers = []
    try:
        return compare(method, args, folder, servers)
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()


def compare(method, args, folder, servers):
    rng = random.Random(args.seed)
    over_s = max(6.0, args.runs / 400)
    with TriggerDev(seed=args.seed, realtime_hold_s=1) as fake:
        server = Server(folder, fake, method, fake.key)
        servers.append(server)
        load_old(fake, rng, 10 + args.runs // 100, over_s)
        server.start()
        server.wait(lambda: server.source().get("state") == "ok", "a first look")
        disturb(fake, rng)
        fake.load_random(args.runs, seed=args.seed, over_s=over_s, pace=0.7)
        sender = None
        if method == "both":
            sender = fake.sender(f"http://127.0.0.1:{server.port}/v1/trigger", SECRET)
            fake.knobs.set(alert_scale=0.2)
            sender.follow()
        live_through(server, fake, rng, args.kills, over_s + 6)
        if sender:
            sender.stop()
        want = expected(fake)
        lives = collections.defaultdict(list)
        for step in fake.ground_truth():
            lives[step.run].append(f"{step.status}@{step.at % 10 ** 7}")
        settle(server, want, folder)
        status = server.source()
        server.end(signal.SIGTERM)
    have = seen(folder)
    missing, surplus = want - set(have), set(have) - want
    twice = [key for key, n in have.items() if n > 1]
    print(f"{method}: {len(want)} transitions of {args.runs} runs, {len(missing)} missing, {len(surplus)} that never were, {len(twice)} twice; "
          f"{status.get('requests', {}).get('made')} requests since the last start, method {status.get('method')}", flush=True)
    for name, some in (("missing", missing), ("never were", surplus), ("twice", twice)):
        for key in sorted(some, key=str)[:8]:
            print(f"  {name}: {key}: {' '.join(lives[key[1]])}")
    return not missing and not surplus and not twice


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--runs", type=int, default=10000)
    p.add_argument("--method", action="append", choices=METHODS)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2 ** 32))
    p.add_argument("--kills", type=int, default=6)
    p.add_argument("--keep", action="store_true", help="leave the folders")
    args = p.parse_args()
    print(f"seed {args.seed}", flush=True)
    passed = failed = 0
    for method in args.method or METHODS:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="runbell-property-"))
        began = time.monotonic()
        good = one(method, args, folder)
        print(f"  {time.monotonic() - began:.0f} s" + (f", in {folder}" if args.keep or not good else ""), flush=True)
        passed, failed = passed + good, failed + (not good)
        if good and not args.keep:
            shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
