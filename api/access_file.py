"""The access file: who may call, how callers are told apart, and what each may do where."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from marshmallow import ValidationError

from api.access_schema import AccessSchema
from api.guard_rails import GuardRails, GuardRailsError, guard_rails
from remediation.permission import Binding, Grant, Policy

_MOST_TOLD = 5
_MISSING = "Missing data for required field."
_SPEAKING = {
    _MISSING: "is missing",
    "Unknown field.": "is not known",
    "Field may not be null.": "must not be empty",
    "Invalid input type.": "must be an object",
    "Not a valid string.": "must be a string",
    "Not a valid list.": "must be a list",
}


class AccessFileError(ValueError):
    """The file cannot be used; the message is one line that says where and why."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret: `sha256` is the digest of the whole token in hex.

    `expires_at` None: never. `subject` is a plain name; `owner` is the subject of the person whose key it is, None if
    that was not said.
    """

    id: str
    subject: str
    sha256: str
    expires_at: datetime | None = None
    groups: tuple[str, ...] = ()
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """Whose JSON Web Tokens are taken; there is either `jwks_url` or `jwks_file`."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    jwks_url: str | None = None
    jwks_file: Path | None = None
    ca_file: Path | None = None
    subject_claim: str = "sub"
    groups_claim: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """The API server that is asked whose a ServiceAccount token is, and our own identity there."""

    audience: str
    server: str
    ca_file: Path
    token_file: Path


@dataclass(frozen=True, slots=True)
class AccessFile:
    """The content of an access file; `document` is all of it as it was written."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    oidc: Oidc | None = None
    kubernetes: Kubernetes | None = None
    rails: GuardRails = field(default_factory=GuardRails)
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lets_in(self) -> bool:
        """Tell whether there is any way in."""
        return bool(self.keys or self.oidc or self.kubernetes)


def read_access_file(path: Path) -> AccessFile:
    """Read and check an access file; files that it names are looked up beside it. Raises AccessFileError."""
    try:
        # A loader that is safe, and stricter.
        document = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506
    except OSError as error:
        raise AccessFileError(f"{path} cannot be read: {error.strerror}") from error
    except _DuplicateKey as error:
        raise AccessFileError(f"{path}: {error}") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise AccessFileError(f"{path} is neither YAML nor JSON") from error
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise AccessFileError(f"{path} must hold an object with 'keys', 'bindings' and so on")
    try:
        found = AccessSchema().load(document)
    except ValidationError as error:
        raise AccessFileError(f"{path}: {_told(error)}") from None
    try:
        rails = guard_rails(document)
    except GuardRailsError as error:
        raise AccessFileError(f"{path}: {error}") from None
    return _access_file(path, document, found, rails)


def _access_file(
    path: Path, document: dict[str, Any], found: dict[str, Any], rails: GuardRails
) -> AccessFile:
    keys: dict[str, Key] = {}
    for index, entry in enumerate(found["keys"]):
        key = Key(
            entry["id"],
            entry["subject"].removeprefix("client:"),
            entry["sha256"].lower(),
            entry["expires_at"],
            tuple(entry["groups"]),
            entry["owner"],
        )
        if key.id in keys:
            raise AccessFileError(f"{path}: keys[{index}].id is that of another key")
        keys[key.id] = key
    oidc, kubernetes = found.get("oidc"), found.get("kubernetes")
    return AccessFile(
        keys,
        Policy(tuple(map(_binding, found["bindings"])), rails.protected_clusters),
        Oidc(**_with_paths(oidc, path.parent)) if oidc else None,
        Kubernetes(**_with_paths(kubernetes, path.parent)) if kubernetes else None,
        rails,
        document,
    )


def _binding(entry: dict[str, Any]) -> Binding:
    lists = {name: tuple(entry[name]) for name in ("clusters", "namespaces", "credentials")}
    return Binding(tuple(entry["subjects"]), Grant(role=entry["role"], **lists))


def _with_paths(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {name: _typed(name, value, folder) for name, value in entry.items()}


def _typed(name: str, value: Any, folder: Path) -> Any:
    if name.endswith("_file"):
        return folder / value
    return tuple(value) if isinstance(value, list) else value


def _told(error: ValidationError) -> str:
    """Return everything that is wrong in one line, each with its place."""
    lines = list(_lines(error.messages, ""))
    more = f"; and {len(lines) - _MOST_TOLD} more" if len(lines) > _MOST_TOLD else ""
    return "; ".join(lines[:_MOST_TOLD]) + more


def _lines(messages: Any, place: str) -> Iterator[str]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _lines(inner, _inside(place, name))
    else:
        for text in messages:
            yield f"{place or 'the file'} {_SPEAKING.get(text, text)}"


def _inside(place: str, name: Any) -> str:
    if name == "_schema":
        return place
    if isinstance(name, int):
        return f"{place}[{name}]"
    return f"{place}.{name}" if place else str(name)


class _DuplicateKey(ValueError):
    """A member is there twice; which of the two would count is anybody's guess."""


class _Loader(yaml.SafeLoader):
    """YAML without repeated members."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Make a mapping. Raises _DuplicateKey."""
        seen: set[str] = set()
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode):
                continue  # which cannot be a member's name, as is said later
            if name.value in seen:
                line = name.start_mark.line + 1
                raise _DuplicateKey(f"'{name.value}' is there twice (line {line})")
            seen.add(name.value)
        return super().construct_mapping(node, deep)
