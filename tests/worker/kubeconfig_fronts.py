"""API servers as kubeconfigs find them: chains of every shape on loopback, and proxies on the way there."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.network.pki import Issued

TOKEN = "tok-5f0e1d"
PROXY_USER, PROXY_PASSWORD = "robot", "pa55 wört@:/#"

_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Pki:
    """What the certificates of a company look like after some years."""

    root: Issued = field(default_factory=lambda: Issued.make("root", ca=True))
    stranger: Issued = field(default_factory=lambda: Issued.make("stranger", ca=True))
    # The CA before the last rotation: the same name with another key, as kubeadm makes it.
    before: Issued = field(default_factory=lambda: Issued.make("root", ca=True))
    clients: Issued = field(default_factory=lambda: Issued.make("clients", ca=True))

    def fronts(self) -> dict[str, tuple[Issued, tuple[Issued, ...], tuple[Issued, ...]]]:
        """Return for each server its certificate, the chain that it sends, and what can stand in a kubeconfig."""
        middle = Issued.make("middle", self.root, ca=True)
        lower = Issued.make("lower", middle, ca=True)
        run_out = Issued.make("run-out", self.root, ca=True, days=-1)
        no_ca = Issued.make("no-ca", self.root, ca=False)
        direct, by_middle = Issued.make("one", self.root), Issued.make("two", middle)
        deep, self_made = Issued.make("deep", lower), Issued.make("self-made")
        old, by_old = Issued.make("old", self.root, days=-1), Issued.make("three", run_out)
        nameless = Issued.make("localhost", self.root, names=False)
        wrong_use = Issued.make("wrong-use", self.root, client_only=True)
        weak, by_no_ca = Issued.make("weak", self.root, bits=1024), Issued.make("four", no_ca)
        return {
            "by the root": (direct, (), (direct,)),
            "by an intermediate": (by_middle, (middle,), (middle, by_middle)),
            "without its intermediate": (by_middle, (), (middle, by_middle)),
            "by the third": (deep, (lower, middle), (lower, middle, deep)),
            "self-made": (self_made, (), (self_made,)),
            "run out": (old, (), (old,)),
            "by one that ran out": (by_old, (run_out,), (run_out, by_old)),
            "no alternative names": (nameless, (), (nameless,)),
            "for clients only": (wrong_use, (), (wrong_use,)),
            "weak key": (weak, (), (weak,)),
            "by one that is no CA": (by_no_ca, (no_ca,), (no_ca, by_no_ca)),
        }


@dataclass
class Fronts:
    """Servers that answer 200 to the token or to a certificate of the clients' CA, else 401; and proxies.

    With `behind`, a real API server (its URL, and who vouches for it) gives the answers.
    """

    folder: Path
    behind: tuple[str, ssl.SSLContext] | None = None
    pki: Pki = field(default_factory=Pki)
    ports: dict[str, int] = field(default_factory=dict)
    anchors: dict[str, tuple[Issued, ...]] = field(default_factory=dict)
    reached: int = 0

    def __enter__(self) -> Fronts:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=20)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        servers = []
        for number, (name, (own, chain, anchors)) in enumerate(self.pki.fronts().items()):
            context = own.server(self.folder / str(number), chain).context()
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(cadata=self.pki.clients.der)
            answer = self._pass_on if self.behind else self._answer
            servers.append(await self._listen(name, answer, context))
            self.anchors[name] = anchors
        shown = Issued.make("proxy", self.pki.root).server(self.folder / "proxy")
        servers.append(await self._listen("proxy", self._proxy("")))
        servers.append(await self._listen("proxy with login", self._proxy("login")))
        servers.append(await self._listen("proxy that refuses", self._proxy("refuses")))
        servers.append(await self._listen("proxy by TLS", self._proxy(""), shown.context()))
        self._ready.set()
        await self._stop.wait()
        for server in servers:
            server.close()

    async def _listen(
        self, name: str, handler: _Handler, context: ssl.SSLContext | None = None
    ) -> asyncio.Server:
        async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
                await handler(reader, writer)
            writer.close()

        server = await asyncio.start_server(handled, "127.0.0.1", 0, ssl=context)
        self.ports[name] = server.sockets[0].getsockname()[1]
        return server

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            known = f"authorization: Bearer {TOKEN}" in head or writer.get_extra_info("peercert")
            status, body = ("200 OK", b"{}") if known else ("401 Unauthorized", b"")
            self.reached += 1
            kind = "Content-Type: application/json\r\n"
            writer.write(f"HTTP/1.1 {status}\r\n{kind}Content-Length: {len(body)}\r\n\r\n".encode())
            writer.write(body)
            await writer.drain()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self.behind
        server, trust = self.behind
        host, _, port = server.removeprefix("https://").partition(":")
        back, forth = await asyncio.open_connection(host, int(port), ssl=trust)
        self.reached += 1
        await asyncio.gather(_pump(reader, forth), _pump(back, writer))

    def _proxy(self, mood: str) -> _Handler:
        """Return a proxy to which every name is this machine, as one behind which other names are known."""
        login = base64.b64encode(f"{PROXY_USER}:{PROXY_PASSWORD}".encode()).decode()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await _head(reader)
            if not head:  # that was no HTTP
                return
            if mood == "refuses":
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            if mood == "login" and f"proxy-authorization: Basic {login}" not in head:
                writer.write(
                    b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
                )
                return
            port = int(head[0].split()[1].rpartition(":")[2])
            back, forth = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(_pump(reader, forth), _pump(back, writer))

        return handle


async def _head(reader: asyncio.StreamReader) -> list[str]:
    """Return the lines of a request, names of headers in lower case; nothing at the end."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return []
    heads = [line.partition(":") for line in lines[1:]]
    return [lines[0], *(f"{name.lower()}{colon}{value}" for name, colon, value in heads)]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
