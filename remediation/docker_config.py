"""Registry logins as Kubernetes stores them, read as the kubelet reads them.

A `.dockerconfigjson` is `{"auths": {key: {"username", "password", "auth"}}}`. One malformed entry makes the
kubelet fail every pull of every pod that names the Secret, and the API server accepts it; so it is checked here.
Source of the rules: k8s.io/kubernetes/pkg/credentialprovider (config.go, keyring.go).
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from remediation.registry_key import (
    DOCKER_HUB_HOST,
    DOCKER_HUB_KEY,
    effective_key,
    matches,
)

SECRET_TYPE = "kubernetes.io/dockerconfigjson"
SECRET_KEY = ".dockerconfigjson"

_QUARTET = "[A-Za-z0-9+/]"
_BASE64 = re.compile(
    rf"(?:{_QUARTET}{{4}})*(?:{_QUARTET}{{2}}(?:==)?|{_QUARTET}{{3}}=?)?"  # padding is optional but whole
)
# No login is nested like that. Without a bound one Secret could exhaust the stack of whoever reads it.
_MAX_DEPTH = 64
_SURROGATE = re.compile("[\ud800-\udfff]")
_HUB_KEYS = (DOCKER_HUB_HOST, DOCKER_HUB_KEY)
_HUB_SPELLINGS = (
    "docker.io",
    "https://docker.io",
    "https://docker.io/v1/",
    "https://docker.io/v2/",
)
_WHITESPACE = b" \t\r\n"


class InvalidCredential(ValueError):
    """A login that the kubelet could not use. The message never holds any part of the content."""


@dataclass(frozen=True, slots=True)
class Login:
    """What is sent to a registry."""

    username: str
    password: str = field(repr=False)

    @property
    def sendable(self) -> bool:
        """Whether a node can hand it on: JSON can say halves of characters that UTF-8 cannot, and so can base64."""
        return not any("\ud800" <= char <= "\udfff" for char in self.username + self.password)


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """A readable `.dockerconfigjson`: the document as it stands, and its logins in order as (key, login)."""

    document: Mapping[str, Any] = field(repr=False)
    logins: tuple[tuple[str, Login], ...] = field(repr=False)

    def by_repository(self) -> dict[str, list[Login]]:
        """Return the logins by effective key: several spellings of one registry share an entry."""
        found: dict[str, list[Login]] = {}
        for key, login in self.logins:
            if effective := effective_key(key):
                found.setdefault(effective, []).append(login)
        return found


def parse_docker_config(content: bytes) -> DockerConfig:
    """Read a `.dockerconfigjson` as the kubelet does. Raises InvalidCredential where the kubelet gives up."""
    document = _load(content, _Object)
    return DockerConfig(document, _logins(_auths(document)))


def kubelet_logins(content: bytes, *, legacy: bool = False) -> tuple[tuple[str, Login], ...]:
    """Return the logins as (key, login) that the kubelet reads out of a Secret, whatever is in it.

    It forgives what nobody should write: bytes that are not UTF-8, and `null` for a document. `legacy` is for
    `.dockercfg`, which is what stands under `auths` elsewhere. Raises InvalidCredential where the kubelet gives up.
    """
    if content.strip(_WHITESPACE) == b"null":
        return ()
    text = _SURROGATE.sub("\ufffd", content.decode(errors="surrogateescape"))
    document = _load(text.encode(), _replaced)
    return _logins(_members(document) if legacy else _auths(document))


def holds(existing: DockerConfig, wanted: DockerConfig) -> bool:
    """Tell whether a pull with `existing` gets the logins of `wanted` and no others for the same registry keys."""
    present, ours = existing.by_repository(), wanted.by_repository()
    hub = _hub_logins(ours)
    if hub and set(hub) != set(_hub_logins(present)):
        return False
    return all(
        (hub and key in _HUB_KEYS) or (present.get(key) and set(present[key]) == set(logins))
        for key, logins in ours.items()
    )


def merge(existing: DockerConfig, wanted: DockerConfig) -> bytes:
    """Return `existing` with the registry keys of `wanted` replaced and everything else as it was.

    Both keys of Docker Hub are one registry. The kubelet looks at `index.docker.io` only where no other key matches, so
    that the login is written under `docker.io` too where their keys for parts of Docker Hub, or globs, stay.
    """
    own = wanted.by_repository()
    hub = _hub_logins(own)
    replaced = {*own, *(_HUB_KEYS if hub else ())}
    theirs = {
        key: entry for key, entry in _auths(existing.document) if effective_key(key) not in replaced
    }
    logins = dict(wanted.logins)
    if hub and DOCKER_HUB_HOST not in own and any(map(_before_hub, theirs)):
        logins |= dict(zip(_HUB_SPELLINGS, hub, strict=False))
    document = {k: v for k, v in existing.document.items() if k.lower() != "auths"}
    return _encode(document | {"auths": theirs | _entries(logins)})


def _hub_logins(logins: Mapping[str, list[Login]]) -> list[Login]:
    """Return the logins that images of Docker Hub get whatever their path is; none where other keys come first."""
    if DOCKER_HUB_HOST in logins:
        return logins[DOCKER_HUB_HOST]
    return [] if any(map(_before_hub, logins)) else logins.get(DOCKER_HUB_KEY, [])


def _before_hub(key: str) -> bool:
    """Tell whether a key matches images of Docker Hub, so that `index.docker.io` is not looked at for them."""
    return matches((effective_key(key) or "").partition("/")[0], DOCKER_HUB_HOST)


def written(logins: Mapping[str, Login]) -> bytes:
    """Return a `.dockerconfigjson` with these logins by registry key, the same bytes for the same logins."""
    return _encode({"auths": _entries(logins)})


def _entries(logins: Mapping[str, Login]) -> dict[str, dict[str, str]]:
    return {
        key: {
            "username": login.username,
            "password": login.password,
            "auth": base64.b64encode(f"{login.username}:{login.password}".encode()).decode(),
        }
        for key, login in logins.items()
    }


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _login(entry: object) -> Login:
    if entry is None:
        return Login("", "")
    if not isinstance(entry, dict):
        raise InvalidCredential("has an entry under 'auths' that is not an object")
    texts = {name: _text(entry, name) for name in ("username", "password", "email", "auth")}
    if texts["auth"]:  # wins over username and password
        return _decode_auth(texts["auth"])
    return Login(texts["username"], texts["password"])


def _decode_auth(auth: str) -> Login:
    # As Go does: line breaks are skipped, nothing else is forgiven.
    text = auth.replace("\r", "").replace("\n", "")
    if not _BASE64.fullmatch(text):
        raise InvalidCredential("has an 'auth' that is not base64")
    decoded = base64.b64decode(text + "=" * (-len(text) % 4))
    # What is not UTF-8 stays distinguishable, so that two such passwords are never taken for one.
    username, colon, password = decoded.decode(errors="surrogateescape").partition(":")
    if not colon:
        raise InvalidCredential("has an 'auth' that is not 'user:password' in base64")
    return Login(username, password)


def _load(
    content: bytes, hook: Callable[[Iterable[tuple[str, Any]]], "_Object"]
) -> Mapping[str, Any]:
    try:
        document = json.loads(content.decode(), parse_constant=_no_constant, object_pairs_hook=hook)
    except ValueError:
        raise InvalidCredential("is not JSON") from None
    except RecursionError:
        raise InvalidCredential("is nested too deeply") from None
    if not isinstance(document, dict):
        raise InvalidCredential("is not a JSON object")
    if _deeper_than(_MAX_DEPTH, document):
        raise InvalidCredential("is nested too deeply")
    return document


class _Object(dict[str, Any]):
    """A JSON object that also knows the members that a later one of the same name replaced: Go looks at all of them."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        self.pairs = tuple(pairs)
        super().__init__(self.pairs)


