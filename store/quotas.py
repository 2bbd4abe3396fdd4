"""How often a caller may do something: a moving minute, counted in Redis for all API processes together."""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import Redis

from store import keys
from store.ids import caller_digest

REMEDIATIONS = "remediations"
CHECKS = "readiness-checks"
GATES = "gates"
FAILURES = "failures"  # of authentication


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a caller's minute: `reset_seconds` until there is more, at least 1."""

    granted: bool
    most: int
    left: int
    reset_seconds: int


class Quotas:
    """The quotas of all callers."""

    def __init__(self, redis: Redis) -> None:
        # On our connections: their retries and time limits hold for it, and nothing is sent yet.
        storage = RedisStorage(
            "redis://", connection_pool=redis.connection_pool, key_prefix=keys.QUOTAS
        )
        self._limiter = MovingWindowRateLimiter(storage)

    def take(self, subject: str, per_minute: int, what: str) -> Quota:
        """Count one of `what` for the caller unless its minute is full. Raises StoreUnavailable."""
        item = RateLimitItemPerMinute(per_minute, namespace=what)
        caller = caller_digest(subject)
        granted = self._limiter.hit(item, caller)
        window = self._limiter.get_window_stats(item, caller)
        pause = max(1, math.ceil(window.reset_time - time.time()))
        return Quota(granted, per_minute, max(0, window.remaining), pause)
