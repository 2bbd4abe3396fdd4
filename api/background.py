"""What each API process does beside answering: look for lost runs, and say when Redis comes and goes."""

import ctypes
import logging
import os
import signal
import threading
from collections.abc import Callable
from enum import IntEnum
from multiprocessing.sharedctypes import RawValue

from store.connection import StoreUnavailable, safe_url
from store.recovery import PERIOD_SECONDS, recover, until_next_turn
from store.store import Store
from store.trouble import Trouble, trouble_of

# In a row; a failover may bring one that passes.
REFUSALS = 1

Pause = Callable[[float], bool]

log = logging.getLogger(__name__)


class _State(IntEnum):
    UNKNOWN = 0
    READY = 1
    AWAY = 2
    REFUSED = 3


class RedisState:
    """Whether Redis answers, as far as any process knows: made before they fork, so that one of them logs a change."""

    def __init__(self, url: str) -> None:
        self._address = safe_url(url)
        self._shared = RawValue(ctypes.c_int, _State.UNKNOWN)

    @property
    def refused(self) -> bool:
        """Tell whether the service has to end: Redis refuses what is needed, and no waiting helps."""
        return bool(self._shared.value == _State.REFUSED)

    def ready(self, store: Store) -> None:
        """Note that Redis answers. Raises StoreUnavailable."""
        if self._shared.value == _State.READY:
            return
        found = store.check()
        self._shared.value = _State.READY
        log.info("Redis answers at %s", self._address)
        for warning in found.warnings:
            log.warning("%s", warning)

    def away(self, trouble: Trouble, error: Exception) -> None:
        """Note that Redis does not answer, or refuses."""
        if self._shared.value not in (_State.AWAY, _State.REFUSED):
            self._shared.value = _State.AWAY
            log.error(
                "Redis at %s %s (%s); requests get 503 until it does better (REDIS_URL says where it is)",
                self._address,
                trouble.text,
                error,
            )

    def give_up(self, trouble: Trouble) -> None:
        """Have the service end: with these settings it never works."""
        if self._shared.value != _State.REFUSED:
            self._shared.value = _State.REFUSED
            log.error("Redis at %s %s; the API ends", self._address, trouble.text)
            os.kill(os.getppid(), signal.SIGTERM)


def start_recovery(
    store: Store, state: RedisState, pause: Pause, publish: Callable[[], None]
) -> threading.Thread:
    """Look for lost runs, and tell the workers who may do what, in the background until `pause` returns True."""
    thread = threading.Thread(
        target=_recover, args=(store, state, pause, publish), name="recovery", daemon=True
    )
    thread.start()
    return thread


def _recover(store: Store, state: RedisState, pause: Pause, publish: Callable[[], None]) -> None:
    refusals = 0
    while True:
        seconds = PERIOD_SECONDS
        try:
            publish()
            woken = recover(store)
            store.audit.flush()
            seconds = until_next_turn(store)
            state.ready(store)
        except StoreUnavailable as error:
            trouble = trouble_of(error)
            state.away(trouble, error)
            refusals = refusals + 1 if trouble.hopeless else 0
            if refusals > REFUSALS:
                state.give_up(trouble)
        else:
            refusals = 0
            for run in woken:
                log.info("woke run %s again: nobody was at work on it", run.id)
        if pause(seconds):
            return
