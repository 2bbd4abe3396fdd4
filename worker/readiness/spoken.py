"""Pod specs that name the registry where no image is: in variables, arguments and commands, and in volumes of drivers.

An operator is told so which images the pods have that it makes (RELATED_IMAGE_…); a CSI driver so which it mounts.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from remediation.readiness.observation import WORKLOAD_KINDS, By, Mention, Owner
from worker.readiness.texts import MOST_TEXTS
from worker.readiness.traces import Traces
from worker.readiness.wire_pod import WireContainer, WirePod, WirePodSpec


def spoken_of_pod(pod: WirePod, traces: Traces) -> Iterator[Mention]:
    """Yield what a pod says that no template that is read says already; pods of one controller say the same."""
    owner = pod.metadata.maker
    if owner is None or owner.kind not in WORKLOAD_KINDS:
        about = owner or Owner("Pod", pod.metadata.name)
        yield from spoken(pod.metadata.namespace, about, pod.spec, traces, from_pod=True)


def spoken(
    namespace: str, owner: Owner, spec: WirePodSpec, traces: Traces, *, from_pod: bool = False
) -> Iterator[Mention]:
    """Yield where a pod spec names the registry besides its images."""
    found = (
        Mention(
            namespace, owner.kind, owner.name, where, text, owner.group, by=by, from_pod=from_pod
        )
        for by, where, text in _named(spec, traces)
    )
    yield from islice(found, MOST_TEXTS)


def _named(spec: WirePodSpec, traces: Traces) -> Iterator[tuple[By, str, str]]:
    for container in (*(spec.initContainers or ()), *(spec.containers or ())):
        for where, value in _said(container, traces):
            if text := traces.in_text(value):
                yield By.TEXT, f"{where} of container {container.name}", text
    for volume in spec.volumes or ():
        if traces.may_stand_in(bytes(volume.csi)):
            for key, value in (
                msgspec.json.decode(volume.csi).get("volumeAttributes") or {}
            ).items():
                if text := traces.in_text(str(value)):
                    yield By.VOLUME, f"volumes.{volume.name}.csi.volumeAttributes.{key}", text


def _said(container: WireContainer, traces: Traces) -> Iterator[tuple[str, str]]:
    # Most say nothing of it: their bytes alone tell.
    if traces.may_stand_in(bytes(container.env)):
        variables: list[dict[str, Any]] = msgspec.json.decode(container.env) or []
        for variable in variables:
            yield f"env {variable.get('name', '')}", str(variable.get("value") or "")
    for part, raw in (("command", container.command), ("args", container.args)):
        if traces.may_stand_in(bytes(raw)):
            words = [str(word) for word in msgspec.json.decode(raw) or ()]
            # The flag before a value says what it is.
            for before, word in zip(["", *words], words, strict=False):
                flag = before if before.startswith("-") and "=" not in before else ""
                yield f"{part} {flag}".strip(), word
