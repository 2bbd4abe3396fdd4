"""How long a request waits for a Redis that says nothing: once, whatever it asks for after that.

Callers often give up after 3 seconds. A request sends many commands, and some may fail without ending it. So its
patience runs from the first command that is not answered, for all further ones together, until Redis answers.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis.exceptions import BusyLoadingError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

SECONDS = 1.2
# Since a command of this process was not answered, none was: later requests need not find out as slowly.
SHORT_SECONDS = 0.7


class Patience:
    """The patience of all threads of a process with one Redis.

    Outside of a request each command has the whole of it.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._own = threading.local()
        self._silent = False

    def begin(self) -> None:
        """Begin a request in this thread."""
        self._own.request = True
        self._own.until = None

    def end(self) -> None:
        """End the request of this thread."""
        self._own.request = False
        self._own.until = None

    def left(self) -> float:
        """Return for how many seconds this thread waits from now on; never more than the whole, 0 if it is over."""
        limit = SHORT_SECONDS if self._silent else SECONDS
        until: float | None = getattr(self._own, "until", None)
        return limit if until is None else max(0.0, min(limit, until - self._now()))

    @contextmanager
    def waiting(self, *, answers: bool) -> Iterator[float]:
        """Wait for as many seconds at most; `answers` if only an answer of Redis ends it well.

        Raises redis' TimeoutError if the patience is over.
        """
        left = self.left()
        if left <= 0:
            raise RedisTimeoutError("Redis does not answer")
        if getattr(self._own, "request", False) and self._own.until is None:
            self._own.until = self._now() + left
        try:
            yield left
        except (RedisTimeoutError, TimeoutError):
            self._silent = True
            raise
        except (ResponseError, BusyLoadingError):  # it refuses, and so it answers
            self._answered()
            raise
        if answers:
            self._answered()

    def _answered(self) -> None:
        self._own.until = None
        self._silent = False
