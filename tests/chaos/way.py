"""The bad way to a cluster: what goes wrong there, how often, and a note of who wrote when."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from aiohttp import web

from controlplane.cluster import Cluster
from tests.e2e.proxy import Proxy

WRITE_SECONDS = 0.05  # a distant API server; so that faults find runs in the middle
_WRITES = ("PATCH", "DELETE")
_PAGE = 100
_AGENT = re.compile(r"remediator/\S+ \(remediation=(rem_\w+)\)")


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a worker; `at` is monotonic, `method` is ASK for a dry run of a write."""

    at: float
    method: str
    path: str
    remediation: str


class Way(Proxy):
    """A proxy that harms a share of all requests for as long as `trouble` is set."""

    def __init__(self, cluster: Cluster, rng: Random) -> None:
        super().__init__(cluster, lambda *_: "pass", page=_PAGE)
        self.log: list[Request] = []
        self.write_seconds = WRITE_SECONDS
        self._rng = rng
        self._trouble: tuple[str, float] | None = None
        self._healed = asyncio.Event()

    def harm(self, action: str, share: float) -> None:
        """Do `action` to this share of the requests until `heal`."""
        self._trouble = (action, share)

    def heal(self) -> None:
        """Let everything pass again; what hangs is cut."""
        self._trouble = None
        self._loop.call_soon_threadsafe(self._release)

    def next_write(self, remediation: str, since: float) -> float | None:
        """Return when a process that began after `since` first wrote for a remediation."""
        begun = False
        for request in self._after(since):
            if request.remediation != remediation:
                continue
            begun = begun or request.path == "/version"  # with this each process begins
            if begun and request.method in _WRITES:
                return request.at
        return None

    def any_write(self, since: float) -> float | None:
        """Return when somebody first wrote after `since`."""
        return next((r.at for r in self._after(since) if r.method in _WRITES), None)

    def writers(self, since: float) -> set[str]:
        """Return the remediations that have written since."""
        return {r.remediation for r in self._after(since) if r.method in _WRITES}

    def decide(self, request: web.BaseRequest) -> str:
        """Note the request and choose what happens to it."""
        agent = _AGENT.fullmatch(request.headers.get("User-Agent", ""))
        who = agent[1] if agent else ""
        # What is only asked about is no write.
        method = "ASK" if request.query.get("dryRun") == "All" else request.method
        self.log.append(Request(time.monotonic(), method, request.path, who))
        if self._trouble is None or self._rng.random() >= self._trouble[1]:
            return "pass"
        action = self._trouble[0]
        if action == "410" and "continue" not in request.query:
            return "pass"  # nothing else runs out
        return action

    async def act(self, request: web.BaseRequest, action: str) -> web.StreamResponse:
        """Take the time that a write takes, then go on as the proxy does."""
        if request.method in _WRITES:
            await request.read()  # what was sent arrives, even if its sender dies now
            await asyncio.sleep(self.write_seconds)
        return await super().act(request, action)

    async def hold(self) -> None:
        """Hang until the way is healed."""
        await self._healed.wait()

    def _release(self) -> None:
        self._healed.set()
        self._healed = asyncio.Event()

    def _after(self, since: float) -> Iterable[Request]:
        log = self.log
        first = len(log)
        while first and log[first - 1].at > since:
            first -= 1
        return log[first:]
