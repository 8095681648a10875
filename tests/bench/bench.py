#!/usr/bin/python3
"""runbell's benchmarks: ratios of interleaved runs against nginx and Alertmanager, as text and SVG.

The absolute numbers are this machine's at this hour; only the ratios are worth comparing. Peers run with the settings that
suit them, and nothing of what they are given is durable. Polled sources are measured against a full house of the fake Trigger.dev
(polling.py), which takes a good part of these cores itself.
"""
import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import chart  # noqa: E402
import figures  # noqa: E402
import peers  # noqa: E402


def read_arguments():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", default="build/bench", help="where results.txt, results.json and results.svg go")
    p.add_argument("--only", default="", metavar="NAMES", help="comma-separated: " + ", ".join(figures.NAMES))
    p.add_argument("--rounds", type=int, help="how often the interleaved runs are repeated (5)")
    p.add_argument("--quick", action="store_true", help="tiny counts: shows that the harness works, measures nothing")
    p.add_argument("--bin", default=os.environ.get("RUNBELL_BIN", os.path.join(root, "build", "runbell")), help="the binary")
    p.add_argument("--tools", default=os.environ.get("RUNBELL_BENCH_TOOLS", os.path.join(root, "build", "bench")),
                   help="folder of load, probe, bench_rule and bench_engine")
    a = p.parse_args()
    a.wanted = [n for n in a.only.split(",") if n] or figures.NAMES
    unknown = [n for n in a.wanted if n not in figures.NAMES]
    if unknown:
        p.error(f"no such figure: {', '.join(unknown)}; there are {', '.join(figures.NAMES)}")
    a.rounds = a.rounds or (1 if a.quick else 5)
    return a


def measure(bench, wanted, rounds):
    rows, faults = [], []
    for function, names in figures.FIGURES:
        if not set(names) & set(wanted):
            continue
        figures.say(f"{function.__name__}:")
        try:
            rows += function(bench, rounds, wanted)
        except peers.BenchError as e:
            faults.append(f"{function.__name__}: {e}")
            figures.say(f"  FAILED: {e}")
    return rows, faults


def write_results(out, rows, faults, took, judged):
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    text = chart.text_table(rows, judged) + f"\n{machine}; {took:.0f} s\n" + "".join(f"FAILED {f}\n" for f in faults)
    for name, content in (("results.txt", text), ("results.svg", chart.svg(rows, "runbell, measured against its goals")),
                          ("results.json", json.dumps([r.as_dict() for r in rows], indent=1) + "\n")):
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            f.write(content)
    return text


def main():
    a = read_arguments()
    os.makedirs(a.out, exist_ok=True)
    from_s = time.monotonic()
    work = tempfile.mkdtemp(prefix="work-", dir=a.out)  # beside the results, so that the disk is a real one
    try:
        rows, faults = measure(peers.Bench(a.bin, a.tools, work, a.quick), a.wanted, a.rounds)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    text = write_results(a.out, rows, faults, time.monotonic() - from_s, not a.quick)
    print("\n" + text, end="", flush=True)
    if a.quick:
        print(f"{len(rows)} passed, {len(faults)} failed")
    else:
        print(f"also in {a.out}: results.txt, results.svg, results.json")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
