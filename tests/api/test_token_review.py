"""Answers to a TokenReview that a real API server does not give: an old one, a broken one, somebody else."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import certifi
import pytest

from api import token_review
from api.access_file import Kubernetes
from api.identity import IdentityUnavailable
from api.oidc import TokenRefused
from api.token_review import MOST_AT_A_TIME, TokenReviewer
from tests.api.tokens import token

AUDIENCE = "remediator"
ACCOUNT = {"username": "system:serviceaccount:payments:deployer", "groups": ["system:masters"]}
GOOD: dict[str, Any] = {"authenticated": True, "audiences": [AUDIENCE], "user": ACCOUNT}


class Server:
    """Answers every review with `status`, or with `body` as it stands."""

    def __init__(self) -> None:
        self.status: Any = GOOD
        self.body: bytes | None = None
        self.code = 201
        self.asked: list[dict[str, Any]] = []
        self.free = Event()  # until then it does not answer
        self.free.set()
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve on this machine."""
    shown = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            shown.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            shown.free.wait(60)
            body = json.dumps({"status": shown.status}).encode()
            body = body if shown.body is None else shown.body
            self.send_response(shown.code)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shown.url = f"http://127.0.0.1:{http.server_port}"
    thread = Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield shown
    http.shutdown()
    http.server_close()
    thread.join()


class Clock:
    """Tells the time that it is set to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Clock:
    """Return the reviewer's clock."""
    return Clock()


@pytest.fixture
def reviewer(server: Server, tmp_path: Path, now: Clock) -> TokenReviewer:
    """Return who asks the server."""
    token_file = tmp_path / "token"
    token_file.write_text("our-own\n")
    settings = Kubernetes(
        audience=AUDIENCE, server=server.url, ca_file=Path(certifi.where()), token_file=token_file
    )
    return TokenReviewer(settings, now)


def test_it_asks_with_our_audience_and_once_for_each_token(
    server: Server, reviewer: TokenReviewer
) -> None:
    asked = token()

    found = {reviewer.identify(asked).requester for _ in range(3)}

    assert {(each.subject, each.groups) for each in found} == {
        ("serviceaccount:payments/deployer", ())
    }
    assert [review["spec"] for review in server.asked] == [
        {"token": asked, "audiences": [AUDIENCE]}
    ]


def test_it_believes_an_answer_for_ten_seconds_only(
    server: Server, reviewer: TokenReviewer, now: Clock
) -> None:
    asked = token()
    assert reviewer.identify(asked)
    server.status = {"authenticated": False}  # the ServiceAccount is gone
    now.seconds += 9.9
    assert reviewer.identify(asked)

    now.seconds += 0.1

    with pytest.raises(TokenRefused):
        reviewer.identify(asked)


def test_a_slow_server_holds_so_many_calls_only(
    server: Server, reviewer: TokenReviewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads that are left are for those who hold API keys."""
    monkeypatch.setattr(token_review, "SECONDS", 60)
    server.free.clear()
    with ThreadPoolExecutor(MOST_AT_A_TIME) as pool:
        waiting = [pool.submit(reviewer.identify, token(jti=f"{n}")) for n in range(MOST_AT_A_TIME)]
        while len(server.asked) < MOST_AT_A_TIME:
            sleep(0.01)

        with pytest.raises(IdentityUnavailable, match="too many"):
            reviewer.identify(token())

        server.free.set()
        assert all(each.result(60) for each in waiting)
    assert reviewer.identify(token())


@pytest.mark.parametrize(
    "status",
    [
        {},
        None,
        "ok",
        GOOD | {"authenticated": False},
        GOOD | {"authenticated": "true"},
        {"authenticated": True, "user": ACCOUNT},  # it knows nothing of audiences
        GOOD | {"audiences": []},
        GOOD | {"audiences": ["https://kubernetes.default.svc"]},
        GOOD | {"user": None},
        GOOD | {"user": {"username": "admin"}},
        GOOD | {"user": {"username": "system:serviceaccount:"}},
        GOOD | {"user": {"username": "system:serviceaccount:payments"}},
        GOOD | {"user": {"username": "system:serviceaccount::deployer"}},
        GOOD | {"user": {"username": "system:serviceaccount:payments:"}},
        GOOD | {"user": {"username": "x:system:serviceaccount:payments:deployer"}},
    ],
)
def test_what_does_not_say_it_all_is_no_yes(
    server: Server, reviewer: TokenReviewer, status: Any
) -> None:
    server.status = status

    with pytest.raises(TokenRefused):
        reviewer.identify(token())


@pytest.mark.parametrize(
    ("code", "body"),
    [(200, b"<html>"), (200, b"[]"), (500, None), (307, None), (201, b" " * 2_000_000)],
)
def test_what_is_no_answer_is_no_verdict(
    server: Server, reviewer: TokenReviewer, code: int, body: bytes | None
) -> None:
    server.code, server.body = code, body

    with pytest.raises(IdentityUnavailable):
        reviewer.identify(token())
    assert len(server.asked) == 1

    server.code, server.body = 201, None
    reviewer.identify(token())


def test_what_is_no_token_for_us_is_not_asked_about(
    server: Server, reviewer: TokenReviewer
) -> None:
    for text in ("", "a.b.c", "x" * 20_000, token(aud="other"), token(aud=None)):
        with pytest.raises(TokenRefused):
            reviewer.identify(text)

    assert server.asked == []
