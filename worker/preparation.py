"""What a claimed run has to do and with what: permission, context, credential, task."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from remediation.admission import may_name, refusal, refusal_of_check
from remediation.credential import Credential, credential_from_login
from remediation.docker_config import InvalidCredential
from remediation.inventory import known_clusters
from remediation.outcome import Error, ErrorCode
from remediation.plan import Task
from remediation.readiness.facts import Facts
from remediation.readiness.facts_file import FactsError
from remediation.registry.rules import Registries
from remediation.request import InlineCredential, RemediationRequest
from remediation.same_server import with_other_names
from remediation.sealing import SealedValueError, SealingKeyError
from remediation.selection import nearest
from remediation.status import RunStatus
from remediation.undo import Done, UndoTask
from store import lineage
from store.claims import Claim, LeaseLost
from store.ids import is_check
from store.store import Store
from worker.credentials import CredentialFolder, CredentialUnavailable
from worker.execution import Execution, RunFailed, deadline_of
from worker.kubeconfigs import Context, Contexts
from worker.readiness.check import CheckExecution
from worker.readiness.facts_file import load_facts
from worker.readiness.targets import targets_of
from worker.sealing import SealingKeys
from worker.settings import Settings
from worker.vigil import Vigil

_AGAIN = "send the request again, with the login"
_KEYS = (
    "give this pool's workers the private key to the API's public one (REMEDIATOR_SEALING_KEY_FILE), then retry with "
    "the login"
)


class Preparation:
    """The worker's means, looked through for one run."""

    def __init__(
        self,
        settings: Settings,
        contexts: Contexts,
        registries: Registries,
        store: Store,
        claim: Claim,
    ) -> None:
        self._settings = settings
        self._contexts = contexts
        self._registries = registries
        self._store = store
        self._claim = claim

    def execution(self, held_until: Callable[[], float]) -> Execution | CheckExecution:
        """Return the run with all that it needs; `held_until` as in `Vigil`. Raises RunFailed and LeaseLost."""
        if is_check(self._claim.run.id):
            return self._check()
        return self._remediation(held_until)

    def _remediation(self, held_until: Callable[[], float]) -> Execution:
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
            Vigil(held_until),
        )

    def _check(self) -> CheckExecution:
        run = self._claim.run
        asked = self._store.checks.request(run.remediation_id)
        if asked is None:
            raise LeaseLost(run.id)
        request, _ = asked
        warrant = self._store.remediations.warrant(run.remediation_id)
        policy = self._store.policies.current()
        if error := refusal_of_check(policy, warrant, run.cluster, request):
            raise RunFailed(error)
        credential = self._held(request.credential) if request.credential else None
        if credential:
            with suppress(SealingKeyError):  # without a key there are no fingerprints
                self._note_content(credential, SealingKeys.read(self._settings.sealing_key_file))
        context: Context | RunFailed
        try:
            context, facts = self._context(), self._facts()
        except RunFailed as failed:
            context, facts = (
                failed,
                Facts(),
            )  # nothing is known of the cluster, and that is a finding
        return CheckExecution(
            store=self._store,
            claim=self._claim,
            request=request,
            targets=targets_of(request, credential),
            credential=credential,
            facts=facts,
            context=context,
            deadline=deadline_of(self._store, self._claim),
            concurrency=self._settings.concurrency,
            registries=self._registries,
            remediated_at=self._store.remediations.last_written(run.known_as),
            may_name=may_name(policy, warrant, run.cluster),
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
                Error(
                    ErrorCode.UNREACHABLE,
                    f"the cluster is not served: {why}",
                    "correct the worker's kubeconfig; `remediator clusters` shows what is wrong",
                ),
                RunStatus.UNREACHABLE,
            )
        return context

    def _check_permission(self, request: RemediationRequest) -> None:
        """Look whether who asked may still have this done here. Raises RunFailed if not."""
        run, store = self._claim.run, self._store
        warrant = store.remediations.warrant(run.remediation_id)
        policy = store.policies.current()
        names: Iterable[str] = ()
        if policy and policy.protected:
            known = known_clusters(store.inventory.workers())
            names = with_other_names((run.cluster,), known, store.inventory.uids())
        if error := refusal(
            policy, warrant, run.cluster, request, undo=bool(run.undoes), other_names=names
        ):
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
                Error(
                    ErrorCode.INTERNAL,
                    "the records of what is to be undone are gone",
                    "remove the Secret and its name from the ServiceAccounts by hand",
                )
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
        self._note_content(credential, keys)
        return credential

    def _note_content(self, credential: Credential, keys: SealingKeys) -> None:
        """Note the fingerprint of what the run works with. Raises LeaseLost."""
        if fingerprint := keys.fingerprint(credential.content):
            self._store.claims.uses_credential(self._claim, fingerprint)

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


def _unavailable(detail: str, hint: str) -> Error:
    return Error(ErrorCode.CREDENTIAL_UNAVAILABLE, detail, hint)
