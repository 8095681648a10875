"""One event that is legal and monstrous must neither hold up others nor lose its own alert."""
import json

import pytest

from conftest import a_run, hook, wait_for

MiB = 1 << 20


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"k": value}
    return value


def attempts(**error):
    return [{"id": "attempt_1", "status": "FAILED", "error": error}]


MONSTERS = {
    "metadata as deep as may be": {"metadata": nested(63)},
    "metadata of 3 MiB": {"metadata": {"blob": "x" * (3 * MiB)}},
    "metadata of many members": {"metadata": {f"k{n}": n for n in range(100_000)}},
    "metadata with one long key": {"metadata": {"k" * MiB: 1}},
    "error of 1 MiB": {"attempts": attempts(name="Error", message="é" * (MiB // 2))},
    "error's name of 1 MiB": {"attempts": attempts(name="E" * MiB, message="m")},
    "stack of 2 MiB": {"attempts": attempts(name="Error", message="m", stackTrace="    at f (a.js:1:1)\n" * (MiB // 10))},
    "a hundred thousand tags": {"tags": [f"tag-{n}" for n in range(100_000)]},
    "names as long as may be": {"taskIdentifier": "t" * 4096, "version": "\u0001" * 4096, "queue": {"name": "q" * 4096},
                                "env": {"name": "e" * 4096}, "machine": "m" * 4096, "region": "r" * 4096, "tags": ["g" * 4096] * 2},
    "ten thousand attempts": {"attempts": attempts(name="Error", message="m") * 10_000},
    "escapes": {"taskIdentifier": "\u0000\u0001\u001b[31m\u202e<!channel> *b* `c` {{task}} {{{x}}} \\\" \U0001f514"},
    "payload of a million zeros": {"payload": [0] * 1_000_000},
    "numbers": {"metadata": {"a": 10 ** 400, "b": -1e-300}, "costInCents": 1e300, "durationMs": 1e15},
}


@pytest.mark.parametrize("name", MONSTERS)
def test_monster(runbell, fakes, slack_bot, pager, name):
    runbell.start(rules={"r": {"when": {"status": "CRASHED"}, "notify": ["slack", "pager", "hook"]},
                         "by-run": {"when": {"status": "CRASHED", "metadata.k.k": {"exists": False}}, "by": ["run", "queue", "tags"], "notify": "hook"},
                         "own-words": {"when": {"status": "CRASHED"}, "by": "env", "notify": "hook",
                                       "message": {"title": "{{task}} {{error.message}} {{tags}} {{version}}", "body": "{{metadata.blob}}"}}},
                  destinations={"slack": slack_bot, "pager": pager, "hook": hook(fakes)})
    answer = runbell.post(a_run("run_monster", **MONSTERS[name]))
    assert answer.status == 202, answer
    runbell.accept(a_run("run_mouse", task="mouse"))
    wait_for(lambda: len(fakes.posts()) >= 2 and len(fakes.alerts) >= 2, "both at Slack and at the pager")
    assert any("mouse" in one.first_line for one in fakes.posts())
    assert runbell.status()["deliveries"]["dead"] == 0 and runbell.status()["commits"]["failed"] == 0
    assert runbell.api("/v1/runs/run_monster")["seen"]
    runbell.restart()
    assert len(runbell.incidents()) >= 4
    runbell.accept(a_run("run_monster", "COMPLETED", **MONSTERS[name]))


@pytest.mark.parametrize("name", ["taskIdentifier", "version", "queue", "env", "tags", "status"])
def test_names_are_not_for_megabytes(runbell, name):
    """Refused with its name and kept; what is beside it is taken."""
    value = "x" * 5000
    runbell.start(rules={"r": {"when": {"status": "CRASHED"}, "notify": "out"}})
    answer = runbell.post([a_run("run_1"), a_run("run_2", **{name: [value] if name == "tags" else value})])
    assert answer.status == 202 and answer.json["accepted"] == 1
    assert name in answer.json["rejected"][0]["error"]


def test_monsters_together(runbell, fakes):
    """All of them at once, among ordinary ones."""
    runbell.start(rules={"r": {"when": {"status": "CRASHED"}, "by": "run", "notify": "hook"}}, destinations={"hook": hook(fakes)},
                  defaults={"limit": "1000 per 1m"})
    for n, more in enumerate(MONSTERS.values()):
        body = json.dumps([a_run(f"run_{n}_a"), a_run(f"run_{n}", **more)])
        if len(body) > 4 * MiB:
            body = body[: 4 * MiB]
        runbell.post(body)
        runbell.accept(a_run(f"run_{n}_b"))
    wait_for(lambda: sum(one.body["data"]["run"].endswith("_b") for one in fakes.taken("/hook/a")) == len(MONSTERS), "every ordinary one")
