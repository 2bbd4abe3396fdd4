"""What a tool's own record on an object wants: it applies that again, whatever stands there now.

A workload at zero, or suspended, that somebody scaled by hand has pods again after the next apply: of the manifest in
an annotation, or of a server-side applier that lost the field to the hand.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from remediation.drift.signals import (
    ARGO,
    CONFIG_SYNC,
    CROSSPLANE,
    FLEET,
    FLUX,
    KAPP,
    LAST_APPLIED,
)
from remediation.footprint import OUR_MANAGER
from remediation.readiness.observation import Waker, Wakes

_KAPP_ORIGINAL = "kapp.k14s.io/original"
_RANCHER_APPLIED = "objectset.rio.cattle.io/applied"
# Command lines and consoles; a browser names itself so.
_HANDS = ("oc", "k9s", "Mozilla")
# How the managers begin, in lower case, as which tools that deploy write.
_WRITERS = {
    ARGO: ("argocd",),
    FLUX: ("kustomize-controller", "helm-controller", "flux"),
    FLEET: ("fleet", "rancher"),
    CROSSPLANE: ("crossplane", "apiextensions.crossplane.io"),
    KAPP: ("kapp",),
    CONFIG_SYNC: ("configsync", "config-sync", "reconciler", "kpt"),
    "OLM": ("olm", "catalog", "operator-lifecycle-manager"),
    "Helm": ("helm", "terraform", "hashicorp"),
    "kubectl": ("kubectl",),
}
_SUSPENDED_KINDS = ("CronJob", "Job")
_MOST_BYTES = 1_000_000
_GZIP = 31  # wbits of zlib


@dataclass(frozen=True, slots=True)
class Applier:
    """An entry of managedFields: whether it owns the pod template, and the field that holds the pods back."""

    manager: str
    applies: bool
    template: bool
    switch: bool


def switch_of(kind: str) -> str:
    """Return the field of the spec that has a workload want no pods."""
    return "suspend" if kind in _SUSPENDED_KINDS else "replicas"


def waker_by_manifest(
    kind: str,
    annotations: Mapping[str, str],
    appliers: Iterable[Applier],
    tools: Iterable[str] = (),
) -> Waker | None:
    """Return who has the workload want pods again with its next apply, None where no record says so.

    `tools` are those that deploy it, as its labels and annotations say.
    """
    for by, text in _records(annotations):
        if wanted := _wanted(kind, text):
            return Waker(f"{by} wants {wanted}, which the next apply restores", Wakes.MAYBE)
    known = tuple(appliers)
    field = switch_of(kind)
    for each in known:
        if each.switch and not each.template and not _by_hand(each.manager):
            told = f"{each.manager or 'a manager without a name'} wrote its spec.{field} and nothing else of its spec"
            return Waker(f"{told}: what put it to sleep may wake it", Wakes.MAYBE)
    for tool in tools:
        if not deploys_so(tool, known):
            told = f"{tool} deploys it, and did not write the spec.{field} that stands there"
            return Waker(f"{told}: its next sync may restore another", Wakes.MAYBE)
    if any(each.applies and each.switch for each in known):
        return None  # what stands there is what that applier wants
    for each in known:
        if each.applies and each.template and each.manager != OUR_MANAGER:
            what = f"{each.manager} applies it and does not own its spec.{field}"
            return Waker(
                f"{what}: if its manifest has the field, the next apply restores it", Wakes.MAYBE
            )
    return None


def deploys_so(tool: str, appliers: Iterable[Applier]) -> bool:
    """Tell whether a tool that deploys a workload wrote the field that holds its pods back, with the template."""
    return any(writes_as(tool, manager) for manager in writers_of(appliers))


def writers_of(appliers: Iterable[Applier]) -> frozenset[str]:
    """Return the managers that wrote the template and the field that holds its pods back."""
    return frozenset(each.manager for each in appliers if each.switch and each.template)


def writes_as(tool: str, manager: str) -> bool:
    """Tell whether a tool that deploys writes as a manager."""
    names = next((names for name, names in _WRITERS.items() if tool.startswith(name)), ())
    return manager.lower().startswith(names)


def _by_hand(manager: str) -> bool:
    """Tell whether a manager is the tool of a person, or this service."""
    return manager.startswith("kubectl") or manager in (*_HANDS, OUR_MANAGER)


def _records(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if LAST_APPLIED in annotations:
        yield "the manifest that kubectl apply left on it", annotations[LAST_APPLIED]
    if _KAPP_ORIGINAL in annotations:
        yield "the manifest that kapp left on it", annotations[_KAPP_ORIGINAL]
    if _RANCHER_APPLIED in annotations:
        yield "the manifest that Rancher left on it", _unpacked(annotations[_RANCHER_APPLIED])


def _unpacked(text: str) -> str:
    """Return the manifest in an annotation of Rancher: JSON, or gzip in base64."""
    if text.lstrip().startswith("{"):
        return text
    try:
        packed = base64.b64decode(text, validate=True)
        return zlib.decompressobj(_GZIP).decompress(packed, _MOST_BYTES).decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        return ""


def _wanted(kind: str, text: str) -> str:
    """Return what a manifest wants, "" for no pods or where it does not say."""
    field = switch_of(kind)
    if f'"{field}"' not in text:
        return ""
    try:
        manifest = json.loads(text)
    except ValueError:
        return ""
    spec = manifest.get("spec") if isinstance(manifest, dict) else None
    value: Any = spec.get(field) if isinstance(spec, dict) else None
    if field == "suspend":
        return "it to run (suspend: false)" if value is False else ""
    some = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return f"{value} replicas" if some else ""
