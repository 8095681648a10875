#!/usr/bin/python3
"""A receiver that plays Slack, PagerDuty and a Standard Webhooks endpoint, and every way in which those can fail.

    with Receiver() as receiver:
        receiver.url("/services/T1/B1/x")   Slack incoming webhook (any path under /services/)
        receiver.url("/api")                Slack Web API: chat.postMessage, chat.update (base_url of a bot)
        receiver.url("/pd")                 PagerDuty Events v2 (base_url): /pd/v2/enqueue
        receiver.url("/hook/NAME")          Standard Webhooks; receiver.hook_secrets["NAME"] has the signing secrets

Every body is judged against the schemas under tests/schemas; what a real service would refuse or lose without a
word is collected in receiver.violations, which must be empty at the end of a test. Faults are put before a path:

    receiver.fault("/hook/a", status=500, times=2)      the next two requests; times=None: all of them
    modes: status (with body and headers), slow, hang, garbage, short, drop, lost, reset, drip, endless, redirect
"""
import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import pathlib
import socket
import socketserver
import struct
import threading
import time

import jsonschema

SCHEMAS = pathlib.Path(__file__).resolve().parent.parent / "schemas"
TOLERANCE_S = 300  # of a webhook's timestamp, both ways


def _validators():
    slack = json.loads((SCHEMAS / "slack-message.authored.schema.json").read_text())
    pager = json.loads((SCHEMAS / "pagerduty-events-v2.authored.schema.json").read_text())
    found = {name: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": slack["$defs"]})
             for name in ("webhook", "postMessage", "update")}
    found["pagerduty"] = jsonschema.Draft202012Validator(pager)
    found["standard"] = jsonschema.Draft202012Validator({
        "type": "object", "required": ["type", "timestamp", "data"], "additionalProperties": False,
        "properties": {"type": {"type": "string", "pattern": r"^[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)+$"},
                       "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
                       "data": {"type": "object", "required": ["id", "kind", "severity", "state", "title"]}}})
    return found


VALIDATORS = _validators()


class Request:
    """One request as it came in, and what was answered."""

    def __init__(self, path, headers, raw):
        self.path, self.headers, self.raw = path, headers, raw
        self.at, self.wall = time.monotonic(), time.time()
        self.fault, self.status, self.answered = None, None, b""
        try:
            self.body = json.loads(raw)
        except ValueError:
            self.body = None

    def __repr__(self):
        return f"<{self.path} {self.fault or self.status} {self.raw[:120]!r}>"

    @property
    def first_line(self):
        """What a person sees first: Slack's header, PagerDuty's summary, a webhook's title."""
        body = self.body or {}
        if "payload" in body:
            return body["payload"]["summary"]
        if "data" in body:
            return body["data"]["title"]
        for block in body.get("blocks") or []:
            if block["type"] == "header":
                return block["text"]["text"]
        return body.get("text", "")


class Fault:
    def __init__(self, path, mode, times, **how):
        self.path, self.mode, self.left, self.how = path, mode, times, how


class SlackChannel:
    def __init__(self, name, ident):
        self.name, self.ident, self.messages = name, ident, {}  # ts -> list of versions of the message


