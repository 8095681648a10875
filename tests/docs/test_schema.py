"""`runbell schema` and `runbell docs`: what editors and people are told is what the binary reads."""
import glob
import json
import os
import random
import re
import subprocess

import core_yaml
import jsonschema
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.path.join(ROOT, os.environ.get("RUNBELL_BIN", "build/runbell")))


def out(*args, code=0):
    done = subprocess.run([BIN, *args], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode()


def validator(*args):
    schema = json.loads(out("schema", *args))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


WHOLE = validator()


def faults(text, by=WHOLE):
    return [f"{list(e.absolute_path)}: {e.message}" for e in by.iter_errors(core_yaml.load(text))]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def examples():
    """Every configuration that the repository shows: files, and YAML in pages and manifests."""
    for pattern in ("runbell.yaml", "rules/*.yaml", "deploy/runbell.yaml"):
        for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
            yield pytest.param(read(path), id=os.path.relpath(path, ROOT))
    for path in ["README.md"] + sorted(glob.glob(os.path.join(ROOT, "docs", "*.md"))):
        for k, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", read(path), re.M | re.S)):
            if "version: 1" in text:
                yield pytest.param(text, id=f"{os.path.basename(path)}-{k}")
    for k, text in enumerate(t["data"]["runbell.yaml"] for t in kubernetes() if t["kind"] == "ConfigMap"):
        yield pytest.param(text, id=f"kubernetes-{k}")


def kubernetes():
    import yaml
    return list(yaml.safe_load_all(read("deploy/kubernetes.yaml")))


@pytest.mark.parametrize("text", examples())
def test_examples_are_valid(text):
    assert faults(text) == []


@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(ROOT, "rules", "*.yaml"))))
def test_files_of_rules_are_valid_as_such(path):
    assert faults(read(path), validator("--rules")) == []


RULE = "version: 1\ndestinations: {ops: {type: console}}\nsources: {push: {type: webhook}}\nrules:\n  r:\n    when: %s\n    notify: ops\n%s"


def rule(when="{status: failed}", more=""):
    return RULE % (when, "".join(f"    {line}\n" for line in more.splitlines()))


FORMS = [
    "{status: [CRASHED, Timed out, failed, 'COMPLETED*', SOME_NEW_STATE]}", "{task: 'a-*', tags: [a, b], env: {not: prod}}", "{version: 20260503.1}",
    "{attempt: {gte: 3}, duration: {gt: 1h30m, lt: 2h}, cost: {lte: 1.5}}", "{test: false, kind: run}", "{tags: {all: [a, b]}, error.message: {re: '^x'}}",
    "{metadata.customer.0.id: {exists: true}, metadata.n: 5, metadata.big: {gt: 10}}", "{any: [{task: a}, {not: {status: failed}}], all: [{env: x}]}",
]
MORES = [
    "count: 3 in 10m", "count: 10 runs in 5m", "count: {n: 3, of: runs, in: 5m}", "by: [task, error.fingerprint, metadata.customerId]", "by: []", "repeat: never",
    "repeat: 30m then 2h then 1d", "repeat: [30m, 2h]", "resolve: [success, 24h quiet]", "resolve: {successes: 3}", "resolve: 3 successes", "resolve: manual",
    "limit: 20 per 1m", "limit: {n: 5, per: 1h}", "escalate: {15m: ops, 1h: [ops]}", "severity: critical\nrunbook: https://x.example.com\nlabels: {team: a, n: 5}",
    "message: {title: '{{task}}', body: x, fields: {a: '{{run}}'}}", "wait: 1m\nupdate: 500ms\nlinger: 0s\nat_least: 20\nenabled: false",
    "resolve: {match: {status: EXECUTING, any: [{task: a}, {queue: 'q*'}]}}", "resolve: [24h quiet, {match: {tags: all-clear}}]",
]
SWITCHES = ["{switch: env, prod: ops, 'st*': [ops], else: {to: ops}}", "{switch: task, 5: ops, else: ops}"]
SCHEDULES = """schedules:
  business: {days: mon-fri, hours: 09:00-18:00, zone: Europe/Berlin, except: [2026-12-25]}
  on: {days: [mon, sat-sun], hours: ["22:00-06:00", 10:30 - 11:30], zone: UTC, except: 2026-12-25}
  weekend: {days: sat-sun, zone: UTC, except: []}
mutes: {m: {when: {task: "etl-*"}, during: "on", why: 5 days of works}}
"""
HELD = [rule(more=m) + "  s: {when: {task: z}, notify: {to: ops, during: weekend}}\n" + SCHEDULES for m in [
    "during: business\noutside: hold\nconfirm: true", "during: on\noutside: drop\nunless: s", "outside: ops\nduring: always\nunless: [s]",
    "unless: []\nduring: weekend\noutside: [{to: ops, during: on}]", "during: weekend\noutside: {to: ops}"]]


