"""What certificate an API server shows, and whether it is trusted once it is pinned."""

import hashlib
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from urllib.parse import unquote, urlsplit

from cryptography import x509

from network.trust import as_go

_SECONDS = 10.0
_LOOKS = (
    6  # behind one address there may be several API servers, each with a certificate of its own
)
_HTTPS = 443
_HTTP = 80


class Unreachable(Exception):
    """There is no TLS connection to the server; the message is safe to show."""


class NotTrusted(Exception):
    """The certificate is not trusted, and why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an API server is: its URL, the proxy on the way to it, and the name it is to be known by."""

    server: str
    proxy: str | None
    name: str | None = None

    @property
    def known_as(self) -> str:
        """The name that has to be in its certificate."""
        return (self.name or urlsplit(self.server).hostname or "").removesuffix(".")


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate that a server shows."""

    der: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 as OpenSSL writes it."""
        digest = hashlib.sha256(self.der).hexdigest().upper()
        return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))

    @property
    def names(self) -> tuple[str, ...]:
        """The names and addresses that it is for."""
        try:
            found = self._certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            ).value
        except (x509.ExtensionNotFound, ValueError):
            return ()
        addresses = map(str, found.get_values_for_type(x509.IPAddress))
        return tuple(dict.fromkeys((*found.get_values_for_type(x509.DNSName), *addresses)))

    @property
    def described(self) -> tuple[tuple[str, str], ...]:
        """What there is to say of it, as pairs for people."""
        certificate = self._certificate
        return (
            ("subject", certificate.subject.rfc4514_string()),
            ("issuer", certificate.issuer.rfc4514_string()),
            ("valid until", certificate.not_valid_after_utc.isoformat().replace("+00:00", "Z")),
            ("names", ", ".join(self.names) or "none"),
            ("SHA-256", self.fingerprint),
        )

    def out_of_time(self, now: datetime) -> str | None:
        """Return why it does not count now, None if it does."""
        if now > self._certificate.not_valid_after_utc:
            return f"it ran out on {self._certificate.not_valid_after_utc:%Y-%m-%d}"
        if now < self._certificate.not_valid_before_utc:
            return f"it does not count before {self._certificate.not_valid_before_utc:%Y-%m-%d}"
        return None

    @property
    def _certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)


def shown_by(place: Place) -> tuple[Shown, ...]:
    """Return the certificates that the address shows, each once. Raises Unreachable."""
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    as_go(anyone)
    anyone.check_hostname = False
    anyone.verify_mode = ssl.CERT_NONE
    try:
        found = [_handshake(place, anyone) for _ in range(_LOOKS)]
    except ssl.SSLError as error:
        raise Unreachable(f"it does not speak TLS as expected ({error.reason})") from None
    return tuple(Shown(der) for der in dict.fromkeys(found))


def check_trust(place: Place, context: ssl.SSLContext) -> None:
    """Shake hands as the worker does. Raises NotTrusted and Unreachable."""
    try:
        for _ in range(_LOOKS):
            _handshake(place, context)
    except ssl.SSLCertVerificationError as error:
        raise NotTrusted(error.verify_message) from None
    except ssl.SSLError as error:
        raise NotTrusted(str(error.reason)) from None


def bundle(shown: Iterable[Shown]) -> str:
    """Return certificates as certificate-authority-data."""
    pem = "".join(ssl.DER_cert_to_PEM_cert(each.der) for each in shown)
    return b64encode(pem.encode()).decode()


def now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


def _handshake(place: Place, context: ssl.SSLContext) -> bytes:
    """Return the certificate of one connection. Raises Unreachable and ssl.SSLError."""
    try:
        with (
            _connected(place) as raw,
            context.wrap_socket(raw, server_hostname=place.known_as) as connection,
        ):
            der = connection.getpeercert(binary_form=True)
    except ssl.SSLError:
        raise
    except TimeoutError:
        raise Unreachable(f"it did not answer within {_SECONDS:.0f} s") from None
    except OSError as error:
        why = error.strerror or str(error)  # of a proxy: "Tunnel connection failed: 407 …"
        raise Unreachable(f"it cannot be reached ({why})") from None
    except HTTPException as error:
        raise Unreachable(f"the proxy does not answer as one ({type(error).__name__})") from None
    if der is None:
        raise Unreachable("it shows no certificate")
    return der


def _connected(place: Place) -> socket.socket:
    parts = urlsplit(place.server)
    host, port = parts.hostname or "", parts.port or _HTTPS
    if place.proxy is None:
        return socket.create_connection((host, port), _SECONDS)
    return _through(place.proxy, host, port)


def _through(proxy: str, host: str, port: int) -> socket.socket:
    parts = urlsplit(proxy)
    if parts.scheme.lower() != "http":
        raise Unreachable("the way leads through an https:// proxy, which pinning does not support")
    headers = {}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Proxy-Authorization"] = f"Basic {b64encode(login).decode()}"
    way = HTTPConnection(parts.hostname or "", parts.port or _HTTP, timeout=_SECONDS)
    way.set_tunnel(host, port, headers)
    way.connect()
    connection: socket.socket = way.sock
    return connection
