"""A way to a cluster that can be shut in the middle of a run, so that there is a middle on any machine."""

import asyncio
import threading
from typing import Self

from aiohttp import web

from controlplane.cluster import Cluster
from tests.e2e.proxy import Proxy


class Gate(Proxy):
    """Lets `free` writes of Secrets pass; the others wait until it is opened. `reached` says that one waits."""

    def __init__(self, cluster: Cluster, free: int = 0) -> None:
        super().__init__(cluster, lambda *_: "pass")
        self.open = threading.Event()
        self.reached = threading.Event()
        self._free = free

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    async def act(self, request: web.BaseRequest, action: str) -> web.StreamResponse:
        """Hold writes back; let everything else pass."""
        if request.method == "PATCH" and "/secrets/" in request.path:
            self._free -= 1
            if self._free < 0:
                self.reached.set()
                while not self.open.is_set():
                    await asyncio.sleep(0.02)
        return await super().act(request, action)
