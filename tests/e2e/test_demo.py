"""The first thing anybody runs."""
import subprocess
import time

from conftest import BINARY, free_port


def run_demo(folder, *arguments):
    return subprocess.run([str(BINARY), "demo", *arguments], cwd=folder, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)})


def test_demo_tells_the_whole_story(tmp_path):
    begin = time.monotonic()
    done = run_demo(tmp_path, "--listen", f"127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - begin < 30
    for text in ("render-video crashed", "sync-ledger timed out", "send-invoice failed", "sync-contacts keeps being retried",
                 "ESCALATED after 3s", "RESOLVED after", "crashed-or-timed-out", "billing-failed", "retry-storm", "[pager]"):
        assert text in done.stdout, text
    assert done.stderr == "" and "\x1b" not in done.stdout, "no colours where nobody looks"
    assert list(tmp_path.iterdir()) == [], "it cleans up behind itself"


def test_demo_where_the_address_is_taken(runbell, tmp_path):
    runbell.configure()
    runbell.start()
    done = run_demo(tmp_path, "--listen", f"127.0.0.1:{runbell.port}")
    assert done.returncode == 1 and "--listen" in done.stderr
