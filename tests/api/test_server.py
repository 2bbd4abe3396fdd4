"""The process: `python -m api`."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api.server import WORKERS
from cli.listen import reserve
from remediation.api_key import ApiKey
from remediation.outcome import Outcome
from remediation.permission import Role
from remediation.sealing import KeyKind, format_key
from store import keys
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_row
from tests.conftest import STORE_DATABASE, redis_executable

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 90.0
POSTS = 50


class Process:
    """A running API process, its log and its port."""

    def __init__(
        self, log: Path, command: Sequence[str] = ("-m", "api"), **environment: str
    ) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("REMEDIATOR_", "REDIS_"))
        }
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**kept, "REMEDIATOR_LISTEN": "127.0.0.1:0", **environment},
                stderr=file,
            )
        self.port = int(self.logged(r"listens on http://127\.0\.0\.1:(\d+);")[1])

    def logged(self, pattern: str) -> re.Match[str]:
        """Wait until the log has a line like this."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log.read_text()):
                return found
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in {self.log.read_text()}")

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Return status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def post(self, path: str, document: object, **headers: str) -> tuple[int, str]:
        """Send a document; return status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        own = {"Content-Type": "application/json", **headers}
        connection.request("POST", path, body=json.dumps(document), headers=own)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def end(self) -> None:
        """Send SIGTERM and wait for the end."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0

    def nobody_was_killed(self) -> bool:
        """Tell whether all processes ended by themselves: gunicorn kills who does not. Needs the log level debug."""
        return self.log.read_text().count("Worker exiting") == WORKERS


Run = Callable[..., Process]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Return a function that starts an API process."""
    running: list[Process] = []

    def run(**more: Any) -> Process:
        running.append(Process(tmp_path / f"log-{len(running)}", **more))
        return running[-1]

    yield run
    for started in running:
        if started.process.poll() is None:
            started.process.terminate()
            started.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def environment(redis_server: str, access_file: Path) -> dict[str, str]:
    """Return the variables for a process on the tests' Redis."""
    return {
        "REDIS_URL": f"{redis_server}?db={STORE_DATABASE}",
        "REMEDIATOR_ACCESS_FILE": str(access_file),
    }


def bearer(key: ApiKey) -> dict[str, str]:
    """Return the header of a caller."""
    return {"Authorization": f"Bearer {key.token}"}


def test_serves_and_ends_at_once(run: Run, environment: dict[str, str], store: Store) -> None:
    process = run(**environment, REMEDIATOR_LOG_LEVEL="debug")

    assert process.get("/readyz") == (200, "ok\n")
    process.end()
    assert process.nobody_was_killed()


def test_waits_are_answered_at_the_end(
    run: Run,
    environment: dict[str, str],
    key: ApiKey,
    store: Store,
    start: Callable[..., str],
) -> None:
    identity = start()
    process = run(**environment, REMEDIATOR_LOG_LEVEL="debug")
    answers: list[tuple[int, str]] = []
    waiting = threading.Thread(
        target=lambda: answers.append(
            process.get(f"{API}/remediations/{identity}?wait=60", **bearer(key))
        )
    )
    waiting.start()
    while not store.redis.info("clients")["blocked_clients"]:  # this is how it waits
        time.sleep(0.02)

    process.end()

    assert process.nobody_was_killed()
    waiting.join(PATIENCE_SECONDS)
    ((status, body),) = answers
    assert status == 200
    assert json.loads(body)["status"] == "queued"


def test_finds_lost_runs(
    run: Run, environment: dict[str, str], store: Store, start: Callable[..., str]
) -> None:
    identity = start()
    store.queue.of("default").empty()  # the wake-up got lost

    run(**environment).logged(f"woke run {identity}-0 again")

    assert store.queue.waiting("default") == 1


