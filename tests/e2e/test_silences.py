"""Silences: by command and by API, over restarts and crashes; what they hold is told when they end."""
import pytest

from conftest import a_run, hook, wait_for

FINE, WRONG, USAGE = 0, 1, 2
RULES = {"crashed": {"when": {"status": "CRASHED"}, "notify": "out", "linger": "0s"},
         "failed": {"when": {"status": "FAILED"}, "notify": "out"}}


@pytest.fixture
def server(runbell, fakes):
    return runbell.start(rules=RULES, destinations={"out": hook(fakes)})


def told(fakes):
    """What was said, each once: a crash may have it sent again."""
    once = {one.headers["webhook-id"]: (one.body["data"]["kind"], one.body["data"].get("task")) for one in fakes.taken("/hook/a")}
    return list(once.values())


def add(server, *arguments):
    done = server.run("silence", "add", "--by", "ann", "--why", "the database is moved", *arguments)
    assert done.returncode == FINE, done
    return done.stdout.split(":")[0]


def test_what_a_silence_holds_is_told_when_it_ends(server, fakes):
    ident = add(server, "--when", "{task: sync-*}", "--for", "1h")
    listed = server.run("silence", "list").stdout
    assert ident in listed and "{task: sync-*}" in listed and "ann" in listed and "the database is moved" in listed
    server.accept([a_run("run_1", task="sync-orders"), a_run("run_2", task="other")])
    wait_for(lambda: told(fakes) == [("open", "other")], "what is not silenced")
    one = server.wait_incident("&task=sync-orders")
    assert one["state"] == "open", "recorded and shown all the same"
    timeline = server.api("/v1/incidents/" + one["id"])["timeline"]
    assert any(note["what"] == "held" and ident in note["detail"]["by"] and "ann" in note["detail"]["by"] for note in timeline), timeline
    assert server.status()["incidents"]["held"] == 1 and server.metric("incidents_held") == 1
    why = server.run("explain", "run_1").stdout
    assert ident in why and "clocks stand still" in why, why
    assert server.run("silence", "end", ident, "--by", "bob").returncode == FINE
    wait_for(lambda: ("open", "sync-orders") in told(fakes), "what it held")
    body = next(one.body["data"] for one in fakes.taken("/hook/a") if one.body["data"]["task"] == "sync-orders")
    assert body["note"].startswith("held for ") and ident in body["note"], body
    assert "nothing" in server.run("silence", "list").stdout
    ended = server.run("silence", "list", "--all").stdout
    assert "ended" in ended and ident in ended
    assert server.api("/v1/silences?state=all")["data"][0]["ended_because"] == "ended by bob"
    assert server.metric("incidents_held") == 0


def test_kill_9_forgets_no_silence_and_nothing_that_it_holds(server, fakes):
    ident = add(server, "--rule", "crashed", "--until-resolved")
    server.accept(a_run("run_1"))
    server.wait_incident(state="open")
    server.kill9()
    server.start()
    assert ident in server.run("silence", "list").stdout
    server.accept(a_run("run_2"))
    server.accept(a_run("run_3", status="FAILED"))
    wait_for(lambda: told(fakes) == [("open", "render-video")], "the other rule alone")
    server.kill9()
    server.start()
    server.run("silence", "end", ident)
    wait_for(lambda: len(told(fakes)) == 2, "what it held")


def test_until_resolved(server, fakes):
    ident = add(server, "--when", '{"task": "render-video"}', "--until-resolved")
    server.accept(a_run("run_1"))
    one = server.wait_incident(state="open")
    server.run("resolve", one["id"])
    wait_for(lambda: server.api("/v1/silences")["data"] == [], "its end")
    assert server.api("/v1/silences?state=all")["data"][0]["id"] == ident
    server.accept(a_run("run_2"))
    wait_for(lambda: told(fakes) == [("open", "render-video")], "the next one")


@pytest.mark.parametrize("body, word", [
    ({}, "what is silenced"),
    ({"when": {"task": "a"}, "who": "ann", "why": "x"}, "until when"),
    ({"when": {"task": "a"}, "for": "1h", "who": "ann"}, "why"),
    ({"when": {"task": "a"}, "for": "1h", "why": "x"}, "who"),
    ({"when": {"task": "a"}, "for": "soon", "who": "ann", "why": "x"}, "30m or 2h"),
    ({"when": {"task": "a"}, "for": "91d", "who": "ann", "why": "x"}, "90 days"),
    ({"when": {"taks": "a"}, "for": "1h", "who": "ann", "why": "x"}, "did you mean `task`"),
    ({"when": "{task: [}", "for": "1h", "who": "ann", "why": "x"}, "1:"),
    ({"when": {}, "for": "1h", "who": "ann", "why": "x"}, "every run"),
    ({"when": 7, "for": "1h", "who": "ann", "why": "x"}, "`when` is a match"),
    ({"when": {"error.message": {"re": "("}}, "for": "1h", "who": "ann", "why": "x"}, "missing closing parenthesis"),
    ({"rule": "crahsed", "for": "1h", "who": "ann", "why": "x"}, "did you mean `crashed`"),
    ({"rule": "crashed", "fro": "1h", "who": "ann", "why": "x"}, "did you mean `for`"),
    ({"rule": "crashed", "until_resolved": "yes", "who": "ann", "why": "x"}, "true or false"),
    ([1], "no object"),
    ({"when": {"task": "a" * 20000}, "for": "1h", "who": "ann", "why": "x"}, "at most 16384"),
    ({"when": "{task: " + "a" * 20000 + "}", "for": "1h", "who": "ann", "why": "x"}, "at most 16384"),
    ({"rule": "crashed", "for": "1h", "who": "a" * 300, "why": "x"}, "at most 256"),
    ({"rule": "crashed", "for": "1h", "who": "ann", "why": "x" * 3000}, "at most 2048"),
])
def test_a_silence_that_is_wrong(server, body, word):
    answer = server.api("/v1/silences", body, status=400)
    assert word in answer["detail"], answer
    assert server.api("/v1/silences")["data"] == []


