"""Which API server is behind a context: the uid of its namespace kube-system, read now and then."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

import remediation
from remediation.inventory import AnnouncedCluster
from worker.answers import check_object
from worker.faults import Call, Fault, Gone
from worker.kubeconfig_rules import Unusable
from worker.kubeconfigs import Context
from worker.session import open_session
from worker.wire import WireNamespace

KNOWN_SECONDS = 600.0
UNKNOWN_SECONDS = 30.0
_TIMEOUT_SECONDS = 30.0
_AT_ONCE = 8
_STOP_SECONDS = 3.0
_FORBIDDEN = 403
_PATH = "/api/v1/namespaces/kube-system"
_CALL = Call("get", "namespaces/kube-system")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Looked:
    """What is known of a context; `due` is when to look again, by the monotonic clock."""

    context: Context
    uid: str | None = None
    trouble: str | None = None
    due: float = 0.0
    busy: bool = field(default=False)


class Identities:
    """Looks at contexts in a thread of its own; `look_at` and `of` are called by one other thread, and never wait."""

    def __init__(self) -> None:
        self._looked: dict[str, _Looked] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def of(self, context: Context) -> AnnouncedCluster:
        """Return what is known of a context as it is now."""
        looked = self._looked.get(context.name)
        if looked is None or looked.context != context:
            return AnnouncedCluster(context.name)
        return AnnouncedCluster(context.name, uid=looked.uid, trouble=looked.trouble)

    def look_at(self, contexts: Iterable[Context]) -> None:
        """Begin to look at those whose time has come; others than these are forgotten."""
        before, self._looked = self._looked, {}
        now = time.monotonic()
        for context in contexts:
            looked = before.get(context.name)
            if looked is None or looked.context != context:
                looked = _Looked(context)
            self._looked[context.name] = looked
            if not looked.busy and looked.due <= now:
                looked.busy = True
                self._loop.call_soon_threadsafe(self._begin, looked)

    def stop(self) -> None:
        """End it: plugins that still run are ended too."""
        with suppress(CancelledError, TimeoutError):
            asyncio.run_coroutine_threadsafe(self._end_all(), self._loop).result(_STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)

    async def _end_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, looked: _Looked) -> None:
        task = self._loop.create_task(self._look(looked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, looked: _Looked) -> None:
        trouble: str | None
        try:
            async with self._slots, asyncio.timeout(_TIMEOUT_SECONDS):
                uid = await _read(looked.context)
        except (Fault, Unusable, TimeoutError) as error:
            # A worker with rights in some namespaces only reaches its cluster all the same.
            answered = isinstance(error, Fault) and error.error.http_status == _FORBIDDEN
            trouble = None if answered else _words(error)
        except Gone:
            trouble = "it has no namespace kube-system"
        except Exception as error:  # its text may hold a secret
            trouble = f"the worker failed ({type(error).__name__})"
        else:
            trouble = None if uid else "its namespace kube-system has no uid"
            looked.uid = uid or None
        if trouble and trouble != looked.trouble:
            log.warning("context '%s': %s", looked.context.name, trouble)
        looked.trouble = trouble
        looked.due = time.monotonic() + (UNKNOWN_SECONDS if trouble else KNOWN_SECONDS)
        looked.busy = False


async def _read(context: Context) -> str:
    user_agent = f"remediator/{remediation.__version__} (identity)"
    async with open_session(context, user_agent, 1) as session:
        body = await session.get(_PATH, _CALL)
        check_object(_PATH, body, _CALL)
        return msgspec.json.decode(body, type=WireNamespace).metadata.uid


def _words(error: Exception) -> str:
    if isinstance(error, Fault):
        return f"{error.error.code}: {error.error.detail}"
    if isinstance(error, Unusable):
        return f"the kubeconfig cannot be used: {error}"
    return f"it did not answer within {_TIMEOUT_SECONDS:.0f} s"
