#!/usr/bin/python3
"""Runs test programs one after another and adds up what they say.

usage: run.py [--log DIR] COMMAND...   where each COMMAND is one string, "name: program arguments"

Understood endings: cmocka's, pytest's, and "N passed, N failed[, N skipped]". A program that says nothing of
the kind counts as one test. The last line printed is the sum, in that last form; status 1 when a test failed.
"""
import os
import re
import shlex
import subprocess
import sys
import time

PLAIN = re.compile(r"(?:^|\s)(\d+) passed, (\d+) failed(?:, (\d+) (?:skipped|refused by policy))?", re.M)


def cmocka(text):
    passed = re.findall(r"\[  PASSED  \] (\d+) test", text)
    failed = re.findall(r"\[  FAILED  \] (\d+) test", text)
    skipped = re.findall(r"\[  SKIPPED \] (\d+) test", text)
    if not passed and not failed:
        return None
    return [sum(map(int, found)) for found in (passed, failed, skipped)]


def pytest(text):
    lines = [line for line in text.splitlines() if re.search(r"\d+ (passed|failed|skipped|error).* in [\d.]+s", line)]
    if not lines:
        return None
    count = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", lines[-1])}
    return [count.get("passed", 0), count.get("failed", 0) + count.get("error", 0) + count.get("errors", 0), count.get("skipped", 0)]


def plain(text):
    found = PLAIN.findall(text)
    if not found:
        return None
    passed, failed, skipped = found[-1]
    return [int(passed), int(failed), int(skipped or 0) if "skipped" in text else 0]


def run(spec, log):
    name, command = spec.split(":", 1)
    begin = time.monotonic()
    try:
        done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    except OSError as why:
        done = subprocess.CompletedProcess(command, 1, stdout=f"{command}: {why}\n".encode())
    text = done.stdout.decode("utf-8", "replace")
    counts = cmocka(text) or pytest(text) or plain(text) or [int(done.returncode == 0), 0, 0]
    if done.returncode != 0 and counts[1] == 0:
        counts[1] = 1  # it died, or found a leak, after its last word
    took = time.monotonic() - begin
    with open(os.path.join(log, name.replace("/", "-") + ".log"), "w") as out:
        out.write(text)
    skipped = f", {counts[2]} skipped" if counts[2] else ""
    print(f"{'FAIL' if counts[1] else 'ok  '}  {name:<28} {counts[0]} passed, {counts[1]} failed{skipped}  ({took:.1f} s)", flush=True)
    if counts[1]:
        lines = text.splitlines()
        for line in lines[-60:]:
            print("      " + line)
    elif counts[2]:
        for line in text.splitlines():
            if "SKIPPED" in line or "skipped:" in line:
                print("      " + line.strip())
    return counts


def main(arguments):
    log = "build/log"
    if arguments[:1] == ["--log"]:
        log, arguments = arguments[1], arguments[2:]
    os.makedirs(log, exist_ok=True)
    total = [0, 0, 0]
    for spec in arguments:
        total = [a + b for a, b in zip(total, run(spec, log))]
    print(f"{total[0]} passed, {total[1]} failed" + (f", {total[2]} skipped" if total[2] else ""))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
