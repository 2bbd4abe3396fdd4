"""Custom resources that name the registry: found by discovery, within bounds, where the account may list them."""

from collections.abc import AsyncIterator, Collection, Iterator
from itertools import islice
from typing import Any, TypeVar

import msgspec

from remediation.outcome import ErrorCode
from remediation.readiness.observation import Mention
from worker.faults import Call, Fault, Gone
from worker.observe import decode
from worker.readiness.lists import Lists
from worker.readiness.wire_meta import kind_of

# Groups of the API server itself and of metrics: what runs pods among them is read as such, the rest names no image to
# pull. Others end in .k8s.io as well, such as Spark's sparkoperator.k8s.io, and run pods.
_OWN_GROUPS = (
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "custom.metrics.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "external.metrics.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "metrics.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
)
_MOST_KINDS = 300
_MOST_TOLD = 10
_MOST_TEXTS = 2000  # with a trace, in one object: it is named by the first of them


class _Resource(msgspec.Struct, gc=False):
    name: str = ""
    kind: str = ""
    verbs: list[str] = []


class _ResourceList(msgspec.Struct, gc=False):
    resources: list[_Resource] = []


class _Version(msgspec.Struct, gc=False):
    groupVersion: str = ""


class _Group(msgspec.Struct, gc=False):
    name: str = ""
    versions: list[_Version] = []  # the preferred one first


class _GroupList(msgspec.Struct, gc=False):
    groups: list[_Group] = []


_Found = TypeVar("_Found")


async def mentions(lists: Lists, traces: Collection[str]) -> AsyncIterator[Mention]:
    """Yield the texts of custom resources in which a trace of a registry stands. Raises Fault and ListExpired.

    Kinds that cannot be listed are in `lists.refused` as one, `customresources`, for the word of somebody who knows.
    """
    sought = [trace.encode() for trace in traces]
    kinds = await _kinds(lists)
    for path, name, kind in kinds[:_MOST_KINDS]:
        try:
            async for page in lists.pages(path, msgspec.Raw, name=name):
                for raw in page:
                    # Most name no registry: their text alone says so, undecoded.
                    lowered = bytes(raw).lower()
                    if any(trace in lowered for trace in sought):
                        for mention in _of_object(kind, msgspec.json.decode(raw), traces):
                            yield mention
        except Fault as fault:
            # One kind whose conversion or server is broken; a cluster that is away says so to the next question.
            lists.refused[name] = fault.error.detail
    unseen = [name for _, name, _ in kinds if lists.refused.pop(name, None)]
    unseen += [name for _, name, _ in kinds[_MOST_KINDS:]]
    if unseen:
        more = f" and {len(unseen) - _MOST_TOLD} more" if len(unseen) > _MOST_TOLD else ""
        told = f"{', '.join(unseen[:_MOST_TOLD])}{more}"
        lists.refused["customresources"] = f"these kinds could not be listed: {told}"


async def _kinds(lists: Lists) -> list[tuple[str, str, str]]:
    """Return path, resource.group and kind of each custom resource that can be listed."""
    found = []
    groups = await _discover(lists, "/apis", _GroupList)
    for group in groups.groups if groups else ():
        if group.name in _OWN_GROUPS:
            continue
        known: set[str] = set()
        # All versions: a kind that is young, or old, is not in the preferred one.
        for version in group.versions:
            base = f"/apis/{version.groupVersion}"
            resources = await _discover(lists, base, _ResourceList)
            for resource in resources.resources if resources else ():
                name = f"{resource.name}.{group.name}"
                if name not in known and "list" in resource.verbs and "/" not in resource.name:
                    known.add(name)
                    kind = kind_of(resource.kind, group.name)
                    found.append((f"{base}/{resource.name}", name, kind))
    return found


async def _discover(lists: Lists, path: str, kind: type[_Found]) -> _Found | None:
    """Return what a place of the discovery says; None, noted in `lists.refused`, where it says nothing."""
    call = Call("list", "customresources")
    try:
        return decode(msgspec.json.Decoder(kind), await lists.read(path, call), call)
    except Gone:
        lists.refused[path] = "the server does not have it"
    except Fault as fault:
        # An aggregated API whose server is away answers so; that says nothing of the rest.
        if path == "/apis" and fault.error.code is not ErrorCode.FORBIDDEN:
            raise
        lists.refused[path] = fault.error.detail
    return None


def _of_object(kind: str, document: dict[str, Any], traces: Collection[str]) -> Iterator[Mention]:
    meta = document.get("metadata") or {}
    namespace, name = str(meta.get("namespace", "")), str(meta.get("name", ""))
    told = {key: value for key, value in document.items() if key not in ("metadata", "status")}
    named = (
        (place, text)
        for place, text in _texts(told)
        if any(trace in text.lower() for trace in traces)
    )
    for place, text in islice(named, _MOST_TEXTS):
        yield Mention(namespace, kind, name, place, text)


def _texts(document: object) -> Iterator[tuple[str, str]]:
    """Yield each text, and each name of a member, with its path, such as spec.containers[0].image."""
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, dict):
            inner = [(f"{place}.{key}" if place else key, each) for key, each in value.items()]
            yield from ((where, key) for (where, _), key in zip(inner, value, strict=True))
            waiting += reversed(inner)
        elif isinstance(value, list):
            waiting += reversed([(f"{place}[{n}]", each) for n, each in enumerate(value)])
