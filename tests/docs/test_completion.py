"""Completion, help and the man page tell of the same commands and options."""
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.path.join(ROOT, os.environ.get("RUNBELL_BIN", "build/runbell")))


def run(*args, cwd=ROOT):
    return subprocess.run(args, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


def text(*args):
    done = run(BIN, *args)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


COMMANDS = re.findall(r"^  ([a-z]+) ", text("--help").split("Commands:")[1], re.M)


def options(command):
    found = set()
    for short, long in re.findall(r"^  (-[a-zA-Z],)? *(--[a-z-]+)", text(command, "--help").split("\nOptions:\n")[1], re.M):
        found |= {short.rstrip(","), long}
    return found - {""}


def in_bash(line, cwd=ROOT):
    """What bash offers when Tab is pressed at the end of the line."""
    words = line.split(" ")
    script = 'source <("$0" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _runbell; printf "%s\\n" "${COMPREPLY[@]}"'
    done = run("bash", "--norc", "-c", script, BIN, *words, cwd=cwd)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()
    return {w for w in done.stdout.decode().split("\n") if w}


def test_bash_completes_commands():
    assert in_bash("runbell ") == set(COMMANDS) | {"--help", "--version"}
    assert in_bash("runbell ex") == {"explain"}
    assert in_bash("runbell nosuch ") == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_completes_the_options_that_help_shows(command):
    assert in_bash(f"runbell {command} -") == options(command)


def test_bash_completes_files_where_they_are_wanted(tmp_path):
    (tmp_path / "with a blank.yaml").touch()
    (tmp_path / "b.yaml").touch()
    for line in ("runbell check ", "runbell test b.yaml ", "runbell explain --event ", "runbell serve -c "):
        assert in_bash(line, tmp_path) == {"with a blank.yaml", "b.yaml"}, line
    for line in ("runbell ack ", "runbell render --to ", "runbell status "):
        assert in_bash(line, tmp_path) == set(), line
    assert in_bash("runbell completion ") == {"bash", "zsh", "fish"}


@pytest.mark.parametrize("shell", [s for s in ("bash", "zsh", "fish") if shutil.which(s)])
def test_scripts_can_be_read_by_their_shell(shell, tmp_path):
    (tmp_path / "script").write_text(text("completion", shell))
    done = run(shell, "-n", str(tmp_path / "script"))
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_script_knows_every_option(command):
    longs = {o for o in options(command) if o.startswith("--")} - {"--help"}
    zsh = re.search(rf"^    {command}\) (.*)", text("completion", "zsh"), re.M).group(1)
    fish = [line for line in text("completion", "fish").splitlines() if f"subcommand_from {command}'" in line]
    assert {o for o in longs if f"'{o}[" in zsh} == longs
    assert {"--" + m for line in fish for m in re.findall(r" -l ([a-z-]+)", line)} == longs


def test_an_unknown_shell_is_wrong_use():
    for args in ([], ["tcsh"], ["bash", "zsh"]):
        done = run(BIN, "completion", *args)
        assert done.returncode == 2 and b"completion --help" in done.stderr and not done.stdout


def test_the_man_page_names_every_command():
    with open(os.path.join(ROOT, "docs", "runbell.1"), encoding="utf-8") as f:
        page = f.read()
    assert [c for c in COMMANDS if not re.search(rf"\b{c}\b", page)] == []
