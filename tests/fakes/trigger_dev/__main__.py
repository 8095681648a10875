"""The fake as a program: prints one line of JSON (url, key, pat, project) and serves until it is ended."""
import argparse
import gc
import json
import pathlib
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from trigger_dev import TriggerDev  # noqa: E402


def arguments():
    given = argparse.ArgumentParser(prog="trigger_dev", description="A fake Trigger.dev, on loopback.")
    given.add_argument("--port", type=int, default=0)
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--runs", type=int, default=0, help="so many random runs")
    given.add_argument("--over", type=float, default=10.0, metavar="SECONDS", help="created over so many seconds")
    given.add_argument("--pace", type=float, default=1.0, help="1: runs of seconds; 60: of minutes")
    given.add_argument("--knob", action="append", default=[], metavar="NAME=JSON")
    return given.parse_args()


def main():
    given = arguments()
    knobs = {name: json.loads(value) for name, _, value in (one.partition("=") for one in given.knob)}
    gc.set_threshold(100000, 50, 1000)  # states are many, and none of them is garbage
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with TriggerDev(port=given.port, seed=given.seed, **knobs) as fake:
        if given.runs:
            fake.load_random(given.runs, over_s=given.over, pace=given.pace)
        print(json.dumps({"url": fake.url, "key": fake.key, "pat": fake.pat, "project": fake.project}), flush=True)
        while not stop.wait(0.05):  # so that no request finds much to catch up with
            fake.population.advance()


main()
