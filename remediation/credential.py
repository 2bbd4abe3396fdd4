"""Credentials: named registry logins that workers hold, made only of what could pull something."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from remediation.docker_config import (
    DockerConfig,
    InvalidCredential,
    Login,
    parse_docker_config,
    written,
)
from remediation.registry_key import effective_key

_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_REGISTRY = re.compile(
    rf"(?:https?://)?({_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9a-f:]+\])(?::([0-9]{{1,5}}))?"
    r"(?:/[a-z0-9._/-]*)?"
)
_MAX_PORT = 65535


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


def credential_from_docker_config(name: str, content: bytes) -> Credential:
    """Make a credential of a mounted `.dockerconfigjson`. Raises InvalidCredential for what could not pull anything."""
    config = parse_docker_config(content)
    if not config.logins:
        raise InvalidCredential("has no registry under 'auths'")
    for key, login in config.logins:
        if not (key.isascii() and effective_key(key)):
            raise InvalidCredential("has a registry key that is no host name")
        _check_login(login)
    return _credential(name, dict(config.logins))


def credential_from_login(name: str, registry: str, login: Login) -> Credential:
    """Make a credential for one registry. Raises InvalidCredential."""
    try:
        check_registry(registry)
    except InvalidCredential as error:  # said of the credential, not of the field of a request
        raise InvalidCredential(f"has a registry that {error}") from None
    _check_login(login)
    for what, check, text in (
        ("user name", check_username, login.username),
        ("password", check_password, login.password),
    ):
        try:
            check(text)
        except InvalidCredential as error:
            raise InvalidCredential(f"has a {what} that {error}") from None
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


def check_username(text: str) -> str:
    """Return a user name. Raises InvalidCredential for one that cannot be sent to a registry."""
    if ":" in text:
        raise InvalidCredential("must not hold a ':', which cannot be sent to a registry")
    if set(text) & {"\r", "\n"}:
        raise InvalidCredential("must not hold a line break")
    return text


def check_password(text: str) -> str:
    """Return a password. Raises InvalidCredential for one line that ends with a line break: the password of a file.

    A key of several lines, as Google's `_json_key` has, may end with one.
    """
    kept = text.rstrip("\r\n")
    if kept != text and not set(kept) & {"\r", "\n"}:
        raise InvalidCredential("must not end with a line break, which would be a part of it")
    return text


def _credential(name: str, logins: Mapping[str, Login]) -> Credential:
    content = written(logins)
    return Credential(name, parse_docker_config(content), content)


def _check_login(login: Login) -> None:
    if not login.username:
        raise InvalidCredential(
            "has an entry without a user name (identity tokens are not used by the kubelet)"
        )
    if ":" in login.username:
        raise InvalidCredential("has a user name with a ':', which cannot be sent to a registry")
    if not login.password:
        raise InvalidCredential("has an entry without a password")
    if not login.sendable:
        raise InvalidCredential("has a user name or password that is not UTF-8")
