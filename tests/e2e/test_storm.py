"""Storms: what people see stays small, and the numbers stay right."""
import json
import re
import time

from conftest import SANITIZED, a_run, hook, wait_for


def test_thousands_of_failures_of_one_task_are_one_message(runbell, fakes, slack_bot):
    runbell.start(rules={"r": {"when": {"status": "failed"}, "notify": ["slack", "hook"], "update": "100ms"}},
                  destinations={"slack": slack_bot, "hook": hook(fakes)})
    for k in range(10):
        runbell.accept([a_run(f"run_{k}_{n:04d}", "FAILED") for n in range(1000)])
    wait_for(lambda: any("10000 runs" in one.first_line for one in fakes.updates()), "the last edit")
    assert len(fakes.posts()) == 1 and len(fakes.taken("/hook/a")) == 1 and len(fakes.channels["#ops"].messages) == 1
    incident, = runbell.incidents()
    assert incident["hits"] == 10_000 and runbell.status()["events"]["accepted"] == 10_000


def told(fakes, path="/hook/a"):
    return [one.body["data"] for one in fakes.taken(path)]


def test_three_thousand_incidents_are_twenty_messages_and_a_digest(runbell, fakes, slack_bot):
    """At most the limit's openings; the digest counts all the rest; nothing is dropped; each is shown."""
    runbell.start(rules={"r": {"when": {"status": "failed"}, "by": "run", "notify": ["slack", "hook"]}},
                  destinations={"slack": slack_bot, "hook": hook(fakes)}, defaults={"limit": "20 per 1m"})
    for k in range(3):
        runbell.accept([a_run(f"run_{k}_{n:04d}", "FAILED") for n in range(1000)])
    rest = "2980 more incidents"
    wait_for(lambda: any(rest in one.first_line for one in fakes.posts() + fakes.updates()), "the digest at Slack")
    openings = [one for one in fakes.posts() if "more incidents" not in one.first_line]
    digests = [one for one in fakes.posts() if "more incidents" in one.first_line]
    assert len(openings) == 20 and len(digests) == 1, "the digest is edited in place"
    assert sum(one["kind"] == "open" for one in told(fakes)) == 20
    assert runbell.status()["incidents"]["open"] == 3000 and runbell.metric("limited_total") == 2 * 2980
    assert runbell.metric("dropped_total") == 0


