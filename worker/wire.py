"""The parts of Kubernetes objects that are read, decoded straight from JSON into small structs."""

import base64
import binascii
from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from remediation.docker_config import SECRET_KEY
from remediation.footprint import Holder
from remediation.go_values import is_true
from remediation.state import (
    CREDENTIAL_ANNOTATION,
    EXCLUDE_ANNOTATION,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    REMEDIATION_ANNOTATION,
    Namespace,
    Secret,
    ServiceAccount,
)
from worker.signals import WireManager, account_signals, manifest_content, secret_signals

_ANNOTATION = ("f:metadata", "f:annotations")


def runtime_of(text: str) -> str:
    """Return the runtime in the id of a container or the version that a node tells, like "cri-o://…"; "" if none is."""
    name, found, _ = text.partition("://")
    return name if found else ""


class WireOwner(msgspec.Struct, gc=False):
    """An owner reference."""

    apiVersion: str = ""
    kind: str = ""
    name: str = ""
    controller: bool | None = None


class Meta(msgspec.Struct, gc=False):
    """Object metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creationTimestamp: str | None = None
    deletionTimestamp: str | None = None
    finalizers: list[str] | None = None


class OwnerMeta(Meta, gc=False):
    """Object metadata with what owns the object."""

    ownerReferences: list[WireOwner] | None = None


class OwnedMeta(Meta, gc=False):
    """Object metadata with what tells whose the object is."""

    managedFields: list[WireManager] | None = None
    ownerReferences: list[WireOwner] | None = None

    def holders(self, *path: str) -> tuple[Holder, ...]:
        """Return the managers that own a field of the object."""
        return tuple(
            Holder(entry.manager, entry.operation)
            for entry in self.managedFields or ()
            if not entry.subresource and entry.owns(*path)
        )


class ListMeta(msgspec.Struct, gc=False):
    """List metadata."""

    next: str = msgspec.field(name="continue", default="")
    resourceVersion: str = ""
    remainingItemCount: int | None = None


class WireStatus(msgspec.Struct, gc=False):
    """The phase of a namespace."""

    phase: str = ""


class WireNamespace(msgspec.Struct, gc=False):
    """A Namespace."""

    metadata: Meta
    status: WireStatus = msgspec.field(default_factory=WireStatus)

    def to_domain(self) -> Namespace:
        """Return what the domain wants to know."""
        annotations = self.metadata.annotations or {}
        return Namespace(
            self.metadata.name,
            self.metadata.labels or {},
            excluded=is_true(annotations.get(EXCLUDE_ANNOTATION)),
            terminating=self.status.phase == "Terminating" or bool(self.metadata.deletionTimestamp),
        )


class WireReference(msgspec.Struct, gc=False):
    """An entry of imagePullSecrets; the API server takes one without a name."""

    name: str = ""


class WireServiceAccount(msgspec.Struct, gc=False):
    """A ServiceAccount."""

    metadata: OwnedMeta
    imagePullSecrets: list[WireReference] | None = None

    def to_domain(self) -> ServiceAccount:
        """Return what the domain wants to know."""
        meta = self.metadata
        names = tuple(entry.name for entry in self.imagePullSecrets or ())
        signals = account_signals(meta)
        return ServiceAccount(
            meta.name,
            meta.uid,
            meta.resourceVersion,
            names,
            bool(meta.deletionTimestamp),
            signals.owners,
            signals,
        )


class WireSecret(msgspec.Struct, gc=False):
    """A Secret."""

    metadata: OwnedMeta
    type: str = "Opaque"
    data: dict[str, str] | None = None
    immutable: bool | None = None

    def to_domain(self) -> Secret:
        """Return what the domain wants to know."""
        meta = self.metadata
        signals = secret_signals(meta)
        return Secret(
            meta.uid,
            meta.resourceVersion,
            self.type,
            _decode((self.data or {}).get(SECRET_KEY, "")),
            ours=(meta.labels or {}).get(MANAGED_BY_LABEL) == MANAGED_BY,
            immutable=bool(self.immutable),
            remediation=(meta.annotations or {}).get(REMEDIATION_ANNOTATION, ""),
            holders=signals.owners,
            signals=signals,
            manifest=manifest_content(meta),
            keeper=signals.keeper,
            deleting=bool(meta.deletionTimestamp),
            finalizers=tuple(meta.finalizers or ()),
            credential=(meta.annotations or {}).get(CREDENTIAL_ANNOTATION, ""),
            remediation_holders=meta.holders(*_ANNOTATION, f"f:{REMEDIATION_ANNOTATION}"),
            credential_holders=meta.holders(*_ANNOTATION, f"f:{CREDENTIAL_ANNOTATION}"),
        )


_Item = TypeVar("_Item")


class Page(msgspec.Struct, Generic[_Item], gc=False):
    """A page of a list."""

    items: list[_Item]
    kind: str = ""
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)


class WireObject(msgspec.Struct, gc=False):
    """Any object, by its metadata."""

    metadata: Meta = msgspec.field(default_factory=Meta)


_OBJECT = msgspec.json.Decoder(WireObject)


def version_of(body: bytes) -> tuple[str, str] | None:
    """Return uid and resourceVersion of the object in an answer, None if it does not say them."""
    try:
        meta = _OBJECT.decode(body).metadata
    except msgspec.MsgspecError:
        return None
    return (meta.uid, meta.resourceVersion) if meta.uid and meta.resourceVersion else None


def deletion_of(body: bytes) -> tuple[str, ...] | None:
    """Return the finalizers of the object in an answer if it is being deleted, None if it is not, or not there."""
    try:
        meta = _OBJECT.decode(body).metadata
    except msgspec.MsgspecError:
        return None
    return tuple(meta.finalizers or ()) if meta.deletionTimestamp else None


def references(names: Iterable[str]) -> list[dict[str, str]]:
    """Return imagePullSecrets as they are written; an entry without a name stays one."""
    return [{"name": name} if name else {} for name in names]


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
