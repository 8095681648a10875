"""Why and what if: `explain RUN`, and `backtest` over the log of a server."""
import json
import threading
import time
from xml.etree import ElementTree
from collections import Counter

from conftest import a_run, hook, now, wait_for

FINE, WRONG, USAGE, UNREACHED = 0, 1, 2, 3
RULES = {
    "crashed": {"when": {"status": "CRASHED"}, "notify": "out", "escalate": {"1h": "hooked"}},
    "third": {"when": {"status": "CRASHED", "task": "sync"}, "count": "3 in 10m", "by": "env", "notify": "out"},
    "mail-only": {"when": {"status": "failed", "task": "mail"}, "notify": "hooked"},
}


def explained(runbell, run, code=FINE):
    done = runbell.run("explain", run, "--json", env={"RUNBELL_TOKEN": runbell.environment["API_TOKEN"]})
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def rules_of(transition):
    return {one["match"]["rule"]: one for one in transition["rules"]}


def test_explain_a_stored_run(runbell, fakes, slack_bot):
    runbell.start(rules=RULES, destinations={"out": slack_bot, "hooked": hook(fakes)})
    for k in range(3):
        runbell.accept(a_run(f"run_{k}", "EXECUTING", "sync", updatedAt=now(-5)))
        runbell.accept(a_run(f"run_{k}", "CRASHED", "sync"))
    found = explained(runbell, "run_1")
    assert found == runbell.api("/v1/runs/run_1/explain")
    (seen,) = found["seen"]
    assert (seen["env"], seen["task"]) == ("default", "sync")
    first, last = seen["transitions"]
    assert (first["state"], first["last_known"]) == ("EXECUTING", False) and (last["state"], last["last_known"]) == ("CRASHED", True)
    assert all(one["verdict"] == "no hit" and not one["match"]["hit"] for one in first["rules"]), "also where no rule fires"
    rules = rules_of(last)
    (clause,) = rules["crashed"]["match"]["clauses"]
    assert clause["hit"] and clause["value"] == "CRASHED"
    (incident,) = rules["crashed"]["incidents"]
    assert incident["hits"] == 3 and incident["state"] == "open" and rules["crashed"]["verdict"] == "joined an incident"
    assert incident["id"] in [one["id"] for one in runbell.incidents()]
    assert [one["detail"]["destination"] for one in incident["timeline"] if one["what"] == "told"][:1] == ["out"]
    assert incident["now"]["quiet_at"] and incident["now"]["reminder_at"] and incident["now"]["escalations"][0]["destination"] == "hooked"
    assert [(one["count"], one["of"], one["what"], one["in"]) for one in rules["third"]["windows"]] == [(2, 3, "hits", "10m")]
    assert rules["third"]["incidents"] == [] and "does not hold" in rules["third"]["verdict"]
    assert [one["value"] for one in rules["mail-only"]["match"]["clauses"] if not one["hit"]] == ["sync"]
    third = rules_of(explained(runbell, "run_2")["seen"][0]["transitions"][-1])["third"]
    assert [one["count"] for one in third["windows"]] == [3] and third["incidents"][0]["state"] == "open"


