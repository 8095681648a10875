"""What is measured. Each function takes a Bench and a number of rounds and gives the rows it was asked for; runs that are
compared are interleaved, each with a fresh process and a fresh store."""
import json
import re
import shutil
import socket
import time

import bodies
import peers
import polling
import under_load
from chart import Row

MIB = 1 << 20


def say(text):
    print(text, flush=True)


def median(values):
    values = sorted(values)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


# --- how many a second -------------------------------------------------------------------------------------------
class Ingest:
    """The contestants of one round; each gives events a second."""

    def __init__(self, bench):
        self.bench = bench
        self.seconds = 0.3 if bench.quick else 3
        self.connections = 16 if bench.quick else 256
        self.p99_ms = {}
        shared = bench.folder()
        put = lambda name, text: bench.put(shared, name, text)
        self.files = {"event": put("event.json", bodies.run_event()),
                      "events": put("events.json", bodies.many(bodies.run_event(), 50)),
                      "alert": put("alert.json", bodies.alerts(1)), "alerts": put("alerts.json", bodies.alerts(50))}

    def _load(self, name, url, body, per_post, scattered):
        done = self.bench.load(url, self.files[body], self.connections, seconds=self.seconds, scattered=scattered)
        if done["bad"] or done["broken"]:
            raise peers.BenchError(f"{name}: {done['bad']} answers were not 2xx (first {done['first_bad']}), {done['broken']} broke")
        self.p99_ms[name] = done["p99_ms"]
        return done["rate"] * per_post

    def _runbell(self, name, body, per_post=1, scattered=False):
        folder, port = self.bench.folder(), peers.free_port()
        with self.bench.runbell(folder, bodies.config(port, bodies.twenty_rules()), port):
            rate = self._load(name, f"http://127.0.0.1:{port}/v1/events", body, per_post, scattered)
        shutil.rmtree(folder)
        return rate

    def _alertmanager(self, name, body, per_post=1):
        folder, port = self.bench.folder(), peers.free_port()
        with self.bench.alertmanager(folder, port, "{receiver: none, group_wait: 1h}", "name: none"):
            rate = self._load(name, f"http://127.0.0.1:{port}/api/v2/alerts", body, per_post, False)
        shutil.rmtree(folder)
        return rate

    def _nginx(self, name):
        folder, port = self.bench.folder(), peers.free_port()
        with self.bench.nginx(folder, port):
            rate = self._load(name, f"http://127.0.0.1:{port}/", "event", 1, False)
        shutil.rmtree(folder)
        return rate

    def run(self, name):
        return {"runbell": lambda: self._runbell(name, "event"),
                "runbell, random ids": lambda: self._runbell(name, "event", scattered=True),
                "runbell, 50 a POST": lambda: self._runbell(name, "events", 50),
                "nginx": lambda: self._nginx(name),
                "alertmanager": lambda: self._alertmanager(name, "alert"),
                "alertmanager, 50 a POST": lambda: self._alertmanager(name, "alerts", 50)}[name]()


INGEST = {  # figure: ours, theirs, goal
    "nginx": ("runbell", "nginx", 0.45, "durable POST against nginx's 204"),
    "nginx-random": ("runbell, random ids", "nginx", 0.28, "the same, random run ids"),
    "alertmanager": ("runbell", "alertmanager", 2.0, "durable POST against Alertmanager"),
    "alertmanager-50": ("runbell, 50 a POST", "alertmanager, 50 a POST", 1.5, "the same, 50 a POST"),
}


def ingest(bench, rounds, wanted):
    game = Ingest(bench)
    names = [n for n in dict.fromkeys(n for w in INGEST if w in wanted for n in INGEST[w][:2])]
    rates = {name: [] for name in names}
    for k in range(rounds):
        for name in names if k % 2 == 0 else reversed(names):
            rates[name].append(game.run(name))
        say(f"  round {k + 1}: " + ", ".join(f"{name} {rates[name][-1]:,.0f}/s" for name in names))
    rows = []
    for w in (w for w in INGEST if w in wanted):
        ours, theirs, goal, title = INGEST[w]
        ratios = [a / b for a, b in zip(rates[ours], rates[theirs])]
        detail = f"{median(rates[ours]):,.0f}/s (p99 {game.p99_ms[ours]:.0f} ms) against {median(rates[theirs]):,.0f}/s (p99 {game.p99_ms[theirs]:.0f} ms)"
        rows.append(Row(title, "x", (">=", goal), ratios, detail))
    return rows