class Receiver:
    """Threaded; all lists are only appended to, so tests may read them at any time."""

    def __init__(self):
        self.requests, self.violations = [], []
        self.tokens = {"xoxb-good"}      # valid bot tokens
        self.hook_secrets = {}           # NAME -> [secret, ...], empty: unsigned
        self.channels = {}               # by name and by id
        self.alerts = {}                 # PagerDuty: (routing key, dedup key) -> list of (action, body)
        self.silently_dropped = []       # PagerDuty: acknowledge or resolve of what is not open
        self._faults, self._lock, self._ts = [], threading.Lock(), 0
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """From now on connections are refused."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    # --- what tests ask ---------------------------------------------------------------------------------------
    def to(self, path):
        """Requests whose path begins so, in the order in which they came."""
        return [one for one in list(self.requests) if one.path.startswith(path)]

    def taken(self, path):
        """Of those, the ones answered without a fault and with 2xx."""
        return [one for one in self.to(path) if not one.fault and one.status and one.status < 300]

    def _done(self, method):
        """Slack says no with 200 and "ok": false."""
        return [one for one in self.taken(f"/api/{method}") if json.loads(one.answered).get("ok")]

    def posts(self):
        return self._done("chat.postMessage")

    def updates(self):
        return self._done("chat.update")

    def fault(self, path, mode="status", times=None, **how):
        one = Fault(path, mode, times, **how)
        with self._lock:
            self._faults.append(one)
        return one

    def heal(self, path=""):
        with self._lock:
            self._faults = [one for one in self._faults if not one.path.startswith(path)]

    def forget_message(self, channel, ts):
        """Somebody deleted it."""
        del self.channels[channel].messages[ts]

    # --- inside ---------------------------------------------------------------------------------------------------
    def _next_fault(self, path):
        with self._lock:
            for one in self._faults:
                if not path.startswith(one.path) or one.left == 0:
                    continue
                if one.left is not None:
                    one.left -= 1
                return one
        return None

    def violate(self, request, text):
        self.violations.append(f"{request.path}: {text}\n  {request.raw[:2000]!r}")

    def judge(self, request, name):
        if request.body is None:
            self.violate(request, "the body is not JSON")
            return False
        for error in VALIDATORS[name].iter_errors(request.body):
            self.violate(request, f"{error.json_path}: {error.message[:300]}")
            return False
        return True

    def answer(self, request):
        """-> status, headers, body; with all that the service would remember."""
        with self._lock:
            if request.path.startswith("/services/"):
                return self._slack_webhook(request)
            if request.path.startswith("/api/"):
                return self._slack_api(request)
            if request.path == "/pd/v2/enqueue":
                return self._pagerduty(request)
            if request.path.startswith("/hook/"):
                return self._hook(request)
        return 404, {}, b"nothing here"

    # --- Slack, incoming webhook ------------------------------------------------------------------------------------
    def _slack_webhook(self, request):
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            self.violate(request, f"Content-Type {request.headers.get('content-type')!r}")
        if not self.judge(request, "webhook"):
            return 400, {}, b"invalid_payload"
        return 200, {"Content-Type": "text/html"}, b"ok"

    # --- Slack, Web API ---------------------------------------------------------------------------------------------
    def _channel(self, name):
        if name not in self.channels:
            if name[:1] in "CDG" and not name.startswith("#"):
                return None  # an id that was never given out
            one = SlackChannel(name, f"C{len(self.channels) + 1:08d}")
            self.channels[name] = self.channels[one.ident] = one
        return self.channels[name]

    def _slack_error(self, word):
        return 200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps({"ok": False, "error": word}).encode()

    def _slack_api(self, request):
        method = request.path[len("/api/"):]
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if request.headers.get("content-type") != "application/json; charset=utf-8":
            self.violate(request, f"Content-Type {request.headers.get('content-type')!r}")
        if scheme != "Bearer" or token not in self.tokens:
            return self._slack_error("invalid_auth" if token else "not_authed")
        if method == "chat.postMessage":
            return self._post_message(request) if self.judge(request, "postMessage") else self._slack_error("invalid_blocks")
        if method == "chat.update":
            return self._update_message(request) if self.judge(request, "update") else self._slack_error("invalid_arguments")
        return self._slack_error("unknown_method")

    def _post_message(self, request):
        body = request.body
        channel = self._channel(body["channel"])
        if not channel:
            return self._slack_error("channel_not_found")
        if body.get("thread_ts") and body["thread_ts"] not in channel.messages:
            return self._slack_error("thread_not_found")
        self._ts += 1
        ts = f"{1767323045 + self._ts}.{self._ts:06d}"
        channel.messages[ts] = [body]
        return self._slack_ok(channel, ts, body)

    def _update_message(self, request):
        body = request.body
        channel = self.channels.get(body["channel"])
        if not channel or channel.ident != body["channel"]:
            return self._slack_error("channel_not_found")  # a name is not taken here
        if body["ts"] not in channel.messages:
            return self._slack_error("message_not_found")
        channel.messages[body["ts"]].append(body)
        return self._slack_ok(channel, body["ts"], body)

    def _slack_ok(self, channel, ts, body):
        text = {"ok": True, "channel": channel.ident, "ts": ts, "message": {"text": body.get("text", ""), "ts": ts}}
        return 200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(text).encode()

    # --- PagerDuty ----------------------------------------------------------------------------------------------------
    def _pagerduty(self, request):
        if not self.judge(request, "pagerduty"):
            return 400, {}, json.dumps({"status": "invalid event", "message": "Event object is invalid", "errors": []}).encode()
        body = request.body
        if len(body["routing_key"]) != 32:
            wrong = ["Length of 'routing_key' is incorrect (should be 32 characters)"]
            return 400, {}, json.dumps({"status": "invalid event", "message": "Event object is invalid", "errors": wrong}).encode()
        if len(request.raw) > 512 * 1024:
            self.violate(request, "larger than 512 KB")
        action, key = body["event_action"], body.get("dedup_key") or f"given-{len(self.alerts)}"
        history = self.alerts.setdefault((body["routing_key"], key), [])
        is_open = bool(history) and history[-1][0] != "resolve"
        if action == "trigger" or is_open:
            history.append((action, body))
        else:
            self.silently_dropped.append(request)
        text = {"status": "success", "message": "Event processed", "dedup_key": key}
        return 202, {"Content-Type": "application/json"}, json.dumps(text).encode()

    # --- Standard Webhooks ----------------------------------------------------------------------------------------------
    def _hook(self, request):
        self.judge(request, "standard")
        ident, stamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        if not ident or "." in ident:
            self.violate(request, f"webhook-id {ident!r}")
        if not stamp.isdigit() or abs(int(stamp) - time.time()) > TOLERANCE_S:
            self.violate(request, f"webhook-timestamp {stamp!r}")
        secrets = self.hook_secrets.get(request.path.split("/")[2], [])
        given = request.headers.get("webhook-signature", "").split()
        if bool(secrets) != bool(given):
            self.violate(request, f"webhook-signature {given!r}")
        elif secrets and not any(hmac.compare_digest(signature(one, ident, stamp, request.raw), g) for one in secrets for g in given):
            self.violate(request, "no signature fits")
            return 401, {}, b""
        return 204, {}, b""


def signature(secret, ident, stamp, raw):
    """Standard Webhooks, v1."""
    key = base64.b64decode(secret[len("whsec_"):] if secret.startswith("whsec_") else secret)
    return "v1," + base64.b64encode(hmac.new(key, f"{ident}.{stamp}.".encode() + raw, hashlib.sha256).digest()).decode()


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        pass  # clients that leave are no news


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, *_):
        pass

    def do_POST(self):
        receiver = self.server.receiver
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
        fault = receiver._next_fault(self.path)
        request.fault = fault.mode if fault else None
        receiver.requests.append(request)
        with contextlib.suppress(OSError):
            if fault:
                getattr(self, "_fault_" + fault.mode)(receiver, request, **fault.how)
            else:
                self._reply(request, *receiver.answer(request))

    def _reply(self, request, status, headers, body):
        request.status, request.answered = status, body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    # --- faults -----------------------------------------------------------------------------------------------------
    def _fault_status(self, receiver, request, status=500, body=b"", headers=None):
        self._reply(request, status, headers or {}, body)

    def _fault_slow(self, receiver, request, seconds=1.0):
        receiver._closing.wait(seconds)
        request.fault = None
        self._reply(request, *receiver.answer(request))

    def _fault_hang(self, receiver, request):
        receiver._closing.wait(60)
        self.close_connection = True

    def _fault_garbage(self, receiver, request):
        self.close_connection = True
        self.wfile.write(b"\x00\x01\xff\xfe this is no HTTP at all\r\n\r\n\x80")

    def _fault_short(self, receiver, request):
        """Content-Length promises more than comes."""
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\nok")

    def _fault_drop(self, receiver, request):
        """Reads all of it, does nothing with it, leaves."""
        self.close_connection = True

    def _fault_lost(self, receiver, request):
        """Does what was asked for, and leaves before the answer: the sender cannot know."""
        receiver.answer(request)
        self.close_connection = True

    def _fault_reset(self, receiver, request):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _fault_drip(self, receiver, request):
        self.close_connection = True
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":
            if receiver._closing.wait(1.0):
                return
            self.wfile.write(bytes([byte]))

    def _fault_endless(self, receiver, request):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not receiver._closing.is_set():
            self.wfile.write(b"x" * 65536)

    def _fault_redirect(self, receiver, request, to=""):
        self._reply(request, 301, {"Location": to}, b"")


def closed_port():
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
