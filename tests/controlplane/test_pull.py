"""Pulls as a node makes them, from the real registry and from one that misbehaves."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from controlplane.image import MANIFEST_TYPE, digest, index_of, push, tiny_image
from controlplane.process import StartError
from controlplane.pull import Login, Pull, Puller, PullOutcome, PullRequest
from controlplane.registry import Registry

RIGHT = Login("robot", "made-up")
WRONG = Login("robot", "guessed")
IMAGE = tiny_image("app")
INDEX = index_of("everywhere")


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
    """A registry that serves IMAGE, but blobs as it likes."""

    blobs: ClassVar[dict[str, bytes]] = {}
    status = 200

    def do_GET(self) -> None:
        is_manifest = "/manifests/" in self.path
        content = IMAGE.manifest if is_manifest else self.blobs[self.path.rpartition("/")[2]]
        self.send_response(200 if is_manifest else self.status)
        self.send_header(
            "Content-Type", MANIFEST_TYPE if is_manifest else "application/octet-stream"
        )
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", IMAGE.digest)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def liar() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Liar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_compares_every_digest(puller: Puller, liar: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = {digest(blob): blob for blob in IMAGE.blobs}
    last = IMAGE.blobs[-1]
    forged = honest | {digest(last): last[:-1] + b"!"}

    monkeypatch.setattr(_Liar, "blobs", honest)
    assert pull(puller, f"{liar}/team/app:1").ok
    monkeypatch.setattr(_Liar, "blobs", forged)
    found = pull(puller, f"{liar}/team/app:1")

    assert found.outcome is PullOutcome.FAILED
    assert "sent something else" in found.text


def test_names_the_status_of_any_other_refusal(
    puller: Puller, liar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Liar, "blobs", {digest(blob): blob for blob in IMAGE.blobs})
    monkeypatch.setattr(_Liar, "status", 403)

    found = pull(puller, f"{liar}/team/app:1", RIGHT)

    assert (found.outcome, found.status) == (PullOutcome.HTTP_STATUS, 403)


def test_a_login_goes_to_any_host_that_asks(puller: Puller, registry: Registry) -> None:
    """A kubelet names no server with the login, so a node gives it away at the first challenge."""
    asked: list[str] = []

    class Asking(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.headers.get("Authorization", ""))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="anybody"')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Asking) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found = pull(puller, f"127.0.0.1:{server.server_port}/team/app:1", RIGHT)
        server.shutdown()
        thread.join()

    assert found.outcome is PullOutcome.UNAUTHORIZED
    assert asked[0] == ""
    assert asked[1].startswith("Basic ")
