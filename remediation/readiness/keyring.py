"""Which logins the kubelet tries for an image, and in which order: its credential lookup, in pure Python.

Rules: pkg/credentialprovider of Kubernetes 1.36. A Go program around that package judges generated cases, and the tests
compare every answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from remediation.docker_config import SECRET_TYPE, InvalidCredential, Login, kubelet_logins
from remediation.registry_key import DOCKER_HUB_KEY, effective_key, is_docker_hub, matches

LEGACY_TYPE = "kubernetes.io/dockercfg"


class SecretState(StrEnum):
    """What the kubelet makes of a Secret that a pod names."""

    READ = "read"
    IGNORED = "ignored"  # another type, or empty: as if it were not named
    MALFORMED = "malformed"  # the pod can pull nothing at all, whatever else it names
    ABSENT = "absent"
    UNREADABLE = "unreadable"  # to us; the kubelet may read it


@dataclass(frozen=True, slots=True)
class KeyedLogins:
    """A Secret as the kubelet reads it: its logins by effective key, in order; `problem` says what is malformed.

    `going` says why it will soon be gone, "" if it stays.
    """

    state: SecretState
    logins: tuple[tuple[str, Login], ...] = field(default=(), repr=False)
    problem: str = ""
    immutable: bool = False
    going: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A login that is tried: `secret` counts the pod's Secrets from 0, `key` is the effective key."""

    secret: int
    key: str
    login: Login = field(repr=False)


def read_secret(type_: str, content: bytes | None, *, immutable: bool = False) -> KeyedLogins:
    """Read a Secret of some type; `content` is its data under the key of that type."""
    if type_ not in (SECRET_TYPE, LEGACY_TYPE) or not content:
        return KeyedLogins(SecretState.IGNORED, immutable=immutable)
    try:
        logins = kubelet_logins(content, legacy=type_ == LEGACY_TYPE)
    except InvalidCredential as error:
        return KeyedLogins(SecretState.MALFORMED, problem=str(error), immutable=immutable)
    keyed = ((effective_key(key), login) for key, login in logins)
    return KeyedLogins(
        SecretState.READ, tuple((key, login) for key, login in keyed if key), immutable=immutable
    )


def lookup(secrets: Sequence[KeyedLogins], repository: str) -> tuple[Match, ...]:
    """Return the logins for a repository (`host/path`) in the order in which they are tried.

    A malformed Secret among them has to be looked for before: with one, the kubelet looks nothing up.
    """
    every = [
        Match(number, key, login)
        for number, secret in enumerate(secrets)
        for key, login in secret.logins
    ]
    found = [match for match in every if matches(match.key, repository)]
    if not found and is_docker_hub(repository):
        found = [match for match in every if match.key == DOCKER_HUB_KEY]
    # Longer keys come first only because the order is the reverse of the alphabet's; byte by byte, as Go sorts.
    return tuple(sorted(found, key=_bytes_of_key, reverse=True))


def _bytes_of_key(match: Match) -> bytes:
    return match.key.encode(errors="surrogateescape")
