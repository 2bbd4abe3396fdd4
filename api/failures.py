"""Failed authentications: so many of one key or from one address within a minute, then a call costs next to nothing.

Only calls whose token is not valid are counted and refused, after it was looked at: whoever guesses behind the same
ingress locks nobody out.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from store.connection import StoreUnavailable
from store.quotas import FAILURES, Quotas

_MOST_FULL = 1024

log = logging.getLogger(__name__)


class Failures:
    """The failures of the last minute, counted in Redis for all API processes together.

    Whose minute is full is kept in this process until it has room again, so that Redis is not asked for each failure.
    """

    def __init__(
        self, quotas: Quotas, per_minute: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._quotas = quotas
        self._per_minute = per_minute
        self._now = now
        self._lock = threading.Lock()
        self._full_until: OrderedDict[str, float] = OrderedDict()

    def count(self, whose: str) -> int | None:
        """Count one; return the seconds until another one is looked at, None if that is at once."""
        if left := self._still_full(whose):
            return left
        try:
            quota = self._quotas.take(whose, self._per_minute, FAILURES)
        except StoreUnavailable as error:
            log.warning("a failed authentication is not counted (%s)", type(error).__name__)
            return None
        if quota.granted:
            return None
        self._is_full(whose, quota.reset_seconds)
        return quota.reset_seconds

    def _still_full(self, whose: str) -> int:
        with self._lock:
            left = self._full_until.get(whose, 0.0) - self._now()
            if left <= 0:
                self._full_until.pop(whose, None)
                return 0
            return max(1, round(left))

    def _is_full(self, whose: str, seconds: int) -> None:
        with self._lock:
            self._full_until[whose] = self._now() + seconds
            while len(self._full_until) > _MOST_FULL:
                self._full_until.popitem(last=False)
