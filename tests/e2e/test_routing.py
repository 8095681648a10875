"""`switch` in notify and `resolve: {match}`, in a server that is restarted and reloaded meanwhile."""
from conftest import a_run, hook, wait_for

SWITCH = {"switch": "metadata.customer", "acme": {"to": "cust", "channel": "#cust-{{metadata.customer}}"}, "glo*": ["hooked"], "else": "rest"}
RULES = {"r": {"when": {"status": "CRASHED"}, "by": "metadata.customer", "notify": SWITCH, "linger": "0s", "update": "10ms",
               "resolve": {"match": {"status": "EXECUTING", "tags": "all-clear"}}}}


def crash(runbell, run, customer):
    runbell.accept(a_run(run, "CRASHED", "sync", **({"metadata": {"customer": customer}} if customer else {})))


def told(fakes, name):
    return len(fakes.taken(f"/hook/{name}"))


def test_each_goes_to_its_own_and_stays_there(runbell, fakes, slack_bot):
    destinations = {"cust": {**slack_bot, "channel": "#cust-*"}, "hooked": hook(fakes), "rest": hook(fakes, "b")}
    runbell.start(rules=RULES, destinations=destinations)
    for k, customer in enumerate(["acme", "globex", "initech", None]):
        crash(runbell, f"run_{k}", customer)
    wait_for(lambda: "#cust-acme" in fakes.channels and told(fakes, "a") == 1 and told(fakes, "b") == 2, "each at its own")
    elsewhere = {**RULES["r"], "notify": {**SWITCH, "acme": "rest", "glo*": "rest"}}
    runbell.reload_and_wait(rules={"r": elsewhere}, destinations=destinations)
    runbell.restart()
    crash(runbell, "run_4", "acme")
    wait_for(lambda: len(fakes.updates()) == 1, "the edit of the message in its channel")
    assert fakes.updates()[0].body["channel"] == fakes.channels["#cust-acme"].ident
    for k, customer in enumerate(["acme", "globex"]):
        runbell.accept(a_run(f"fix_{k}", "EXECUTING", "repair", tags=["all-clear"], metadata={"customer": customer}))
    wait_for(lambda: told(fakes, "a") == 2 and sum(one["state"] == "resolved" for one in runbell.incidents()) == 2, "two ends")
    wait_for(lambda: len(fakes.channels["#cust-acme"].messages) == 2, "the end, as a reply")
    crash(runbell, "run_5", "acme")
    wait_for(lambda: told(fakes, "b") == 3, "a new incident goes by the new rules")
    assert {one.body["channel"] for one in fakes.posts()} == {"#cust-acme", fakes.channels["#cust-acme"].ident}
    rule, = runbell.api("/v1/rules")["data"]
    assert rule["switch"] == "metadata.customer" and sorted(set(rule["notify"])) == ["rest"]


def test_nobody_is_told_of_what_no_value_names(runbell, fakes):
    rules = {"r": {"when": {"status": "CRASHED"}, "by": "metadata.customer", "notify": {"switch": "metadata.customer", "acme": "hooked"}}}
    runbell.start(rules=rules, destinations={"hooked": hook(fakes)})
    checked = runbell.run("check")
    assert checked.returncode == 0 and "is recorded and tells nobody" in checked.stderr
    rendered = runbell.run("render", "r", "--event", "-", stdin='{"id":"r1","status":"CRASHED","taskIdentifier":"x","metadata":{"customer":"other"}}')
    assert rendered.returncode == 1 and "r tells nobody of this event" in rendered.stderr
    crash(runbell, "run_1", "other")
    crash(runbell, "run_2", "acme")
    wait_for(lambda: told(fakes, "a") == 1, "the one that is named")
    incidents = {one["key"]: one for one in runbell.incidents()}
    assert set(incidents) == {"other", "acme"} and incidents["other"]["state"] == "open"
    timeline = runbell.api("/v1/incidents/" + incidents["other"]["id"])["timeline"]
    assert [one["what"] for one in timeline] == ["hit", "opened", "nobody to tell"]
    assert "nobody to tell" in runbell.run("explain", "run_1", env={"RUNBELL_TOKEN": runbell.environment["API_TOKEN"]}).stdout
