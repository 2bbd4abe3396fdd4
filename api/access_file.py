"""The form of the access file: `{"keys": [{"id", "subject", "sha256"}]}` in YAML or JSON, and the guard rails."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from api.guard_rails import SECTIONS, GuardRails, GuardRailsError, guard_rails

_ID = re.compile(r"[a-z2-7]{8}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_SUBJECT = 200


class AccessFileError(ValueError):
    """The file cannot be used; the message is one line that says where and why."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret: `sha256` is the digest of the whole token in hex."""

    id: str
    subject: str
    sha256: str


def read_keys(path: Path) -> Mapping[str, Key]:
    """Return the keys by id. Raises AccessFileError."""
    return read_access(path)[0]


def read_access(path: Path) -> tuple[Mapping[str, Key], GuardRails]:
    """Return the keys by id, and the guard rails. Raises AccessFileError."""
    document = _document(path)
    try:
        rails = guard_rails(document)
    except GuardRailsError as error:
        raise AccessFileError(f"{path}: {error}") from error
    return _keys(path, document), rails


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise AccessFileError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise AccessFileError(f"{path} is neither YAML nor JSON") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or set(document) - {"keys", *SECTIONS}:
        known = ", ".join(repr(name) for name in SECTIONS)
        raise AccessFileError(f"{path} must hold a list 'keys', and besides it only {known}")
    return document


def _keys(path: Path, document: Mapping[str, Any]) -> Mapping[str, Key]:
    entries = document.get("keys") or []
    if not isinstance(entries, list):
        raise AccessFileError(f"{path}: 'keys' must be a list")
    found: dict[str, Key] = {}
    for number, entry in enumerate(entries, start=1):
        key = _key(entry, f"{path}: key {number}")
        if key.id in found:
            raise AccessFileError(f"{path}: key {number} has the id of another one")
        found[key.id] = key
    return found


def _key(entry: Any, place: str) -> Key:
    # An unknown member could be meant to narrow what the key may do: better refused than ignored.
    if not isinstance(entry, dict) or set(entry) != {"id", "subject", "sha256"}:
        raise AccessFileError(f"{place} must have 'id', 'subject' and 'sha256', and nothing else")
    if not _ID.fullmatch(str(entry["id"])):
        raise AccessFileError(f"{place} has an 'id' that is not the 8 characters after 'rmd_'")
    subject = entry["subject"]
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT:
        raise AccessFileError(f"{place} has no 'subject' of up to {_MAX_SUBJECT} characters")
    if not subject.isprintable():
        raise AccessFileError(f"{place} has a 'subject' with control characters")
    if not _SHA256.fullmatch(str(entry["sha256"]).lower()):
        raise AccessFileError(f"{place} has a 'sha256' that is not 64 hexadecimal digits")
    return Key(str(entry["id"]), subject, str(entry["sha256"]).lower())
