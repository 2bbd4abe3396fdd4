"""Noticing that this process stood still while others went on."""

import asyncio
import math
import time
from collections.abc import Callable

# A lease that was renewed a second ago lives for two more.
STILL_SECONDS = 1.5
_PAUSE_SECONDS = 0.05


class Vigil:
    """Keeps a process from writing that stood still for so long that somebody else may have its run.

    One that was stopped, or whose machine stalled, wakes up in the middle of what it was doing. Server-side apply has
    no guard that says "only if there is still none", so a Secret of a later remediation could be written over. After
    such a gap nothing is written until Redis, asked anew, has said whose the run is. `confirmed_at` returns the
    monotonic time at which it was asked last and said: still yours.
    """

    def __init__(self, confirmed_at: Callable[[], float]) -> None:
        self._confirmed_at = confirmed_at
        self._seen = time.monotonic()
        self._woke = -math.inf

    def look(self) -> None:
        """Note that the process is at work; called with each request."""
        now = time.monotonic()
        if now - self._seen > STILL_SECONDS:
            self._woke = now
        self._seen = now

    async def certain(self) -> None:
        """Return once it is certain that the run is still this process's; called before each write."""
        self.look()
        while self._confirmed_at() < self._woke:
            await asyncio.sleep(_PAUSE_SECONDS)
            self.look()
