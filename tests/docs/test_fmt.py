"""`runbell fmt`: says the same as before, loses no comment, and has nothing to add to its own work."""
import glob
import os
import random
import re
import shutil
import stat
import subprocess

import core_yaml
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.path.join(ROOT, os.environ.get("RUNBELL_BIN", "build/runbell")))
SEED = int(os.environ.get("SEED", "4"))


def fmt(*args, text=None):
    return subprocess.run([BIN, "fmt", *map(str, args)], input=text, stdin=subprocess.DEVNULL if text is None else None, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


def formatted(text):
    done = fmt("-", text=text.encode())
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


UGLY = '''# about the file

# about rules
rules:
      # about b
      b:
          notify: ops   # who
          # why it is so
          when:
              status: failed
              task: x


          count: 3 in 10m
          message:
             body: |
                 first
                   second

                 # not a comment
             title: "a
                 b"
      # about a
      a: {when: {status: failed,
            task: y}, notify: ops}
tests:
- events:
  - {at: 0s, status: FAILED}
  -   at: 1s
      # hm
      status: FAILED
  expect: []
  # how it is called
  name: x
# dangling
-
  name: y
  expect:
    - {at: 0s}
  events: []
destinations:
    ops:\x20\x20
      color: true
      type: console
      # token
version: 1

# the end
'''
NICE = '''# about the file

version: 1
destinations:
  ops:
    type: console
    color: true
    # token
# about rules
rules:
  # about b
  b:
    # why it is so
    when:
      status: failed
      task: x

    count: 3 in 10m
    notify: ops   # who
    message:
      title: "a
          b"
      body: |
          first
            second

          # not a comment
  # about a
  a: {when: {status: failed,
        task: y}, notify: ops}
tests:
  # how it is called
  - name: x
    events:
      - {at: 0s, status: FAILED}
      - at: 1s
        # hm
        status: FAILED
    expect: []
  # dangling
  -
    name: y
    events: []
    expect:
      - {at: 0s}

# the end
'''


def test_order_indentation_and_comments():
    assert formatted(UGLY) == NICE
    assert formatted(NICE) == NICE
    assert formatted(UGLY.replace("\n", "\r\n")) == NICE


@pytest.mark.parametrize("path", ["runbell.yaml", "deploy/runbell.yaml"] + sorted(os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, "rules", "*.yaml"))))
def test_our_own_files_are_in_form(path):
    done = fmt("--check", os.path.join(ROOT, path))
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_files_are_replaced_and_check_changes_nothing(tmp_path):
    path, other = tmp_path / "c.yaml", tmp_path / "nice.yaml"
    path.write_text(UGLY)
    other.write_text(NICE)
    path.chmod(0o640)
    done = fmt("--check", path, other)
    assert (done.returncode, done.stdout.decode(), path.read_text()) == (1, f"{path}\n", UGLY)
    done = fmt(path, other)
    assert (done.returncode, done.stdout.decode(), path.read_text()) == (0, f"{path}\n", NICE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and sorted(os.listdir(tmp_path)) == ["c.yaml", "nice.yaml"]
    assert fmt("--check", path).returncode == 0


def test_what_is_no_yaml_is_left_alone(tmp_path):
    for text, says in (("version: 1\nrules: {a: 'x\n", "error"), ("a: 1\na: 2\n", "a"), ("a: &x 1\n", "error"), ("a: 1\n\tb: 2\n", "error")):
        (tmp_path / "c.yaml").write_text(text)
        done = fmt(tmp_path / "c.yaml")
        assert done.returncode == 1 and says in done.stderr.decode() and not done.stdout
        assert (tmp_path / "c.yaml").read_text() == text


@pytest.mark.parametrize("text", ["a: 1", "a: 1\nb: |\n  text", "a: 1\nb: |-\n  text", "# only a comment", "", "{}", "--- # start\na: 1\n..."])
def test_texts_without_an_end_of_line(text):
    made = formatted(text)
    assert core_yaml.load(made) == core_yaml.load(text) and formatted(made) == made


def test_what_cannot_be_laid_out_is_left_alone_and_named(tmp_path):
    text = "rules:\n  a:\n    notify: x\n    message: {}\n    runbook: |+\n      kept\n\n\n    when: {status: failed}\n"
    (tmp_path / "c.yaml").write_text(text)
    done = fmt(tmp_path / "c.yaml")
    assert done.returncode == 1 and b"left alone" in done.stderr and (tmp_path / "c.yaml").read_text() == text


def test_wrong_use():
    assert fmt().returncode == 2
    assert fmt("--chek", "x").returncode == 2
    assert fmt("/no/such/file.yaml").returncode == 3


# --- any YAML ---------------------------------------------------------------------------------------------
class Writer:
    """Random configurations, as badly laid out as YAML allows."""

    WORDS = ["rules", "when", "notify", "count", "version", "tests", "name", "events", "expect", "status", "destinations", "defaults", "by", "message", "title", "x-1", "\u00fcber", "type"]
    SCALARS = ["1", "failed", "3 in 10m", "'it''s # no comment'", '"a: \\"b\\""', "true", "~", "", "\u00fc \u2014 x", "http://x/#y", "-1", "[]", "{}"]

    def __init__(self, rng):
        self.rng, self.lines, self.comments = rng, [], 0

    def noise(self, indents):
        """Comments and blank lines, where they are allowed."""
        for _ in range(self.rng.choice([0, 0, 0, 1, 2])):
            if self.rng.random() < 0.4:
                self.lines.append(self.rng.choice(["", "", " "]))
            else:
                self.comments += 1
                self.lines.append(" " * self.rng.choice(indents) + f"# comment {self.comments}")

    def remark(self):
        if self.rng.random() < 0.8:
            return self.rng.choice(["", "", " "])
        self.comments += 1
        return self.rng.choice([" ", "    "]) + f"# comment {self.comments}"

    def leaf(self, indent):
        """A value's first line behind its key, and the lines below it."""
        kind = self.rng.randrange(6)
        deep = " " * (indent + self.rng.randint(1, 4))
        if kind == 0:
            return " " + self.rng.choice(["|", ">", "|-", ">-"]), [deep + "text", "", deep + "  # text, deeper", deep + "end"]
        if kind == 1:
            return " {a: 1,", [deep + "b: [x,", deep + "   'y']}" + self.remark()]
        if kind == 2:
            return " 'several", [deep + "lines", "", deep + "# of it'" + self.remark()]
        if kind == 3:
            return " plain", [deep + "and more" + self.remark()]
        value = self.rng.choice(self.SCALARS)
        return (" " * self.rng.choice([1, 1, 3]) + value if value else "") + self.remark(), []

    def put(self, indent, prefix, key, below):
        first, rest = below
        self.lines.append(prefix + key + first)
        self.lines += rest

    def value(self, indent, prefix, key, depth):
        """key: is put behind prefix; what it holds stands below, deeper than indent."""
        if depth == 0 or self.rng.random() < 0.45:
            self.put(indent, prefix, key + ":", self.leaf(indent))
            return
        self.lines.append(prefix + key + ":" + self.remark())
        if self.rng.random() < 0.5:
            self.map(indent + self.rng.choice([1, 2, 4, 6]), None, depth - 1, indent)
        else:
            self.seq(indent + self.rng.choice([0, 1, 2, 4]), None, depth - 1, indent)

    def map(self, indent, prefix, depth, outer):
        keys = self.rng.sample(self.WORDS, self.rng.randint(1, 4))
        for key in keys:
            if prefix is None:
                self.noise([indent, indent, outer + 1, indent + 3])
            self.value(indent, " " * indent if prefix is None else prefix, key, depth)
            prefix = None

    def seq(self, indent, prefix, depth, outer):
        for _ in range(self.rng.randint(1, 3)):
            if prefix is None:
                self.noise([indent, indent, indent + 3])
            dash = (" " * indent if prefix is None else prefix) + "-"
            prefix = None
            if depth and self.rng.random() < 0.5:
                gap = self.rng.choice([1, 1, 3])
                if self.rng.random() < 0.8:
                    self.map(indent + 1 + gap, dash + " " * gap, depth - 1, indent)
                else:
                    self.seq(indent + 1 + gap, dash + " " * gap, depth - 1, indent)
            elif depth and self.rng.random() < 0.3:
                self.lines.append(dash + self.remark())
                self.map(indent + self.rng.choice([1, 2, 5]), None, depth - 1, indent)
            else:
                self.put(indent, dash, "", self.leaf(indent))

    def text(self):
        self.noise([0, 0, 2])
        self.map(0, None, 4, -1)
        self.noise([0, 3])
        return "\n".join(self.lines) + self.rng.choice(["\n", "\n\n\n"])


def comments(text):
    return sorted(re.findall(r"# comment \d+$", text, re.M))


def test_any_yaml_keeps_its_meaning_and_its_comments(tmp_path):
    count = int(os.environ.get("DOCUMENTS", "400"))
    texts = [Writer(random.Random(f"{SEED}-{k}")).text() for k in range(count)]
    paths = [tmp_path / f"{k:05}.yaml" for k in range(count)]
    for path, text in zip(paths, texts):
        path.write_text(text)
    for at in range(0, count, 400):
        done = fmt(*paths[at:at + 400])
        assert done.returncode == 0, done.stderr.decode()
    for k, (path, text) in enumerate(zip(paths, texts)):
        made = path.read_text()
        assert core_yaml.load(made) == core_yaml.load(text), f"seed {SEED}, number {k}"
        assert comments(made) == comments(text), f"seed {SEED}, number {k}"
        assert not re.search(r"\n\n\Z", made)
    for at in range(0, count, 400):
        done = fmt("--check", *paths[at:at + 400])
        assert done.returncode == 0, f"seed {SEED}: not at rest: {done.stdout.decode()}"
    shutil.rmtree(tmp_path)
