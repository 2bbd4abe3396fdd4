"""A small HTTP server that answers as it is told: for rendering and exit codes."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

BASE = "/api/v1"


@dataclass(frozen=True)
class Reply:
    """An answer: `drop` closes the connection instead, `delay` in seconds comes first."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False


@dataclass(frozen=True)
class Seen:
    """A request as it came in; the path is below the base."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: Any


class StubApi:
    """Replies by method and path, one after the other; the last one stays."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []
        self._replies: dict[tuple[str, str], list[Reply]] = {}

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """Say how to answer."""
        self._replies[method, path] = list(replies)

    def answer(self, seen: Seen) -> Reply:
        """Return the next reply."""
        self.seen.append(seen)
        replies = self._replies.get((seen.method, seen.path))
        if not replies:
            return Reply({"title": "Not Found", "status": 404, "code": "not-found"}, 404)
        return replies.pop(0) if len(replies) > 1 else replies[0]


@contextmanager
def serve() -> Iterator[StubApi]:
    """Yield a stub on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    stub = StubApi(f"http://127.0.0.1:{server.server_address[1]}")
    server.stub = stub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply()

    def do_POST(self) -> None:
        self._reply()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _reply(self) -> None:
        parts = urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = Seen(
            self.command,
            parts.path.removeprefix(BASE),
            dict(parse_qsl(parts.query)),
            dict(self.headers.items()),
            json.loads(text) if text else None,
        )
        reply = self.server.stub.answer(seen)  # type: ignore[attr-defined]
        time.sleep(reply.delay)
        if reply.drop:
            self.close_connection = True
            return
        raw = isinstance(reply.body, str)
        body = reply.body.encode() if raw else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 304:
            self.send_header("Content-Type", "text/html" if raw else "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if reply.status != 304:
            self.wfile.write(body)
