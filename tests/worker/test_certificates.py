"""A client certificate that runs out in the middle of a run: the plugin is asked again, and the run goes on.

The server is a stand-in: it takes one certificate for as long as the test says, which a real one cannot be told.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from worker.faults import Call, Fault
from worker.kubeconfigs import Context, load
from worker.session import Session, open_session

CALL = Call("list", "namespaces")
OK = {"kind": "NamespaceList", "items": []}
REFUSAL = {"kind": "Status", "code": 401, "reason": "Unauthorized", "message": "x509: expired"}


@dataclass
class Authority:
    """Somebody who signs certificates."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def certify(self, name: str, *, own: bool = False) -> tuple[str, str]:
        """Return a certificate and its key as PEM; `own` is that of the authority itself."""
        key = self.key if own else ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
                critical=False,
            )
        )
        signed = builder.sign(self.key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return signed.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


@dataclass
class Server:
    """What answers as a cluster: only who shows a certificate with a name in `takes` is let in."""

    url: str = ""
    takes: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            shown = self.connection.getpeercert()
            name = dict(part[0] for part in (shown or {}).get("subject", ()))["commonName"]
            state.seen.append(name)
            body = json.dumps(OK if name in state.takes else REFUSAL).encode()
            self.send_response(200 if name in state.takes else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    certificate, key = authority.certify("server")
    ca, _ = authority.certify("authority", own=True)
    (tmp_path / "ca.pem").write_text(ca)
    (tmp_path / "server.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.socket = context.wrap_socket(http.socket, server_side=True)
    state.url = f"https://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def context(tmp_path: Path, server: Server, authority: Authority) -> Context:
    """Return a context whose plugin gives the certificate 'first' once, and 'second' from then on."""
    for name in ("first", "second"):
        certificate, key = authority.certify(name)
        status = {"clientCertificateData": certificate, "clientKeyData": key}
        answer = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": status,
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(answer))
    plugin = tmp_path / "plugin"
    plugin.write_text(
        f"#!/bin/sh\ncd '{tmp_path}'\necho x >> runs\n"
        "if test $(wc -l < runs) = 1; then cat first.json; else cat second.json; fi\n"
    )
    plugin.chmod(0o755)
    document = {
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": server.url,
                    "certificate-authority": str(tmp_path / "ca.pem"),
                },
            }
        ],
        "users": [
            {
                "name": "u",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "command": "./plugin",
                        "interactiveMode": "Never",
                    }
                },
            }
        ],
        "contexts": [{"name": "it", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "config").write_text(json.dumps(document))
    contexts = load((tmp_path / "config",), ("*",), ("*",))
    assert not contexts.broken
    return contexts.usable["it"]


def test_a_certificate_that_ran_out_is_renewed_in_the_middle_of_a_run(
    tmp_path: Path, server: Server, context: Context
) -> None:
    async def use(session: Session) -> None:
        server.takes = {"first"}
        await session.get("/api/v1/namespaces", CALL)
        server.takes = {"second"}
        await asyncio.gather(*(session.get("/api/v1/namespaces", CALL) for _ in range(8)))

    async def main() -> None:
        async with open_session(context, "test", 4) as session:
            await use(session)

    asyncio.run(main())

    assert server.seen[0] == "first"
    assert server.seen[-1] == "second"
    assert (tmp_path / "runs").read_text() == "x\nx\n"  # once for all that were refused


def test_a_certificate_that_nobody_takes_is_not_asked_for_again_and_again(
    tmp_path: Path, server: Server, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.renewal.REST_SECONDS", 3600)
    monkeypatch.setattr("worker.renewal._PAUSES", (0.0,))

    async def main() -> None:
        async with open_session(context, "test", 4) as session:
            for _ in range(5):
                with pytest.raises(Fault, match="401"):
                    await session.get("/api/v1/namespaces", CALL)

    asyncio.run(main())

    assert (tmp_path / "runs").read_text() == "x\nx\n"


def test_no_private_key_stays_on_disk(
    tmp_path: Path, server: Server, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    server.takes = {"second"}

    async def main() -> None:
        async with open_session(context, "test", 4) as session:
            await session.get("/api/v1/namespaces", CALL)
            assert list(folder.iterdir()) == []

    asyncio.run(main())

    assert list(folder.iterdir()) == []
