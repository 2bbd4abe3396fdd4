"""Requests that are meant to confuse: refused before anything reads them otherwise than we do."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.settings import Settings
from api.slow_clients import PunctualSocket
from remediation.api_key import ApiKey
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce
from tests.api.test_server import PATIENCE_SECONDS, Run, environment, run

assert environment
assert run
BODY = {"clusters": ["eu-1"], "credential": CREDENTIAL}


def refusal(answer: Any, status: int, code: str) -> str:
    """Return the detail of a refusal."""
    assert answer.status_code == status, answer.text
    body = answer.get_json()
    assert body["code"] == code
    return str(body["detail"])


def send(client: FlaskClient, content: bytes | str, kind: str = "application/json") -> Any:
    return client.post(f"{API}/remediations", data=content, content_type=kind)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"clusters": ["a"], "clusters": ["*"]}', "'clusters' more than once"),
        (b'{"labels": {"a": "1", "a": "2"}}', "'a' more than once"),
        (b'{"a": 1, "\\u0061": 2}', "'a' more than once"),
        (b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}", "more than 16 levels"),
        (b"[" * 100_000 + b"]" * 100_000, "not valid JSON"),
        (b'{"timeout_seconds": ' + b"9" * 100_000 + b"}", "not valid JSON"),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, "not valid JSON"),
        (b'{"clusters": ["\xff"]}', "not UTF-8: byte 15"),
        ('{"clusters": ["a"]}'.encode("utf-16"), "not UTF-8: byte 0"),
        (b'\xef\xbb\xbf{"clusters": ["a"]}', "begins with a byte order mark"),
        (b'{"clusters": ["\\ud800"]}', "not valid JSON"),
        (b'{"clusters": NaN}', "not valid JSON"),
        (b'{"clusters": ["a"]} {"clusters": ["*"]}', "not valid JSON"),
        (b'{"clusters": ["a"],}', "not valid JSON"),
        (b"", "not valid JSON"),
    ],
)
def test_doubtful_json_is_refused(client: FlaskClient, content: bytes, says: str) -> None:
    assert says in refusal(send(client, content), 400, "malformed-request")


def test_a_number_that_no_computer_wants_is_only_a_wrong_value(client: FlaskClient) -> None:
    content = '{"timeout_seconds": ' + "9" * 40 + "}"

    refusal(send(client, content), 422, "validation-error")


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/vnd.api+json",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "text/json",
        "",
    ],
)
def test_only_json_in_utf_8_is_read(client: FlaskClient, kind: str) -> None:
    refusal(send(client, json.dumps(BODY), kind), 415, "unsupported-media-type")


def test_a_body_in_a_wrapping_is_not_read(client: FlaskClient) -> None:
    answer = client.post(f"{API}/remediations", json=BODY, headers={"Content-Encoding": "gzip"})

    refusal(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=UTF-8"])
def test_json_by_its_name_is_read(client: FlaskClient, announce: Announce, kind: str) -> None:
    announce("eu-1")

    assert send(client, json.dumps(BODY), kind).status_code == 202


@pytest.mark.parametrize("path", ["/livez", f"{API}/whoami", f"{API}/nothing", "/problems/x"])
def test_every_answer_is_for_no_frame_no_sniffing_and_no_cache(
    client: FlaskClient, path: str
) -> None:
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in headers
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    ("url", "strict"), [("https://remediator.example", True), ("http://x.example", False)]
)
def test_browsers_are_told_to_stay_with_tls_where_there_is_some(
    store: Store, access_file: Path, url: str, strict: bool
) -> None:
    app = create_app(Settings(access_file=access_file, public_url=url), store)

    headers = app.test_client().get("/livez").headers

    assert ("Strict-Transport-Security" in headers) is strict


def raw(port: int, text: bytes) -> bytes:
    """Send bytes as they are; return the first line of the answer."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.sendall(text)
        return connection.makefile("rb").readline()


