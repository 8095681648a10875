"""The programs that are measured, each started fresh on a free port of the loopback and ended by its own pid."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

HZ = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, timeout=2.0):
    """(status, body); status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, ""
    except (OSError, ValueError):
        return 0, ""


def wait_until(what, test, seconds, pause=0.02):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)


class Program:
    """A child process; `with` ends it. Its output goes to a file in its folder."""

    def __init__(self, name, command, folder, ready=None, env=None):
        self.name = name
        self.folder = folder
        self.log = os.path.join(folder, name + ".log")
        self.started = time.monotonic()
        with open(self.log, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
        try:
            if ready:
                wait_until(f"{name} is ready", lambda: self.alive() and ready(), 20)
        except BaseException:
            self.stop()
            raise

    def alive(self):
        if self.process.poll() is None:
            return True
        with open(self.log, encoding="utf-8", errors="replace") as f:
            raise BenchError(f"{self.name} ended with status {self.process.returncode}: {f.read()[-800:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def pids(self):
        """Its own and its children's: nginx serves from a child."""
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
                return [self.process.pid] + [int(p) for p in f.read().split()]
        except OSError:
            return [self.process.pid]

    def rss_bytes(self):
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
                total += int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1)) * 1024
        return total

    def peak_bytes(self):
        """The most that was ever resident."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as f:
            return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) * 1024

    def cpu_seconds(self):
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / HZ


class Bench:
    """Where the tools are and where work is done."""

    def __init__(self, binary, tools, work, quick):
        self.binary, self.tools, self.work = map(os.path.abspath, (binary, tools, work))
        self.quick = quick
        self.count = 0

    def folder(self):
        """A fresh one; the caller empties it."""
        self.count += 1
        path = os.path.join(self.work, str(self.count))
        os.makedirs(path)
        return path

    def put(self, folder, name, text):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def tool(self, name, *args, timeout=120):
        command = [os.path.join(self.tools, name), *map(str, args)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{name}: not done within {timeout} s") from None
        if done.returncode != 0:
            raise BenchError(f"{name} {' '.join(map(str, args))}: status {done.returncode}: {(done.stderr + done.stdout)[-500:]}")
        return done.stdout

    def load(self, url, body, connections, *, seconds=None, count=None, scattered=False):
        args = ["-j", "-c", connections, "-T", body]
        args += ["-d", seconds] if count is None else ["-n", count]
        if scattered:
            args.append("-r")
        return json.loads(self.tool("load", *args, url))

    # --- the three of them ---------------------------------------------------------------------------------
    def runbell(self, folder, config, port, wait=True):
        path = self.put(folder, "runbell.yaml", config)
        url = f"http://127.0.0.1:{port}/readyz"
        return Program("runbell", [self.binary, "serve", "-c", path], folder, (lambda: get(url)[0] == 200) if wait else None)

    def nginx(self, folder, port):
        """One worker, as runbell has one HTTP thread."""
        temp = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = (f"worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;"
                  "events { worker_connections 4096; }"
                  f"http {{ access_log off; keepalive_requests 1000000000; {temp}"
                  f"server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }} }}")
        path = self.put(folder, "nginx.conf", config)
        url = f"http://127.0.0.1:{port}/"
        return Program("nginx", [find("nginx"), "-p", folder, "-c", path], folder, lambda: get(url)[0] == 204)

    def alertmanager(self, folder, port, route, receiver):
        config = f"route: {route}\nreceivers:\n- {receiver}\n"
        path = self.put(folder, "alertmanager.yml", config)
        url = f"http://127.0.0.1:{port}/-/ready"
        return Program("alertmanager", [find("prometheus-alertmanager"), f"--config.file={path}", f"--storage.path={folder}/data",
                                        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error"],
                       folder, lambda: get(url)[0] == 200)

    def sink(self, folder, port):
        url = f"http://127.0.0.1:{port}/"
        return Program("sink", [os.path.join(self.tools, "probe"), "-l", str(port)], folder, lambda: get(url)[0] == 200)


def find(program):
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin")
    if not path:
        raise BenchError(f"{program} is not installed: `make bench` installs it (packages nginx-light, prometheus-alertmanager)")
    return path


def metric(port, name):
    status, text = get(f"http://127.0.0.1:{port}/metrics")
    found = re.search(r"^" + re.escape(name) + r" (\S+)$", text, re.M) if status == 200 else None
    return float(found.group(1)) if found else None
