"""Real registries in every mode, the token server beside them, and servers that are up to no good."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import re
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import bcrypt
import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controlplane.build import binaries
from controlplane.image import MANIFEST_TYPE, Image, digest, tiny_image
from controlplane.process import Process, wait_for

MANIFEST = MANIFEST_TYPE
_OCTETS = ("Content-Type", "application/octet-stream")
_KEY_ID = "lab"
SERVICE = "lab-registry"
ISSUER = "lab-issuer"


@dataclass
class Lab:
    """A folder in which registries are started; all of them on the same images."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    @contextmanager
    def registry(
        self, *, tls: Tls | None = None, readonly: bool = False, **auth: Any
    ) -> Iterator[str]:
        """Run the registry with an `auth` section; the value is its `host:port`."""
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "images")},
                "maintenance": {"readonly": {"enabled": readonly}},
            },
            "http": {"addr": "127.0.0.1:0", "secret": "lab"},
            "health": {"storagedriver": {"enabled": False}},
        }
        if auth:
            config["auth"] = auth
        if tls:
            config["http"]["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
        with self.serve(config) as host:
            yield host

    @contextmanager
    def serve(self, config: Mapping[str, Any]) -> Iterator[str]:
        """Run the registry with this configuration; the value is its `host:port`."""
        directory = self.folder / f"registry-{next(self._numbers)}"
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(config))
        command = [str(binaries("registry")["registry"]), "serve", "config.json"]
        process = Process.start("registry", command, directory)
        try:
            wait_for(lambda: _port(process.log) is not None, "the registry", [process])
            yield f"127.0.0.1:{_port(process.log)}"
        finally:
            process.stop()

    def htpasswd(self, **logins: str) -> dict[str, Any]:
        """Return the `auth` section for passwords."""
        path = self.folder / f"htpasswd-{next(self._numbers)}"
        path.write_text(
            "".join(
                f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
                for user, password in logins.items()
            )
        )
        return {"htpasswd": {"realm": "lab", "path": str(path)}}


IMAGE = tiny_image("lab")


def served(path: str, image: Image = IMAGE) -> Reply:
    """Answer as a registry that has the image under every name and tag."""
    last = path.partition("?")[0].rpartition("/")[2]
    if "/blobs/" in path:
        found = [blob for blob in image.blobs if digest(blob) == last]
        return Reply(200, [_OCTETS], found[0]) if found else Reply(404)
    headers = [("Content-Type", image.media_type), ("Docker-Content-Digest", image.digest)]
    return Reply(200, headers, image.manifest)


def push(host: str, repository: str, tag: str = "1.0") -> str:
    """Push a tiny image to an open registry; return its digest."""
    with httpx.Client(base_url=f"http://{host}", trust_env=False, timeout=60) as client:
        for blob in IMAGE.blobs:
            place = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
            url = httpx.URL(place).copy_merge_params({"digest": digest(blob)})
            client.put(url, content=blob).raise_for_status()
        answer = client.put(
            f"/v2/{repository}/manifests/{tag}",
            content=IMAGE.manifest,
            headers={"Content-Type": IMAGE.media_type},
        )
        answer.raise_for_status()
        return str(answer.headers["Docker-Content-Digest"])


@dataclass(frozen=True)
class Tls:
    """A certificate for loopback, and the private CA it is from."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Tls:
        """Make all three."""
        ca_key, key = (
            ec.generate_private_key(ec.SECP256R1()),
            ec.generate_private_key(ec.SECP256R1()),
        )
        name = _name("lab CA")
        ca = _certificate(name, name, ca_key.public_key(), ca_key, is_ca=True)
        leaf = _certificate(_name("lab"), name, key.public_key(), ca_key, is_ca=False)
        made = cls(folder / "ca.pem", folder / "tls.pem", folder / "tls.key")
        made.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        made.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made


@dataclass(frozen=True)
class Request:
    """What a server got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def everything(self) -> str:
        """All of it as text, decoded base64 included."""
        parts = [self.path, self.body.decode(errors="replace"), *map(str, self.headers.values())]
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            parts.append(base64.b64decode(value).decode(errors="replace"))
        return "\n".join(parts)