def _replaced(pairs: Iterable[tuple[str, Any]]) -> _Object:
    """Make an object without halves of characters, which Go replaces."""
    return _Object(
        (
            _SURROGATE.sub("\ufffd", key),
            _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value,
        )
        for key, value in pairs
    )


def _logins(entries: Iterable[tuple[str, Any]]) -> tuple[tuple[str, Login], ...]:
    return tuple({key: _login(entry) for key, entry in entries}.items())


def _auths(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the entries, those of several `auths` one after the other."""
    entries: list[tuple[str, Any]] = []
    for auths in _spellings(document, "auths"):
        if auths is None:  # forgotten, once they were read
            _logins(entries)
            entries = []
        elif not isinstance(auths, dict):
            raise InvalidCredential("'auths' is not an object")
        else:
            entries += _members(auths)
    for headers in _spellings(document, "httpheaders"):
        if headers is not None and not (isinstance(headers, dict) and _are_texts(headers)):
            raise InvalidCredential("'HttpHeaders' is not an object of strings")
    return entries


def _are_texts(headers: Mapping[str, Any]) -> bool:
    return all(value is None or isinstance(value, str) for _, value in _members(headers))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _deeper_than(levels: int, value: object) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper_than(levels - 1, child) for child in children)


def _text(entry: Mapping[str, Any], name: str) -> str:
    """Return a member as Go's decoder finds it: letter case does not count, the last one wins, null is no value."""
    text = ""
    for value in _spellings(entry, name):
        if value is not None and not isinstance(value, str):
            raise InvalidCredential(f"has an entry whose '{name}' is not a string")
        text = text if value is None else value
    return text


def _spellings(document: Mapping[str, Any], name: str) -> Iterator[Any]:
    # Two other letters count as "s" and "k" where letter case does not.
    return (
        value
        for key, value in _members(document)
        if key.replace("\u017f", "s").replace("\u212a", "k").lower() == name
    )


def _members(document: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    return document.pairs if isinstance(document, _Object) else document.items()
