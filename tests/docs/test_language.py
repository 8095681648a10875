"""The whole example of the rule language (tests/fixtures/language) loads, and each of its rules has tests of both sorts.
`make test` runs those tests, with the ready-made rules'."""
import os
import re
import subprocess

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.path.join(ROOT, os.environ.get("RUNBELL_BIN", "build/runbell")))
FOLDER = os.path.join(ROOT, "tests", "fixtures", "language")


def load(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
        return yaml.safe_load(f)


def expectations():
    for case in load("runbell.yaml")["tests"] + load("rules/tests.yaml")["tests"]:
        yield from case["expect"]


def test_the_whole_example_is_right():
    env = dict(os.environ, INGEST_TOKEN="a", TRIGGER_WEBHOOK_SECRET="b", SLACK_TOKEN="xoxb-c", MAIL_WEBHOOK="https://mail.example.com/hook")
    done = subprocess.run([BIN, "check", "-c", "runbell.yaml"], cwd=FOLDER, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    out = done.stdout.decode()
    assert done.returncode == 0 and "19 rules, 3 sources, 5 destinations" in out, out
    complaints = re.findall(r"^\S+: (?:warning|error): (.*)", out, re.M)
    assert all("cannot open /run/secrets/" in one for one in complaints), out  # nothing else is doubtful in it


def test_all_ready_made_rules_can_be_included_at_once(tmp_path):
    """No two files use one name, and what they name together is all there is to configure."""
    places = ["pager", "pager-on-call", "pager-team", "slack-acme", "slack-billing", "slack-globex", "slack-ops", "slack-sales", "slack-support"]
    config = {"version": 1, "include": [ROOT + "/rules/*.yaml", ROOT + "/rules/more/*.yaml"], "sources": {"push": {"type": "webhook"}},
              "destinations": {name: {"type": "console"} for name in places}}
    (tmp_path / "runbell.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run([BIN, "check"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode == 0, done.stdout.decode()


def test_the_page_names_every_file_of_ready_made_rules():
    with open(os.path.join(ROOT, "docs", "rules.md"), encoding="utf-8") as f:
        table = f.read().split("## Ready-made rules")[1].split("\n## ")[0]
    assert set(re.findall(r"`([\w-]+\.yaml)`", table)) == set(os.listdir(os.path.join(ROOT, "rules", "more")))


def test_each_rule_of_the_example_has_a_test_in_which_it_rings():
    ring = {e["rule"] for e in expectations() if "sent" in e}
    assert ring == set(load("runbell.yaml")["rules"])


def test_each_rule_of_the_example_has_a_test_in_which_it_does_not():
    still = {e["rule"] for e in expectations() if "never" in e or e.get("open") is False}
    assert still == set(load("runbell.yaml")["rules"])