# --- how long until somebody hears -------------------------------------------------------------------------------
def latency(bench, rounds, _wanted):
    samples = 20 if bench.quick else 1000
    shared = bench.folder()
    event = bench.put(shared, "failed.json", bodies.failed_run(300))
    alert = bench.put(shared, "alert.json", bodies.alerts(1, 300))
    ours, theirs = [], []

    def probe(port, sink, path, body):
        return json.loads(bench.tool("probe", "-l", sink, "-n", samples, "-g", 1000, "-T", body, f"http://127.0.0.1:{port}{path}"))

    for k in range(rounds):
        folder, port, sink = bench.folder(), peers.free_port(), peers.free_port()
        with bench.runbell(folder, bodies.config(port, bodies.every_failure(), bodies.hook(sink)), port):
            ours.append(probe(port, sink, "/v1/events", event))
        shutil.rmtree(folder)
        folder, port, sink = bench.folder(), peers.free_port(), peers.free_port()
        with bench.alertmanager(folder, port, "{receiver: hook, group_by: ['...'], group_wait: 0s}",
                                f"{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{sink}/hook'}}]}}"):
            theirs.append(probe(port, sink, "/api/v2/alerts", alert))
        shutil.rmtree(folder)
        say(f"  round {k + 1}: runbell p50 {ours[-1]['p50_ms']} p99 {ours[-1]['p99_ms']} ms, "
            f"alertmanager p50 {theirs[-1]['p50_ms']} p99 {theirs[-1]['p99_ms']} ms")
    ms = lambda runs, what: median([r[what] for r in runs])
    return [Row("POST to notification, p50 against Alertmanager", "x", ("<=", 2), [a["p50_ms"] / b["p50_ms"] for a, b in zip(ours, theirs)],
                f"{ms(ours, 'p50_ms'):.2f} ms against {ms(theirs, 'p50_ms'):.2f} ms"),
            Row("POST to notification, p99", " ms", ("<=", 10), [r["p99_ms"] for r in ours],
                f"Alertmanager {ms(theirs, 'p99_ms'):.2f} ms")]