@pytest.mark.parametrize("text", [rule(when=w) for w in FORMS] + [rule(more=m) for m in MORES] + HELD + [rule().replace("notify: ops", f"notify: {s}") for s in SWITCHES])
def test_every_form_is_taken_by_both(text, tmp_path):
    assert faults(text) == []
    (tmp_path / "c.yaml").write_text(text)
    out("check", str(tmp_path / "c.yaml"))


SEED = int(os.environ.get("SEED", "4"))


def test_what_check_takes_the_schema_takes(tmp_path):
    """Values put where others stood: an editor must not mark what runbell reads without a warning."""
    rng, taken = random.Random(SEED), 0
    texts = [rule(when=w, more=m) for w, m in zip(FORMS, MORES)] + [rule(more=m) for m in MORES]
    words = sorted({w for t in texts for w in re.findall(r"[\w.'*-]+", t)})
    for k in range(200):
        text = rng.choice(texts)
        spot = rng.choice([m for m in re.finditer(r"[\w.'*-]+", text) if m.start() > text.index("    when:") + 9])
        text = text[:spot.start()] + rng.choice(words) + text[spot.end():]
        (tmp_path / "c.yaml").write_text(text)
        done = subprocess.run([BIN, "check", str(tmp_path / "c.yaml")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode == 0 and b"with warnings" not in done.stdout:
            taken += 1
            assert faults(text) == [], f"seed {SEED}, number {k}\n{text}"
    assert taken > 10, taken


HOOKS = "version: 1\ndestinations: {ops: %s}\n"
WRONG = [
    (rule(when="{stauts: failed}"), "stauts"), (rule(when="{status: faild}"), "faild"), (rule(when="{status: []}"), ""), (rule(when="{attempt: many}"), "many"),
    (rule(when="{duration: 5}"), "5"), (rule(when="{task: {gt: 3}}"), "gt"), (rule(when="{tags: {has: x}}"), "has"), (rule(when="{any: {task: a}}"), "task"),
    (rule(when="{metadata: x}"), "metadata"), (rule(more="count: thrice in 10m"), "thrice"), (rule(more="count: {n: 0, in: 5m}"), "0"),
    (rule(more="repeat: often"), "often"), (rule(more="resolve: whenever"), "whenever"), (rule(more="severity: fatal"), "fatal"), (rule(more="wiat: 5m"), "wiat"),
    (rule(more="wait: 5 minutes"), "5 minutes"), (rule(more="escalate: {soon: ops}"), "soon"), (rule(more="limit: 20 each minute"), ""), (rule(more="by: taks"), "taks"),
    (rule(more="enabled: maybe"), "maybe"), (rule(more="resolve: {match: {stauts: failed}}"), "stauts"), (rule(more="resolve: {match: failed}"), "failed"),
    (rule().replace("notify: ops", "notify: {switch: evn, prod: ops}"), "evn"), (rule().replace("notify: ops", "notify: {switch: env}"), "switch"), (rule().replace("version: 1", "version: 2"), "2"), (rule().replace("version: 1\n", ""), "version"),
    (rule().replace("type: webhook", "type: webhok"), "webhok"), (rule().replace("type: webhook", "type: webhook, key: x"), "key"),
    (rule().replace("type: webhook", "type: trigger-webhook"), "secret"), (rule() + "sorces: {}\n", "sorces"), (rule() + "server: {listen: x, port: 5}\n", "port"),
    (rule() + "server: {limits: {batch: 0}}\n", "0"), (rule() + "store: {keep: {events: forever}}\n", "forever"), (rule() + "log: {level: loud}\n", "loud"),
    (rule().replace("  r:\n", "  R_1:\n"), "R_1"), (HOOKS % "{type: slak}", "slak"), (HOOKS % "{type: slack}", ""), (HOOKS % "{type: slack, token: x}", "channel"),
    (HOOKS % "{type: slack, url: 'https://x', chanel: y}", "chanel"), (HOOKS % "{type: pagerduty, routing_key: short}", "short"), (HOOKS % "{type: console, color: red}", "red"),
    (HOOKS % "{type: webhook, url: 'ftp://x'}", "ftp"), (HOOKS % "{type: console, retry: {after: 1h}}", "after"), (HOOKS % "{type: console, rate: fast}", "fast"),
    (rule() + SCHEDULES.replace("days: mon-fri", "days: mo-fri"), "mo-fri"), (rule() + SCHEDULES.replace("09:00-18:00", "9-18"), "9-18"),
    (rule() + SCHEDULES.replace("zone: Europe/Berlin, ", ""), "zone"), (rule() + SCHEDULES.replace("why: ", "wy: "), "wy"), (rule() + SCHEDULES.replace("2026-12-25]", "12.25]"), "12.25"),
    (rule(more="confirm: maybe"), "maybe"), (rule(more="unless: {a: b}"), ""), (rule(more="during: [a]"), ""), (rule(more="outside: {during: a}"), "to"),
    (rule() + "tests: [{name: x, events: [{at: 0s, status: FAILED, taks: a}], expect: [{at: 0s, rule: r, sent: ops}]}]\n", "taks"),
    (rule() + "tests: [{name: x, events: [{at: 0s}], expect: [{at: 0s, rule: r, sent: ops}]}]\n", "status"),
    (rule() + "tests: [{name: x, events: [{at: 0s, status: FAILED}], expect: []}]\n", ""),
    (rule() + "tests: [{name: x, events: [{at: 0s, status: FAILED}], expect: [{at: 0s, rule: r, snet: ops}]}]\n", "snet"),
]


def deepest(errors):
    for e in errors:
        yield e.message
        yield from deepest(e.context)


@pytest.mark.parametrize("text,about", WRONG)
def test_the_wrong_is_refused_by_both(text, about, tmp_path):
    found = list(deepest(WHOLE.iter_errors(core_yaml.load(text))))
    assert found and any(about in message for message in found), found
    (tmp_path / "c.yaml").write_text(text)
    command = ["test"] if "tests:" in text else ["check", "-c"]
    assert subprocess.run([BIN, *command, str(tmp_path / "c.yaml")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE).returncode == 1


def test_the_reference_is_up_to_date():
    assert read("docs/reference.md") == out("docs"), "docs/reference.md is not what `runbell docs` prints: runbell docs > docs/reference.md"


def test_the_reference_links_to_its_own_headings():
    page = read("docs/reference.md")
    anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", page, re.M)}
    links = set(re.findall(r"\]\(#([^)]*)\)", page))
    assert links and links <= anchors, links - anchors


def test_every_part_of_the_schema_is_used():
    text = out("schema")
    defs = json.loads(text)["$defs"]
    used = set(re.findall(r'"#/\$defs/([^"]*)"', text))
    assert used <= set(defs), used - set(defs)
    assert set(defs) - used <= {"included", "destination"}, set(defs) - used
