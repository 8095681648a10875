"""`runbell test`: what CI is told, and running again at every change."""
import os
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import BINARY, DEADLINE_S, wait_for

RULES = """version: 1
rules:
  crashed: {when: {status: CRASHED}, notify: chat}
tests:
  - name: "a crash <is> told & \\"heard\\" \\u0001"
    events: [{at: 0s, task: sync, status: %s}]
    expect: [{at: 0s, rule: crashed, sent: chat}]
  - name: success is no news
    events: [{at: 0s, task: sync, status: COMPLETED}]
    expect: [{until: 1h, rule: crashed, never: chat}]
"""
GOOD, BAD = RULES % "CRASHED", RULES % "FAILED"


def runbell_test(folder, *args):
    return subprocess.run([BINARY, "test", *args], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE_S)


def counts(element):
    return [int(element.get(k)) for k in ("tests", "failures", "errors")]


def test_junit_tells_what_passed_and_what_failed(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    done = runbell_test(tmp_path, "--junit", "out.xml", "good.yaml", "bad.yaml")
    assert done.returncode == 1 and done.stdout.endswith(b"3 passed, 1 failed\n")
    root = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert root.tag == "testsuites" and counts(root) == [4, 1, 0]
    good, bad = root
    assert [good.get("name"), counts(good), bad.get("name"), counts(bad)] == ["good.yaml", [2, 0, 0], "bad.yaml", [2, 1, 0]]
    first, second = bad
    assert (first.get("name"), first.get("file"), first.get("line")) == ('a crash <is> told & "heard" ?', "bad.yaml", "5")
    failure = first.find("failure")
    assert failure.get("message") == "line 7: at 0s, rule crashed: expected a message to chat"
    assert "nothing: no rule opened an incident" in failure.text and "MISS" in failure.text
    assert second.find("failure") is None and float(second.get("time")) >= 0


def test_junit_tells_of_a_file_that_cannot_be_tested(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "broken.yaml").write_text("version: 1\nruls: {}\n")
    done = runbell_test(tmp_path, "-q", "--junit", "-", "broken.yaml", "good.yaml")
    assert done.returncode == 1 and b"did you mean `rules`?" in done.stderr
    assert b"2 passed, 0 failed" in done.stderr
    root = ElementTree.fromstring(done.stdout)  # and nothing else
    assert counts(root) == [3, 0, 1] and root[0].get("name") == "broken.yaml" and root[0][0].find("error") is not None


def test_two_results_on_standard_output_are_wrong_use(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    assert runbell_test(tmp_path, "--json", "--junit", "-", "good.yaml").returncode == 2
    assert runbell_test(tmp_path, "--json", "--junit", "out.xml", "good.yaml").returncode == 0


def test_junit_that_cannot_be_written(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    done = runbell_test(tmp_path, "--junit", "no/such/folder.xml", "good.yaml")
    assert done.returncode == 3 and b"no/such/folder.xml" in done.stderr


def test_ten_thousand_cases_from_a_file(tmp_path):
    case = "  - {name: case %d, events: [{at: 0s, task: t, status: CRASHED}, {at: 1m, task: t, status: COMPLETED, started: 30s}], expect: [{at: 0s, rule: crashed, sent: chat}, {at: 6m, rule: crashed, resolved: true}]}\n"
    (tmp_path / "many.yaml").write_text(GOOD + "".join(case % k for k in range(10000)))
    done = runbell_test(tmp_path, "-q", "--junit", "out.xml", "many.yaml")  # within the patience that every command gets; how fast it is, the bench says
    assert done.returncode == 0 and done.stdout == b"10002 passed, 0 failed\n"
    assert counts(ElementTree.parse(tmp_path / "out.xml").getroot()) == [10002, 0, 0]


class Watching:
    """`runbell test --watch` in a folder, its output read as it comes."""

    def __init__(self, folder, *args):
        self.log = folder / "log"
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([BINARY, "test", "--watch", *args], cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def runs(self):
        return self.log.read_text().split("watching ")[:-1]

    def run(self, number):
        """The output of the number-th run, once it has ended."""
        return wait_for(lambda: len(self.runs()) >= number and self.runs()[number - 1], f"run {number}")

    def end(self, how=signal.SIGINT):
        self.process.send_signal(how)
        return self.process.wait(DEADLINE_S)


@pytest.fixture
def watching(tmp_path):
    begun = []

    def begin(*args):
        begun.append(Watching(tmp_path, *args))
        return begun[-1]
    yield begin
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def put(path, text):
    """As editors do: a new file takes the old one's place."""
    new = path.with_name(path.name + "~")
    new.write_text(text)
    os.replace(new, path)


def test_watch_runs_again_at_every_change(tmp_path, watching):
    (tmp_path / "r.yaml").write_text(GOOD)
    w = watching("r.yaml")
    assert "2 passed, 0 failed" in w.run(1)
    put(tmp_path / "r.yaml", BAD)
    assert "1 passed, 1 failed" in w.run(2)
    (tmp_path / "r.yaml").write_text("version: 1\nruls: {}\n")
    assert "did you mean `rules`?" in w.run(3)
    put(tmp_path / "r.yaml", GOOD)
    assert "2 passed, 0 failed" in w.run(4)
    (tmp_path / "unrelated.txt").write_text("x")
    put(tmp_path / "r.yaml", BAD)
    assert "1 passed, 1 failed" in w.run(5)
    assert len(w.runs()) == 5
    assert w.end() == 1


def test_watch_sees_included_files_even_when_the_first_run_failed(tmp_path, watching):
    (tmp_path / "rules").mkdir()
    (tmp_path / "runbell.yaml").write_text("version: 1\ninclude: [rules/*.yaml]\n")
    (tmp_path / "rules" / "a.yaml").write_text("version: 1\nruls: {}\n")
    w = watching("-q")
    assert "did you mean `rules`?" in w.run(1)
    put(tmp_path / "rules" / "a.yaml", GOOD)
    assert "2 passed, 0 failed" in w.run(2)
    (tmp_path / "rules" / "b.yaml").write_text(BAD.replace("crashed", "died"))
    assert "3 passed, 1 failed" in w.run(3)
    (tmp_path / "rules" / "b.yaml").unlink()
    assert "2 passed, 0 failed" in w.run(4)
    assert w.end(signal.SIGTERM) == 0
