"""A proxy on loopback that connects, wants a login, or refuses."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

_MOST = 65_536


class ConnectProxy:
    """Serves `CONNECT`: `leads` says where a `host:port` is, `login` who is let in, `status` refuses all others."""

    def __init__(
        self, leads: Mapping[str, str], login: str | None = None, status: int | None = None
    ) -> None:
        self.leads = leads
        self.login = login
        self.status = status
        self.asked: list[str] = []
        self.heads: list[str] = []
        self._tcp = ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._tcp.daemon_threads = True
        self.host = f"127.0.0.1:{self._tcp.server_address[1]}"
        self._thread = threading.Thread(target=self._tcp.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> ConnectProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._tcp.shutdown()
        self._thread.join(30)
        self._tcp.server_close()

    def _answer(self, head: str) -> tuple[int, str]:
        target = head.split(" ")[1]
        self.asked.append(target)
        self.heads.append(head)
        if self.login is not None:
            packed = base64.b64encode(self.login.encode()).decode()
            if f"Proxy-Authorization: Basic {packed}" not in head:
                return 407, ""
        if self.status:
            return self.status, ""
        return (200, self.leads[target]) if target in self.leads else (502, "")

    def _handler(proxy: ConnectProxy) -> type[BaseRequestHandler]:
        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                head = b""
                while b"\r\n\r\n" not in head:
                    part = self.request.recv(_MOST)
                    if not part:
                        return
                    head += part
                status, there = proxy._answer(head.decode())
                self.request.sendall(f"HTTP/1.1 {status} said\r\n\r\n".encode())
                if status != 200:
                    return
                host, _, port = there.rpartition(":")
                with socket.create_connection((host, int(port))) as other:
                    back = threading.Thread(target=_pour, args=(other, self.request), daemon=True)
                    back.start()
                    _pour(self.request, other)
                    back.join(10)

        return Handler


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(_MOST):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
