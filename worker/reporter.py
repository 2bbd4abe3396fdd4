"""Passing finished namespaces on in batches: often enough to follow live, seldom enough to cost little."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from remediation.outcome import NamespaceResult
from store.claims import Claim, Claims, LeaseLost
from store.connection import StoreUnavailable
from store.memory import Remembered

_PERIOD_SECONDS = 0.1
_LARGEST_BATCH = 500

log = logging.getLogger(__name__)


class Reporter:
    """Collects rows and stores them in the background. While Redis is away the rows wait here.

    `publish` is told the namespaces of each batch, in another thread, before their rows are stored. `changes` are those
    that rows make in the cluster's memory, stored together with them.
    """

    def __init__(
        self,
        claims: Claims,
        claim: Claim,
        on_lost: Callable[[], object],
        publish: Callable[[Collection[str]], object],
        changes: Callable[[Sequence[NamespaceResult]], Mapping[str, Remembered]] = lambda _: {},
    ) -> None:
        self._claims = claims
        self._claim = claim
        self._on_lost = on_lost
        self._publish = publish
        self._changes = changes
        self._rows: list[NamespaceResult] = []
        self._added = asyncio.Event()
        self._storing = asyncio.Lock()
        self._flushing = asyncio.create_task(self._keep_flushing())

    def add(self, row: NamespaceResult) -> None:
        """Take a finished namespace."""
        self._rows.append(row)
        self._added.set()

    async def close(self) -> None:
        """Store what is left. Raises LeaseLost."""
        self._flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._flushing
        await self._flush()

    async def _keep_flushing(self) -> None:
        while True:
            await self._added.wait()
            self._added.clear()
            try:
                await asyncio.shield(self._flush())
            except LeaseLost:
                self._on_lost()
                return
            except StoreUnavailable as error:
                log.warning("Redis does not answer (%s): rows wait", type(error).__name__)
                self._added.set()  # what could not be stored is still there
            await asyncio.sleep(_PERIOD_SECONDS)

    async def _flush(self) -> None:
        async with self._storing:
            while batch := self._rows[:_LARGEST_BATCH]:
                await asyncio.to_thread(self._store, batch)
                del self._rows[: len(batch)]

    def _store(self, batch: Sequence[NamespaceResult]) -> None:
        self._publish([row.namespace for row in batch])
        self._claims.report(self._claim, batch, self._changes(batch))
