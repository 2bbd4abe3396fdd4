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

from remediation.admission import refusal, refusal_of_check
from remediation.credential import Credential, InvalidCredential, credential_from_login
from remediation.outcome import Error, ErrorCode
from remediation.plan import Task
from remediation.readiness.facts import Facts
from remediation.readiness.facts_file import FactsError
from remediation.registry.rules import Registries
from remediation.request import InlineCredential, RemediationRequest
from remediation.sealing import SealedValueError, SealingKeyError
from remediation.selection import nearest
from remediation.status import RunStatus
from remediation.undo import Done, UndoTask
from store import lineage
from store.checks import is_check
from store.connection import PATIENT, StoreUnavailable
from store.recovery import last_remediation_of, wake_next
from store.runs import Claim, LeaseLost
from store.store import Store
from worker.credentials import CredentialFolder, CredentialUnavailable
from worker.kubeconfigs import Context, Contexts
from worker.lease import Lease
from worker.readiness.check import CheckExecution, carry_out_check
from worker.readiness.facts_file import load_facts
from worker.readiness.targets import targets_of
from worker.run import Execution, RunFailed, carry_out
from worker.sealing import SealingKeys
from worker.settings import Settings
from worker.vigil import Vigil

_AGAIN = "send the request again, with the login"
_KEYS = (
    "give this pool's workers the private key to the API's public one (REMEDIATOR_SEALING_KEY_FILE), then retry with "
    "the login"
)

log = logging.getLogger(__name__)


def execute(settings: Settings, contexts: Contexts, registries: Registries, run_id: str) -> None:
    """Carry out the run if nobody else does; a wake-up that came too late or twice does nothing."""
    store = settings.store(retries=PATIENT)
    told = threading.Event()
    before = _on_stop(told)
    try:
        claim = store.runs.claim(run_id)
        if claim:
            log.info("run %s on cluster %s: attempt %d", run_id, claim.run.cluster, claim.attempt)
            _Job(settings, contexts, registries, store, claim, told).run()
    except StoreUnavailable as error:
        # The run keeps its record; whoever finds it without a lease goes on.
        log.error("run %s: Redis stayed away (%s)", run_id, type(error).__name__)  # noqa: TRY400
    finally:
        signal.signal(signal.SIGTERM, before)
        store.close()


def _on_stop(told: threading.Event) -> Any:
    """Have SIGTERM set the event; return what it did before."""
    return signal.signal(signal.SIGTERM, lambda *_: told.set())