def test_text_of_any_kind_in_a_match(server, fakes):
    """JSON writes characters beyond the first plane as halves, which YAML does not know."""
    task = "a/b \U0001f600 \u00e9 \t \"x\""
    made = server.api("/v1/silences", {"when": {"any": [{"task": task}, {"attempt": {"gte": 99}}], "test": False}, "for": "1h", "who": "ann", "why": "x"}, status=201)
    server.accept([a_run("run_1", task=task), a_run("run_2", task="other")])
    wait_for(lambda: told(fakes) == [("open", "other")], "what is not silenced")
    assert server.api("/v1/silences")["data"][0]["id"] == made["id"]
    wait_for(lambda: server.status()["incidents"]["held"] == 1, "the other one, held")


def test_usage(server):
    for arguments, word in ((["add", "x"], "operand"), (["lst"], "did you mean list"), (["end"], "which"), ([], "add|list|end")):
        done = server.run("silence", *arguments)
        assert done.returncode == USAGE and word in done.stderr, done
    for arguments in (["end", "sil_0000000000001"], ["end", "inc_0000000000001"], ["add", "--rule", "crashed"]):
        assert server.run("silence", *arguments).returncode == WRONG
    answer = server.request("PUT", "/v1/silences", headers={"Authorization": "Bearer " + server.environment["API_TOKEN"]})
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, POST", answer.headers


BEHIND = {"platform-down": {"when": {"status": "SYSTEM_FAILURE"}, "by": "env", "resolve": "manual", "notify": "out"},
          "tail": {"when": {"status": "FAILED"}, "unless": "platform-down", "notify": "out"}}


def test_unless_over_a_crash_and_a_reload(runbell, fakes):
    """What stands behind an open incident is told when that ends, or when a reload says that it need not wait."""
    places = {"out": hook(fakes)}
    runbell.start(rules=BEHIND, destinations=places)
    runbell.accept([a_run("run_1", status="SYSTEM_FAILURE", task="any"), a_run("run_2", status="FAILED", task="a"), a_run("run_3", status="FAILED", task="b")])
    wait_for(lambda: told(fakes) == [("open", "any")], "the platform alone")
    runbell.kill9()
    runbell.start()
    assert runbell.status()["incidents"]["held"] == 2
    runbell.run("resolve", runbell.wait_incident("&rule=platform-down")["id"])
    wait_for(lambda: ("digest", None) in [(kind, None) for kind, _ in told(fakes)], "one digest of both")
    assert [kind for kind, task in told(fakes)].count("open") == 1
    runbell.accept([a_run("run_4", status="SYSTEM_FAILURE", task="again"), a_run("run_5", status="FAILED", task="c")])
    wait_for(lambda: ("open", "again") in told(fakes), "the platform, again")
    assert ("open", "c") not in told(fakes)
    runbell.reload_and_wait(rules={**BEHIND, "tail": {"when": {"status": "FAILED"}, "notify": "out"}}, destinations=places)
    wait_for(lambda: ("open", "c") in told(fakes), "it need not wait any more")


def test_a_mute_of_the_whole_day_until_a_reload_takes_it_away(runbell, fakes):
    places = {"out": hook(fakes)}
    muted = {"schedules": {"always-on": {"days": "all", "hours": "00:00-24:00", "zone": "UTC"}},
             "mutes": {"etl": {"when": {"task": "etl-*"}, "during": "always-on", "why": "planned"}}}
    runbell.start(rules=RULES, destinations=places, **muted)
    runbell.accept([a_run("run_1", task="etl-a"), a_run("run_2", task="other")])
    wait_for(lambda: told(fakes) == [("open", "other")], "what is not muted")
    assert "mute etl (planned)" in runbell.run("explain", "run_1").stdout
    runbell.reload_and_wait(rules=RULES, destinations=places)
    wait_for(lambda: ("open", "etl-a") in told(fakes), "what was muted")


@pytest.mark.parametrize("rule, sections, words", [
    ({"during": "busines"}, {"schedules": {"business": {"days": "mon-fri", "zone": "UTC"}}}, "did you mean `business`"),
    ({"unless": "crahsed"}, {}, "did you mean `crashed`"),
    ({"unless": "held"}, {}, "held"),
    ({"outside": "drop"}, {}, "during"),
    ({"during": "b"}, {"schedules": {"b": {"days": "mon-fry", "zone": "UTC"}}}, "mon-fry"),
    ({"during": "b"}, {"schedules": {"b": {"days": "all", "hours": "9-18", "zone": "UTC"}}}, "9-18"),
    ({"during": "b"}, {"schedules": {"b": {"days": "all", "hours": "09:00-18:00", "zone": "Europe/Berln"}}}, "Europe/Berlin"),
])
def test_what_holds_is_checked(runbell, rule, sections, words):
    runbell.configure(rules={"crashed": {"when": {"status": "CRASHED"}, "notify": "out"}, "held": {"when": {"status": "FAILED"}, "notify": "out", **rule}}, **sections)
    done = runbell.run("check")
    assert words in done.stderr and "runbell.yaml:" in done.stderr, done
    assert done.returncode == (FINE if rule == {"outside": "drop"} else WRONG), done
