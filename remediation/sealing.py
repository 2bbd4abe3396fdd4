"""Sealing keys as text, and what is sealed with them: the API seals with the public half, workers open with the other.

Only the forms are here; the cryptography (NaCl sealed boxes) is at the edges, so that neither side can do the other's
part.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from enum import StrEnum

from remediation.docker_config import Login
from remediation.request import InlineCredential

KEY_BYTES = 32
_ID_LENGTH = 8
_FINGERPRINT_LENGTH = 16
_FINGERPRINT_PURPOSE = b"remediator credential fingerprint"
_BLOCK = 512  # sealed values are as long as a multiple of this: their length says nothing of the password's


class SealingKeyError(ValueError):
    """A file of keys that cannot be used; the message holds nothing of its content."""


class SealedValueError(ValueError):
    """A sealed login that cannot be used; the message holds nothing of its content."""


class KeyKind(StrEnum):
    """Which half of a pair; a key says so itself, so that the API is never given the private one by mistake."""

    PRIVATE = "rmd-sealing-private-key"
    PUBLIC = "rmd-sealing-public-key"


@dataclass(frozen=True, slots=True)
class InlineLogin:
    """A registry login that came in a request."""

    registry: str
    login: Login

    @property
    def recorded(self) -> InlineCredential:
        """What is kept of it in the open."""
        return InlineCredential(self.registry, self.login.username)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed login: `key` is the id of the public key it was sealed with, `box` the ciphertext."""

    key: str
    box: bytes = field(repr=False)

    def to_text(self) -> str:
        """Return the form that is stored."""
        return f"{self.key}:{base64.b64encode(self.box).decode()}"

    @classmethod
    def from_text(cls, text: str) -> "Sealed":
        """Read what `to_text` wrote. Raises SealedValueError."""
        key, _, box = text.partition(":")
        try:
            return cls(key, base64.b64decode(box, validate=True))
        except ValueError:
            raise SealedValueError("the sealed login is damaged") from None


def format_key(kind: KeyKind, key: bytes) -> str:
    """Return a key as one line of a key file."""
    return f"{kind}:{base64.b64encode(key).decode()}\n"


def parse_keys(kind: KeyKind, text: str) -> tuple[bytes, ...]:
    """Return the keys of a key file, one a line; blank lines and those that begin with '#' count for nothing.

    Raises SealingKeyError if there is none, or one of the other kind.
    """
    lines = [line.strip() for line in text.splitlines()]
    keys = tuple(_parse_key(kind, line) for line in lines if line and not line.startswith("#"))
    if not keys:
        raise SealingKeyError(f"holds no key; it needs a line '{kind}:…'")
    return keys


def key_id(public_key: bytes) -> str:
    """Return what a pair is called; it tells nothing of the private key."""
    return hashlib.sha256(public_key).hexdigest()[:_ID_LENGTH]


def fingerprint(private_key: bytes, content: bytes) -> str:
    """Return a keyed hash of a credential's content: the same for all workers with this key, a riddle to all others.

    Without a key a hash would let whoever reads it try passwords until one fits.
    """
    own = hmac.digest(private_key, _FINGERPRINT_PURPOSE, "sha256")
    return hmac.digest(own, content, "sha256").hex()[:_FINGERPRINT_LENGTH]


def pack(remediation_id: str, inline: InlineLogin) -> bytes:
    """Return what is sealed: the login, bound to its remediation."""
    document = {
        "remediation": remediation_id,
        "registry": inline.registry,
        "username": inline.login.username,
        "password": inline.login.password,
    }
    packed = json.dumps(document).encode()
    return packed.ljust(-(-len(packed) // _BLOCK) * _BLOCK)


def unpack(packed: bytes, remediation_id: str, recorded: InlineCredential) -> InlineLogin:
    """Read what `pack` wrote. Raises SealedValueError unless it was sealed for this remediation and this request."""
    try:
        document = json.loads(packed)
        found = InlineLogin(
            str(document["registry"]), Login(str(document["username"]), str(document["password"]))
        )
        owner = document["remediation"]
    except (ValueError, TypeError, KeyError):
        raise SealedValueError("the sealed login is damaged") from None
    if owner != remediation_id or found.recorded != recorded:
        raise SealedValueError("the sealed login belongs to another request")
    return found


def _parse_key(kind: KeyKind, line: str) -> bytes:
    name, _, text = line.partition(":")
    if name != kind and name in list(KeyKind):
        raise SealingKeyError(f"holds a '{name}' where a '{kind}' belongs")
    try:
        key = base64.b64decode(text, validate=True) if name == kind else b""
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SealingKeyError(
            f"has a line that is no sealing key; one is '{kind}:' and {KEY_BYTES} bytes in base64"
        )
    return key
