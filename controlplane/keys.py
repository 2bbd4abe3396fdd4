"""The key an API server signs ServiceAccount tokens with."""

from __future__ import annotations

import base64
import secrets

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P256_OID = bytes.fromhex("06082a8648ce3d030107")


def signing_key() -> str:
    """Return a fresh P-256 private key as PEM.

    The form (RFC 5915) may leave out the public key, which the reader works out: so a random
    number is all it takes, and no cryptography package.
    """
    number = (1 + secrets.randbelow(_P256_ORDER - 1)).to_bytes(32, "big")
    fields = b"\x02\x01\x01" + b"\x04\x20" + number + b"\xa0" + _sized(_P256_OID)
    encoded = base64.encodebytes(b"\x30" + _sized(fields)).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{encoded}-----END EC PRIVATE KEY-----\n"


def _sized(content: bytes) -> bytes:
    return bytes([len(content)]) + content
