"""Pulls as a node makes them, from the real registry and from one that misbehaves."""

from __future__ import annotations

import os
import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controlplane.image import MANIFEST_TYPE, digest, index_of, push, tiny_image
from controlplane.process import StartError
from controlplane.pull import Login, Pull, Puller, PullOutcome, PullRequest
from controlplane.registry import Registry

RIGHT = Login("robot", "made-up")
WRONG = Login("robot", "guessed")
IMAGE = tiny_image("app")
INDEX = index_of("everywhere")
HONEST = {digest(blob): blob for blob in IMAGE.blobs}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A private registry that was open when the images were pushed."""
    with Registry.start(tmp_path_factory.mktemp("registry")) as running:
        with httpx.Client(base_url=f"http://{running.host}", trust_env=False) as client:
            push(client, "team/app", "1", IMAGE)
            push(client, "team/index", "1", INDEX)
        running.restart(htpasswd={RIGHT.username: RIGHT.password})
        yield running


@pytest.fixture(scope="module")
def puller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Puller]:
    with Puller.start(tmp_path_factory.mktemp("puller")) as running:
        yield running


def pull(puller: Puller, image: str, *logins: Login) -> Pull:
    [found] = puller.pull([PullRequest(image, logins, plain_http=True)])
    return found


def test_the_right_login_pulls_the_whole_image(registry: Registry, puller: Puller) -> None:
    found = pull(puller, f"{registry.host}/team/app:1", RIGHT)

    assert (found.ok, found.digest, found.tried) == (True, IMAGE.digest, 1)


def test_a_digest_wins_over_the_tag(registry: Registry, puller: Puller) -> None:
    found = pull(puller, f"{registry.host}/team/app:nowhere@{IMAGE.digest}", RIGHT)

    assert found.ok


def test_of_an_index_it_takes_what_this_machine_can_run(registry: Registry, puller: Puller) -> None:
    found = pull(puller, f"{registry.host}/team/index:1", RIGHT)

    assert (found.ok, found.digest) == (True, INDEX.digest)


@pytest.mark.parametrize("logins", [(), (WRONG,), (Login("", ""),), (WRONG, WRONG)])
def test_without_a_right_login_it_is_refused(
    registry: Registry, puller: Puller, logins: tuple[Login, ...]
) -> None:
    found = pull(puller, f"{registry.host}/team/app:1", *logins)

    assert found.outcome is PullOutcome.UNAUTHORIZED
    assert found.tried == max(1, len(logins))


def test_tries_one_login_after_the_other_until_one_pulls(
    registry: Registry, puller: Puller
) -> None:
    found = pull(puller, f"{registry.host}/team/app:1", WRONG, RIGHT, WRONG)

    assert (found.ok, found.tried) == (True, 2)


@pytest.mark.parametrize(
    ("image", "outcome"),
    [
        ("{host}/team/app:2", PullOutcome.NOT_FOUND),
        ("{host}/team/other:1", PullOutcome.NOT_FOUND),
        ("{host}/Team/app:1", PullOutcome.FAILED),
        ("127.0.0.1:1/team/app:1", PullOutcome.NETWORK),
    ],
)
def test_says_why_a_pull_fails(
    registry: Registry, puller: Puller, image: str, outcome: PullOutcome
) -> None:
    found = pull(puller, image.format(host=registry.host), RIGHT)

    assert found.outcome is outcome
    assert found.text
    assert RIGHT.password not in found.text


def test_an_open_registry_is_never_shown_the_login(tmp_path: Path, puller: Puller) -> None:
    """So a wrong Secret passes every pull before the flip, and fails after it."""
    with Registry.start(tmp_path) as open_registry:
        with httpx.Client(base_url=f"http://{open_registry.host}", trust_env=False) as client:
            push(client, "team/app", "1", IMAGE)
        image = f"{open_registry.host}/team/app:1"

        assert pull(puller, image).ok
        assert pull(puller, image, WRONG).ok

        open_registry.restart(htpasswd={RIGHT.username: RIGHT.password})

        assert pull(puller, image).outcome is PullOutcome.UNAUTHORIZED
        assert pull(puller, image, WRONG).outcome is PullOutcome.UNAUTHORIZED
        assert pull(puller, image, RIGHT).ok


def test_answers_many_in_the_order_asked(registry: Registry, puller: Puller) -> None:
    wanted = [
        (f"{registry.host}/team/app:{1 + number % 2}", number % 2 == 0) for number in range(200)
    ]

    found = puller.pull([PullRequest(image, (RIGHT,), plain_http=True) for image, _ in wanted])

    assert [(one.image, one.ok) for one in found] == wanted
    assert open_sockets(puller.pid) <= 16  # no connection outlives its pull


def open_sockets(pid: int) -> int:
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            links.append(str(link.readlink()))
    return sum(link.startswith("socket:") for link in links)


def test_its_end_is_an_error_that_shows_no_password(registry: Registry, tmp_path: Path) -> None:
    with Puller.start(tmp_path) as puller:
        os.kill(puller.pid, signal.SIGKILL)

        with pytest.raises(StartError, match="ended before it had answered") as raised:
            pull(puller, f"{registry.host}/team/app:1", RIGHT)

    assert RIGHT.password not in str(raised.value)
    assert RIGHT.password not in repr(PullRequest("image", (RIGHT,)))


def test_stop_leaves_no_process(tmp_path: Path) -> None:
    puller = Puller.start(tmp_path)

    puller.stop()
    puller.stop()

    assert not Path(f"/proc/{puller.pid}").exists()


class _Liar(BaseHTTPRequestHandler):
    """A registry that serves IMAGE, but blobs, statuses and challenges as it likes."""

    blobs: ClassVar[dict[str, bytes]] = HONEST
    blob_status = 200
    challenge = ""
    token_status = 200
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        if self.path.startswith("/token"):
            self.answer(
                self.token_status, b'{"token": "t", "access_token": "t"}', "application/json"
            )
        elif self.challenge:
            here = f"http://{self.headers['Host']}/token"
            self.answer(401, challenge=self.challenge.format(realm=here))
        elif "/manifests/" in self.path:
            self.answer(200, IMAGE.manifest, MANIFEST_TYPE)
        else:
            self.answer(self.blob_status, self.blobs[self.path.rpartition("/")[2]])

    def answer(
        self,
        status: int,
        content: bytes = b"",
        kind: str = "application/octet-stream",
        challenge: str = "",
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Liar) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(_Liar, "seen", [])
    with serving() as host:
        yield host


def test_compares_every_digest(puller: Puller, liar: str, monkeypatch: pytest.MonkeyPatch) -> None:
    last = IMAGE.blobs[-1]
    forged = HONEST | {digest(last): last[:-1] + b"!"}

    assert pull(puller, f"{liar}/team/app:1").ok
    monkeypatch.setattr(_Liar, "blobs", forged)
    found = pull(puller, f"{liar}/team/app:1")

    assert found.outcome is PullOutcome.FAILED
    assert "sent something else" in found.text


def test_names_the_status_of_any_other_refusal(
    puller: Puller, liar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Liar, "blob_status", 403)

    found = pull(puller, f"{liar}/team/app:1", RIGHT)

    assert (found.outcome, found.status) == (PullOutcome.HTTP_STATUS, 403)


@pytest.mark.parametrize(
    ("token_status", "error", "outcome", "status"),
    [
        (401, "", PullOutcome.UNAUTHORIZED, 401),
        (403, "", PullOutcome.HTTP_STATUS, 403),
        (200, ',error="insufficient_scope"', PullOutcome.UNAUTHORIZED, 401),
    ],
)
def test_tells_how_a_token_was_refused(
    puller: Puller,
    liar: str,
    monkeypatch: pytest.MonkeyPatch,
    token_status: int,
    error: str,
    outcome: PullOutcome,
    status: int,
) -> None:
    monkeypatch.setattr(_Liar, "token_status", token_status)
    monkeypatch.setattr(_Liar, "challenge", 'Bearer realm="{realm}",service="liar"' + error)

    found = pull(puller, f"{liar}/team/app:1", RIGHT)

    assert (found.outcome, found.status) == (outcome, status), found.text
    assert RIGHT.password not in found.text


def test_a_login_goes_to_any_host_that_asks(
    puller: Puller, liar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kubelet names no server with the login, so a node gives it away at the first challenge."""
    monkeypatch.setattr(_Liar, "challenge", 'Basic realm="anybody"')

    found = pull(puller, f"{liar}/team/app:1", RIGHT)

    assert found.outcome is PullOutcome.UNAUTHORIZED
    assert _Liar.seen[0] == ""
    assert _Liar.seen[1].startswith("Basic ")


def test_trusts_the_named_authorities_and_no_others(puller: Puller, tmp_path: Path) -> None:
    certificate, context = self_signed(tmp_path)
    with serving(context) as host:
        image = f"{host}/team/app:1"
        trusting, strange = puller.pull(
            [PullRequest(image, ca_file=certificate), PullRequest(image)]
        )

    assert trusting.ok
    assert strange.outcome is PullOutcome.NETWORK
    assert "certificate" in strange.text


def test_says_what_is_wrong_with_the_file_of_authorities(puller: Puller, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    wanted = [PullRequest("127.0.0.1:1/app", ca_file=file) for file in (empty, tmp_path / "none")]

    found = puller.pull(wanted)

    assert [one.outcome for one in found] == [PullOutcome.FAILED] * 2
    assert [str(tmp_path) in one.text for one in found] == [True, True]


def self_signed(directory: Path) -> tuple[Path, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "liar")])
    now = datetime.now(UTC)
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    shown, both = directory / "ca.pem", directory / "server.pem"
    shown.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    both.write_bytes(private + shown.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return shown, context
