"""Reading what uses the objects of a plan: pods, and for a deletion the workloads too; bounded, each list once."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from remediation.outcome import ErrorCode
from remediation.usage import MOST_OBJECTS, Usage
from worker.faults import Fault, Gone
from worker.observe import items_of
from worker.piecemeal import is_of_the_list
from worker.session import Session
from worker.wire_pod import WirePod
from worker.wire_template import WireNamer

# Up to here lists of single namespaces are cheaper than one of the whole cluster.
_MOST_NAMED = 20
_EXPIRED = 410
# A list that nothing but warnings depends on holds no write up for longer.
_PATIENCE_SECONDS = 20
_ALIVE = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
_BUILT_IN = ("", "apps", "batch")
_WORKLOADS = (
    ("Deployment", "/apis/apps/v1", "deployments"),
    ("StatefulSet", "/apis/apps/v1", "statefulsets"),
    ("DaemonSet", "/apis/apps/v1", "daemonsets"),
    ("ReplicaSet", "/apis/apps/v1", "replicasets"),
    ("ReplicationController", "/api/v1", "replicationcontrollers"),
    ("Job", "/apis/batch/v1", "jobs"),
    ("CronJob", "/apis/batch/v1", "cronjobs"),
)


class _Reading:
    """What was read until now."""

    def __init__(
        self, session: Session, namespaces: Collection[str], secret_name: str, *, needed: bool
    ) -> None:
        self._needed = needed
        self._session = session
        self._namespaces = namespaces
        self._name = secret_name
        self.images: dict[str, None] = {}
        self.runtimes: set[str] = set()
        self.naming: Counter[str] = Counter()
        self.templates: defaultdict[str, list[str]] = defaultdict(list)
        self.operated: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.unread: list[str] = []
        self.partly = False
        self.unfinished: frozenset[str] = frozenset()
        self._at = ""

    async def pods(self) -> None:
        """Read pods that have not ended. Raises Fault."""
        complete = False
        with self._tolerated("pods"):
            async with asyncio.timeout(None if self._needed else _PATIENCE_SECONDS):
                complete = await self._pods()
        if not complete:
            # Lists are in the order of their keys, where a name ends with a slash.
            self.unfinished = frozenset(
                name for name in self._namespaces if f"{name}/" >= f"{self._at}/"
            )

    async def workloads(self, kind: str, api: str, resource: str) -> None:
        """Read the workloads of a kind that no other object controls. Raises Fault."""
        with self._tolerated(resource):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._workloads(kind, api, resource)

    async def _workloads(self, kind: str, api: str, resource: str) -> None:
        left = MOST_OBJECTS
        for path in self._paths(api, resource):
            with suppress(Gone):
                async for found in items_of(self._session, path, resource, WireNamer, {}):
                    left -= 1
                    space = found.metadata.namespace
                    if space in self._namespaces and found.names(self._name):
                        self.templates[space].append(f"{kind} {found.metadata.name}")
                    if left <= 0:
                        self.partly = True
                        return

    async def _pods(self) -> bool:
        """Return whether all were read."""
        left = MOST_OBJECTS
        for path in self._paths("/api/v1", "pods"):
            with suppress(Gone):
                async for pod in items_of(self._session, path, "pods", WirePod, _ALIVE):
                    left -= 1
                    self._at = pod.metadata.namespace
                    if pod.metadata.namespace in self._namespaces:
                        self._take(pod)
                    if left <= 0:
                        self.partly = True
                        return False
        return True

    def _take(self, pod: WirePod) -> None:
        space, names = pod.metadata.namespace, pod.spec.pull_secrets
        self.images |= dict.fromkeys(pod.images())
        self.runtimes.update(pod.runtimes())
        self.naming[space] += pod.spec.names(self._name)
        for owner in pod.metadata.ownerReferences or ():
            group, slash, _ = owner.apiVersion.partition("/")
            if owner.controller and not any(names) and slash and group not in _BUILT_IN:
                self.operated[space, pod.spec.serviceAccountName or "default"][owner.kind] += 1

    def _paths(self, api: str, resource: str) -> list[str]:
        if len(self._namespaces) <= _MOST_NAMED:
            return [
                f"{api}/namespaces/{name}/{resource}"
                for name in sorted(self._namespaces, key=lambda name: f"{name}/")
            ]
        return [f"{api}/{resource}"]

    @contextmanager
    def _tolerated(self, resource: str) -> Iterator[None]:
        """Note a list that could not be read, or that ran out: what was read until then is enough."""
        try:
            yield
        except TimeoutError:
            self.unread.append(resource)
        except Fault as fault:
            if fault.error.http_status == _EXPIRED:
                self.partly = True
            elif self._needed and not (
                fault.error.code is ErrorCode.FORBIDDEN or is_of_the_list(fault)
            ):
                raise
            else:
                self.unread.append(resource)


async def read_usage(
    session: Session,
    namespaces: Collection[str],
    secret_name: str,
    *,
    templates: bool,
    needed: bool,
) -> Usage:
    """Return what pods of these namespaces use, and with `templates` which workloads name the Secret.

    Raises Fault if the cluster does not answer and the images are `needed`; otherwise only warnings depend on it.
    """
    reading = _Reading(session, namespaces, secret_name, needed=needed)
    lists = [reading.pods()]
    if templates:
        lists += [reading.workloads(*each) for each in _WORKLOADS]
    # All are waited for: none goes on reading after the session is closed.
    ended = await asyncio.gather(*lists, return_exceptions=True)
    for error in ended:
        if error:
            raise error
    return Usage(
        tuple(reading.images),
        reading.naming,
        {space: tuple(sorted(names)) for space, names in reading.templates.items()},
        reading.operated,
        tuple(sorted(reading.unread)),
        reading.partly,
        reading.unfinished,
        frozenset(reading.runtimes),
    )
