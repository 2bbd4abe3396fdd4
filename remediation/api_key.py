"""The form of an API key: `rmd_<id>_<secret>_<checksum>`.

The prefix and the checksum let secret scanners find a leaked key without false alarms; the service keeps
only the digest. A secret of 256 random bits needs no slow hash.
"""

import base64
import hashlib
import re
import zlib
from dataclasses import dataclass, field

PREFIX = "rmd_"
ENTROPY_BYTES = 40
_ID_BYTES = 8
_FORM = re.compile(PREFIX + r"([a-z2-7]{8})_([A-Za-z0-9_-]{43})_([0-9a-z]{6})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A fresh key: `id` is public, `token` is the secret a caller sends."""

    id: str
    token: str = field(repr=False)


def new_api_key(entropy: bytes) -> ApiKey:
    """Make a key of 40 random bytes. Raises ValueError for any other number."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"an API key is made of {ENTROPY_BYTES} random bytes, not {len(entropy)}")
    key_id = base64.b32encode(entropy[:_ID_BYTES]).decode().lower()[:_ID_BYTES]
    secret = base64.urlsafe_b64encode(entropy[_ID_BYTES:]).decode().rstrip("=")
    stem = f"{PREFIX}{key_id}_{secret}"
    return ApiKey(key_id, f"{stem}_{_checksum(stem)}")


def parse_api_key(token: str) -> str | None:
    """Return the id of a well-formed key, None if the form or the checksum is wrong."""
    found = _FORM.fullmatch(token)
    if not found or _checksum(token.rpartition("_")[0]) != found[3]:
        return None
    return found[1]


def digest(token: str) -> str:
    """Return what the service keeps of a token: its SHA-256 in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(stem: str) -> str:
    number = zlib.crc32(stem.encode())
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    for _ in range(6):
        number, rest = divmod(number, len(digits))
        text = digits[rest] + text
    return text
