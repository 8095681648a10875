"""SIGHUP: whole or not at all, and nothing lost meanwhile."""
import json
import threading
import time

from conftest import a_run, hook, wait_for

TEN_MISTAKES = """\
version: 1
rules:
  one: {when: {status: CRASHD}, notfy: out, notify: out}
  two: {when: {statsu: CRASHED}, notify: out}
  three: {when: {status: CRASHED}, notify: nowhere}
  four: {when: {status: CRASHED}, count: 3 in, notify: out}
  five: {when: {status: CRASHED}, wait: soon, notify: out}
  six: {when: {status: CRASHED}, severity: loud, notify: out}
  seven: {when: {status: CRASHED}, by: tsk, notify: out}
  eight: {when: {task: {re: "(unclosed"}}, notify: out}
  nine: {when: {status: CRASHED}, notify: out, message: {title: "{{tsk}}"}}
  ten: {when: {status: CRASHED}, escalate: {15m: nobody}, notify: out}
"""


def rule(**more):
    return {"when": {"status": "CRASHED"}, "notify": "out", **more}


def start(runbell, fakes, **rules):
    runbell.start(rules=rules, **places(fakes))


def places(fakes):
    return {"destinations": {"out": hook(fakes), "boss": hook(fakes, "boss")}, "operator": "boss"}


def test_good_file(runbell, fakes):
    start(runbell, fakes, a=rule())
    runbell.accept(a_run("run_1", "TIMED_OUT"))
    assert not runbell.incidents()
    runbell.reload_and_wait(rules={"a": rule(), "b": rule(when={"status": "TIMED_OUT"})}, **places(fakes))
    runbell.accept(a_run("run_2", "TIMED_OUT"))
    assert [one["rule"] for one in runbell.incidents()] == ["b"]
    assert [one["name"] for one in runbell.api("/v1/rules")["data"]] == ["a", "b"]


def test_ten_mistakes(runbell, fakes):
    """All ten reported with their places, the old rules stay, the operator is told."""
    config = dict(include=["more.yaml"], **places(fakes))
    (runbell.folder / "more.yaml").write_text("version: 1\nrules:\n  a: {when: {status: CRASHED}, notify: out}\n")
    runbell.start(**config)
    (runbell.folder / "more.yaml").write_text(TEN_MISTAKES)
    runbell.reload()
    told = wait_for(lambda: fakes.taken("/hook/boss"), "word to the operator")[0].body["data"]
    assert "stay in force" in told["title"] and "more.yaml" in told["body"]
    log = runbell.log()
    lines = {int(line.split("line=")[1].split()[0]) for line in log.splitlines() if "config.diagnostic" in line and "more.yaml" in line and "level=error" in line}
    assert lines == set(range(3, 13)), log
    runbell.accept(a_run("run_1"))
    wait_for(lambda: fakes.taken("/hook/a"), "the message of the old rule")
    assert [one["name"] for one in runbell.api("/v1/rules")["data"]] == ["a"]
    assert runbell.status()["reloads"]["done"] == 0


def test_a_reload_does_not_open_the_api_to_everybody(runbell, fakes):
    """The rule of the start holds: what other machines reach wants a token."""
    everywhere = {"listen": f"0.0.0.0:{runbell.port}"}
    runbell.start(rules={"a": rule()}, server=everywhere, **places(fakes))
    runbell.configure(rules={"b": rule()}, server={**everywhere, "token": ""}, **places(fakes))
    runbell.path.write_text(runbell.path.read_text().replace("  token: ''\n", "", 1))
    runbell.reload()
    told = wait_for(lambda: fakes.taken("/hook/boss"), "word to the operator")[0].body["data"]
    assert "set server.token" in told["body"]
    assert runbell.request("GET", "/v1/status").status == 401
    assert [one["name"] for one in runbell.api("/v1/rules")["data"]] == ["a"]


def test_a_refused_reload_tells_no_secret(runbell, fakes):
    """One that is written into the file after all goes neither to the operator, nor into log and store."""
    runbell.configure(rules={"a": rule()}, **places(fakes))
    text = runbell.path.read_text().replace(runbell.token, "canary-plain-token")
    runbell.path.unlink()
    runbell.path = runbell.folder / "given-runbell.yaml"
    runbell.path.write_text(text)
    runbell.plant("INGEST_TOKEN", "canary-plain-token")
    runbell.start()
    runbell.path.write_text(text + "server_token: canary-plain-token\nlogg: {}\n")
    runbell.reload()
    told = wait_for(lambda: fakes.taken("/hook/boss"), "word to the operator")[0]
    assert "logg" in told.body["data"]["body"] and b"canary" not in told.raw


def test_broken_yaml_and_missing_file(runbell, fakes):
    start(runbell, fakes, a=rule())
    good = runbell.path.read_text()
    for number, text in enumerate(["rules: [", good + "\nrules: {}\n", good + "  bad: {when: {status: '*', }}}\n"]):
        runbell.path.write_text(text)
        runbell.reload()
        wait_for(lambda: runbell.log().count("config.reload_refused") == number + 1, "the refusal")
    runbell.path.unlink()
    runbell.reload()
    wait_for(lambda: runbell.log().count("config.reload_refused") == 4, "the refusal")
    runbell.path.write_text(good)
    runbell.accept(a_run("run_1"))
    assert len(runbell.incidents()) == 1
    runbell.reload()
    wait_for(lambda: runbell.status()["reloads"]["done"] == 1, "the good one")


