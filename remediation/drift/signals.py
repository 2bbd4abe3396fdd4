"""What of an object's metadata tells who writes its list, or its content, again."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from remediation.drift.keeper import Reference, keeper_of
from remediation.footprint import Holder

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ARGO = "Argo CD"
FLUX = "Flux"
FLEET = "Rancher Fleet"
CROSSPLANE = "Crossplane"
KAPP = "kapp"
CONFIG_SYNC = "Config Sync"
_ARGO_OPTIONS = "argocd.argoproj.io/sync-options"
_ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
_ARGO_LABEL = "argocd.argoproj.io/instance"
_BY_LABEL = {
    "kustomize.toolkit.fluxcd.io/name": FLUX,
    "helm.toolkit.fluxcd.io/name": FLUX,
    "objectset.rio.cattle.io/hash": FLEET,
    "fleet.cattle.io/bundle-id": FLEET,
    "olm.owner": "OLM",
    "olm.managed": "OLM",
    "crossplane.io/composite": CROSSPLANE,
    "kapp.k14s.io/app": KAPP,
    "applyset.kubernetes.io/part-of": "kubectl apply --applyset",
}
_BY_ANNOTATION = {
    "objectset.rio.cattle.io/id": FLEET,
    "fleet.cattle.io/bundle-id": FLEET,
    "configmanagement.gke.io/managed": CONFIG_SYNC,
}
_BY_OWNER = {"ClusterServiceVersion": "OLM"}


@dataclass(frozen=True, slots=True)
class Manager:
    """An entry of managedFields; `owns` tells whether the list, or the content, is its own."""

    holder: Holder
    owns: bool
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Signals:
    """What tells of an object who writes it again.

    `owners` own the list or the content now, `appliers` are all others with server-side apply. `written_at` is when
    we wrote it, if it is ours. `others_at` is when each other manager wrote last. `annotated` tells that a client-side
    apply left its manifest; `named` are the names of the manifest's imagePullSecrets, None where it has no such field.
    `tools` are what the object's labels and annotations say, `keeper` what makes a Secret, `controller` what controls.
    """

    owners: tuple[Holder, ...] = ()
    appliers: tuple[str, ...] = ()
    written_at: datetime | None = None
    others_at: tuple[tuple[str, datetime], ...] = ()
    annotated: bool = False
    named: tuple[str, ...] | None = None
    tools: tuple[str, ...] = ()
    argo_replaces: bool = False
    controller: str = ""
    keeper: str = ""

    @property
    def argo(self) -> bool:
        """Tell whether Argo CD manages the object."""
        return ARGO in self.tools or any(name.startswith("argocd") for name in self.appliers)

    @property
    def applied_by(self) -> frozenset[str]:
        """The managers whose own applied value is what stands there."""
        return frozenset(holder.manager for holder in self.owners if holder.applies)


QUIET = Signals()


@dataclass(frozen=True, slots=True)
class Described:
    """The metadata of an object that is looked at; `manifest` is the annotation of client-side apply."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[Reference, ...] = ()


def signals_of(described: Described, managers: Iterable[Manager], *, secret: bool) -> Signals:
    """Reduce an object's metadata; most objects tell nothing, and share one value."""
    known = tuple(managers)
    owners = tuple(manager.holder for manager in known if manager.owns)
    annotations = described.annotations
    text = annotations.get(LAST_APPLIED)
    options = annotations.get(_ARGO_OPTIONS, "").replace(" ", "").split(",")
    found = Signals(
        owners,
        tuple(
            manager.holder.manager
            for manager in known
            if manager.holder.applies and not manager.owns
        ),
        max(
            (each.at for each in known if each.owns and each.holder.ours and each.at), default=None
        ),
        tuple((each.holder.manager, each.at) for each in known if each.at and not each.holder.ours)
        if secret
        else (),
        text is not None,
        None if secret or text is None else named_in(text),
        tuple(dict.fromkeys(tools_of(described))),
        "Replace=true" in options or "Force=true" in options,
        next((f"{each.kind} {each.name}" for each in described.owners if each.controller), ""),
        keeper_of(described.labels, annotations, described.owners) if secret else "",
    )
    return QUIET if found == QUIET else found


def named_in(manifest: str) -> tuple[str, ...] | None:
    """Return the names of a manifest's imagePullSecrets, None where it does not have the field."""
    if '"imagePullSecrets"' not in manifest:
        return None
    try:
        document = json.loads(manifest)
    except ValueError:
        return None
    if not isinstance(document, dict) or "imagePullSecrets" not in document:
        return None
    listed = document["imagePullSecrets"]
    entries: list[Any] = listed if isinstance(listed, list) else []
    return tuple(str(each.get("name", "")) for each in entries if isinstance(each, dict))


def tools_of(described: Described) -> Iterator[str]:
    """Yield the tools that an object's labels, annotations and owners name as those that deploy it."""
    labels, annotations = described.labels, described.annotations
    if _ARGO_TRACKING in annotations or _ARGO_LABEL in labels:
        yield ARGO
    yield from (tool for key, tool in _BY_LABEL.items() if key in labels)
    yield from (tool for key, tool in _BY_ANNOTATION.items() if key in annotations)
    yield from (_BY_OWNER[each.kind] for each in described.owners if each.kind in _BY_OWNER)
    release = annotations.get("meta.helm.sh/release-name")
    if release and labels.get("app.kubernetes.io/managed-by") == "Helm":
        yield f"Helm release {release}"