@dataclass(frozen=True)
class Reply:
    """What a server answers; `seconds` is the pause within the body."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    seconds: float = 0.0


class Server:
    """A web server on loopback that answers as it is told and keeps what it got."""

    def __init__(self, answer: Callable[[Request], Reply], tls: Tls | None = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign] # who asks may go
        self.scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_ciphers("DEFAULT:@SECLEVEL=0")  # any certificate may be shown
            context.load_cert_chain(tls.certificate, tls.key)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
            self.scheme = "https"
        self.host = f"127.0.0.1:{self._http.server_address[1]}"
        self.url = f"{self.scheme}://{self.host}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join(30)
        self._http.server_close()

    def saw(self, secret: str) -> bool:
        """Tell whether the secret reached this server in any form."""
        return any(secret in request.everything for request in self.requests)

    def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _do(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                request = Request(
                    self.command, self.path, dict(self.headers), self.rfile.read(length)
                )
                server.requests.append(request)
                reply = server.answer(request)
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if self.command != "HEAD":
                    try:
                        half = len(reply.body) // 2
                        self.wfile.write(reply.body[:half])
                        self.wfile.flush()
                        time.sleep(reply.seconds)
                        self.wfile.write(reply.body[half:])
                    except OSError:  # whoever asked had enough
                        self.close_connection = True

            do_GET = do_HEAD = do_POST = _do

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@dataclass
class TokenServer:
    """The token endpoint of the distribution specification, with the faults that real ones have.

    `rights` are the repositories of each user, `public` those of everybody. `post_status` refuses the password grant,
    `checks` says whether passwords are looked at, `claims` are put into every token.
    """

    folder: Path
    passwords: Mapping[str, str]
    rights: Mapping[str, Sequence[str]]
    public: Sequence[str] = ()
    post_status: int | None = None
    checks: bool = True
    anonymous_with_wrong_password: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self._jwks = self.folder / f"jwks-{uuid.uuid4().hex}.json"
        self._jwks.write_text(json.dumps({"keys": [jwk | {"kid": _KEY_ID, "alg": "ES256"}]}))

    def auth(self, realm: str) -> dict[str, Any]:
        """Return the `auth` section of a registry that trusts this server."""
        return {
            "token": {
                "realm": realm,
                "service": SERVICE,
                "issuer": ISSUER,
                "jwks": str(self._jwks),
            }
        }

    def answer(self, request: Request) -> Reply:
        """Answer as the server."""
        if request.method == "POST":
            if self.post_status:
                return Reply(self.post_status, body=b'{"errors":[{"code":"UNSUPPORTED"}]}')
            query = parse_qs(request.body.decode())
            login = (query["username"][0], query["password"][0])
        else:
            query = parse_qs(urlsplit(request.path).query)
            login = _basic(request.headers.get("Authorization", ""))
        user = login[0]
        if user and self.checks and self.passwords.get(user) != login[1]:
            if not (self.anonymous_with_wrong_password and "scope" in query):
                return Reply(
                    401, body=b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}'
                )
            user = ""
        allowed = [*self.public, *(self.rights.get(user, ()) if user else ())]
        access = [
            {"type": "repository", "name": name, "actions": ["pull"]}
            for scope in query.get("scope", ())
            for part in scope.split()
            if (name := part.split(":")[1]) in allowed
        ]
        token = self._token(user, access)
        # Nodes read the one after a GET and the other after a POST.
        return Reply(body=json.dumps({"token": token, "access_token": token}).encode())

    def _token(self, user: str, access: Sequence[Mapping[str, Any]]) -> str:
        claims = {"iss": ISSUER, "aud": SERVICE, "sub": user, "exp": int(time.time()) + 300}
        return jwt.encode(
            claims | {"access": list(access)} | dict(self.claims),
            self._key,
            algorithm="ES256",
            headers={"kid": _KEY_ID},
        )


def _basic(header: str) -> tuple[str, str]:
    scheme, _, value = header.partition(" ")
    if scheme != "Basic":
        return "", ""
    user, _, password = base64.b64decode(value).decode().partition(":")
    return user, password


def _port(log: Path) -> int | None:
    found = re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text(errors="replace"))
    return int(found[1]) if found else None


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(signer, hashes.SHA256())
