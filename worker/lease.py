"""Holding a run's lease from a plain thread, so that a busy event loop never loses it."""

import logging
import math
import threading
import time
from collections.abc import Callable
from types import TracebackType

from store.claims import LEASE_MS, Claim, Claims, Hold
from store.connection import StoreUnavailable

# Whether the run is to be cancelled is asked more often than the lease is renewed: what is left of a dead worker's
# lease is time in which nobody goes on.
LOOK_SECONDS = 0.5
RENEW_SECONDS = 1.0

log = logging.getLogger(__name__)


class Lease:
    """Renews the claim until it is left, the first time at once.

    Calls `on_lost` when somebody else has the run, and then no more; calls `on_cancel` when the run is to be cancelled.
    `held_until` is the monotonic time up to which nobody else can claim the run, by what Redis said last.
    """

    def __init__(
        self,
        claims: Claims,
        claim: Claim,
        on_lost: Callable[[], object],
        on_cancel: Callable[[], object],
    ) -> None:
        self._claims = claims
        self._claim = claim
        self._on_lost = on_lost
        self._on_cancel = on_cancel
        self.held_until = -math.inf
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        wait, renewed = 0.0, -math.inf
        while not self._ended.wait(wait):
            wait = LOOK_SECONDS
            now = time.monotonic()
            try:
                if now - renewed > RENEW_SECONDS - LOOK_SECONDS / 2:
                    hold = self._claims.renew(self._claim)
                    renewed = now
                    if hold is not Hold.LOST:
                        # Redis counts from later on: from when it was told.
                        self.held_until = now + LEASE_MS / 1000
                else:
                    hold = self._claims.look(self._claim)
            except StoreUnavailable as error:
                log.warning(
                    "cannot renew the lease of %s: %s", self._claim.run.id, type(error).__name__
                )
                continue
            if hold is Hold.LOST:
                self.held_until = -math.inf
                log.warning("lost the lease of %s", self._claim.run.id)
                self._on_lost()
                return
            if hold is Hold.CANCELLED:
                self._on_cancel()
