"""What a worker does with a wake-up: claim the run, carry it out, say how it ended."""

import asyncio
import logging
import signal
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from remediation.outcome import Error, ErrorCode
from remediation.registry.rules import Registries
from remediation.status import RunStatus
from store.claims import Claim, LeaseLost
from store.connection import PATIENT, StoreUnavailable
from store.ending import end
from store.store import Store
from store.trouble import trouble_of
from worker.execution import Execution, RunFailed
from worker.kubeconfigs import Contexts
from worker.lease import Lease
from worker.preparation import Preparation
from worker.readiness.check import CheckExecution, carry_out_check
from worker.run import carry_out
from worker.settings import Settings

log = logging.getLogger(__name__)


def execute(settings: Settings, contexts: Contexts, registries: Registries, run_id: str) -> None:
    """Carry out the run if nobody else does; a wake-up that came too late or twice does nothing."""
    store = settings.store(retries=PATIENT)
    told = threading.Event()
    before = _on_stop(told)
    try:
        claim = store.claims.take(run_id)
        if claim:
            log.info("run %s on cluster %s: attempt %d", run_id, claim.run.cluster, claim.attempt)
            preparation = Preparation(settings, contexts, registries, store, claim)
            _Job(preparation, store, claim, told).run()
    except StoreUnavailable as error:
        # The run keeps its record; whoever finds it without a lease goes on.
        log.error("run %s: Redis %s", run_id, trouble_of(error).text)  # noqa: TRY400
    finally:
        signal.signal(signal.SIGTERM, before)
        store.close()


def _on_stop(told: threading.Event) -> Any:
    """Have SIGTERM set the event; return what it did before."""
    return signal.signal(signal.SIGTERM, lambda *_: told.set())


class _Job:
    """A claimed run in this process; `told` is set once it has to stop."""

    def __init__(
        self, preparation: Preparation, store: Store, claim: Claim, told: threading.Event
    ) -> None:
        self._preparation = preparation
        self._store = store
        self._claim = claim
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._execution: Execution | CheckExecution | None = None
        self._lost = False
        self._cancelled = threading.Event()
        self._told = told
        self._lease = Lease(store.claims, claim, self._on_lost, self._on_cancel)

    def run(self) -> None:
        try:
            with self._lease:
                self._conclude()
        except LeaseLost:
            log.warning("run %s: somebody else has it now", self._claim.run.id)
        except asyncio.CancelledError:
            self._hand_back()  # now that nothing renews the lease any more

    def _conclude(self) -> None:
        """Carry the run out and store its end. Raises LeaseLost, and CancelledError when told to stop."""
        run = self._claim.run
        try:
            execution = self._preparation.execution(lambda: self._lease.held_until)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main(execution))
            _on_stop(self._told)  # the loop's own handler is gone
        except RunFailed as failed:
            log.warning("run %s on %s: %s", run.id, run.cluster, failed.error.detail)
            self._end(failed.error, failed.status)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            # The last line of defence: the text of a foreign exception may hold a secret, its type cannot.
            log.error("run %s on %s: %s", run.id, run.cluster, _whereabouts(error))  # noqa: TRY400
            detail = f"the worker failed ({type(error).__name__})"
            self._end(Error(ErrorCode.INTERNAL, detail, "see the worker's log"), RunStatus.FAILED)
        else:
            self._end()

    async def _main(self, execution: Execution | CheckExecution) -> None:
        self._loop = asyncio.get_running_loop()
        self._execution = execution
        self._task = asyncio.current_task()
        self._loop.add_signal_handler(signal.SIGTERM, self._stop)
        if self._lost:
            raise LeaseLost(self._claim.run.id)
        if self._told.is_set():
            raise asyncio.CancelledError
        if self._cancelled.is_set():
            execution.cancelled.set()
        try:
            if isinstance(execution, CheckExecution):
                await carry_out_check(execution)
            else:
                await carry_out(execution)
        except asyncio.CancelledError:
            if self._told.is_set():
                raise
            raise LeaseLost(self._claim.run.id) from None

    def _stop(self) -> None:
        if not self._told.is_set() and self._task:
            self._told.set()
            self._task.cancel()

    def _on_lost(self) -> None:
        """Called from the lease's thread."""
        self._lost = True
        if self._loop and self._task:
            with suppress(RuntimeError):  # the loop may have ended this moment
                self._loop.call_soon_threadsafe(self._task.cancel)

    def _on_cancel(self) -> None:
        """Called from the lease's thread, as long as it lasts."""
        self._cancelled.set()
        if self._loop and self._execution:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._execution.cancelled.set)

    def _hand_back(self) -> None:
        run = self._claim.run
        log.info("run %s on %s: told to stop, handed back", run.id, run.cluster)
        self._store.claims.hand_back(self._claim)
        self._store.queue.wake(run.pool, run.id)

    def _end(self, error: Error | None = None, status: RunStatus | None = None) -> None:
        run, store = self._claim.run, self._store
        if error or status:
            # Namespaces without a row were not reached; the total says what was.
            current = store.runs.get(run.id)
            if current and current.summary.total != current.summary.done:
                store.claims.observed(self._claim, current.summary.done, current.missing or ())
        end(store, self._claim, error, status)
        log.info("run %s on %s: ended", run.id, run.cluster)


def _whereabouts(error: BaseException) -> str:
    """Return the types of an exception and its parts with the places they came from, without any of their text."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_whereabouts(part) for part in error.exceptions)
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}"
