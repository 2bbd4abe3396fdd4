"""Custom resources that name the registry: found by discovery, within bounds, where the account may list them."""

from collections.abc import AsyncIterator, Collection, Iterator
from typing import Literal, TypeVar

import msgspec

from remediation.outcome import ErrorCode
from remediation.readiness.observation import Mention
from worker.answers import unbelievable
from worker.faults import Call, Fault, Gone
from worker.observe import decode
from worker.readiness.lists import Lists
from worker.readiness.texts import About, mentions_of
from worker.readiness.traces import Traces
from worker.readiness.wire_meta import WireMeta, kind_of, strange_group

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
_ALWAYS_THERE = ("apps", "batch")
# Of the API server's own kinds these name images as well, and nothing else reads them.
_BUILT_IN = (
    ("/api/v1/persistentvolumeclaims", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("/api/v1/persistentvolumes", "persistentvolumes", "PersistentVolume"),
    ("/api/v1/podtemplates", "podtemplates", "PodTemplate"),
)
_MOST_KINDS = 300
_MOST_TOLD = 10


class _Resource(msgspec.Struct, gc=False):
    name: str = ""
    kind: str = ""
    verbs: list[str] = []


class _ResourceList(msgspec.Struct, gc=False):
    kind: Literal["APIResourceList"]
    resources: list[_Resource] | None
    groupVersion: str


class _Version(msgspec.Struct, gc=False):
    groupVersion: str = ""


class _Group(msgspec.Struct, gc=False):
    name: str = ""
    versions: list[_Version] = []  # the preferred one first


class _GroupList(msgspec.Struct, gc=False):
    kind: Literal["APIGroupList"]
    groups: list[_Group]


class _Object(msgspec.Struct, gc=False):
    metadata: WireMeta = msgspec.field(default_factory=WireMeta)


_Found = TypeVar("_Found")
_META = msgspec.json.Decoder(_Object)


async def mentions(lists: Lists, traces: Collection[str]) -> AsyncIterator[Mention]:
    """Yield the texts of custom resources in which a trace of a registry stands. Raises Fault and ListExpired.

    Kinds that cannot be listed are in `lists.refused` as one, `customresources`, for the word of somebody who knows.
    """
    sought = Traces(traces)
    kinds = await _kinds(lists)
    for path, name, kind in (*_BUILT_IN, *kinds[:_MOST_KINDS]):
        try:
            async for page in lists.pages(path, msgspec.Raw, name=name):
                for raw in page:
                    # Most name no registry: their text alone says so, undecoded.
                    if sought.may_stand_in(bytes(raw)):
                        for mention in mentions_in(raw, kind, name.partition(".")[2], sought):
                            yield mention
        except RecursionError:
            lists.refused[name] = "an object is nested too deeply"
        except Fault as fault:
            # One kind whose conversion or server is broken; a cluster that is away says so to the next question.
            lists.refused[name] = fault.error.detail
    unseen = [name for _, name, _ in kinds if lists.refused.pop(name, None)]
    unseen += [name for _, name, _ in kinds[_MOST_KINDS:]]
    if unseen:
        more = f" and {len(unseen) - _MOST_TOLD} more" if len(unseen) > _MOST_TOLD else ""
        told = f"{', '.join(unseen[:_MOST_TOLD])}{more}"
        lists.refused["customresources"] = f"these kinds could not be listed: {told}"


def mentions_in(raw: msgspec.Raw, kind: str, group: str, traces: Traces) -> Iterator[Mention]:
    """Yield where an object of a kind names a registry. Raises RecursionError."""
    meta = _META.decode(raw).metadata
    document = msgspec.json.decode(raw)
    namespace = meta.namespace
    if kind == "PersistentVolume":  # it belongs to no namespace; the claim that it is bound to does
        namespace = ((document.get("spec") or {}).get("claimRef") or {}).get("namespace", "")
    about = About(namespace, strange_group(group), kind, meta.name, meta.controller)
    yield from mentions_of(about, document, traces)


async def _kinds(lists: Lists) -> list[tuple[str, str, str]]:
    """Return path, resource.group and kind of each custom resource that can be listed."""
    found = []
    groups = await _discover(lists, "/apis", _GroupList)
    if groups and not {group.name for group in groups.groups}.issuperset(_ALWAYS_THERE):
        why = "a group that every API server has is not among its groups"
        raise unbelievable(Call("list", "apis"), why)
    for group in groups.groups if groups else ():
        if group.name in _OWN_GROUPS:
            continue
        known: set[str] = set()
        if not group.versions:
            lists.refused[f"/apis/{group.name}"] = "the server names no version of it"
        # All versions: a kind that is young, or old, is not in the preferred one.
        for version in group.versions:
            base = f"/apis/{version.groupVersion}"
            resources = await _discover(lists, base, _ResourceList)
            if resources and resources.groupVersion != version.groupVersion:
                lists.refused[base] = f"the server answers about {resources.groupVersion}"
            for resource in (resources and resources.resources) or ():
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
