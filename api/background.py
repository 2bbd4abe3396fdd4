"""What each API process does beside answering: look for lost runs, and say when Redis comes and goes."""

import ctypes
import logging
import threading
from collections.abc import Callable
from enum import IntEnum
from multiprocessing.sharedctypes import RawValue

from api.health import NOT_DURABLE
from store.connection import StoreUnavailable, safe_url
from store.recovery import PERIOD_SECONDS, recover, until_next_turn
from store.store import Store

Pause = Callable[[float], bool]

log = logging.getLogger(__name__)


class _State(IntEnum):
    UNKNOWN = 0
    READY = 1
    AWAY = 2


class RedisState:
    """Whether Redis answers, as far as any process knows: made before they fork, so that one of them logs a change."""

    def __init__(self, url: str) -> None:
        self._address = safe_url(url)
        self._shared = RawValue(ctypes.c_int, _State.UNKNOWN)

    def ready(self, store: Store) -> None:
        """Note that Redis answers. Raises StoreUnavailable."""
        if self._shared.value == _State.READY:
            return
        durable = store.durable()
        self._shared.value = _State.READY
        log.info("Redis answers at %s", self._address)
        if not durable:
            log.warning("%s", NOT_DURABLE)

    def away(self, error: Exception) -> None:
        """Note that Redis does not answer."""
        if self._shared.value != _State.AWAY:
            self._shared.value = _State.AWAY
            log.error(
                "Redis does not answer at %s: %s; requests get 503 until it does (REDIS_URL says where it is)",
                self._address,
                error,
            )


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
    while True:
        seconds = PERIOD_SECONDS
        try:
            publish()
            woken = recover(store)
            store.audit.flush()
            seconds = until_next_turn(store)
            state.ready(store)
        except StoreUnavailable as error:
            state.away(error)
        else:
            for run in woken:
                log.info("woke run %s again: nobody was at work on it", run.id)
        if pause(seconds):
            return
