"""What templates, ServiceAccounts and Secrets were when the pods were listed: read once before and once after.

What is the same both times was so at that moment. What is not is named, and the cluster is read again.
"""

from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass

import msgspec

from remediation.readiness.futures import accounts_in_use, makers
from remediation.readiness.judge import Judge
from remediation.readiness.observation import Mention, Namespace, Scope, Workload
from worker.faults import Call
from worker.observe import decode
from worker.readiness.lists import Lists
from worker.readiness.scalers import Scripts
from worker.readiness.wire_meta import WireMeta
from worker.readiness.wire_workload import WireWorkload
from worker.wire import WireNamespace

NAMESPACES = "/api/v1/namespaces"
ACCOUNTS = "/api/v1/serviceaccounts"
SECRETS = "/api/v1/secrets"
HINT = "judge again when fewer changes are made there"

_Place = tuple[str, str]


class _Meta(msgspec.Struct, gc=False):
    metadata: WireMeta = msgspec.field(default_factory=WireMeta)


_META = msgspec.json.Decoder(_Meta)
_WORKLOAD = msgspec.json.Decoder(WireWorkload)
_NAMESPACE = msgspec.json.Decoder(WireNamespace)


@dataclass(frozen=True, slots=True)
class Moved:
    """An object that was not the same both times; `what` is its list."""

    what: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join((self.what, self.namespace, self.name))

    @property
    def detail(self) -> str:
        """Say so, after `could not be read: `."""
        return f"'{self.name}' changed while the cluster was read, each time that it was tried"


class Steady:
    """The versions of what was read first, and what of it is another when it is read again.

    `scoped` tells whether a namespace is judged, `says` what a workload's text names besides its images. `asked` tells
    whether the API server was asked about a pod template, by namespace, or does not have to be.
    """

    def __init__(
        self,
        lists: Lists,
        judges: Sequence[Judge],
        scoped: Callable[[WireNamespace], Namespace],
        says: Callable[[WireWorkload, Workload], Iterable[Mention]],
        asked: Callable[[str, bytes], bool],
    ) -> None:
        self._lists = lists
        self._judges = judges
        self._scoped = scoped
        self._says = says
        self._asked = asked
        self._seen: dict[str, dict[_Place, str]] = {}
        self._others: set[str] = set()  # namespaces that came since and are not judged

    def note(self, path: str, namespace: str, name: str, version: str) -> None:
        """Remember what was read first."""
        self._seen.setdefault(path, {})[namespace, name] = version

    async def moved(self, workloads: Mapping[str, str], own_secrets: str) -> list[Moved]:
        """Read again; return what is not as it was, and matters. `workloads` are the paths of lists by kind.

        `own_secrets` is the name of Secrets to look at.
        """
        versions = dict(self._lists.versions)
        used = {place for judge in self._judges for place in _used(judge)}
        namespaces = {place[0] for place in used}
        found = [each async for each in self._namespaces(namespaces)]
        for kind, path in workloads.items():
            scripts = Scripts()
            found += [each async for each in self._workloads(kind, path, scripts)]
            what = path.rpartition("/")[2]
            told = dict.fromkeys(scripts.news(self._judges))
            found += [Moved(what, namespace, owner.name) for namespace, owner in told]
        found += [each async for each in self._accounts(used)]
        found += [each async for each in self._secrets(own_secrets, namespaces)]
        self._lists.versions.clear()
        self._lists.versions.update(versions)  # of what the verdict stands on
        return found

    async def _changed(
        self, path: str, gone: set[_Place] | None = None, **params: str
    ) -> AsyncIterator[tuple[_Place, msgspec.Raw]]:
        """Yield what is new or has another version; what is no longer there is put into `gone`."""
        what = path.rpartition("/")[2]
        if what in self._lists.refused or what in self._lists.hints:
            return  # it is a problem already
        before = dict(self._seen.get(path, {}))
        async for page in self._lists.pages(path, msgspec.Raw, **params):
            for raw in page:
                meta = decode(_META, raw, Call("list", what)).metadata
                place = (meta.namespace, meta.name)
                if before.pop(place, None) != meta.resourceVersion:
                    yield place, raw
        if gone is not None:
            gone.update(before)

    async def _namespaces(self, used: Collection[str]) -> AsyncIterator[Moved]:
        """Yield those that are judged by now, or no longer, or say something else; new ones count by what they hold."""
        async for (_, name), raw in self._changed(NAMESPACES):
            now = self._scoped(decode(_NAMESPACE, raw, Call("list", "namespaces")))
            before = self._judges[0].namespaces.get(name)
            if before is None and now.scope is not Scope.JUDGED:
                self._others.add(name)
            if before and (
                name in used or (Scope.JUDGED in {before.scope, now.scope} and before != now)
            ):
                yield Moved("namespaces", name, name)

    async def _workloads(self, kind: str, path: str, scripts: Scripts) -> AsyncIterator[Moved]:
        what = path.rpartition("/")[2]
        gone: set[_Place] = set()
        async for (namespace, name), raw in self._changed(path, gone):
            if namespace in self._others:
                continue
            wire = decode(_WORKLOAD, raw, Call("list", what))
            workload = wire.to_domain(kind)
            if workload.deleting:
                gone.add((namespace, name))
            says = list(self._says(wire, workload))
            asked = True
            if not (workload.controlled or workload.deleting or workload.finished):
                scripts.look(workload, wire.spec.pods)
                asked = self._asked(namespace, bytes(wire.spec.pods))
            if any(
                judge.judged(namespace)
                and not (asked and judge.knows(workload) and _said(judge, says))
                for judge in self._judges
            ):
                yield Moved(what, namespace, name)
        for namespace, name in sorted(gone):
            if any(_explains(judge, (namespace, kind, name)) for judge in self._judges):
                yield Moved(what, namespace, name)

    async def _accounts(self, used: Collection[_Place]) -> AsyncIterator[Moved]:
        gone: set[_Place] = set()
        changed = [place async for place, _ in self._changed(ACCOUNTS, gone)]
        for place in sorted({*changed, *gone} & set(used)):
            yield Moved("serviceaccounts", *place)

    async def _secrets(self, name: str, namespaces: Collection[str]) -> AsyncIterator[Moved]:
        gone: set[_Place] = set()
        selector = f"metadata.name={name}"
        changed = [place async for place, _ in self._changed(SECRETS, gone, fieldSelector=selector)]
        for place in sorted({*changed, *gone}):
            if place[0] in namespaces and place[1] == name:
                yield Moved("secrets", *place)


def _used(judge: Judge) -> Iterator[_Place]:
    """Yield the (namespace, name) of ServiceAccounts in judged namespaces whose pods use the registry."""
    for place in accounts_in_use(judge, list(makers(judge, judge.admissions))):
        if judge.judged(place[0]):
            yield place


def _explains(judge: Judge, place: tuple[str, str, str]) -> bool:
    """Tell whether a custom resource controls a workload: then it may be what accounts for an image of that."""
    kept = judge.workloads.get(place)
    return bool(kept and kept.images and kept.workload.controller) and judge.judged(place[0])


def _said(judge: Judge, says: Iterable[Mention]) -> bool:
    """Tell whether a judge has heard all of it that concerns its registry."""
    return all(
        mention in judge.mentions
        for mention in says
        if judge.options.target.mentioned_in(mention.text)
    )
