"""Certificates of every shape, for what is trusted and what is not."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Any

    @classmethod
    def make(
        cls,
        name: str,
        issuer: Issued | None = None,
        *,
        ca: bool | None = None,
        names: bool = True,
        hosts: Sequence[str] = ("localhost",),
        days: int = 1,
        bits: int | None = None,
        client_only: bool = False,
    ) -> Issued:
        """Make one. `ca` None leaves the basic constraints out, `names` False the alternative names; `days` before 0
        means that it ran out; `bits` are those of an RSA key.
        """
        key: Any = (
            rsa.generate_private_key(65537, bits)
            if bits
            else ec.generate_private_key(ec.SECP256R1())
        )
        signer = issuer.key if issuer else key
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(issuer.certificate.subject if issuer else _name(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
        )
        if ca is not None:
            builder = builder.add_extension(
                x509.BasicConstraints(ca=ca, path_length=None), critical=True
            )
        if names:
            alternative = [*map(x509.DNSName, hosts), x509.IPAddress(ip_address("127.0.0.1"))]
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternative), critical=False
            )
        if client_only:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
            builder = builder.add_extension(usage, critical=False)
        return cls(builder.sign(signer, hashes.SHA256()), key)

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, folder: Path, chain: Sequence[Issued] = ()) -> Shown:
        """Write what a server shows: this certificate and the chain behind it."""
        folder.mkdir(parents=True, exist_ok=True)
        shown = Shown(folder / "shown.pem", folder / "shown.key")
        shown.certificate.write_bytes(self.pem + b"".join(each.pem for each in chain))
        shown.key.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return shown


@dataclass(frozen=True)
class Shown:
    """The files of a server."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return the server's side; what it shows may be weaker than it would show by itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(self.certificate, self.key)
        return context


def refusal(client: ssl.SSLContext, server: ssl.SSLContext, host: str = "localhost") -> str | None:
    """Shake hands in memory; return why the client refuses, None if it trusts the server."""
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(one, other, server_hostname=host)
    answers = server.wrap_bio(other, one, server_side=True)
    done: set[str] = set()
    for _ in range(10):
        for side, end in (("client", asks), ("server", answers)):
            try:
                end.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                return str(error)
        if len(done) == 2:
            return None
    raise AssertionError("the handshake does not end")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
