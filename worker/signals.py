"""Metadata from the wire to what tells of drift; on the way of every ServiceAccount, so most cost nothing."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import msgspec

from remediation.docker_config import SECRET_KEY
from remediation.drift.keeper import Reference
from remediation.drift.signals import LAST_APPLIED, QUIET, Described, Manager, Signals, signals_of
from remediation.footprint import Holder


class WireManager(msgspec.Struct, gc=False):
    """An entry of managedFields; what it owns stays text until somebody asks."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    time: str = ""
    fieldsV1: msgspec.Raw = msgspec.Raw(b"{}")

    def owns(self, *path: str) -> bool:
        """Tell whether a field of the object is among those that it owns."""
        if f'"{path[-1]}"'.encode() not in bytes(self.fieldsV1):  # almost always, and much cheaper
            return False
        owned = msgspec.json.decode(self.fieldsV1)
        for key in path:
            owned = owned.get(key) if isinstance(owned, dict) else None
        return owned is not None


class Owning(Protocol):
    """An owner reference."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def controller(self) -> bool | None: ...


class Owned(Protocol):
    """Metadata that tells what owns an object."""

    @property
    def ownerReferences(self) -> Sequence[Owning] | None: ...


class Managed(Owned, Protocol):
    """Metadata that tells whose an object is."""

    @property
    def labels(self) -> Mapping[str, str] | None: ...
    @property
    def annotations(self) -> Mapping[str, str] | None: ...
    @property
    def managedFields(self) -> Sequence[WireManager] | None: ...


def account_signals(meta: Managed) -> Signals:
    """Return what tells who writes a ServiceAccount's list again."""
    if not (meta.managedFields or meta.labels or meta.annotations or meta.ownerReferences):
        return QUIET
    managers = _managers(meta, "f:imagePullSecrets", times=False)
    return signals_of(_described(meta), managers, secret=False)


def secret_signals(meta: Managed, key: str = SECRET_KEY) -> Signals:
    """Return what tells who writes a Secret's content again."""
    return signals_of(
        _described(meta), _managers(meta, "f:data", f"f:{key}", times=True), secret=True
    )


def manifest_content(meta: Managed, key: str = SECRET_KEY) -> bytes | None:
    """Return the content that the manifest of client-side apply gives a Secret, None if there is none."""
    text = (meta.annotations or {}).get(LAST_APPLIED)
    if text is None:
        return None
    with suppress(ValueError, binascii.Error, AttributeError, TypeError):
        manifest = msgspec.json.decode(text)
        plain = (manifest.get("stringData") or {}).get(key)
        if plain is not None:
            return str(plain).encode()
        encoded = (manifest.get("data") or {}).get(key)
        return None if encoded is None else base64.b64decode(encoded, validate=True)
    return None


def references(meta: Owned) -> tuple[Reference, ...]:
    """Return the owner references of an object."""
    return tuple(
        Reference(owner.kind, owner.name, bool(owner.controller))
        for owner in meta.ownerReferences or ()
    )


def _described(meta: Managed) -> Described:
    return Described(meta.labels or {}, meta.annotations or {}, references(meta))


def _managers(meta: Managed, *path: str, times: bool) -> Iterator[Manager]:
    """Yield who manages the object; of our own writes always when, of others' if `times` are asked for."""
    for entry in meta.managedFields or ():
        if not entry.subresource:
            holder = Holder(entry.manager, entry.operation)
            owns = entry.owns(*path)
            told = times or (owns and holder.ours)
            yield Manager(holder, owns, _moment(entry.time) if told else None)


def _moment(text: str) -> datetime | None:
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    return None
