"""An OpenID Connect issuer: its keys, the address where it shows them, and tokens, honest and forged."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example.com/realms/ops"
AUDIENCE = "remediator"


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the private key of a name: the same each time."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return a private key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key(name: str) -> ed25519.Ed25519PrivateKey:
    """Return a private key for EdDSA."""
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    """Return the public half of a key as an entry of a key set."""
    kinds: dict[Any, Any] = {
        rsa.RSAPrivateKey: RSAAlgorithm,
        ec.EllipticCurvePrivateKey: ECAlgorithm,
        ed25519.Ed25519PrivateKey: OKPAlgorithm,
    }
    algorithm = next(found for kind, found in kinds.items() if isinstance(key, kind))
    entry = json.loads(algorithm.to_jwk(key.public_key()))
    return {**entry, **({"kid": kid} if kid else {}), "use": "sig", **more}


def claims(**more: Any) -> dict[str, Any]:
    """Return what an honest token claims; a value of None leaves the claim out."""
    now = int(time.time())
    all_of_them = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "mia",
        "groups": ["sre"],
        "iat": now,
        "exp": now + 300,
        **more,
    }
    return {name: value for name, value in all_of_them.items() if value is not None}


def token(
    key: Any = None,
    algorithm: str = "RS256",
    kid: str | None = "one",
    headers: dict[str, Any] | None = None,
    **more: Any,
) -> str:
    """Return a signed token."""
    named = {"kid": kid} if kid is not None else {}
    signer = rsa_key("one") if key is None else key
    return jwt.encode(claims(**more), signer, algorithm, headers={**named, **(headers or {})})


def part(value: dict[str, Any] | str) -> str:
    """Return a part of a token, of an object or of JSON as it stands."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def signed(header: dict[str, Any] | str, payload: dict[str, Any] | str) -> str:
    """Return a token of any header and payload, rightly signed by the issuer's key."""
    stem = f"{part(header)}.{part(payload)}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(stem.encode(), rsa_key("one"))
    return f"{stem}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def symmetric(secret: bytes, **header: Any) -> str:
    """Return a token whose signature is a MAC with some bytes that everybody knows."""
    stem = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'one', **header})}.{part(claims())}"
    mac = hmac.new(secret, stem.encode(), hashlib.sha256).digest()
    return f"{stem}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def pem(key: Any) -> bytes:
    """Return the public half of a key as everybody can have it."""
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


class KeyServer:
    """Shows a key set; `status` and `body` are what it answers with, `asked` counts."""

    def __init__(self) -> None:
        self.status = 200
        self.entries: list[dict[str, Any]] = [jwk(rsa_key("one"), "one")]
        self.body: bytes | None = None
        self.location: str | None = None
        self.asked = 0
        self.url = ""


@contextmanager
def key_server() -> Iterator[KeyServer]:
    """Serve a key set on this machine."""
    shown = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.asked += 1
            body = shown.body
            if body is None:
                body = json.dumps({"keys": shown.entries}).encode()
            self.send_response(shown.status)
            if shown.location:
                self.send_header("Location", shown.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shown.url = f"http://127.0.0.1:{server.server_port}/keys"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
