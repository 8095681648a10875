"""The pages are true: every YAML snippet is checked, its tests are run, every console command works, every link
leads somewhere, and deploy/ names what the binary really needs."""
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.path.join(ROOT, os.environ.get("RUNBELL_BIN", "build/runbell")))
PAGES = ["README.md"] + sorted("docs/" + n for n in os.listdir(os.path.join(ROOT, "docs")) if n.endswith(".md"))
sys.path.insert(0, os.path.join(ROOT, "tests", "fakes"))
from trigger_dev import TriggerDev  # noqa: E402

BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.M | re.S)


def page(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def blocks(kind):
    for name in PAGES:
        for number, (found, text) in enumerate(BLOCK.findall(page(name))):
            if found == kind:
                yield pytest.param(text, id=f"{name}-{number}")


def run(*args, cwd, env=None):
    return subprocess.run(args, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)


@pytest.mark.parametrize("text", [p for p in blocks("yaml") if "version: 1" in p.values[0]])
def test_yaml_snippets_are_configurations(text, tmp_path):
    (tmp_path / "runbell.yaml").write_text(text)
    done = run(BIN, "check", "-c", "runbell.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout.decode()
    if "\ntests:" in text:
        done = run(BIN, "test", "runbell.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stdout.decode()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder like the repository's own, with the binary on the PATH and a server on the port the pages name, whose source
    `prod` is a fake Trigger.dev."""
    with TriggerDev() as fake:
        yield from serve(tmp_path_factory, fake)


def serve(tmp_path_factory, fake):
    folder = tmp_path_factory.mktemp("docs")
    port = free_port()
    text = page("runbell.yaml").replace("127.0.0.1:8484", f"127.0.0.1:{port}")
    prod = "  prod: {type: trigger-api, url: %s, key: '${env:TRIGGER_SECRET_KEY}'}\n" % fake.url
    assert "\nsources:\n" in text
    (folder / "runbell.yaml").write_text(text.replace("\nsources:\n", "\nsources:\n" + prod))
    (folder / "rules").symlink_to(os.path.join(ROOT, "rules"))
    (folder / "bin").mkdir()
    (folder / "bin" / "runbell").symlink_to(BIN)
    env = dict(os.environ, PATH=f"{folder}/bin:{os.environ['PATH']}", TRIGGER_SECRET_KEY=fake.key)
    server = subprocess.Popen([BIN, "serve"], cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=open(folder / "log", "w"))
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1)
            break
        except OSError:
            assert time.monotonic() < deadline and server.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)
    yield folder, env, port
    server.terminate()
    assert server.wait(15) == 0


def as_curl(words):
    """What curl would send, header for header: not every machine has it."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    headers.update(re.split(r":\s*", words[k + 1], maxsplit=1) for k, word in enumerate(words) if word == "-H")
    headers = {name.title(): value for name, value in headers.items()}
    request = urllib.request.Request(words[-1], data=words[words.index("-d") + 1].encode(), headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as e:
        return e.code


@pytest.mark.parametrize("text", blocks("console"))
def test_console_commands_work(text, shell):
    folder, env, port = shell
    for line in text.splitlines():
        if not line.startswith("$ "):
            continue
        command = line[2:].split("  #")[0].strip().replace("127.0.0.1:8484", f"127.0.0.1:{port}")
        if command == "runbell serve &":  # it runs already
            continue
        if command.startswith("curl "):
            assert as_curl(shlex.split(command)) == 202, command
            continue
        done = run(*shlex.split(command), cwd=folder, env=env)
        assert done.returncode == 0, f"{command}: {done.stdout.decode()}"


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#]+)", page(name)):
        if "://" not in target:
            assert os.path.exists(os.path.join(ROOT, os.path.dirname(name), target)), target


def test_readme_names_the_two_commands():
    commands = re.findall(r"^make (\w+)", page("README.md"), re.M)
    assert commands[:2] == ["demo", "test"]
    makefile = page("Makefile")
    for command in commands:
        assert re.search(rf"^{command}:", makefile, re.M)


def test_deploy_files_are_yaml_and_name_the_binary():
    for name in ("compose.yaml", "kubernetes.yaml", "runbell.yaml"):
        with open(os.path.join(ROOT, "deploy", name), encoding="utf-8") as f:
            assert list(yaml.safe_load_all(f))
    done = run(BIN, "check", "-c", os.path.join(ROOT, "deploy", "runbell.yaml"), cwd=ROOT)
    assert done.returncode in (0, 1), done.stdout.decode()  # its include is laid out by the image


def test_configmap_of_kubernetes_is_a_configuration(tmp_path):
    with open(os.path.join(ROOT, "deploy", "kubernetes.yaml"), encoding="utf-8") as f:
        maps = [d for d in yaml.safe_load_all(f) if d["kind"] == "ConfigMap"]
    (tmp_path / "runbell.yaml").write_text(maps[0]["data"]["runbell.yaml"])
    done = run(BIN, "check", cwd=tmp_path)
    assert done.returncode == 0, done.stdout.decode()


def test_image_has_the_libraries_of_the_binary():
    libraries = {"libmicrohttpd": "libmicrohttpd12", "libcurl": "libcurl4", "libyaml": "libyaml-0-2", "libsqlite3": "libsqlite3-0",
                 "libpcre2-8": "libpcre2-8-0", "libcrypto": "libssl3"}
    needed = re.findall(r"\(NEEDED\).*\[(\S+?)\.so", run("readelf", "-d", BIN, cwd=ROOT).stdout.decode())
    runtime = page("Dockerfile").split("FROM")[-1]
    for library in needed:
        stem = re.sub(r"-0$", "", library)
        if stem in ("libc", "libm", "libasan", "libubsan", "libtsan", "ld-linux-x86-64"):
            continue
        package = libraries.get(stem)
        assert package, f"{library}: which package brings it?"
        assert package in runtime and package in page("deploy/make-deb")