def test_explain_as_text(runbell, fakes):
    runbell.start(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")}, defaults={"limit": "1 per 1h"})
    runbell.accept(a_run("run_a", "CRASHED", "sync"))
    runbell.accept(a_run("run_b", "CRASHED", "other"))
    token = {"RUNBELL_TOKEN": runbell.environment["API_TOKEN"]}
    text = runbell.run("explain", "run_a", env=token).stdout
    for line in ("run_a, task sync, project default, env default", "(last known state)", "crashed: HIT, joined an incident", 'saw "CRASHED"',
                 "window: 1 of 3 hits in 10m", "told destination=out kind=open", "waits: quiet_at", "escalation to hooked",
                 "mail-only: no hit", "NO   task: wants"):
        assert line in text, (line, text)
    limited = runbell.run("explain", "run_b", env=token)
    assert "limited destination=out" in limited.stdout and limited.returncode == FINE
    runbell.accept(a_run("run_c", "EXECUTING", "sync"))
    quiet = runbell.run("explain", "run_c", env=token)
    assert quiet.returncode == WRONG and "no rule is hit by this run" in quiet.stdout and 'saw "EXECUTING"' in quiet.stdout


WINDOWS = {
    "row": {"when": {"status": "failed"}, "streak": 3, "notify": "out"},
    "flap": {"when": {"status": "failed"}, "flaps": "2 in 1h", "notify": "out"},
    "share": {"when": {"status": "failed"}, "rate": "over 60% of last 4 runs, min 4", "notify": "out"},
    "new": {"when": {"status": "failed"}, "first": "7d", "notify": "out", "by": ["task", "status"]},
    "wide": {"when": {"status": "failed"}, "count": "2 of metadata.customer in 1h", "notify": "out"},
}


def test_explain_tells_the_windows_of_every_condition(runbell, fakes):
    runbell.start(rules=WINDOWS, destinations={"out": hook(fakes)})
    for k, (status, customer) in enumerate([("CRASHED", "a"), ("COMPLETED", "a"), ("CRASHED", "b"), ("CRASHED", "b")]):
        at = now(-100 + k)
        runbell.accept(a_run(f"run_{k}", status, "sync", updatedAt=at, finishedAt=at, metadata={"customer": customer}))
    answer = explained(runbell, "run_3")
    assert answer["seen"][0]["windows_from"]
    rules = rules_of(answer["seen"][0]["transitions"][-1])
    windows = {name: one["windows"][0] for name, one in rules.items()}
    assert (windows["row"]["count"], [one["hit"] for one in windows["row"]["row"]]) == (2, [False, True, True])
    assert (windows["flap"]["count"], windows["flap"]["holds"]) == (2, True)
    assert (windows["share"]["hits"], windows["share"]["runs"], windows["share"]["percent"], windows["share"]["holds"]) == (3, 4, 75, True)
    assert windows["new"]["last_seen"] and not windows["new"]["holds"], "the one of the run before"
    assert (windows["wide"]["count"], windows["wide"]["what"]) == (2, "values of metadata.customer")
    verdicts = {name: one["verdict"] for name, one in rules.items()}
    assert "does not hold" in verdicts["row"] and verdicts["share"] == verdicts["flap"] == verdicts["wide"] == verdicts["new"] == "joined an incident"
    missed = rules_of(explained(runbell, "run_1", WRONG)["seen"][0]["transitions"][-1])
    assert missed["row"]["verdict"] == "no hit, but one of the runs that the condition looks at" and missed["row"]["windows"][0]["count"] == 0
    assert missed["new"]["verdict"] == "no hit" and "windows" not in missed["new"]
    token = {"RUNBELL_TOKEN": runbell.environment["API_TOKEN"]}
    text = runbell.run("explain", "run_3", env=token).stdout
    for line in ("windows are counted again from the log since 2", "window of sync: 2 of 3 in a row; the row, newest last: other hit hit; wants 3 in a row: it does not hold",
                 "window of sync: 3 hits of 4 runs, 75%", "window of sync/CRASHED: last seen at 2", "2 of 2 values of metadata.customer in 1h"):
        assert line in text, (line, text)
    assert "window of sync: 0 of 3 in a row; the row, newest last: hit other" in runbell.run("explain", "run_1", env=token).stdout


def test_explain_what_cannot_be(runbell, fakes):
    runbell.start(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")})
    token = {"RUNBELL_TOKEN": runbell.environment["API_TOKEN"]}
    missing = runbell.run("explain", "run_x", env=token)
    assert missing.returncode == WRONG and "never seen" in missing.stderr
    assert "known here: project env" in runbell.request("GET", "/v1/runs/run_x/explain?color=red", headers={
        "Authorization": "Bearer " + runbell.environment["API_TOKEN"]}).problem
    both = runbell.run("explain", "run_x", "--event", "x.json")
    assert both.returncode == USAGE and "wants RUN, or --event FILE" in both.stderr
    runbell.stop()
    gone = runbell.run("explain", "run_x", env=token)
    assert gone.returncode == UNREACHED and gone.stderr


# --- backtest ---------------------------------------------------------------------------------------------------------
STORY = {
    "crashed": {"when": {"status": "CRASHED"}, "notify": "out", "escalate": {"2s": "hooked"}, "repeat": "3s then 1d", "linger": "0s"},
    "third": {"when": {"status": "failed", "task": "sync"}, "count": "3 runs in 10m", "by": "env", "notify": "hooked", "resolve": "manual"},
    "per-run": {"when": {"status": "failed"}, "by": "run", "notify": "hooked", "limit": "4 per 1h", "repeat": "never", "resolve": "success"},
    "batched": {"when": {"status": "TIMED_OUT"}, "wait": "1s", "notify": "out", "linger": "1s", "repeat": "never"},
    "retried": {"when": {"status": "REATTEMPTING"}, "count": "3 in 10m", "by": "run", "notify": "out", "repeat": "never"},
}


def tell_story(runbell):
    """Two bursts; what waits for a time comes between them or after them. Duplicates, late and fuller reports included."""
    def told(kind, rule, n):
        ids = {one["id"] for one in runbell.incidents("&rule=" + rule)}
        return lambda: sum(one["kind"] == kind and one.get("incident") in ids for one in everything(runbell)) >= n

    for k in range(6):
        runbell.accept(a_run(f"run_s{k}", "EXECUTING", "sync", updatedAt=now(-50)))
        runbell.accept([a_run(f"run_s{k}", "CRASHED" if k % 2 else "FAILED", "sync"), a_run(f"run_t{k}", "TIMED_OUT", f"slow-{k % 2}")])
    again = a_run("run_d", "CRASHED", "mail")
    runbell.accept(again)
    assert runbell.accept(again)["duplicates"] == 1
    runbell.accept({**again, "metadata": {"customerId": "acme"}, "tags": ["billing"]})
    for attempt in range(2, 6):
        runbell.accept(a_run("run_r", "REATTEMPTING", "flaky", updatedAt=now(-60 + attempt), attempts=[{"status": "FAILED"}] * (attempt - 1)))
    for attempt in range(1, 5): # retries that are only concluded
        runbell.accept(a_run("run_q", "EXECUTING", "flaky", updatedAt=now(-50 + attempt), attempts=[{"status": "FAILED"}] * attempt))
    runbell.accept(a_run("run_late", "CRASHED", "old", startedAt=now(-90000), updatedAt=now(-86000), createdAt=now(-90001)))
    wait_for(told("reminder", "crashed", 3), "the reminders")
    wait_for(told("open", "batched", 2), "what waited")
    for k in range(2):
        runbell.accept(a_run(f"run_ok{k}", "COMPLETED", f"slow-{k}", startedAt=now(1), updatedAt=now(2)))
    runbell.accept(a_run("run_ok", "COMPLETED", "mail", startedAt=now(1), updatedAt=now(2)))
    wait_for(told("resolve", "batched", 2), "the end of what lingered")
    wait_for(lambda: all(one["state"] == "delivered" for one in everything(runbell)), "all deliveries")


def everything(runbell):
    return runbell.api("/v1/deliveries?limit=500")["data"]


def backtest(runbell, *more, code=FINE):
    done = runbell.run("backtest", *more)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def counted(messages):
    return sorted(Counter((one.get("incident", ""), one["destination"], one["kind"]) for one in messages).items())


def test_backtest_of_a_live_log_gives_what_was_decided(runbell, fakes, slack_bot):
    runbell.start(rules=STORY, destinations={"out": slack_bot, "hooked": hook(fakes)}, defaults={"update": "1s"})
    tell_story(runbell)
    found = json.loads(backtest(runbell, "--since", "1h", "--json").stdout)
    live = everything(runbell)
    assert len(live) == found["messages_total"] > 20
    assert counted(found["messages"]) == counted(live)
    assert {one["kind"] for one in live} == {"open", "update", "reminder", "escalation", "resolve", "digest"}
    opened = {(one["id"], one["rule"], one["key"], one["opened_at"]) for one in runbell.incidents() if one["state"] != "pending"}
    assert {(one["incident"], one["rule"], one["key"], one["at"]) for one in found["openings"]} == opened and len(opened) > 10
    assert found["events"] == runbell.status()["store"]["events"]
    runbell.stop()
    assert counted(json.loads(backtest(runbell, "--since", "1h", "--json").stdout)["messages"]) == counted(live), "also without a server"


def test_backtest_tries_other_rules(runbell, fakes, slack_bot):
    runbell.start(rules=STORY, destinations={"out": slack_bot, "hooked": hook(fakes)}, defaults={"update": "1s"})
    for k in range(4):
        runbell.accept(a_run(f"run_{k}", "CRASHED", f"task-{k}"))
    before = runbell.status()["store"]["events"]
    other = runbell.folder / "given-other.yaml"
    other.write_text("version: 1\nrules:\n  crashed: {when: {status: CRASHED, task: task-1}, notify: hooked}\n  many: {when: {status: CRASHED}, count: 4 in 1h, by: env, notify: out}\n")
    text = backtest(runbell, "--since", "1h", "--rules", other).stdout
    assert "many" in text and "crashed" in text and "per-run" not in text and "2 incidents and 2 messages over 4 events" in text
    old = runbell.folder / "given-old.yaml"
    old.write_text("version: 1\nrules:\n  crashed: {when: {status: CRASHED}, notify: out, linger: 0s}\n")
    found = json.loads(backtest(runbell, "--since", "1h", "--compare", "--json", old, other).stdout)
    assert [(one["rule"], one["key"]) for one in found["added"]] == [("many", "")]
    assert sorted(one["key"] for one in found["removed"]) == ["task-0", "task-2", "task-3"]
    assert (found["old"]["openings_total"], found["new"]["openings_total"]) == (4, 2)
    text = backtest(runbell, "--since", "1h", "--compare", old, other).stdout
    assert "added: 1 incidents" in text and "removed: 3 incidents" in text and "- " in text and "task-3 in default" in text
    assert [line.split()[-3:] for line in text.splitlines() if line.startswith("crashed  incidents")] == [["4", "1", "-3"]]
    whole = json.loads(backtest(runbell, "--since", "1h", "--compare", "--json", runbell.path, other).stdout)
    assert whole["old"]["openings_total"] == 8 and len(whole["removed"]) == 7, "a whole configuration is taken as it is"
    same = json.loads(backtest(runbell, "--since", "1h", "--compare", "--json", other, other).stdout)
    assert same["added"] == same["removed"] == [] and same["old"] == same["new"]
    assert runbell.status()["store"]["events"] == before and len(runbell.incidents()) == 8, "nothing is written"


def test_backtest_draws(runbell, fakes):
    runbell.start(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")})
    runbell.accept(a_run("run_1", "CRASHED", "sync"))
    backtest(runbell, "--since", "1h", "--svg", "given-plot.svg")
    picture = ElementTree.fromstring((runbell.folder / "given-plot.svg").read_text())
    texts = [one.text for one in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "crashed" in texts and "mail-only" not in texts and "1 messages, 1 incidents, 1 events" in texts
    assert len([one for one in picture.iter("{http://www.w3.org/2000/svg}rect") if one.get("class") == "o"]) == 1
    backtest(runbell, "--since", "0s", "--svg", "given-plot.svg")
    assert "nothing would have been sent" in (runbell.folder / "given-plot.svg").read_text()


def test_backtest_counts_only_what_it_was_asked_for(runbell, fakes):
    runbell.start(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")})
    for k in range(2):
        runbell.accept(a_run(f"run_{k}", "CRASHED", "sync"))
    begun = time.time()
    wait_for(lambda: time.time() > begun + 1.2, "the clock")
    runbell.accept(a_run("run_2", "CRASHED", "sync"))
    found = json.loads(backtest(runbell, "--since", "1s", "--json").stdout)
    assert [(one["rule"], one["key"]) for one in found["openings"]] == [("third", "")], "the window was full, and the incident open before"
    cold = json.loads(backtest(runbell, "--since", "1s", "--warm-up", "0s", "--json").stdout)
    assert [one["rule"] for one in cold["openings"]] == ["crashed"]


def test_backtest_what_cannot_be(runbell, fakes):
    runbell.configure(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")})
    done = backtest(runbell, "--since", "1h", code=UNREACHED)
    assert "runbell.db" in done.stderr and "No such file" in done.stderr and not done.stdout
    assert not (runbell.folder / "runbell.db").exists()
    assert "nowhere.yaml" in backtest(runbell, "-c", "nowhere.yaml", code=UNREACHED).stderr
    for wrong in (["--since", "soon"], ["--compare", "a"], ["a", "b"], ["--compare", "a", "b", "--rules", "c"], ["--warm-up", "x"], ["--sinc", "1h"]):
        assert backtest(runbell, *wrong, code=USAGE).stderr, wrong
    (runbell.folder / "given-bad.yaml").write_text("version: 1\nrules:\n  a: {when: {status: CRASHED}, notify: nobody}\n")
    bad = backtest(runbell, "--rules", "given-bad.yaml", code=WRONG)
    assert "given-bad.yaml:3" in bad.stderr and "nobody" in bad.stderr
    (runbell.folder / "runbell.db").write_text("this is no database, but some text that is long enough to be looked at\n" * 20)
    assert "runbell.db" in backtest(runbell, code=UNREACHED).stderr
    runbell.configure(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")}, store={"url": "memory:"})
    assert "memory:" in backtest(runbell, code=UNREACHED).stderr


def test_backtest_by_api(runbell, fakes):
    runbell.start(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")})
    for k in range(3):
        runbell.accept(a_run(f"run_{k}", "CRASHED", "sync"))
    found = runbell.api("/v1/backtest", {"since": "1h"})
    assert sorted(one["rule"] for one in found["openings"]) == ["crashed", "third"] and found["events"] == 3
    assert {one["id"] for one in runbell.incidents()} == {one["incident"] for one in found["openings"]}
    assert runbell.api("/v1/backtest", {})["messages_total"] == found["messages_total"] == 2
    rules = "version: 1\nrules:\n  each: {when: {status: CRASHED}, by: run, notify: out}\n"
    other = runbell.api("/v1/backtest", {"since": "1h", "rules": rules})
    assert [(one["rule"], one["key"]) for one in other["openings"]] == [("each", f"run_{k}") for k in range(3)]
    headers = {"Authorization": "Bearer " + runbell.environment["API_TOKEN"], "Content-Type": "application/json"}
    for body, word in (({"since": "soon"}, "duration"), ({"rules": 7}, "text of a file"), ({"sinc": "1h"}, "both optional"),
                       ({"rules": rules.replace("out", "nobody")}, "rules:3:")):
        answer = runbell.request("POST", "/v1/backtest", json.dumps(body), headers)
        assert answer.status == 400 and word in answer.problem, answer
    assert runbell.request("POST", "/v1/backtest", "{}").status == 401
    assert runbell.request("GET", "/v1/backtest", headers=headers).status == 405
    assert len(runbell.incidents()) == 2


def test_the_server_keeps_writing_while_its_log_is_read(runbell, fakes):
    runbell.start(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")})
    sent, done = [], threading.Event()

    def post():
        while not done.is_set():
            runbell.accept([a_run(f"run_{len(sent)}_{k}", "CRASHED", "sync") for k in range(20)])
            sent.append(20)

    writer = threading.Thread(target=post)
    writer.start()
    try:
        wait_for(lambda: sent, "a first batch")
        seen = [json.loads(backtest(runbell, "--since", "1h", "--json").stdout)["events"] for _ in range(5)]
    finally:
        done.set()
        writer.join()
    assert seen == sorted(seen) and 0 < seen[0] < seen[-1] <= sum(sent)
    assert json.loads(backtest(runbell, "--since", "1h", "--json").stdout)["events"] == sum(sent) == runbell.status()["store"]["events"]


def test_explain_says_what_was_only_recorded(runbell, fakes):
    runbell.start(rules=RULES, destinations={"out": hook(fakes), "hooked": hook(fakes, "b")},
                  sources={"push": {"type": "webhook", "token": runbell.token, "ignore_older": "1h"}})
    old = {"createdAt": now(-9001), "startedAt": now(-9000), "updatedAt": now(-8000)}
    runbell.accept(a_run("run_old", "CRASHED", "sync", **old))
    (transition,) = explained(runbell, "run_old")["seen"][0]["transitions"]
    assert "ignore_older" in transition["not_evaluated"]
    assert rules_of(transition)["crashed"]["incidents"] == [] and not runbell.incidents()
    assert json.loads(backtest(runbell, "--since", "1h", "--json").stdout)["openings"] == []
    happened = json.loads(backtest(runbell, "--since", "3h", "--by-event-time", "--json").stdout)
    assert [one["rule"] for one in happened["openings"]] == ["crashed"], "as if it had been told then"