def test_a_hundred_thousand_failures_are_at_most_the_configured_number_of_messages(runbell, fakes, slack_bot):
    """Each a run, and an incident, of its own, within a minute. At the receiver: the limit's openings and one digest, whose
    count and the openings are all there are. A destination that cannot edit has its next digest a minute after the first."""
    many, limit, rules = 10_000 if SANITIZED else 100_000, 20, 4
    runbell.start(rules={f"r{k}": {"when": {"status": "failed", "task": f"job-{k}"}, "by": "run", "repeat": "never", "notify": ["slack", "hook"]}
                         for k in range(rules)},
                  destinations={"slack": slack_bot, "hook": hook(fakes)}, defaults={"limit": f"{limit} per 1m"})
    template, from_s = json.dumps(a_run("run_@ID@", "FAILED", task="job-@TASK@")), time.monotonic()
    for k in range(0, many, 1000):
        runbell.accept("\n".join(template.replace("@ID@", f"{n:06d}").replace("@TASK@", str(n % rules)) for n in range(k, k + 1000)),
                       type="application/x-ndjson")
    minutes = 1 + int((time.monotonic() - from_s) // 60)  # more than one only where the machine is very busy
    rest = many - limit * minutes
    wait_for(lambda: any(f"{rest} more incidents" in one.first_line for one in fakes.posts() + fakes.updates()), "the digest's exact count at Slack", 60)
    openings = [one for one in fakes.posts() if "more incidents" not in one.first_line]
    assert len(fakes.posts()) - len(openings) == 1, "one digest, edited in place"
    assert len(openings) == limit * minutes and runbell.status()["incidents"]["open"] == many
    kinds = [one["kind"] for one in told(fakes)]
    assert kinds.count("open") == limit * minutes and kinds.count("digest") <= 1 + minutes and set(kinds) == {"open", "digest"}
    assert runbell.metric("limited_total") == 2 * rest and runbell.metric("dropped_total") == 0


def test_digest_counts_add_up_to_the_end(runbell, fakes):
    """A destination without edits: openings and the digest's number are all; it ends with its last incident."""
    runbell.start(rules={"r": {"when": {"status": "failed"}, "by": "run", "notify": "hook"}}, destinations={"hook": hook(fakes)},
                  defaults={"limit": "5 per 1s"})
    runs = [a_run(f"run_{n:03d}", "FAILED") for n in range(60)]
    runbell.accept(runs)
    wait_for(lambda: [one for one in told(fakes) if one["kind"] == "digest"], "the digest")

    def opened():
        return {one["run"] for one in told(fakes) if one["kind"] == "open"}
    wait_for(lambda: len(opened()) == 5, "the five told alone; each goes its own way")

    def numbers():
        found = [re.match(r"(\d+) more incidents, (\d+) still open", one["title"]) for one in told(fakes) if "more incidents" in one["title"]]
        return [(int(m[1]), int(m[2])) for m in found]
    wait_for(lambda: numbers() and numbers()[-1][0] == 55, "the digest with all the rest")
    for one in runbell.incidents():
        runbell.api(f"/v1/incidents/{one['id']}/resolve", {"who": "ann"})
    last = wait_for(lambda: [one for one in told(fakes) if one["kind"] == "resolve" and "more incidents" in one["title"]], "the digest's end")[-1]
    assert last["title"].startswith("55 more incidents, 0 still open") and last["state"] == "resolved"
    wait_for(lambda: sum(one["kind"] == "resolve" for one in told(fakes)) == 6, "the five told alone resolve alone")
    assert len(opened()) == 5


def test_digest_at_the_pager_has_a_key_of_its_own(runbell, fakes, pager):
    runbell.start(rules={"r": {"when": {"status": "failed"}, "by": "run", "notify": "pager"}}, destinations={"pager": pager},
                  defaults={"limit": "2 per 2s"})
    runbell.accept([a_run(f"run_{n}", "FAILED") for n in range(10)])
    wait_for(lambda: len(fakes.alerts) == 3, "two pages and a digest")
    for one in runbell.incidents():
        runbell.api(f"/v1/incidents/{one['id']}/resolve", {"who": "ann"})
    wait_for(lambda: all(history[-1][0] == "resolve" for history in fakes.alerts.values()), "all of them to end")


def test_a_rule_of_its_own_limit_leaves_others_alone(runbell, fakes):
    runbell.start(rules={"loud": {"when": {"task": "loud", "status": "failed"}, "by": "run", "notify": "hook", "limit": "1 per 1m"},
                         "rare": {"when": {"task": "rare", "status": "failed"}, "by": "run", "notify": "hook"}}, destinations={"hook": hook(fakes)})
    runbell.accept([a_run(f"run_{n}", "FAILED", task="loud") for n in range(50)] + [a_run("run_rare", "FAILED", task="rare")])
    wait_for(lambda: any(one.get("run") == "run_rare" for one in told(fakes)), "the rare one")
    assert sum(one["kind"] == "open" and one["rule"] == "loud" for one in told(fakes)) == 1


def test_at_least_and_count_of_runs(runbell, fakes):
    runbell.start(rules={"many": {"when": {"status": "failed"}, "count": "10 runs in 5m", "by": "env", "notify": "hook"},
                         "some": {"when": {"status": "failed"}, "at_least": 5, "notify": "hook"}}, destinations={"hook": hook(fakes)})
    for n in range(4):
        for _ in range(3):
            runbell.accept(a_run(f"run_{n}", "FAILED"))
    assert not runbell.incidents("&state=open")
    runbell.accept(a_run("run_4", "FAILED"))
    assert [one["rule"] for one in runbell.incidents("&state=open")] == ["some"]
    runbell.accept([a_run(f"run_{n}", "FAILED") for n in range(5, 10)])
    assert {one["rule"]: one["hits"] for one in runbell.incidents("&state=open")} == {"some": 10, "many": 10}


def test_what_is_remembered_is_bounded_by_configuration(runbell):
    """Keys over the bound share one incident and are counted; a backtest over the log decides the same."""
    runbell.start(rules={"r": {"when": {"status": "CRASHED"}, "notify": "out"}}, server={"limits": {"keys": 100}}, defaults={"limit": "1000 per 1s"})
    runbell.accept([a_run(f"run_{k}", task=f"task-{k}") for k in range(150)])
    rows = runbell.api("/v1/incidents?limit=300")["data"]
    assert len(rows) == 101 and [one["runs"] for one in rows if one["key"] == "(overflow)"] == [50]
    assert runbell.metric("collapsed_keys_total") == 50
    again = json.loads(runbell.run("backtest", "--since", "1h", "--json").stdout)
    assert again["openings_total"] == 101, again