def test_a_body_of_unknown_length_is_limited_too(
    run: Run, environment: dict[str, str], key: ApiKey, store: Store
) -> None:
    process = run(**environment)
    with socket.create_connection(("127.0.0.1", process.port), PATIENCE_SECONDS) as connection:
        head = (
            f"POST {API}/remediations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.token}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode())
        for _ in range(300):
            connection.sendall(b"400\r\n" + b" " * 1024 + b"\r\n")

        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(("kibibytes", "token"), [(300, True), (1000, True), (100, False)])
def test_a_refused_body_does_not_break_the_next_request(
    run: Run, environment: dict[str, str], key: ApiKey, kibibytes: int, token: bool
) -> None:
    """Clients keep connections: what is said of one must be true, also where the body was left unread."""
    process = run(**environment)
    headers = {"Content-Type": "application/json", **(bearer(key) if token else {})}
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_SECONDS)
    body = b" " * (kibibytes * 1024)

    connection.request("POST", f"{API}/remediations", body=body, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.request("GET", "/livez")  # on a new connection if the last answer said that it ends
    again = connection.getresponse()

    assert answer.status == (413 if token else 401)
    assert again.status == 200
    connection.close()


UNREADABLE = {
    "the rest of a body that was said to be shorter": (
        f"POST {API}/remediations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
        '{{"password": "{secret}"}}\r\n\r\n',
        b" 400 ",
    ),
    "a header without a colon": (
        "GET /livez HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {secret}\r\n\r\n",
        b" 400 ",
    ),
    "a header with a line break": (
        "GET /livez HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\r\n {secret}\r\n\r\n",
        b" 400 ",
    ),
    "a version that does not exist": ("GET /livez?password={secret} {secret}/9\r\n\r\n", b" 400 "),
    "a method that does not exist": ("{secret}! /livez HTTP/1.1\r\n\r\n", b" 400 "),
    "a coding that does not exist": (
        "POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {secret}\r\n\r\n",
        b" 501 ",
    ),
    "a header that is too long": (
        "GET /livez HTTP/1.1\r\nHost: x\r\nX: {secret}" + "x" * 9000 + "\r\n\r\n",
        b" 431 ",
    ),
    "a line that is too long": ("GET /{secret}" + "x" * 9000 + " HTTP/1.1\r\n\r\n", b" 414 "),
    "the first half of a request": ("GET /livez?password={secret} HTTP/1.1\r\nX: {secret}", b""),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_quoted_nowhere(
    run: Run, environment: dict[str, str], what: str
) -> None:
    secret = "hunter2"
    text, status = UNREADABLE[what]
    process = run(**environment, REMEDIATOR_LOG_LEVEL="debug")
    with socket.create_connection(("127.0.0.1", process.port), PATIENCE_SECONDS) as connection:
        connection.sendall(text.format(secret=secret).encode())
        connection.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: connection.recv(4096), b""))

    process.logged("cannot be read: [A-Z]" if status else "premature client disconnection")
    process.end()
    assert status in said
    assert secret.encode() not in said
    assert secret not in process.log.read_text()


def test_a_chunked_body_is_read(
    run: Run, environment: dict[str, str], key: ApiKey, announce: Announce
) -> None:
    process = run(**environment)
    announce("eu-1")
    body = json.dumps({"clusters": ["eu-1"], "credential": CREDENTIAL}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_SECONDS)
    connection.request(
        "POST",
        f"{API}/remediations",
        body=iter([body[:10], body[10:]]),
        headers={"Content-Type": "application/json", **bearer(key)},
        encode_chunked=True,
    )

    assert connection.getresponse().status == 202
    connection.close()


@pytest.mark.parametrize("verb", ["create", "cancel", "retry", "undo"])
def test_many_at_once_under_one_key_make_one(
    run: Run,
    environment: dict[str, str],
    key: ApiKey,
    store: Store,
    start: Callable[..., str],
    announce: Announce,
    work: Work,
    verb: str,
) -> None:
    """Both processes of the server take part."""
    path, body = f"{API}/remediations", {"clusters": ["eu-1"], "credential": CREDENTIAL}
    if verb != "create":
        identity, body = start("eu-1"), {}
        path = f"{path}/{identity}/{verb}"
        if verb != "cancel":
            outcome = Outcome.FAILED if verb == "retry" else Outcome.CHANGED
            work.run(identity, [a_row("shop", outcome)])
    process = run(**environment)
    announce("eu-1")  # once more: the start took a while
    before = store.redis.zcard(keys.REMEDIATIONS)
    ready = threading.Barrier(POSTS)

    def send(_: int) -> tuple[int, str]:
        ready.wait()
        headers = {"Idempotency-Key": "incident-17", **bearer(key)}
        return process.post(path, body, **headers)

    with ThreadPoolExecutor(POSTS) as threads:
        answers = list(threads.map(send, range(POSTS)))

    assert {status for status, _ in answers} == {202}, answers
    assert len({json.loads(text)["id"] for _, text in answers}) == 1
    assert store.redis.zcard(keys.REMEDIATIONS) - before == (0 if verb == "cancel" else 1)


@pytest.fixture
def free_port() -> Iterator[int]:
    """Return a port that nobody listens on, and that nobody else is given meanwhile."""
    reserved = reserve("127.0.0.1", 0)
    with reserved.reservation:
        yield reserved.port