def test_requests_that_break_http_are_refused(
    run: Run, environment: dict[str, str], key: ApiKey
) -> None:
    port = run(**environment).port
    start = b"GET /livez HTTP/1.1\r\nHost: x\r\n"

    assert raw(port, start + b"\r\n").startswith(b"HTTP/1.1 200")
    for broken in (
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        start + b"X-Long: " + b"a" * 9000 + b"\r\n\r\n",
        start + b"".join(b"X-%d: 1\r\n" % number for number in range(70)) + b"\r\n",
        start + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        start + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        start + b"Bad Header: 1\r\n\r\n",
        b"NONSENSE\r\n\r\n",
    ):
        assert raw(port, broken).startswith(b"HTTP/1.1 4"), broken[:60]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_request_that_drips_in_ends(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    client = PunctualSocket(ours, seconds=2)
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            theirs.send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    got = 0
    while client.recv(1):
        got += 1
    stop.set()
    dripping.join()

    assert got  # it was given its time
    assert client.recv(100) == b""
    theirs.send(b"y")
    client.begin()  # the next request has its own
    assert client.recv(1)


def test_a_client_that_says_nothing_ends(pair: tuple[socket.socket, socket.socket]) -> None:
    client = PunctualSocket(pair[0], seconds=0.1)

    assert client.recv(1) == b""


def test_the_patience_of_others_is_left_to_them(pair: tuple[socket.socket, socket.socket]) -> None:
    client = PunctualSocket(pair[0], seconds=30)
    client.settimeout(0.05)

    with pytest.raises(TimeoutError):
        client.recv(1)
    assert client.gettimeout() == 0.05


def served_after_a_while(port: int) -> bytes:
    """Return what somebody else gets, nothing if that takes too long."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as other:
                other.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if served := other.recv(100):
                    return served
        except TimeoutError:
            continue
    return b""


def test_many_slow_clients_leave_room_for_others(run: Run, environment: dict[str, str]) -> None:
    """More of them than there are threads: all are gone after a while, and everybody else is served."""
    impatient = (
        "from api import __main__, slow_clients\n"
        "slow_clients.REQUEST_SECONDS = 3.0\n"
        "__main__.main()"
    )
    process = run(**environment, command=("-c", impatient))
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "
    slow = [
        socket.create_connection(("127.0.0.1", process.port), PATIENCE_SECONDS) for _ in range(150)
    ]
    try:
        for connection in slow:
            connection.sendall(head)

        served = served_after_a_while(process.port)
    finally:
        for connection in slow:
            connection.close()

    assert served.startswith(b"HTTP/1.1 200")


def test_a_client_that_takes_no_answer_ends(pair: tuple[socket.socket, socket.socket]) -> None:
    client = PunctualSocket(pair[0], seconds=0.1)

    with pytest.raises(BrokenPipeError):  # once the buffers between the two are full
        list(map(client.sendall, repeat(b"x" * 1024)))


def test_a_client_that_takes_its_answer_slowly_gets_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """What counts is how much is taken, not how long it is."""
    ours, theirs = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client = PunctualSocket(ours, seconds=30)
    answer = b"x" * 1_000_000
    got = bytearray()

    def take() -> None:
        while len(got) < len(answer):
            got.extend(theirs.recv(100_000))
            time.sleep(0.01)

    taking = threading.Thread(target=take)
    taking.start()
    client.sendall(answer)
    taking.join()

    assert got == answer


def test_many_clients_that_take_no_answer_leave_room_for_others(
    run: Run, environment: dict[str, str]
) -> None:
    """As above, for who asks for large files without a key and reads nothing of them."""
    process = run(**environment)
    large = b"GET /api/v1/docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
    greedy = []
    try:
        for _ in range(300):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            greedy.append(connection)
            connection.connect(("127.0.0.1", process.port))
            connection.sendall(large * 4)  # more than the system takes off our hands

        served = served_after_a_while(process.port)
    finally:
        for connection in greedy:
            connection.close()

    assert served.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "body",
    [
        b'{"inline_credential": {"password": "PASSWORD"}}\r\n\r\n',
        b"5\r\n[1,2]PASSWORD\r\n0\r\n\r\n",
        b"5\r\n[1,2]\r\n0\r\nno trailer PASSWORD\r\n\r\n",
    ],
)
def test_a_body_in_broken_chunks_is_quoted_nowhere(
    run: Run, environment: dict[str, str], key: ApiKey, body: bytes
) -> None:
    process = run(**environment)
    password = os.urandom(12).hex().encode()
    head = (
        f"POST {API}/remediations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.token}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", process.port), PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode() + body.replace(b"PASSWORD", password))
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    process.end()

    assert answer.startswith(b"HTTP/1.1 400")
    assert password not in answer
    log = process.log.read_bytes()
    assert b"POST" in log
    assert password not in log
    assert b"Traceback" not in log
