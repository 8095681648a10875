"""The rules under load: bench_engine's figures (the fold alone, on a virtual clock), ten thousand `tests:` cases, and a backtest
over a million stored events."""
import json
import os
import resource
import shutil
import subprocess
import time

import bodies
import peers
from chart import Row

CONDITIONS = ["", "count: 3 in 10m, ", "streak: 3, ", "flaps: 4 in 1h, ", "first: 7d, ", "rate: over 50% of last 4 runs, "]


def _engine(bench, mode):
    return json.loads(bench.tool("bench_engine", mode, *(["--quick"] if bench.quick else []), timeout=300))


def _times(bench, rounds):
    """Each is a process of its own, which interleaves its own rounds."""
    return 1 if bench.quick else min(rounds, 3)


def engine_rules(bench, rounds, _wanted):
    found = [_engine(bench, "rules") for _ in range(_times(bench, rounds))]
    last = found[-1]
    ns = {name: last[name][1] for name in ("ns_10", "ns_10000", "ns_10000_spread")}
    if any(one["most_hits"] > 3 for one in found):
        raise peers.BenchError("an event hits more than three rules")
    return [Row("an event through the engine, 10,000 mixed rules against 10", "x", ("<=", 2), [r for one in found for r in one["ratio"]],
                f"{ns['ns_10000']:,.0f} ns against {ns['ns_10']:,.0f} ns, 3 hits at most"),
            Row("the same, hits spread over all 10,000", "x", ("<=", 2), [r for one in found for r in one["ratio_spread"]],
                f"{ns['ns_10000_spread']:,.0f} ns against {ns['ns_10']:,.0f} ns")]


def engine_keys(bench, rounds, _wanted):
    found = [_engine(bench, "keys") for _ in range(_times(bench, rounds))]
    return [Row(f"windows of {found[0]['windows']:,} keys, resident", " MiB", ("<=", 256), [one["resident_mib"] for one in found],
                f"{found[-1]['allocated_mib']:.0f} MiB allocated; eight conditions, one entry or two")]


def engine_timers(bench, rounds, _wanted):
    found = [_engine(bench, "timers") for _ in range(_times(bench, rounds))]
    rows = [Row(f"a timer {what}, 1,000,000 of them against 10,000", "x", ("<=", 20), [g for one in found for g in one[f"{name}_growth"]],
                f"{found[-1][name + '_ns_1000000'][1]:,.0f} ns against {found[-1][name + '_ns_10000'][1]:,.0f} ns")
            for name, what in (("set", "set"), ("move", "moved"), ("fire", "fired"))]
    n = found[0]["restored"]
    return rows + [Row(f"restoring {n:,} incidents with timers", " s", ("<=", 10), [one["restore_s"] for one in found], "from rows in memory; processor time"),
                   Row(f"firing {n:,} overdue timers once", " s", ("<=", 20), [one["fire_s"] for one in found],
                       f"in {found[-1]['batches']} batches, {found[-1]['messages']} messages")]


def engine_window(bench, rounds, _wanted):
    found = [_engine(bench, "window") for _ in range(_times(bench, rounds))]
    return [Row("rows of a batch that touches a window of 4,096 runs", " KB", ("<=", 8), [one["bytes_per_batch"][k] / 1000 for one in found for k in (0, 1)],
                f"{found[-1]['us_per_batch'][1]:.0f} us a batch")]


# --- tests: sections ------------------------------------------------------------------------------------------------------
def _test_file(cases):
    out = ["version: 1\ndestinations: {ops: {type: console}}\nrules:"]
    out += [f"  r{k}: {{when: {{task: task-{k}, status: failed}}, {CONDITIONS[k % 6]}notify: ops}}" for k in range(24)]
    out.append("tests:")
    for k in range(cases):
        r = k % 24
        out.append(f"  - name: case {k}\n    events:")
        out += [f"      - {{at: {e}m, run: run_{e}, task: task-{r}, status: {'COMPLETED' if e % 2 and CONDITIONS[r % 6].startswith('flaps') else 'FAILED'}}}"
                for e in range(6)]
        out.append(f"    expect:\n      - {{until: 1h, rule: r{r}, sent: ops}}")
    return "\n".join(out) + "\n"


def _timed(bench, folder, *command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    from_s = time.monotonic()
    done = subprocess.run([bench.binary, *command], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    took = time.monotonic() - from_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise peers.BenchError(f"{' '.join(command)}: status {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def rule_tests(bench, rounds, _wanted):
    cases = 100 if bench.quick else 10000
    folder = bench.folder()
    bench.put(folder, "tests.yaml", _test_file(cases))
    runs = [_timed(bench, folder, "test", "-q", "tests.yaml") for _ in range(_times(bench, rounds))]
    if any(f"{cases} passed, 0 failed" not in out for _, _, out in runs):
        raise peers.BenchError("not every test passed: " + runs[0][2][-300:])
    shutil.rmtree(folder)
    return [Row(f"{cases:,} `tests:` cases", " s", ("<=", 10), [took for took, _, _ in runs], f"six events each; {runs[-1][1]:.2f} s of processor time")]


# --- backtest ---------------------------------------------------------------------------------------------------------------
def _history(now):
    """A thousand reports of one POST: every tenth run fails, of ten tasks, a hundred customers."""
    def one(k):
        run = bodies.failed_run(40) if k % 10 == 0 else bodies.run_event()
        return (run.replace("@NOW@", now).replace("send-invoice", f"task-{k % 7}").replace("render-video", f"task-{k % 7}")
                .replace('"acme"', f'"customer-{k % 100}"'))
    return "[" + ",".join(one(k) for k in range(1000)) + "]"


def _backtest_rules():
    return "".join(f"  r{k}: {{when: {{task: task-{k % 12}, status: failed}}, {CONDITIONS[k % 6]}notify: ops}}\n" for k in range(24))


def backtest(bench, rounds, _wanted):
    count = 2000 if bench.quick else 1000000
    folder, port = bench.folder(), peers.free_port()
    body = bench.put(folder, "events.json", _history(time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())))
    with bench.runbell(folder, bodies.config(port, bodies.twenty_rules()), port):
        bench.load(f"http://127.0.0.1:{port}/v1/events", body, 4, count=count // 1000)
        if peers.metric(port, "runbell_store_events") != count:
            raise peers.BenchError("not every event of the fill is stored")
    bench.put(folder, "runbell.yaml", bodies.config(port, _backtest_rules()))
    runs = [_timed(bench, folder, "backtest", "--since", "1d", "--json") for _ in range(_times(bench, rounds))]
    size = os.path.getsize(os.path.join(folder, "store.db")) / (1 << 20)
    seen = json.loads(runs[-1][2])
    if seen["events"] != count:
        raise peers.BenchError(f"the backtest saw {seen['events']} events of {count}")
    shutil.rmtree(folder)
    return [Row(f"backtest over {count:,} events", " s", ("<=", 10), [took for took, _, _ in runs],
                f"24 rules of six conditions, a store of {size:,.0f} MiB; {runs[-1][1]:.1f} s of processor time")]


FIGURES = [(engine_rules, ["engine-rules"]), (engine_keys, ["engine-keys"]), (engine_timers, ["engine-timers"]), (engine_window, ["engine-window"]),
           (rule_tests, ["rule-tests"]), (backtest, ["backtest"])]
