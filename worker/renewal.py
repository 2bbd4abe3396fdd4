"""When a credential is renewed: once for all calls that were refused with it, patiently, and not for every call.

A plugin may be throttled for a moment, a token file be empty while it is replaced, a server that asks an
identity provider may answer 401 to a good token.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from worker.kubeconfig_rules import Unusable

# Of a run that begins: what is wrong for good is to be told soon.
OPENING_SECONDS = 3.0
# Of a run that is under way: rows depend on it.
RENEWING_SECONDS = 20.0
# A server that refuses every token must not have a plugin run for every namespace.
REST_SECONDS = 10.0
# Between renewals that did not help: the server may need a moment to learn of the token.
_PAUSES = (0.0, 0.5, 1.5)
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0

_Credential = TypeVar("_Credential")


class NotNow(Unusable):
    """The credential cannot be had at the moment; asked for again, it may."""


async def patiently(load: Callable[[], Awaitable[_Credential]], seconds: float) -> _Credential:
    """Return what `load` returns, asking again for about that long where it is not to be had now. Raises Unusable."""
    ends = time.monotonic() + seconds
    wait = _FIRST_WAIT_SECONDS
    while True:
        try:
            return await load()
        except NotNow:
            if time.monotonic() + wait > ends:
                raise
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT_SECONDS)


class Renewals:
    """What became of the renewals of one connection."""

    def __init__(self) -> None:
        self._fruitless = 0
        self._rests_until = 0.0
        self._failed: Unusable | None = None

    @property
    def patience(self) -> float:
        """How long to go on asking: after a failure, once each time."""
        return 0.0 if self._failed else RENEWING_SECONDS

    @property
    def resting(self) -> bool:
        """Tell whether the last renewals did not help, so that this is not the time for another. Raises Unusable.

        It raises what the last one failed with, if it failed.
        """
        rests = time.monotonic() < self._rests_until
        if rests and self._failed:
            raise self._failed
        return rests

    @property
    def pause(self) -> float:
        """The seconds to wait before the next one."""
        return _PAUSES[min(self._fruitless, len(_PAUSES) - 1)]

    def renewed(self) -> None:
        """Take note of a new credential: it is fruitless until a call succeeds with it."""
        self._failed = None
        self._fruitless += 1
        if self._fruitless >= len(_PAUSES):
            self._rests_until = time.monotonic() + REST_SECONDS

    def failed(self, error: Unusable) -> None:
        """Take note that none could be had."""
        self._failed = error
        self._rests_until = time.monotonic() + REST_SECONDS

    def worked(self) -> None:
        """Take note that the server took the credential."""
        self._fruitless = 0
        self._rests_until = 0.0
