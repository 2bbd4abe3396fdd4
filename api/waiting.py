"""Holding an answer back until something changes."""

import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from store.store import Store

MAX_WAITS = 48  # for each process, so that threads are left for other requests
_SLICE_SECONDS = 0.5  # how long the end of the process may go unnoticed
_BUSY_PAUSE_SECONDS = 0.2  # between two looks at a record that changes all the time


class _Changing(Protocol):
    """A record with a stream of changes."""

    @property
    def id(self) -> str: ...

    @property
    def revision(self) -> str: ...


_Record = TypeVar("_Record", bound=_Changing)


class Waits:
    """The requests of this process that wait; `stop` ends them all."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(MAX_WAITS)
        self._stop = threading.Event()

    @property
    def stopping(self) -> bool:
        """Tell whether the process is about to end."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Have every wait answer now: the process is about to end."""
        self._stop.set()

    def pause(self, seconds: float) -> bool:
        """Sleep, unless the process is about to end; return whether it is."""
        return self._stop.wait(seconds)

    def hold(
        self,
        store: Store,
        record: _Record,
        get: Callable[[str], _Record | None],
        done: Callable[[_Record], bool],
        seconds: float,
    ) -> _Record | None:
        """Return a record as soon as it is `done`, at the latest after `seconds`; None if it is gone.

        `get` reads it again by its id. Returns at once if too many requests wait already. Raises StoreUnavailable.
        """
        if seconds <= 0 or done(record) or not self._places.acquire(blocking=False):
            return record
        deadline = time.monotonic() + seconds
        try:
            while not self.stopping and (left := deadline - time.monotonic()) > 0:
                if not store.events.wait(record.id, record.revision, min(left, _SLICE_SECONDS)):
                    continue
                fresh = get(record.id)
                if fresh is None or done(fresh):
                    return fresh
                record = fresh
                self.pause(min(left, _BUSY_PAUSE_SECONDS))
            return record
        finally:
            self._places.release()
