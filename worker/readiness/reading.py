"""Reading a cluster for its judges, in an order that makes the verdict true of one moment: when the pods are listed.

Every pod that lives later was either in that list, or made after it, by what the lists before it say and say again when
they are read once more after it. What else makes pods, or stands beside them, is read after that moment, so that what
was there then is seen.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec

from remediation.outcome import ErrorCode, Outcome
from remediation.patterns import matcher
from remediation.readiness.fixes import BEYOND
from remediation.readiness.judge import Judge
from remediation.readiness.observation import (
    WORKLOAD_KINDS,
    DisruptionBudget,
    Mention,
    Namespace,
    Owner,
    Scope,
    Workload,
)
from remediation.readiness.wakers import waker_by_namespace
from remediation.request import RemediationRequest
from remediation.selection import NamespaceSelection
from remediation.unmatched import Unmatched, unmatched_namespaces
from worker.answers import check_object
from worker.execution import NO_ANSWER
from worker.faults import Call, Fault, Gone, Retry
from worker.observe import decode
from worker.piecemeal import is_of_the_list
from worker.readiness.admission import Admission, Place
from worker.readiness.askers import polls
from worker.readiness.engines import Engines
from worker.readiness.lists import Lists
from worker.readiness.mentions import mentions
from worker.readiness.policies import rewriters, webhooks
from worker.readiness.scalers import CustomScalers, Scripts, read_autoscalers
from worker.readiness.spoken import annotated, said_by_workload, spoken_of_pod
from worker.readiness.steady import ACCOUNTS, NAMESPACES, SECRETS, Moved, Steady
from worker.readiness.traces import Traces
from worker.readiness.verifiers import Verifiers, of_webhooks
from worker.readiness.wire_objects import WireAccount, WireBudget, WireNode, WirePullSecret
from worker.readiness.wire_pod import WirePod
from worker.readiness.wire_workload import WireRevision, WireWorkload
from worker.wire import WireNamespace, WireObject

_PATHS = {
    "Deployment": "/apis/apps/v1/deployments",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "ReplicationController": "/api/v1/replicationcontrollers",
    "Job": "/apis/batch/v1/jobs",
    "CronJob": "/apis/batch/v1/cronjobs",
}
_ALIVE = "status.phase!=Succeeded,status.phase!=Failed"
# A static pod can name no ServiceAccount, and admission gives it none.
_ENDED_STATIC = (
    "spec.serviceAccountName=,status.phase!=Running,status.phase!=Pending,status.phase!=Unknown"
)
_MOST_SECRETS = 5000
_BEYOND = (
    f"{BEYOND}one check reads {_MOST_SECRETS} Secrets of other names, and this one comes after them"
)
_AT_ONCE = 16


@dataclass(slots=True)
class Found:
    """What a reading says besides what it handed to the judges.

    `no_budgets` says why the PodDisruptionBudgets are not known. `secret_versions` are uid and resourceVersion of each
    Secret, by (namespace, name); `runtimes` those of the nodes, as far as nodes and pods tell; `pods_at` is when the
    last list was begun.
    """

    cluster_uid: str = ""
    version: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    budgets: list[DisruptionBudget] = field(default_factory=list)
    no_budgets: str = ""
    secret_versions: dict[tuple[str, str], str] = field(default_factory=dict)
    runtimes: set[str] = field(default_factory=set)
    pods_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class _Version(msgspec.Struct, gc=False):
    gitVersion: str = ""


class Reading:
    """One pass over a cluster. Raises Fault if it does not answer, ListExpired if a list has to be begun again."""

    def __init__(
        self,
        lists: Lists,
        judges: Sequence[Judge],
        request: RemediationRequest,
        secret_name: str,
        traces: Collection[str],
        admission: Admission | None,
        *,
        may_name: Callable[[str], bool],
    ) -> None:
        self._lists = lists
        self._judges = judges
        self._request = request
        self._selection = NamespaceSelection.of(request)
        self._may_name = may_name
        self._unmatched: tuple[Unmatched, ...] = ()
        self._secret_name = secret_name
        self._traces = traces
        self._marks = Traces(traces)
        self._admission = admission
        self._judged: set[str] = set()
        self._names: list[str] = []
        self._counted: list[str] = []
        self._selected: list[str] = []
        self._found = Found(versions=lists.versions)
        self._told: set[tuple[str, str]] = set()
        self._scripts = Scripts()
        self._steady = Steady(lists, judges, self._scoped, self._says, self._asked)
        self.moved: list[Moved] = []

    async def read(self) -> Found:
        """Hand everything to the judges; return the rest."""
        await self._identity()
        await self._surroundings()
        await self._secrets()
        await self._workloads()
        await self._ended_static_pods()
        await self._pods()
        await read_autoscalers(self._lists, self._judges)
        await self._custom_resources()
        await self._policies()
        await self._other_secrets()
        self.moved = await self._steady.moved(_PATHS, self._secret_name)
        self._tell_problems()
        for judge in self._judges:
            judge.add_unmatched(self._unmatched)
        return self._found

    def _tell_problems(self) -> None:
        """Tell the judges what could not be read, each thing once."""
        lists = self._lists
        found = {
            (what, ""): (why, lists.hints.get(what, "")) for what, why in lists.refused.items()
        }
        found |= {place: (each.detail, each.hint) for place, each in lists.unread.items()}
        for (what, namespace), (why, hint) in sorted(found.items()):
            if (what, namespace) not in self._told:
                self._told.add((what, namespace))
                for judge in self._judges:
                    judge.add_problem(what, why, hint, namespace)

    async def read_again(self, places: Collection[tuple[str, str]]) -> None:
        """Read some ServiceAccounts that had our entry again: one that has lost it meanwhile counts as it is now."""
        async for accounts in self._lists.pages(ACCOUNTS, WireAccount):
            for account in map(WireAccount.to_domain, accounts):
                if (account.namespace, account.name) not in places:
                    continue
                if self._secret_name not in account.pull_secrets:
                    for judge in self._judges:
                        judge.add_account(account)
        self._tell_problems()

    async def _identity(self) -> None:
        call = Call("get", "namespaces/kube-system")
        try:
            path = "/api/v1/namespaces/kube-system"
            body = await self._lists.read(path, call)
            check_object(path, body, call)
            self._found.cluster_uid = decode(
                msgspec.json.Decoder(WireObject), body, call
            ).metadata.uid
        except (Fault, Gone) as error:
            self._refused("namespaces/kube-system", error)
        call = Call("get", "version")
        with suppress(
            Fault, Gone
        ):  # for the record only; a cluster that is away says so to the next question
            body = await self._lists.read("/version", call)
            self._found.version = decode(msgspec.json.Decoder(_Version), body, call).gitVersion

    async def _surroundings(self) -> None:
        async for nodes in self._lists.pages("/api/v1/nodes", WireNode):
            for node in nodes:
                self._found.runtimes.update(filter(None, [node.runtime]))
                for judge in self._judges:
                    judge.add_node(node.to_domain())
        async for namespaces in self._lists.pages(NAMESPACES, WireNamespace):
            for namespace in namespaces:
                self._namespace(namespace)
        accounts_in: set[str] = set()
        self._lists.namespaces = self._counted
        self._lists.elsewhere = len(self._counted) < len(self._names)
        async for accounts in self._lists.pages(ACCOUNTS, WireAccount):
            for wire in accounts:
                account = wire.to_domain()
                owner = Owner("ServiceAccount", account.name)
                self._mentioned(annotated(account.namespace, owner, wire.metadata, self._marks))
                accounts_in.add(account.namespace)
                place = (account.namespace, account.name)
                self._steady.note(ACCOUNTS, *place, account.resource_version)
                for judge in self._judges:
                    judge.add_account(account)
        # Without the list of namespaces, those of which an object was read are known to exist.
        names = self._names if "namespaces" not in self._lists.refused else accounts_in
        found = unmatched_namespaces(self._request, names, self._selected)
        self._unmatched = tuple(
            each
            if each.nearest is None or self._may_name(each.nearest)
            else replace(each, nearest=None)
            for each in found
        )

    def _namespace(self, wire: WireNamespace) -> None:
        found = self._scoped(wire)
        meta = wire.metadata
        self._steady.note(NAMESPACES, "", found.name, meta.resourceVersion)
        if found.scope is Scope.JUDGED:
            self._judged.add(found.name)
        self._names.append(found.name)
        if found.scope in (Scope.JUDGED, Scope.EXCLUDED) and not found.terminating:
            self._counted.append(found.name)
        if self._selection.selector.matches(found.labels):
            self._selected.append(found.name)
        owner = Owner("Namespace", found.name)
        marks = {"labels": meta.labels, "annotations": meta.annotations}
        self._mentioned(annotated(found.name, owner, marks, self._marks))
        waker = waker_by_namespace((meta.labels or {}) | (meta.annotations or {}))
        for judge in self._judges:
            judge.add_namespace(found)
            if waker:
                judge.scalers.add_for_all(found.name, waker)

    def _scoped(self, wire: WireNamespace) -> Namespace:
        """Return a namespace, with whether it is judged."""
        state = wire.to_domain()
        treated = self._selection.judge(state)
        if treated is None:
            scope = Scope.OUTSIDE
        elif treated.outcome is not Outcome.IGNORED:
            scope = Scope.JUDGED
        else:
            by_request = matcher(self._selection.ignore)(state.name)
            scope = Scope.IGNORED if by_request else Scope.EXCLUDED
        created = wire.metadata.creationTimestamp
        return Namespace(
            state.name,
            scope,
            datetime.fromisoformat(created) if created else None,
            terminating=state.terminating,
            labels=state.labels,
        )

    async def _secrets(self) -> None:
        """Read ours: one list over all namespaces, which the name alone opens."""
        selector = f"metadata.name={self._secret_name}"
        async for secrets in self._lists.pages(SECRETS, WirePullSecret, fieldSelector=selector):
            for wire in secrets:
                meta = wire.metadata
                self._steady.note(SECRETS, meta.namespace, meta.name, meta.resourceVersion)
                self._secret_read(wire)
        if "secrets" in self._lists.hints and self._names:
            # The list fails, for one Secret that cannot be decrypted: each is read by its name.
            del self._lists.refused["secrets"], self._lists.hints["secrets"]
            await self._each_of({(name, self._secret_name) for name in self._names})
        if "secrets" not in self._lists.refused:
            for judge in self._judges:
                judge.complete_own_secrets()

    async def _workloads(self) -> None:
        for kind in WORKLOAD_KINDS:
            async for page in self._lists.pages(_PATHS[kind], WireWorkload):
                for wire in page:
                    self._workload(kind, wire)
                templates = {
                    (wire.metadata.namespace, kind, wire.metadata.name): wire.spec.pods
                    for wire in page
                }
                await self._admissions(templates)
        await self._revisions()
        self._scripts.tell(self._judges)
        async for budgets in self._lists.pages("/apis/policy/v1/poddisruptionbudgets", WireBudget):
            self._found.budgets += map(WireBudget.to_domain, budgets)
        # Without them the verdict is the same, and the restart plan says that it does not know them.
        self._found.no_budgets = self._lists.refused.pop("poddisruptionbudgets", "")

    async def _revisions(self) -> None:
        """Read what StatefulSets and DaemonSets made pods from before: their partitions and rollbacks go by it."""
        path = "/apis/apps/v1/controllerrevisions"
        async for page in self._lists.pages(path, WireRevision):
            templates = {}
            for wire in page:
                self._revision(wire)
                key = (wire.metadata.namespace, "ControllerRevision", wire.metadata.name)
                templates[key] = wire.template
            await self._admissions(templates)
        unread = self._lists.refused.pop("controllerrevisions", "")
        for judge in self._judges:
            judge.revisions_unread = unread

    def _revision(self, wire: WireRevision) -> None:
        revision = wire.to_domain()
        for judge in self._judges:
            judge.add_revision(revision)

    def _workload(self, kind: str, wire: WireWorkload) -> None:
        workload = wire.to_domain(kind)
        meta = wire.metadata
        self._steady.note(_PATHS[kind], meta.namespace, meta.name, meta.resourceVersion)
        self._mentioned(self._says(wire, workload))
        if not (workload.controlled or workload.finished):
            self._scripts.look(workload, wire.spec.pods)
        for judge in self._judges:
            judge.add_workload(workload)
            if workload.deleting:
                judge.leaving.add(wire.metadata.uid, f"{kind} '{workload.name}'")

    def _mentioned(self, mentions: Iterable[Mention]) -> None:
        for mention in mentions:
            for judge in self._judges:
                judge.add_mention(mention)

    def _says(self, wire: WireWorkload, workload: Workload) -> Iterator[Mention]:
        """Yield what a workload names besides its images; one that is controlled says what its controller does."""
        if not (workload.controlled or workload.finished):
            yield from said_by_workload(workload.kind, wire, self._marks)
            yield from polls(workload, wire.metadata, self._marks)

    async def _admissions(self, templates: Mapping[Place, msgspec.Raw]) -> None:
        """Ask the API server about the templates of a page; they are forgotten with it."""
        if self._admission is None:
            return
        meant = {
            place: bytes(template)
            for place, template in templates.items()
            if place[0] in self._judged
            and any(place in judge.workloads or place in judge.revisions for judge in self._judges)
        }
        await self._admission.ask(meant)

    def _asked(self, namespace: str, template: bytes) -> bool:
        return self._admission is None or self._admission.was_asked(namespace, template)

    async def _custom_resources(self) -> None:
        scalers, verifiers = CustomScalers(self._judges), Verifiers(self._judges)
        engines = Engines(self._judges)

        def look(resource: str, items: Sequence[object]) -> None:
            scalers.look(resource, items)
            verifiers.look(resource, items)
            engines.look(resource, items)

        with self._lists.watched(look):
            async for mention in mentions(self._lists, self._traces):
                for judge in self._judges:
                    judge.add_mention(mention)

    async def _policies(self) -> None:
        async for rewriter in rewriters(self._lists, self._marks):
            for judge in self._judges:
                judge.add_rewriter(rewriter)
        async for kind, configuration in webhooks(self._lists):
            for verifier in of_webhooks(kind, configuration):
                for judge in self._judges:
                    judge.add_verifier(verifier)

    async def _ended_static_pods(self) -> None:
        """Read static pods that have ended: their nodes keep the manifests, and start them again."""
        pages = self._lists.pages("/api/v1/pods", WirePod, fieldSelector=_ENDED_STATIC)
        async for pods in pages:
            for pod in map(WirePod.to_domain, pods):
                if pod.mirror and pod.ended:
                    for judge in self._judges:
                        judge.add_pod(pod)

    async def _pods(self) -> None:
        self._found.pods_at = datetime.now(UTC)
        async for page in self._lists.pages("/api/v1/pods", WirePod, fieldSelector=_ALIVE):
            pods = [pod for pod in page if not pod.ended]  # namespace by namespace it asks for all
            for wire in pods:
                self._found.runtimes |= wire.runtimes
                self._mentioned(spoken_of_pod(wire, self._marks))
            for pod in map(WirePod.to_domain, pods):
                for judge in self._judges:
                    judge.add_pod(pod)

    async def _other_secrets(self) -> None:
        """Read what else users of the registry name, as far as the account may: the rest stays unknown."""
        wanted = sorted({name for judge in self._judges for name in judge.wanted_secrets()})
        denied = await self._each_of(wanted[:_MOST_SECRETS])
        for namespace, name in () if denied else wanted[_MOST_SECRETS:]:
            self._unread(namespace, name, _BEYOND)

    async def _each_of(self, places: Iterable[tuple[str, str]]) -> bool:
        """Read Secrets by (namespace, name) as far as the account may; tell whether it may not at all."""
        slots = asyncio.Semaphore(_AT_ONCE)
        denied = False

        async def one(namespace: str, name: str) -> None:
            nonlocal denied
            async with slots:
                if denied:
                    return
                try:
                    secret = await self._secret(namespace, name)
                except Fault as fault:
                    # Without the deep mode's role the first answer speaks for all; one of a provider for its namespace.
                    if fault.error.code is ErrorCode.FORBIDDEN and fault.retry is not Retry.NO:
                        denied = True
                    elif fault.error.code in NO_ANSWER:
                        raise
                    else:
                        self._unread(namespace, name, f"could not be read: {fault.error.detail}")
                    return
            if secret is not None:
                self._secret_read(secret)
                return
            for judge in self._judges:
                judge.add_missing_secret(namespace, name)

        async with asyncio.TaskGroup() as group:
            for namespace, name in places:
                group.create_task(one(namespace, name))
        return denied

    def _unread(self, namespace: str, name: str, why: str) -> None:
        for judge in self._judges:
            judge.add_unread_secret(namespace, name, why)

    def _secret_read(self, wire: WirePullSecret) -> None:
        meta = wire.metadata
        version = f"{meta.uid}/{meta.resourceVersion}"
        self._found.secret_versions[meta.namespace, meta.name] = version
        secret = wire.to_domain()
        for judge in self._judges:
            judge.add_secret(secret)

    async def _secret(self, namespace: str, name: str) -> WirePullSecret | None:
        call = Call("get", f"secrets/{namespace}/{name}")
        try:
            path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
            body = await self._lists.read(path, call)
        except Gone:
            return None
        check_object(path, body, call)
        return decode(msgspec.json.Decoder(WirePullSecret), body, call)

    def _refused(self, what: str, error: Fault | Gone) -> None:
        if not isinstance(error, Fault):
            self._lists.refused[what] = "it does not exist"
            return
        if error.error.code is not ErrorCode.FORBIDDEN and not is_of_the_list(error):
            raise error
        self._lists.refused[what] = error.error.detail
        if is_of_the_list(error):
            self._lists.hints[what] = error.error.hint