class _Job:
    """A claimed run in this process; `told` is set once it has to stop."""

    def __init__(
        self,
        settings: Settings,
        contexts: Contexts,
        registries: Registries,
        store: Store,
        claim: Claim,
        told: threading.Event,
    ) -> None:
        self._settings = settings
        self._contexts = contexts
        self._registries = registries
        self._store = store
        self._claim = claim
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._execution: Execution | CheckExecution | None = None
        self._lost = False
        self._cancelled = threading.Event()
        self._told = told
        self._lease = Lease(store.runs, claim, self._on_lost, self._on_cancel)

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
            execution = self._prepare_check() if is_check(run.id) else self._prepare()
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

    def _prepare(self) -> Execution:
        run = self._claim.run
        asked = self._store.remediations.request(run.remediation_id)
        if asked is None:
            raise LeaseLost(run.id)
        request, _ = asked
        self._check_permission(request)
        context = self._context()
        task = self._task_of(request)
        concurrency = self._settings.concurrency
        orders = self._store.remediations.orders(run.remediation_id)
        return Execution.of(
            self._store,
            self._claim,
            task,
            context,
            orders,
            concurrency,
            self._registries,
            Vigil(lambda: self._lease.held_until),
        )

    def _prepare_check(self) -> CheckExecution:
        run = self._claim.run
        asked = self._store.checks.request(run.remediation_id)
        if asked is None:
            raise LeaseLost(run.id)
        request, created_at = asked
        warrant = self._store.remediations.warrant(run.remediation_id)
        policy = self._store.policies.current()
        if error := refusal_of_check(policy, warrant, run.cluster, request):
            raise RunFailed(error)
        credential = self._held(request.credential) if request.credential else None
        return CheckExecution(
            store=self._store,
            claim=self._claim,
            request=request,
            targets=targets_of(request, credential),
            credential=credential,
            facts=self._facts(),
            context=self._context(),
            created=created_at,
            concurrency=self._settings.concurrency,
            registries=self._registries,
            remediated_at=last_remediation_of(self._store, run.cluster),
        )

    def _facts(self) -> Facts:
        try:
            return load_facts(self._settings.facts_file)
        except FactsError as error:
            detail = f"the file of declared facts cannot be used: {error}"
            hint = (
                f"mend {self._settings.facts_file} on the workers of pool '{self._claim.run.pool}'"
            )
            raise RunFailed(Error(ErrorCode.INTERNAL, detail, hint)) from None

    def _context(self) -> Context:
        cluster = self._claim.run.cluster
        context = self._contexts.usable.get(cluster)
        if context is None:
            why = self._contexts.broken.get(cluster, "no kubeconfig of this worker has it")
            raise RunFailed(
                Error(ErrorCode.UNREACHABLE, f"the cluster is not served: {why}"),
                RunStatus.UNREACHABLE,
            )
        return context

    def _check_permission(self, request: RemediationRequest) -> None:
        """Look whether who asked may still have this done here. Raises RunFailed if not."""
        run, store = self._claim.run, self._store
        warrant = store.remediations.warrant(run.remediation_id)
        policy = store.policies.current()
        if error := refusal(policy, warrant, run.cluster, request, undo=bool(run.undoes)):
            raise RunFailed(error)

    def _task_of(self, request: RemediationRequest) -> Task | UndoTask:
        run = self._claim.run
        scope = lineage.scope_of(self._store, run)
        if scope is None:
            raise RunFailed(
                Error(
                    ErrorCode.INTERNAL,
                    "the records of what is to be retried are gone, so it is not known what that left over",
                    "start a new remediation of the namespaces that are meant",
                )
            )
        if run.undoes:
            return UndoTask.of(run.remediation_id, request, self._to_undo(run.undoes), scope)
        return Task.of(run.remediation_id, request, self._credential(request), scope)

    def _to_undo(self, run_id: str) -> dict[str, Done]:
        """Return what the run did. Raises RunFailed if another remediation stands on it."""
        undone = self._store.runs.get(run_id)
        if undone is None:
            raise RunFailed(
                Error(ErrorCode.INTERNAL, "the records of what is to be undone are gone")
            )
        for later, _ in lineage.standing_on(self._store, undone):
            raise RunFailed(
                Error(
                    ErrorCode.SECRET_CONFLICT,
                    f"{later.remediation_id} has written in the same namespaces since and stands on it",
                    f"undo {later.remediation_id} first, then retry",
                )
            )
        return lineage.done_by(self._store, undone)

    def _credential(self, request: RemediationRequest) -> Credential:
        """Return the credential to write, having noted which content it has. Raises RunFailed and LeaseLost."""
        try:
            keys = SealingKeys.read(self._settings.sealing_key_file)
        except SealingKeyError as error:
            if request.inline_credential:
                raise RunFailed(_unavailable(f"the worker's sealing key {error}", _KEYS)) from None
            keys = SealingKeys()
        if request.inline_credential:
            credential = self._opened(keys, request.inline_credential)
        else:
            credential = self._held(request.credential or "")
        if fingerprint := keys.fingerprint(credential.content):
            self._store.runs.uses_credential(self._claim, fingerprint)
        return credential

    def _held(self, name: str) -> Credential:
        """Return a credential of this worker's folder. Raises RunFailed."""
        folder = CredentialFolder(self._settings.credentials_dir)
        try:
            return folder.get(name)
        except CredentialUnavailable as error:
            near = nearest(name, folder.names())
            hint = f"put it into the credentials folder of pool '{self._claim.run.pool}'"
            hint = f"{hint}, or did you mean '{near}'?" if near else hint
            raise RunFailed(_unavailable(str(error), hint)) from None

    def _opened(self, keys: SealingKeys, recorded: InlineCredential) -> Credential:
        """Return the credential that came in the request. Raises RunFailed."""
        remediation_id = self._claim.run.remediation_id
        sealed = self._store.sealed.get(remediation_id)
        if sealed is None:
            raise RunFailed(_unavailable("the login of the request is not kept any more", _AGAIN))
        try:
            inline = keys.open(sealed, remediation_id, recorded)
            return credential_from_login(recorded.name, inline.registry, inline.login)
        except SealedValueError as error:
            raise RunFailed(_unavailable(str(error), _KEYS)) from None
        except InvalidCredential as error:
            raise RunFailed(_unavailable(f"the login of the request {error}", _AGAIN)) from None

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
        self._store.runs.hand_back(self._claim)
        self._store.queue.wake(run.pool, run.id)

    def _end(self, error: Error | None = None, status: RunStatus | None = None) -> None:
        run, store = self._claim.run, self._store
        if error or status:
            # Namespaces without a row were not reached; the total says what was.
            current = store.runs.get(run.id)
            if current and current.summary.total != current.summary.done:
                store.runs.observed(self._claim, current.summary.done, current.missing or ())
        if store.runs.finish(self._claim, error, status) == 0:
            store.remediations.close(run.remediation_id)
        wake_next(store, run)
        log.info("run %s on %s: ended", run.id, run.cluster)


def _unavailable(detail: str, hint: str) -> Error:
    return Error(ErrorCode.CREDENTIAL_UNAVAILABLE, detail, hint)


def _whereabouts(error: BaseException) -> str:
    """Return the types of an exception and its parts with the places they came from, without any of their text."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_whereabouts(part) for part in error.exceptions)
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}"