def test_starts_without_redis_and_recovers(run: Run, tmp_path: Path, free_port: int) -> None:
    process = run(
        REDIS_URL=f"redis://:hunter2@127.0.0.1:{free_port}/0", REMEDIATOR_LOG_LEVEL="debug"
    )
    process.logged(r"Redis at redis://127\.0\.0\.1:\d+/0 cannot be reached")
    assert process.get("/livez")[0] == 200
    assert process.get("/readyz")[0] == 503

    redis = subprocess.Popen(
        [
            *(redis_executable(), "--port", str(free_port), "--bind", "127.0.0.1"),
            *("--requirepass", "hunter2", "--save", "", "--dir", str(tmp_path)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        process.logged("Redis answers at redis://127.0.0.1")
        process.logged("keeps no append-only file")
        assert process.get("/readyz")[0] == 200
    finally:
        redis.terminate()
        redis.wait(PATIENCE_SECONDS)
    process.end()
    assert process.nobody_was_killed()
    log = process.log.read_text()
    assert log.count("Redis answers at") == log.count("append-only") == 1
    assert "hunter2" not in log


def test_without_keys_it_says_how_to_get_one(run: Run, environment: dict[str, str]) -> None:
    process = run(**environment | {"REMEDIATOR_ACCESS_FILE": ""})

    process.logged(
        "nobody can get in: REMEDIATOR_ACCESS_FILE is not set; `remediator token create`"
    )
    assert process.get(f"{API}/whoami")[0] == 401


def test_logs_json_with_the_caller_on_request(
    run: Run, environment: dict[str, str], key: ApiKey, store: Store
) -> None:
    process = run(**environment, REMEDIATOR_LOG_FORMAT="json")
    process.get(f"{API}/whoami", **bearer(key), **{"X-Request-Id": "abc"})
    process.logged('"GET /api/v1/whoami"')
    process.end()

    lines = [json.loads(line) for line in process.log.read_text().splitlines()]

    (line,) = [line for line in lines if line["message"] == "GET /api/v1/whoami"]
    assert line["level"] == "info"
    assert (line["status"], line["subject"], line["request_id"]) == (200, "client:ci", "abc")
    assert key.token not in process.log.read_text()


def once(**environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a process that is to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "api"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_a_wrong_setting_ends_it_with_one_line() -> None:
    ended = once(REMEDIATOR_LISTEN="here")

    assert ended.returncode == 2
    assert ended.stderr == (
        "remediator api: REMEDIATOR_LISTEN is 'here', which is not host:port (an IPv6 host in brackets); "
        "example: REMEDIATOR_LISTEN=127.0.0.1:8080\n"
    )


def test_a_broken_access_file_ends_it_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    path.write_text("callers: []")

    ended = once(REMEDIATOR_ACCESS_FILE=str(path))

    assert ended.returncode == 2
    assert ended.stderr.startswith("remediator api: REMEDIATOR_ACCESS_FILE names a file")
    assert ended.stderr.count("\n") == 1


def test_the_private_sealing_key_is_refused(tmp_path: Path) -> None:
    """It belongs to the workers; the API must not start with it by mistake."""
    path = tmp_path / "sealing.key"
    path.write_text(format_key(KeyKind.PRIVATE, b"k" * 32))

    ended = once(REMEDIATOR_SEALING_PUBLIC_KEY_FILE=str(path))

    assert ended.returncode == 2
    assert ended.stderr.startswith(
        "remediator api: REMEDIATOR_SEALING_PUBLIC_KEY_FILE names a file"
    )
    assert "'rmd-sealing-private-key'" in ended.stderr
    assert "a2tra2tr" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_ends_it_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = once(REMEDIATOR_LISTEN=address)

    assert ended.returncode == 1
    assert ended.stderr == (
        f"remediator api: cannot listen on {address}: Address already in use; "
        "set REMEDIATOR_LISTEN to another\n"
    )


def test_the_workers_learn_of_a_changed_access_file_without_a_call(
    run: Run, environment: dict[str, str], store: Store, access_file: Path
) -> None:
    process = run(**environment)
    assert process.get("/readyz")[0] == 200
    access = json.loads(access_file.read_text())
    access["bindings"][0]["role"] = "viewer"

    access_file.write_text(json.dumps(access))

    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        policy = store.policies.current()
        if policy and [binding.grant.role for binding in policy.bindings] == [Role.VIEWER]:
            return
        time.sleep(0.05)
    pytest.fail("the workers were not told")
