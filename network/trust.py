"""TLS that trusts what a Go program trusts, on every Python."""

import os
import ssl
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from network.pem import certificates

# The places of Go's crypto/x509 on Linux. The first file that can be read counts, and all folders.
_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")

# What Go offers for TLS 1.2. Level 1 takes RSA keys of 1024 bits as Go does, and no signatures with SHA-1.
_CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in (
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "CHACHA20-POLY1305",
        "AES128-SHA",
        "AES256-SHA",
    )
    for key in ("ECDSA", "RSA")
)


class NoCertificates(ValueError):
    """A text holds no certificate."""


def usable(pem: bytes) -> tuple[bytes, ...]:
    """Return the DER of the certificates in a bundle, what is none passed over. Raises NoCertificates if all is."""
    found = _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificates(pem))
    if not found:
        raise NoCertificates("it holds no PEM certificates")
    return found


def system_roots() -> tuple[bytes, ...]:
    """Return what Go takes for the system's certificates, SSL_CERT_FILE and SSL_CERT_DIR observed."""
    return tuple(dict.fromkeys(der for text in _system_texts() for der in certificates(text)))


def context(anchors: Iterable[bytes]) -> ssl.SSLContext:
    """Return a client's context that trusts these certificates (DER) and no other, by Go's rules.

    What is no certificate is passed over.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    as_go(made)
    _load(made, tuple(anchors))
    return made


def system_context(more: Iterable[bytes] = ()) -> ssl.SSLContext:
    """Return a client's context that trusts the system's certificates and some more."""
    return context((*system_roots(), *more))


def as_go(made: ssl.SSLContext) -> None:
    """Have a context judge as Go does.

    Every certificate that is trusted is an end of the chain, be it a root, an intermediate one or the server's own.
    The strict form that Python 3.13 asks for is not asked for, and the subject is not taken for the server's name.
    """
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    made.hostname_checks_common_name = False
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(f"{_CIPHERS}:@SECLEVEL=1")


def _system_texts() -> Iterator[bytes]:
    own_file, own_folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    for file in [own_file] if own_file else _FILES:
        with suppress(OSError, ValueError):
            yield Path(file).read_bytes()
            break
    for folder in own_folders.split(":") if own_folders else _FOLDERS:
        if folder:
            yield from _folder_texts(folder)


def _folder_texts(folder: str) -> Iterator[bytes]:
    try:
        # By name, and without the second names that c_rehash gives to its neighbours.
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (OSError, ValueError):
        return
    for entry in entries:
        with suppress(OSError):
            second_name = entry.is_symlink() and "/" not in os.readlink(entry.path)
            if entry.is_file() and not second_name:
                yield Path(entry.path).read_bytes()


def _load(made: ssl.SSLContext, found: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Have a context trust what of this is a certificate, and return it: one that is none does not cost the others."""
    if not found or _loads(made, b"".join(found)):
        return found
    return tuple(der for der in found if _loads(made, der))


def _loads(made: ssl.SSLContext, data: bytes) -> bool:
    try:
        made.load_verify_locations(cadata=data)
    except (ssl.SSLError, ValueError):
        return False
    return True
