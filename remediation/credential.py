"""Registry logins as Kubernetes stores them, judged by the kubelet's own rules.

A `.dockerconfigjson` is `{"auths": {key: {"username", "password", "auth"}}}`. One malformed entry makes the
kubelet fail every pull of every pod that names the Secret, and the API server accepts it; so it is checked here.
Source of the rules: k8s.io/kubernetes/pkg/credentialprovider (config.go, keyring.go).
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

SECRET_TYPE = "kubernetes.io/dockerconfigjson"
SECRET_KEY = ".dockerconfigjson"

_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_REGISTRY = re.compile(
    rf"(?:https?://)?({_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9a-f:]+\])(?::([0-9]{{1,5}}))?"
    r"(?:/[a-z0-9._/-]*)?"
)
_MAX_PORT = 65535
_PRINTABLE = re.compile(r"[!-~]+")
_QUARTET = "[A-Za-z0-9+/]"
_BASE64 = re.compile(
    rf"(?:{_QUARTET}{{4}})*(?:{_QUARTET}{{2}}(?:==)?|{_QUARTET}{{3}}=?)?"  # padding is optional but whole
)
# No login is nested like that. Without a bound one Secret could exhaust the stack of whoever reads it.
_MAX_DEPTH = 64


class InvalidCredential(ValueError):
    """A login that the kubelet could not use. The message never holds any part of the content."""


@dataclass(frozen=True, slots=True)
class Login:
    """What is sent to a registry."""

    username: str
    password: str = field(repr=False)


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


@dataclass(frozen=True, slots=True)
class Credential:
    """A named registry login that workers hold; `content` is what goes into every Secret, byte for byte the same.

    `shadow` is the address of the same registry as it will be when it has become private.
    """

    name: str
    config: DockerConfig = field(repr=False)
    content: bytes = field(repr=False)
    shadow: str | None = None

    @property
    def registries(self) -> tuple[str, ...]:
        """The registry keys, without secrets."""
        return tuple(key for key, _ in self.config.logins)

    @property
    def usernames(self) -> tuple[str, ...]:
        """The user names, each once, in order."""
        return tuple(dict.fromkeys(login.username for _, login in self.config.logins))


def parse_docker_config(content: bytes) -> DockerConfig:
    """Read a `.dockerconfigjson` as the kubelet does. Raises InvalidCredential where the kubelet gives up."""
    try:
        document = json.loads(content.decode(), parse_constant=_no_constant)
    except ValueError:
        raise InvalidCredential("is not JSON") from None
    except RecursionError:
        raise InvalidCredential("is nested too deeply") from None
    if not isinstance(document, dict):
        raise InvalidCredential("is not a JSON object")
    if _deeper_than(_MAX_DEPTH, document):
        raise InvalidCredential("is nested too deeply")
    return DockerConfig(
        document, tuple((key, _login(entry)) for key, entry in _auths(document).items())
    )


def credential_from_docker_config(name: str, content: bytes) -> Credential:
    """Make a credential of a mounted `.dockerconfigjson`. Raises InvalidCredential for what could not pull anything."""
    config = parse_docker_config(content)
    if not config.logins:
        raise InvalidCredential("has no registry under 'auths'")
    for key, login in config.logins:
        if not effective_key(key):
            raise InvalidCredential("has a registry key that is no host name")
        _check_login(login)
    return _credential(name, dict(config.logins))


def credential_from_login(name: str, registry: str, login: Login) -> Credential:
    """Make a credential for one registry. Raises InvalidCredential."""
    check_registry(registry)
    _check_login(login)
    return _credential(name, {registry: login})


def check_registry(text: str) -> str:
    """Return a registry key `host[:port][/path]`, which images are matched against literally.

    Raises InvalidCredential.
    """
    found = _REGISTRY.fullmatch(text)
    if found and (found[2] is None or 0 < int(found[2]) <= _MAX_PORT):
        return text
    if text.lower() != text:
        raise InvalidCredential(
            "must be in lower case: a registry with capital letters never matches an image"
        )
    raise InvalidCredential("must be a registry like 'registry.example.com[:port][/path]'")


def effective_key(key: str) -> str | None:
    """Return a registry key as the kubelet compares it, None if it cannot be read.

    The scheme does not count; `/v1/` and `/v2/` mean the host.
    """
    if not _PRINTABLE.fullmatch(key):  # urlsplit would drop what it does not like
        return None
    try:
        parsed = urlsplit(key if key.startswith(("https://", "http://")) else f"https://{key}")
    except ValueError:
        return None
    host = parsed.netloc.rpartition("@")[2]
    port = host.rpartition("]")[2].partition(":")[2]
    if port and not port.isdigit():
        return None
    path = parsed.path[3:] if parsed.path.startswith(("/v1/", "/v2/")) else parsed.path
    return host + (path if path != "/" else "") if host else None


def holds(existing: DockerConfig, wanted: DockerConfig) -> bool:
    """Tell whether a pull with `existing` gets the logins of `wanted` and no others for the same registry keys."""
    present = existing.by_repository()
    return all(
        present.get(key) and set(present[key]) == set(logins)
        for key, logins in wanted.by_repository().items()
    )


def merge(existing: DockerConfig, wanted: DockerConfig) -> bytes:
    """Return `existing` with the registry keys of `wanted` replaced and everything else as it was."""
    ours = set(wanted.by_repository())
    theirs = {
        key: entry
        for key, entry in _auths(existing.document).items()
        if effective_key(key) not in ours
    }
    document = {k: v for k, v in existing.document.items() if k.lower() != "auths"}
    return _encode(document | {"auths": theirs | _entries(dict(wanted.logins))})


def _credential(name: str, logins: Mapping[str, Login]) -> Credential:
    content = _encode({"auths": _entries(logins)})
    return Credential(name, parse_docker_config(content), content)


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


def _check_login(login: Login) -> None:
    if not login.username:
        raise InvalidCredential(
            "has an entry without a user name (identity tokens are not used by the kubelet)"
        )
    if ":" in login.username:
        raise InvalidCredential("has a user name with a ':', which cannot be sent to a registry")
    if not login.password:
        raise InvalidCredential("has an entry without a password")
    if not (_sendable(login.username) and _sendable(login.password)):
        raise InvalidCredential("has a user name or password that is not UTF-8")


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


def _sendable(text: str) -> bool:
    """Tell whether the text can be sent: JSON can say halves of characters that UTF-8 cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _auths(document: Mapping[str, Any]) -> Mapping[str, Any]:
    auths = _field(document, "auths")
    if auths is None:
        return {}
    if not isinstance(auths, dict):
        raise InvalidCredential("'auths' is not an object")
    return auths


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _deeper_than(levels: int, value: object) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper_than(levels - 1, child) for child in children)


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = _field(entry, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidCredential(f"has an entry whose '{name}' is not a string")
    return value


def _field(document: Mapping[str, Any], name: str) -> Any:
    """Return a member as Go's decoder finds it: letter case does not count, the last one wins."""
    return next(reversed(list(_spellings(document, name))), None)


def _spellings(document: Mapping[str, Any], name: str) -> Iterator[Any]:
    return (value for key, value in document.items() if key.lower() == name)