def test_what_a_change_means_for_open_incidents(runbell, fakes):
    """Another condition or key: resolved as changed. Other settings: at once. Gone: resolved as removed."""
    start(runbell, fakes, stays=rule(), changes=rule(), goes=rule(), sleeps=rule())
    runbell.accept(a_run("run_1"))
    wait_for(lambda: len(fakes.taken("/hook/a")) == 4, "four openings")
    runbell.reload_and_wait(rules={"stays": rule(severity="critical"), "changes": rule(by="env"), "sleeps": rule(enabled=False)}, **places(fakes))
    wait_for(lambda: len(fakes.taken("/hook/a")) == 7, "three ends")
    ends = {one.body["data"]["rule"]: one.body["data"]["reason"] for one in fakes.taken("/hook/a")[4:]}
    assert ends == {"changes": "rule changed", "goes": "rule removed", "sleeps": "rule removed"}
    assert [one["rule"] for one in runbell.incidents("&state=open")] == ["stays"]
    runbell.accept(a_run("run_2"))
    assert {one["rule"]: one["hits"] for one in runbell.incidents("&state=unresolved")} == {"stays": 2, "changes": 1}


def test_windows_and_timers_survive_a_reload(runbell, fakes):
    config = dict(rules={"a": rule(count="3 in 10m", escalate={"1s": "boss"})}, **places(fakes))
    runbell.start(**config)
    runbell.accept([a_run("run_1"), a_run("run_2")])
    runbell.reload_and_wait(**config)
    runbell.accept(a_run("run_3"))
    assert [one["hits"] for one in runbell.incidents()] == [3]
    runbell.reload_and_wait(**config)
    wait_for(lambda: fakes.taken("/hook/boss"), "the escalation")


def test_sources_change(runbell, fakes):
    start(runbell, fakes, a=rule())
    sources = {"other": {"type": "webhook", "path": "/elsewhere", "token": runbell.token}}
    runbell.reload_and_wait(rules={"a": rule()}, sources=sources, **places(fakes))
    wait_for(lambda: runbell.post(a_run("run_1"), path="/elsewhere").status == 202, "the new path")
    assert runbell.post(a_run("run_1")).status == 404
    assert [one["name"] for one in runbell.api("/v1/sources")["data"]] == ["other"]


def test_what_needs_a_restart_is_said(runbell, fakes):
    start(runbell, fakes, a=rule())
    port, runbell.port = runbell.port, 1
    runbell.configure(rules={"a": rule()}, store={"url": "sqlite:other.db"}, server={"limits": {"connections": 77}},
                      heartbeat={"url": fakes.url("/beat"), "every": "1m"}, **places(fakes))
    runbell.port = port
    runbell.reload()
    for key in ("server.listen", "store.url", "server.limits.connections", "heartbeat"):
        wait_for(lambda: f"key={key}\n" in runbell.log(), f"the warning about {key}")
    assert runbell.log().count("needs_restart") == 4
    runbell.accept(a_run("run_1"))


def test_how_it_logs_is_reloaded(runbell, fakes):
    start(runbell, fakes, a=rule())
    runbell.reload_and_wait(rules={"a": rule()}, log={"format": "json", "level": "debug"}, **places(fakes))
    runbell.accept(a_run("run_1"))
    wait_for(lambda: '"level":"debug","msg":"http.request"' in runbell.log(), "the new form of log lines")


def test_reload_every_100_ms_under_load(runbell, fakes):
    """Every third file is invalid. Nothing is refused, lost or told twice; nothing grows."""
    rules = {"a": rule(by="run"), "b": rule(when={"status": "TIMED_OUT"})}
    config = dict(rules=rules, defaults={"limit": "100000 per 1m"}, **places(fakes))
    runbell.start(**config)
    good, bad = runbell.path.read_text(), runbell.path.read_text().replace("CRASHED", "CRASHD").replace("notify: out", "notfy: out")
    end, refused, sent, wrong = time.monotonic() + 5, 0, [], []

    def load(worker):
        connection = runbell.connect()
        number = 0
        while time.monotonic() < end:
            ident = f"run_{worker}_{number:05d}"
            number += 1
            connection.request("POST", "/v1/events", json.dumps(a_run(ident)),
                               {"Authorization": "Bearer canary-ingest-5b1f", "Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 202 or json.loads(answer.read())["accepted"] != 1:
                wrong.append((ident, answer.status))
            sent.append(ident)
            if number % 4 == 0:
                time.sleep(0.02)
        connection.close()

    workers = [threading.Thread(target=load, args=(k,)) for k in range(2)]
    for one in workers:
        one.start()
    files = []
    turn = 0
    while time.monotonic() < end:
        runbell.path.write_text(bad if turn % 3 == 2 else good)
        refused += turn % 3 == 2
        runbell.reload()
        files.append(runbell.status()["process"]["open_files"])
        turn += 1
        time.sleep(0.1)
    for one in workers:
        one.join()
    assert not wrong and len(sent) > 100
    runbell.path.write_text(good)
    wait_for(lambda: len({one.body["data"]["run"] for one in fakes.taken("/hook/a")}) == len(sent), "every message", timeout=40)
    assert len(fakes.taken("/hook/a")) == len(sent), "each once"
    assert {one.body["data"]["run"] for one in fakes.taken("/hook/a")} == set(sent)
    status = runbell.status()
    assert status["events"]["accepted"] == len(sent) and status["deliveries"]["dead"] == 0
    assert turn >= 30 and status["reloads"]["done"] >= turn // 2 and runbell.log().count("config.reload_refused") >= refused // 2
    assert status["process"]["open_files"] < max(files) + 20
