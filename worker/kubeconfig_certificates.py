"""Certificates and keys of a kubeconfig as Go reads them, in a form that OpenSSL cannot misread."""

import ssl
from base64 import b64encode
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from cryptography.x509 import load_der_x509_certificate

from network.pem import Block, blocks
from network.trust import NoCertificates, usable

_CERTIFICATE = "CERTIFICATE"
_KEY = "PRIVATE KEY"
_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class BadMaterial(Exception):
    """A certificate or a key cannot be used; the message is safe to show and names no field."""


@lru_cache(maxsize=1024)  # the contexts of a file often have one
def authorities(data: bytes) -> str:
    """Return, as PEM, the certificates in `data` that Go takes for anchors: it passes over everything else.

    Raises BadMaterial if there is none.
    """
    try:
        found = usable(data)
    except NoCertificates:
        raise BadMaterial(f"is not a PEM certificate{_what_it_is(data)}") from None
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in found)


def identity(certificate: bytes, key: bytes) -> tuple[str, str]:
    """Return a client's certificates and its key as PEM. Raises BadMaterial."""
    chain = [block.content for block in blocks(certificate) if block.type == _CERTIFICATE]
    if not chain:
        raise BadMaterial(
            f"the client certificate is not a PEM certificate{_what_it_is(certificate)}"
        )
    try:
        leaf = load_der_x509_certificate(chain[0]).public_key()
        own = leaf.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadMaterial("the client certificate cannot be read") from None
    private = _private_key(key)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public != own:
        raise BadMaterial("the client key is not the key of the client certificate")
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in chain), pem.decode()


def _private_key(data: bytes) -> _PrivateKey:
    block = next((block for block in blocks(data) if _is_key(block)), None)
    if block is None:
        raise BadMaterial(f"the client key is not a private key in PEM{_what_it_is(data)}")
    if block.type.startswith("ENCRYPTED") or "ENCRYPTED" in block.headers.get("Proc-Type", ""):
        raise BadMaterial(
            "the client key has a passphrase, which a service cannot ask for: store it without one "
            "(openssl pkey -in KEY -out NEW-KEY)"
        )
    try:
        key = load_der_private_key(block.content, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadMaterial("the client key cannot be read") from None
    if not isinstance(key, _PrivateKey):
        raise BadMaterial("the client key must be an RSA, ECDSA or Ed25519 key")
    return key


def _is_key(block: Block) -> bool:
    return block.type == _KEY or block.type.endswith(f" {_KEY}")


def _what_it_is(data: bytes) -> str:
    """Return a hint about data without a usable block, "" if there is none to give."""
    if data[:2] == b"\x30\x82":
        return ": it is DER (openssl x509 -inform der turns a certificate into PEM)"
    if data.lstrip()[:11] == b64encode(b"-----BEGIN ")[:11]:
        return ": it is base64 twice over"
    if b"-----BEGIN " in data and b"\n-----BEGIN " not in b"\n" + data:
        return ": its lines are indented"
    return ""
