"""Writing only for as long as it is certain that nobody else has the run."""

import asyncio
import time
from collections.abc import Callable

# How much of the lease must be left when a write begins: it takes time to arrive.
MARGIN_SECONDS = 1.0
_PAUSE_SECONDS = 0.05


class Vigil:
    """Keeps a process from writing that may have lost its run without knowing.

    It was stopped, its machine stalled, or it alone has lost the way to Redis; meanwhile another worker has ended the
    run, and a later remediation has written. Server-side apply has no guard that says "only if
    there is still none", and a list that was changed is read again and written. So no write begins unless Redis has
    said, not longer ago than a lease lasts, that the run is this process's. `held_until` returns the monotonic time up
    to which nobody else can have claimed it.
    """

    def __init__(self, held_until: Callable[[], float]) -> None:
        self._held_until = held_until

    async def certain(self) -> None:
        """Return once it is certain that the run is still this process's; called before each write."""
        while time.monotonic() > self._held_until() - MARGIN_SECONDS:
            await asyncio.sleep(_PAUSE_SECONDS)
