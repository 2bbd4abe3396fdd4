"""A misbehaving proxy in front of a real API server: the server does everything it is asked, the way there is bad."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

import aiohttp
from aiohttp import web

from controlplane.cluster import Cluster

Plan = Callable[[str, str, int], str]
"""From method, path and the number of such requests before: what to do (see `Proxy`)."""

_SLOW_PIECES = 4
_SLOW_PAUSE_SECONDS = 0.2


@dataclass
class Proxy:
    """Listens with the API server's own certificate, so that a kubeconfig needs another port only.

    What a plan may say: "pass"; "429" (with Retry-After: 1), "403", "410", "500", "503";
    "reset" (before anything is sent on);
    "lost" (the server does it, the answer is lost); "hang" (nothing comes back);
    "slow" (the answer comes in pieces); "truncated" (half of it comes).

    `page` is the most items of a list that are asked for at once, whatever the client asks for.
    """

    cluster: Cluster
    plan: Plan
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    page: int | None = None

    def __enter__(self) -> Proxy:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
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

    @property
    def server(self) -> str:
        """The URL for a kubeconfig."""
        return f"https://127.0.0.1:{self.port}"

    def did(self, action: str) -> int:
        """Return how often an action was taken."""
        return sum(1 for _, _, taken in self.seen if taken == action)

    def decide(self, request: web.BaseRequest) -> str:
        """Return what to do with a request, and note it."""
        before = sum(
            1 for method, path, _ in self.seen if (method, path) == (request.method, request.path)
        )
        action = self.plan(request.method, request.path, before)
        self.seen.append((request.method, request.path, action))
        return action

    async def hold(self) -> None:
        """Return when a request that hangs is to be given up."""
        await self._stop.wait()

    async def act(self, request: web.BaseRequest, action: str) -> web.StreamResponse:
        """Answer a request as `action` says."""
        match action:
            case "429":
                return web.Response(
                    status=429,
                    headers={"Retry-After": "1"},
                    text="Too many requests, please try again later.\n",
                )
            case "403":  # as an API server says it before its roles are loaded
                refused = {"kind": "Status", "reason": "Forbidden", "details": {"name": "x"}}
                return web.json_response(refused, status=403)
            case "410":
                return web.json_response({"kind": "Status", "reason": "Expired"}, status=410)
            case "500" | "503":
                return web.Response(status=int(action), text="boom")
            case "reset":
                return self._cut(request)
            case "hang":
                await self.hold()
                return self._cut(request)
        answer = await self._forward(request)
        match action:
            case "lost":
                return self._cut(request)
            case "slow":
                return await self._in_pieces(request, answer, _SLOW_PIECES)
            case "truncated":
                return await self._in_pieces(request, answer, _SLOW_PIECES // 2)
        return answer

    def _serve(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        certificates = self.cluster.ca_file.parent
        incoming = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        incoming.load_cert_chain(self.cluster.ca_file, certificates / "apiserver.key")
        outgoing = ssl.create_default_context(cafile=str(self.cluster.ca_file))
        connector = aiohttp.TCPConnector(ssl=outgoing, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._http:
            runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=incoming)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self.act(request, self.decide(request))
        except ConnectionResetError:  # the client is gone
            return web.Response()

    async def _forward(self, request: web.BaseRequest) -> web.Response:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "content-length", "transfer-encoding")
        }
        url = request.rel_url
        if self.page and "limit" in url.query:
            url = url.update_query(limit=min(self.page, int(url.query["limit"])))
        async with self._http.request(
            request.method,
            self.cluster.server + str(url),
            data=await request.read(),
            headers=headers,
        ) as answer:
            kept = ("Content-Type", "Content-Encoding", "Retry-After")
            passed = {name: answer.headers[name] for name in kept if name in answer.headers}
            return web.Response(status=answer.status, body=await answer.read(), headers=passed)

    async def _in_pieces(
        self, request: web.BaseRequest, whole: web.Response, pieces: int
    ) -> web.StreamResponse:
        """Send that many of the pieces of an answer whose headers promise all of it."""
        body = bytes(whole.body) if isinstance(whole.body, bytes | bytearray) else b""
        answer = web.StreamResponse(status=whole.status, headers=whole.headers)
        answer.content_length = len(body)
        await answer.prepare(request)
        length = len(body) // _SLOW_PIECES + 1
        for start in range(0, pieces * length, length):
            await asyncio.sleep(_SLOW_PAUSE_SECONDS)
            await answer.write(body[start : start + length])
        return answer if pieces == _SLOW_PIECES else self._cut(request)

    @staticmethod
    def _cut(request: web.BaseRequest) -> web.Response:
        if request.transport:
            request.transport.abort()
        return web.Response()
