"""Politeness towards one cluster: how much at once, when to pause, when to give up."""

import asyncio
import random
import time

from remediation.outcome import Error, ErrorCode
from worker.faults import Fault, Retry

MOST_ATTEMPTS = 8
_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 5.0
_GIVE_UP_SECONDS = 30.0
_GIVE_UP_FAILURES = 20
# A failing admission webhook costs its timeout, 10 s and more, each time, in every namespace.
_MOST_INTERNAL_ATTEMPTS = 3
_TRANSIENT = (Retry.SAFE, Retry.READ_FIRST)


class Stopped(Exception):
    """The run was cancelled: this write, or its repetition, is not begun."""


class Pace:
    """The state that all calls to one cluster share. Once `stop` is set no write is begun."""

    def __init__(self, concurrency: int, stop: asyncio.Event | None = None) -> None:
        self.writes = asyncio.Semaphore(concurrency)
        self.stop = stop or asyncio.Event()
        self._pause_until = 0.0
        self._failures = 0
        self._last_success = time.monotonic()
        self._forbidden_confirmed: set[str] = set()

    async def clearance(self) -> None:
        """Wait for as long as the server asked for, or until `stop`. Raises Fault when the cluster was given up."""
        if self._failures >= _GIVE_UP_FAILURES and self._idle() > _GIVE_UP_SECONDS:
            raise Fault(
                Error(
                    ErrorCode.UNREACHABLE,
                    f"given up: no call succeeded for {_GIVE_UP_SECONDS:.0f} s",
                    "retry when the cluster is well again",
                ),
                Retry.NO,
            )
        while (wait := self._pause_until - time.monotonic()) > 0:
            # Spread out, so that the calls that waited do not come back all at once.
            if await self._stopped_within(wait * random.uniform(1.0, 1.25)):
                return

    def succeeded(self) -> None:
        """Note that the server did what it was asked."""
        self._failures = 0
        self._last_success = time.monotonic()

    def failed(self, fault: Fault) -> None:
        """Note a failure, and the pause that the server asked for."""
        if fault.retry not in _TRANSIENT:
            return  # also the Retry-After of a webhook that guards one namespace
        self._failures += 1
        if fault.retry_after:
            self._pause_until = max(self._pause_until, time.monotonic() + fault.retry_after)

    async def before_retry(self, fault: Fault, attempt: int) -> bool:
        """Wait before attempt number `attempt` + 1; return False at once if there is to be none. Raises Stopped."""
        internal = fault.error.code is ErrorCode.INTERNAL
        most = _MOST_INTERNAL_ATTEMPTS if internal else MOST_ATTEMPTS
        if attempt >= most or fault.retry in (Retry.NO, Retry.NEW_TOKEN):
            return False
        if fault.retry is Retry.LATER_ONCE:
            return await self._confirm_forbidden(fault)
        longest = min(_LONGEST_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2**attempt)
        await self._pause(random.uniform(longest / 2, longest))
        return True

    async def _confirm_forbidden(self, fault: Fault) -> bool:
        """A server that has just started refuses everybody for a moment; ask again, once for each kind of refusal."""
        kind = (fault.error.object or "").partition("/")[0]
        if kind in self._forbidden_confirmed:
            return False
        await self._pause(random.uniform(2.0, 2.5))
        self._forbidden_confirmed.add(kind)
        return True

    async def _pause(self, seconds: float) -> None:
        """Sleep. Raises Stopped as soon as the run is cancelled."""
        if await self._stopped_within(seconds):
            raise Stopped

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self.stop.wait()
        except TimeoutError:
            return False

    def _idle(self) -> float:
        return time.monotonic() - self._last_success
