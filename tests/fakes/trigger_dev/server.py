"""HTTP/1.1 with keep-alive, one thread a connection, and every way in which an answer can go wrong."""
import contextlib
import socket
import socketserver
import struct
import sys
import time
import urllib.parse

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 422: "Unprocessable Entity",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
MOST_BODY = 16 << 20


class Request:
    __slots__ = ("method", "path", "raw_query", "params", "headers", "body", "at")

    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body, self.at = method, headers, body, time.monotonic()
        self.path, _, self.raw_query = target.partition("?")
        # Of a name that comes twice the last one counts.
        self.params = dict(urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True)) if self.raw_query else {}

    @property
    def target(self):
        return f"{self.path}?{self.raw_query}" if self.raw_query else self.path


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # a mistake of the fake's own must be seen


class Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    rbufsize = 65536
    timeout = 120

    def setup(self):
        super().setup()
        self.open = True
        self.server.app.connections.add(self)

    def finish(self):
        self.server.app.connections.discard(self)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self):
        app = self.server.app
        while self.open and not app.closing.is_set():
            request = self._read()
            if request is None:
                return
            reply = app.answer(request)
            if reply.fault:
                getattr(self, "_fault_" + reply.fault.mode)(reply, **reply.fault.how)
            else:
                self._write(reply)

    def _read(self):
        line = self.rfile.readline(65537)
        if not line.endswith(b"\r\n"):
            return None
        parts = line.decode("latin-1").split()
        if len(parts) != 3:
            return None
        headers = {}
        while True:
            line = self.rfile.readline(65537)
            if line in (b"\r\n", b"\n"):
                break
            if not line:
                return None
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("connection", "").lower() == "close":
            self.open = False
        return Request(parts[0], parts[1], headers, self._body(headers))

    def _body(self, headers):
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" not in headers.get("transfer-encoding", ""):
            return self.rfile.read(min(int(headers.get("content-length") or 0), MOST_BODY))
        body = b""
        while size := int(self.rfile.readline(1024).split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline(1024)
        self.rfile.readline(1024)
        return body

    def _head(self, reply, length):
        app = self.server.app
        lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Status')}", f"date: {app.http_date()}", f"content-type: {reply.kind}",
                 f"content-length: {length}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        lines.append("connection: keep-alive" if self.open else "connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def _write(self, reply):
        self.wfile.write(self._head(reply, len(reply.body)) + reply.body)

    # --- faults that bend an answer --------------------------------------------------------------------------------------
    def _fault_status(self, reply, **_):
        self._write(reply)

    def _fault_slow(self, reply, seconds=1.0):
        self.server.app.closing.wait(seconds)
        self._write(reply)

    def _fault_hang(self, reply):
        self.open = False
        self.server.app.closing.wait(300)

    def _fault_close_before(self, reply):
        self.open = False

    def _fault_close_after(self, reply):
        self.open = False
        self.wfile.write(self._head(reply, len(reply.body)))

    def _fault_reset(self, reply):
        self.open = False
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def _fault_truncate(self, reply):
        """The head promises all, half of the body comes."""
        self.open = False
        self.wfile.write(self._head(reply, len(reply.body)) + reply.body[:len(reply.body) // 2])

    def _fault_invalid(self, reply, body=None):
        """A whole answer that is no JSON: cut short, under an honest length, unless a test brings its own."""
        reply.body = body.encode() if body is not None else reply.body[:-1 - len(reply.body) // 3] + b"\xff\xfe"
        self._write(reply)

    def _fault_wrong_shape(self, reply, body='{"data":{"id":7},"pagination":[]}'):
        reply.body = body.encode()
        self._write(reply)

    def _fault_oversized(self, reply, bytes=64 << 20):
        """JSON that is right and has no end: blanks after its first byte."""
        head, tail = reply.body[:1], reply.body[1:]
        self.wfile.write(self._head(reply, len(reply.body) + bytes) + head)
        left, block = bytes, b" " * 65536
        while left and not self.server.app.closing.is_set():
            self.wfile.write(block[:left])
            left -= min(left, len(block))
        self.wfile.write(tail)

    def drop(self):
        """Ends the connection from outside."""
        self.open = False
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