# --- what 100,000 open ones weigh ----------------------------------------------------------------------------------
def _fill_ours(bench, count):
    """(resident bytes, seconds until all were delivered, seconds from a restart to ready)"""
    folder, port, sink = bench.folder(), peers.free_port(), peers.free_port()
    body = bench.put(folder, "failed.json", bodies.many(bodies.failed_run(700), 50))
    config = bodies.config(port, bodies.every_failure(), bodies.hook(sink))
    with bench.sink(folder, sink):
        with bench.runbell(folder, config, port) as runbell:
            from_s = time.monotonic()
            bench.load(f"http://127.0.0.1:{port}/v1/events", body, 8, count=count // 50)
            peers.wait_until("every delivery has been made", lambda: peers.metric(port, 'runbell_deliveries_total{outcome="delivered"}') == count
                             and peers.metric(port, "runbell_deliveries_undelivered") == 0, 180, 0.2)
            took = time.monotonic() - from_s
            time.sleep(0.5 if bench.quick else 5)
            rss = runbell.rss_bytes()
            if peers.metric(port, 'runbell_incidents{state="open"}') != count:
                raise peers.BenchError("not every event opened an incident")
        ready = _start(bench, folder, config, port)[1]
    shutil.rmtree(folder)
    return rss, took, ready


def _fill_theirs(bench, count):
    folder, port = bench.folder(), peers.free_port()
    body = bench.put(folder, "alerts.json", bodies.alerts(50, 700))
    with bench.alertmanager(folder, port, "{receiver: none, group_wait: 1h}", "name: none") as alertmanager:
        bench.load(f"http://127.0.0.1:{port}/api/v2/alerts", body, 8, count=count // 50)
        time.sleep(0.5 if bench.quick else 5)
        rss = alertmanager.rss_bytes()
    shutil.rmtree(folder)
    return rss


def memory(bench, rounds, _wanted):
    count = 500 if bench.quick else 100000
    ours, theirs, took, ready = [], [], [], []
    for k in range(min(rounds, 2)):
        a, b, c = _fill_ours(bench, count)
        ours.append(a)
        took.append(b)
        ready.append(c)
        theirs.append(_fill_theirs(bench, count))
        say(f"  round {k + 1}: runbell {ours[-1] / MIB:.1f} MiB, alertmanager {theirs[-1] / MIB:.1f} MiB, delivered after {b:.1f} s, restart {c:.2f} s")
    return [Row(f"memory of {count:,} open incidents against Alertmanager", "x", ("<=", 0.2), [a / b for a, b in zip(ours, theirs)],
                f"{median(ours) / MIB:.1f} MiB against {median(theirs) / MIB:.1f} MiB; a restart is ready after {median(ready):.2f} s")]


# --- rules ------------------------------------------------------------------------------------------------------------
def rules(bench, rounds, _wanted):
    """bench_rule interleaves its own rounds."""
    ratios, last = [], ""
    for _ in range(1 if bench.quick else min(rounds, 3)):
        last = bench.tool("bench_rule")
        ratios.append(float(re.search(r"([\d.]+)x \(goal", last).group(1)))
    few, many = (re.search(rf"^{n} rules +\d+ +(\d+)", last, re.M).group(1) for n in ("10", "10,000"))
    return [Row("an event under 10,000 rules against 10", "x", ("<=", 2), ratios, f"{many} ns against {few} ns")]


# --- doing nothing, and beginning ---------------------------------------------------------------------------------------
def idle(bench, _rounds, _wanted):
    folder, port = bench.folder(), peers.free_port()
    seconds = 0.5 if bench.quick else 20
    with bench.runbell(folder, bodies.config(port, bodies.twenty_rules()), port) as runbell:
        time.sleep(0.2 if bench.quick else 2)
        before, from_s = runbell.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        share = (runbell.cpu_seconds() - before) / (time.monotonic() - from_s) * 100
        rss = runbell.rss_bytes() / MIB
    shutil.rmtree(folder)
    return [Row("idle, of a core", " %", ("<=", 0.5), [share], f"over {seconds:g} s"),
            Row("idle, memory", " MiB", ("<=", 20), [rss], "20 rules, empty store")]


def _start(bench, folder, config, port):
    """Seconds from exec to an accepted connection and to /readyz."""
    from_s = time.monotonic()
    with bench.runbell(folder, config, port, wait=False) as runbell:
        while True:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() - from_s > 20:
                raise peers.BenchError("not listening within 20 s of a start")
            time.sleep(0.001)
        listening = time.monotonic() - from_s
        peers.wait_until("ready after a restart", lambda: runbell.alive() and peers.get(f"http://127.0.0.1:{port}/readyz")[0] == 200, 60, 0.002)
        return listening, time.monotonic() - from_s


def start(bench, rounds, _wanted):
    count = 2000 if bench.quick else 1000000
    folder, port = bench.folder(), peers.free_port()
    config = bodies.config(port, bodies.twenty_rules())
    # Few places to fill in, for the load generator's sake: a time that is the same for the whole fill.
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    body = bench.put(folder, "events.json", bodies.many(bodies.run_event().replace("@NOW@", now), 1000))
    with bench.runbell(folder, config, port):
        bench.load(f"http://127.0.0.1:{port}/v1/events", body, 4, count=count // 1000)
        if peers.metric(port, "runbell_store_events") != count:
            raise peers.BenchError("not every event of the fill is stored")
    times = [_start(bench, folder, config, port) for _ in range(rounds)]
    shutil.rmtree(folder)
    return [Row(f"listening after a start with {count:,} events", " s", ("<=", 0.3), [t[0] for t in times],
                f"ready after {median([t[1] for t in times]):.3f} s")]


FIGURES = [(ingest, list(INGEST)), (latency, ["latency"]), (memory, ["memory"]), (rules, ["rules"]), (idle, ["idle"]), (start, ["start"]),
           (polling.polling, list(polling.FIGURES))] + under_load.FIGURES
NAMES = [name for _, names in FIGURES for name in names]
