"""Whether somebody will write a ServiceAccount's `imagePullSecrets` again and so take our entry away.

The list is atomic: who owns it in server-side apply, or names it in a manifest of client-side apply, replaces it whole.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from remediation.readiness.observation import DriftSignals, LastApplied, Owner

FIELD = "f:imagePullSecrets"
OUR_MANAGER = "remediator"
_OPENSHIFT = (
    "openshift.io/image-registry-pull-secrets"  # its controller keeps the entries of others
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
_ARGO_OPTIONS = "argocd.argoproj.io/sync-options"
_FLUX_LABELS = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")


class Certainty(StrEnum):
    """How sure it is that the entry will be taken away."""

    NONE = "none"
    POSSIBLE = "possible"  # if the manifest names the list, which cannot be seen from the object
    CERTAIN = "certain"


@dataclass(frozen=True, slots=True)
class Drift:
    """What will happen: `by` names the tool or manager, `when` the occasion, `remedy` what to change there."""

    certainty: Certainty = Certainty.NONE
    by: str = ""
    when: str = ""
    remedy: str = ""


_IN_GIT = "add the Secret's name to the manifest's imagePullSecrets, or take the field out of it"
_ARGO_REMEDY = (
    "add it to the manifest in Git, or set ignoreDifferences for /imagePullSecrets with"
    " RespectIgnoreDifferences=true"
)


def predict(signals: DriftSignals) -> Drift:
    """Say whether a ServiceAccount's list will be overwritten; the surest sign decides."""
    if signals.reverted_by:
        by = signals.reverted_by
        return Drift(Certainty.CERTAIN, by, "it has done so before", _IN_GIT)
    foreign = [name for name in signals.appliers if not name.startswith(_OPENSHIFT)]
    if foreign:
        when = "at its next reconciliation: it owns the list"
        return Drift(Certainty.CERTAIN, foreign[0], when, _ARGO_REMEDY if signals.argo else _IN_GIT)
    if signals.last_applied is LastApplied.MENTIONS:
        by = "Argo CD" if signals.argo else "kubectl apply"
        when = "at the next apply: the manifest names the list"
        return Drift(Certainty.CERTAIN, by, when, _ARGO_REMEDY if signals.argo else _IN_GIT)
    if signals.argo and signals.argo_replaces:
        return Drift(
            Certainty.CERTAIN, "Argo CD", "at the next sync: it replaces the object", _ARGO_REMEDY
        )
    return _possible(signals)


def _possible(signals: DriftSignals) -> Drift:
    # Our own write took the list from whoever owned it, so that afterwards only the tool itself can be seen.
    if signals.flux:
        return Drift(
            Certainty.POSSIBLE,
            "Flux",
            "at its next reconciliation, if the manifest names the list",
            _IN_GIT,
        )
    if signals.argo and signals.last_applied is LastApplied.ABSENT:
        return Drift(
            Certainty.POSSIBLE,
            "Argo CD",
            "at the next sync, if the manifest names the list",
            _ARGO_REMEDY,
        )
    if signals.helm_release:
        by = f"Helm release {signals.helm_release}"
        return Drift(
            Certainty.POSSIBLE, by, "at the next upgrade, if the chart names the list", _IN_GIT
        )
    if signals.controller:
        by = f"{signals.controller.kind} {signals.controller.name}"
        return Drift(
            Certainty.POSSIBLE, by, "whenever its operator writes the object again", _IN_GIT
        )
    return Drift()


def signals_of(metadata: Mapping[str, Any]) -> DriftSignals:
    """Reduce a ServiceAccount's metadata, as the API gives it, to what tells of drift."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    controllers = [
        Owner(owner.get("kind", ""), owner.get("name", ""))
        for owner in metadata.get("ownerReferences") or ()
        if owner.get("controller")
    ]
    helm = labels.get("app.kubernetes.io/managed-by") == "Helm"
    options = annotations.get(_ARGO_OPTIONS, "").replace(" ", "").split(",")
    return DriftSignals(
        tuple(_appliers(metadata)),
        _last_applied(annotations.get(_LAST_APPLIED)),
        _ARGO_TRACKING in annotations,
        "Replace=true" in options or "Force=true" in options,
        any(label in labels for label in _FLUX_LABELS),
        annotations.get("meta.helm.sh/release-name", "") if helm else "",
        controllers[0] if controllers else None,
    )


def _appliers(metadata: Mapping[str, Any]) -> Iterator[str]:
    for entry in metadata.get("managedFields") or ():
        applied = entry.get("operation") == "Apply" and not entry.get("subresource")
        manager = entry.get("manager", "")
        if applied and manager != OUR_MANAGER and FIELD in (entry.get("fieldsV1") or {}):
            yield manager


def _last_applied(annotation: str | None) -> LastApplied:
    if annotation is None:
        return LastApplied.ABSENT
    try:
        manifest = json.loads(annotation)
    except ValueError:
        return LastApplied.ABSENT
    mentions = isinstance(manifest, dict) and "imagePullSecrets" in manifest
    return LastApplied.MENTIONS if mentions else LastApplied.SILENT
