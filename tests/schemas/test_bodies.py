"""Bodies of every provider for ordinary, huge and hostile messages, against the schemas beside this file
and the rules that JSON Schema cannot say. Reads what notify-render prints (RUNBELL_RENDER names it)."""
import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest

HERE = pathlib.Path(__file__).parent
RENDER = os.environ.get("RUNBELL_RENDER", "build/tests/notify-render")


def load(name):
    return json.loads((HERE / name).read_text())


SLACK = load("slack-message.authored.schema.json")
PAGERDUTY = load("pagerduty-events-v2.authored.schema.json")
WEBHOOK = {
    "type": "object",
    "required": ["type", "timestamp", "data"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "pattern": r"^[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)+$"},
        "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
        "data": {"type": "object", "required": ["id", "kind", "severity", "state", "title"]},
    },
}


def slack_def(name):
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SLACK["$defs"]})


VALIDATORS = {
    "webhook": slack_def("webhook"),
    "postMessage": slack_def("postMessage"),
    "update": slack_def("update"),
    "pagerduty": jsonschema.Draft202012Validator(PAGERDUTY),
    "standard": jsonschema.Draft202012Validator(WEBHOOK),
}


def validator(line):
    if line["provider"] == "slack-bot":
        return VALIDATORS["update" if line["url"].endswith("/chat.update") else "postMessage"]
    return VALIDATORS[{"slack-webhook": "webhook", "pagerduty": "pagerduty", "webhook": "standard"}[line["provider"]]]


@pytest.fixture(scope="module")
def lines():
    done = subprocess.run([RENDER], capture_output=True, check=True)
    return [json.loads(one) for one in done.stdout.splitlines()]


def sent(lines, *providers):
    return [one for one in lines if not one["skip"] and one["provider"] in providers]


def where(line):
    return {k: line[k] for k in ("provider", "case", "kind", "plain", "captured")}


def texts(value):
    if isinstance(value, str):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(child)


def test_all_there(lines):
    assert len(lines) == 5 * (9 + 9 * 4) * 4
    assert {one["provider"] for one in lines} == {"slack-bot", "slack-webhook", "pagerduty", "webhook", "console"}


def test_schemas(lines):
    seen = set()
    for line in sent(lines, "slack-bot", "slack-webhook", "pagerduty", "webhook"):
        if (line["provider"], line["body"]) in seen:
            continue
        seen.add((line["provider"], line["body"]))
        for error in validator(line).iter_errors(json.loads(line["body"])):
            pytest.fail(f"{where(line)}: {error.json_path}: {error.message[:300]}")


def test_sizes(lines):
    for line in sent(lines, "slack-bot", "slack-webhook"):
        assert len(line["body"]) <= 12000, where(line)
    for line in sent(lines, "pagerduty"):
        assert len(line["body"].encode()) <= 512 * 1024, where(line)


def test_slack_cannot_be_made_to_mention(lines):
    for line in sent(lines, "slack-bot", "slack-webhook"):
        for text in texts(json.loads(line["body"])):
            if text.startswith("https://"):
                continue  # a button's address is no markup
            allowed = re.sub(r"<!date\^\d+\^[^|>]*\|[^>]*>", "", text)
            assert "<" not in allowed and ">" not in allowed, (where(line), text[:200])


def test_slack_code_blocks_close(lines):
    for line in sent(lines, "slack-bot", "slack-webhook"):
        for text in texts(json.loads(line["body"])):
            if text.startswith("```"):
                assert text.endswith("\n```") and text.count("```") == 2, (where(line), text[:200])


def test_slack_says_something_first(lines):
    for line in sent(lines, "slack-bot", "slack-webhook"):
        body = json.loads(line["body"])
        assert body["text"].strip(), where(line)
        if line["case"] == "normal" and not line["plain"]:
            assert "render-video: 12 runs CRASHED" in body["blocks"][0]["text"]["text"], where(line)


def test_slack_edit_says_everything(lines):
    for line in sent(lines, "slack-bot"):
        if line["url"].endswith("/chat.update"):
            assert {"text", "blocks", "attachments"} <= json.loads(line["body"]).keys(), where(line)


def test_pagerduty_keys_are_one_per_incident(lines):
    keys = {}
    for line in sent(lines, "pagerduty"):
        if line["kind"] in ("open", "escalation", "ack", "resolve") and line["case"] != "empty":
            keys.setdefault(line["case"], set()).add(json.loads(line["body"])["dedup_key"])
    assert keys and all(len(found) == 1 for found in keys.values())


def test_console_cannot_be_driven(lines):
    own = re.compile(r"\x1b\[[0-9;]*m")
    for line in sent(lines, "console"):
        left = own.sub("", line["body"]) if line["case"] != "controls" else re.sub(r"\x1b\[(0|1;3\d|1;32|2)m", "", line["body"])
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", left), where(line)


def test_templates_in_values_stay_text(lines):
    for line in sent(lines, "slack-bot", "slack-webhook", "pagerduty", "console"):
        if line["case"] == "mustache" and line["kind"] == "open":
            assert "{{title}}" in line["body"], where(line)
