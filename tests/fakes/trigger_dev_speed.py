#!/usr/bin/python3
"""How fast the fake is with a full house. usage: trigger_dev_speed.py [ACTIVE [PER_SECOND [SECONDS]]]"""
import http.client
import json
import resource
import subprocess
import sys
import time
import urllib.parse

from trigger_dev.clock import sql_time

HERE = __file__.rsplit("/", 1)[0]


class Client:
    def __init__(self, said):
        self.key, self.at = said["key"], http.client.HTTPConnection("127.0.0.1", int(said["url"].rsplit(":", 1)[1]), timeout=600)

    def ask(self, method, path, body=None, **params):
        target = path + ("?" + urllib.parse.urlencode(params) if params else "")
        self.at.request(method, target, None if body is None else json.dumps(body),
                        {"authorization": f"Bearer {self.key}", "x-trigger-api-version": "2025-07-16", "x-trigger-electric-version": "1"})
        answer = self.at.getresponse()
        self.headers, raw = answer.headers, answer.read()
        assert answer.status == 200, raw
        return json.loads(raw)

    def query(self, text):
        return self.ask("POST", "/api/v1/query", {"query": text})["results"]


def timed(what, count, work):
    begin = time.monotonic()
    for _ in range(count):
        found = work()
    took = (time.monotonic() - begin) / count
    print(f"{what:<58} {took * 1000:9.2f} ms   {1 / took:8.0f}/s", flush=True)
    return found


def walk(client, status):
    cursor, seen = {}, 0
    while True:
        page = client.ask("GET", "/api/v1/runs", **{"page[size]": 100, "filter[status]": status, **cursor})
        seen += len(page["data"])
        if "next" not in page["pagination"]:
            return seen
        cursor = {"page[after]": page["pagination"]["next"]}


def keyset(client, where, column, most=10000):
    after, last, seen = "2020-01-01 00:00:00.000", "", 0
    while True:
        rows = client.query(f"SELECT run_id, status, attempt_count, {column} FROM runs WHERE {where} AND ({column} > '{after}' OR ({column} = '{after}' "
                            f"AND run_id > '{last}')) ORDER BY {column}, run_id LIMIT {most}")
        seen += len(rows)
        if len(rows) < most:
            return seen
        after, last = rows[-1][column], rows[-1]["run_id"]


def measure(client, active, per_s, seconds):
    timed(f"load of {active} active, {per_s}/s for {seconds} s", 1, lambda: client.ask("POST", "/_fake/steady",
                                                                                    {"active": active, "per_s": per_s, "seconds": seconds}))
    begin = time.time()
    page = timed("list, first page of 25", 50, lambda: client.ask("GET", "/api/v1/runs"))
    timed("list, first page of 100", 50, lambda: client.ask("GET", "/api/v1/runs", **{"page[size]": 100}))
    run = page["data"][0]["id"]
    timed("retrieve", 500, lambda: client.ask("GET", f"/api/v3/runs/{run}"))
    timed("query, completed in the last second", 20, lambda: client.query(
        f"SELECT run_id, status, completed_at, attempt_count, error FROM runs WHERE completed_at >= '{sql_time(int(time.time() * 1000) - 1000)}' "
        "ORDER BY completed_at, run_id LIMIT 10000"))
    seen = timed("query, all active in keyset pages of 10000", 1, lambda: keyset(client, "is_finished = 0", "triggered_at"))
    print(f"    saw {seen}")
    seen = timed("list, all EXECUTING in pages of 100", 1, lambda: walk(client, "EXECUTING"))
    print(f"    saw {seen}")
    client.ask("GET", "/realtime/v1/runs", offset="-1")
    handle, offset, rows, polls, began = client.headers["electric-handle"], client.headers["electric-offset"], 0, 0, time.monotonic()
    while time.monotonic() < began + 3:
        rows += len(client.ask("GET", "/realtime/v1/runs", handle=handle, offset=offset, live="true", cursor="")) - 1
        offset, polls = client.headers["electric-offset"], polls + 1
    print(f"realtime: {rows / 3:.0f} rows/s in {polls / 3:.0f} polls/s")
    truth = len(client.ask("GET", "/_fake/truth", since=int(begin * 1000)))
    print(f"transitions taken meanwhile: {truth / (time.time() - begin):.0f}/s")


def main():
    active, per_s, seconds = (int(one) for one in (sys.argv[1:] + ["100000", "1000", "120"][len(sys.argv) - 1:]))
    program = subprocess.Popen([sys.executable, HERE + "/trigger_dev", "--knob", "rate_burst=1000000000"], stdout=subprocess.PIPE, text=True)
    try:
        measure(Client(json.loads(program.stdout.readline())), active, per_s, seconds)
    finally:
        program.terminate()
        program.wait()
        print(f"largest resident size {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
