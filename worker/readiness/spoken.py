"""Pods, templates and other built-in objects that name the registry where no image is that is judged.

An operator is told so which images the pods have that it makes (RELATED_IMAGE_…), a CSI driver which it mounts, a
webhook which it puts into pods. All of a template is searched but the images of its containers and image volumes,
which are judged, and the names of other objects, which are none of images.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from remediation.readiness.observation import WORKLOAD_KINDS, By, Mention, Owner
from remediation.readiness.variables import Variables, set_in
from worker.readiness.texts import MOST_TEXTS, is_copy
from worker.readiness.traces import Traces
from worker.readiness.wire_meta import WireMeta
from worker.readiness.wire_pod import WireContainer, WirePod
from worker.readiness.wire_workload import WireWorkload

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_OF_DRIVERS = ("csi", "flexVolume")
_JUDGED = ("image", "reference")
_NAMES = (
    "name",
    "imagePullSecrets",
    "serviceAccount",
    "serviceAccountName",
    "nodeName",
    "secretName",
    "claimName",
    "secretRef",
    "nodePublishSecretRef",
    "valueFrom",
    "envFrom",
)
# A flag that is told: no short one with its value, such as -pPASSWORD.
_FLAG = re.compile(
    r"--[A-Za-z][\w.-]*|-[A-Za-z]|-[a-z-]*(?:image|img|regist|repo|mirror|proxy)[a-z-]*"
)
_Said = tuple[By, str, str, bool]


def spoken_of_pod(pod: WirePod, traces: Traces) -> Iterator[Mention]:
    """Yield what a pod says that no template that is read says already; pods of one controller say the same."""
    owner = pod.metadata.maker
    if owner is None or owner.kind not in WORKLOAD_KINDS:
        about = owner or Owner("Pod", pod.metadata.name)
        namespace = pod.metadata.namespace
        yield from annotated(namespace, about, pod.metadata, traces, from_pod=True)
        spec = pod.spec
        told = (*(spec.initContainers or ()), *(spec.containers or ()))
        raws = [
            bytes(raw) for one in told for raw in (one.env, one.command, one.args, one.lifecycle)
        ]
        if any(map(traces.may_stand_in, (*raws, bytes(spec.volumes)))):
            body = {
                "containers": [_decoded(one) for one in told],
                "volumes": msgspec.json.decode(spec.volumes),
            }
            yield from spoken(namespace, about, {"spec": body}, traces, from_pod=True)


def said_by_workload(kind: str, wire: WireWorkload, traces: Traces) -> Iterator[Mention]:
    """Yield where a workload names the registry besides the images that are judged."""
    namespace, owner, spec = wire.metadata.namespace, Owner(kind, wire.metadata.name), wire.spec
    yield from annotated(namespace, owner, wire.metadata, traces)
    if spec.jobTemplate:
        yield from annotated(namespace, owner, spec.jobTemplate.metadata, traces)
    if traces.may_stand_in(bytes(spec.pods)):
        yield from spoken(namespace, owner, msgspec.json.decode(spec.pods), traces)
    if traces.may_stand_in(bytes(spec.volumeClaimTemplates)):
        claims = msgspec.json.decode(spec.volumeClaimTemplates)
        said = _walk(By.TEXT, "volumeClaimTemplates", claims, {}, traces)
        yield from _mentions(namespace, owner, said, from_pod=False)


def spoken(
    namespace: str,
    owner: Owner,
    template: Mapping[str, Any],
    traces: Traces,
    *,
    from_pod: bool = False,
) -> Iterator[Mention]:
    """Yield where a pod template names the registry besides the images that are judged."""
    said = (*_of_metadata(owner, template.get("metadata") or {}, traces, " of its pods"),)
    spec = template.get("spec") or {}
    yield from _mentions(namespace, owner, iter((*said, *_of_spec(spec, traces))), from_pod)


def annotated(
    namespace: str,
    owner: Owner,
    meta: WireMeta | Mapping[str, Any],
    traces: Traces,
    *,
    from_pod: bool = False,
) -> Iterator[Mention]:
    """Yield the labels and annotations of an object that name the registry."""
    parts = (
        meta
        if isinstance(meta, Mapping)
        else {"labels": meta.labels, "annotations": meta.annotations}
    )
    yield from _mentions(namespace, owner, _of_metadata(owner, parts, traces), from_pod)


def _mentions(
    namespace: str, owner: Owner, said: Iterator[_Said], from_pod: bool
) -> Iterator[Mention]:
    for by, where, text, whole in islice(said, MOST_TEXTS):
        yield Mention(
            namespace,
            owner.kind,
            owner.name,
            where,
            text,
            owner.group,
            by=by,
            from_pod=from_pod,
            unread=not whole,
        )


def _of_metadata(
    owner: Owner, meta: Mapping[str, Any], traces: Traces, of: str = ""
) -> Iterator[_Said]:
    for part in ("labels", "annotations"):
        for key, value in (meta.get(part) or {}).items():
            text, whole = traces.look(str(value))
            if (text or not whole) and not is_copy(key, str(value), owner.kind, owner.name):
                yield By.TEXT, f"metadata.{part}[{key}]{of}", text, whole


def _of_spec(spec: Mapping[str, Any], traces: Traces) -> Iterator[_Said]:
    for kind in _CONTAINERS:
        for container in spec.get(kind) or ():
            yield from _of_container(container, traces)
    for volume in spec.get("volumes") or ():
        for source, value in volume.items():
            place = f"volumes.{volume.get('name', '')}.{source}"
            by = By.VOLUME if source in _OF_DRIVERS else By.TEXT
            if source not in _NAMES:
                yield from _walk(by, place, value, {}, traces)
    rest = {key: each for key, each in spec.items() if key not in (*_CONTAINERS, "volumes")}
    yield from _walk(By.TEXT, "", rest, {}, traces)


def _of_container(container: Mapping[str, Any], traces: Traces) -> Iterator[_Said]:
    name = container.get("name", "")
    told = [*_told(container)]
    variables = _variables(told, container)
    for where, value in told:
        text, whole = traces.look_at(value, variables)
        if text or not whole:
            yield By.TEXT, f"{where} of container {name}", text, whole
    values = [value.rpartition("=")[2] if value.startswith("-") else value for _, value in told]
    if text := traces.joined(values):
        yield By.TEXT, f"two values of container {name} about images", text, True
    rest = {
        key: each
        for key, each in container.items()
        if key not in ("env", "command", "args", "image")
    }
    yield from _walk(By.TEXT, f"containers.{name}", rest, variables, traces)


def _told(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for variable in container.get("env") or ():
        yield f"env {variable.get('name', '')}", str(variable.get("value") or "")
    for part in ("command", "args"):
        words = [str(word) for word in container.get(part) or ()]
        # The flag before a value says what it is.
        for before, word in zip(["", *words], words, strict=False):
            flag = before if _FLAG.fullmatch(before) else ""
            yield f"{part} {flag}".strip(), word


def _variables(told: list[tuple[str, str]], container: Mapping[str, Any]) -> Variables:
    """Return the variables of a container, and those that its scripts set; of a name that comes twice every value."""
    found: dict[str, list[str]] = {}
    for variable in container.get("env") or ():
        if variable.get("value"):
            found.setdefault(str(variable.get("name", "")), []).append(str(variable["value"]))
    for where, text in told:
        if "=" in text and not where.startswith("env "):
            for name, value in set_in(text):
                found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def _walk(by: By, place: str, value: Any, variables: Variables, traces: Traces) -> Iterator[_Said]:
    """Yield each text below a place that names the registry."""
    waiting: list[tuple[str, Any]] = [(place, value)]
    while waiting:
        where, each = waiting.pop()
        if isinstance(each, dict):
            waiting += [
                (f"{where}.{key}" if where else key, inner)
                for key, inner in each.items()
                if key not in _NAMES and not (where.endswith(".image") and key in _JUDGED)
            ]
        elif isinstance(each, list):
            waiting += [(f"{where}[{number}]", inner) for number, inner in enumerate(each)]
        elif isinstance(each, str):
            text, whole = traces.look_at(each, variables)
            if text or not whole:
                yield by, where, text, whole


def _decoded(container: WireContainer) -> dict[str, Any]:
    raws = {
        "env": container.env,
        "command": container.command,
        "args": container.args,
        "lifecycle": container.lifecycle,
    }
    return {"name": container.name} | {key: msgspec.json.decode(raw) for key, raw in raws.items()}
