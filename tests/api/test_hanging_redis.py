"""Redis hangs: it takes connections and commands, and says nothing. Callers get their answer all the same."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from remediation.api_key import ApiKey
from store import keys
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce
from tests.api.test_server import Process, Run, bearer, environment, run
from tests.chaos.redis_server import RedisServer

__all__ = ["environment", "run"]

CALLERS = 50
INSIST = 3
TRIES = 3  # where other programs have the machine, a caller may have to wait for a processor
CALLERS_PATIENCE_SECONDS = 3.0  # a chat waits no longer
PATIENCE_SECONDS = 90.0
BODY = {"clusters": ["eu-1"], "credential": CREDENTIAL}
BODIES = {
    "remediations": BODY,
    "readiness-checks": BODY | {"registry": "registry.example.com"},
    "approve": {"digest": f"sha256:{0:064}"},
    "reject": {"digest": f"sha256:{0:064}"},
    "pause": {"reason": "change freeze"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """Start a Redis that may hang."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def redis_server(server: RedisServer) -> str:
    """Have all of this file use that one."""
    return server.url


@pytest.fixture
def hang(server: RedisServer) -> Iterator[Callable[[], None]]:
    """Return a function that makes it hang; it goes on at the end of the test at the latest."""
    yield server.hang
    server.go_on()


@dataclass(frozen=True)
class Answer:
    """What a caller got, and after how long."""

    status: int
    retry_after: str | None
    body: str
    seconds: float


class Caller:
    """Sends requests, and gives up when a chat would."""

    def __init__(self, process: Process, key: ApiKey) -> None:
        self._port = process.port
        self._headers = {"Content-Type": "application/json", **bearer(key)}

    def send(self, method: str, path: str, key: str | None = None) -> Answer:
        """Return the answer; its status is 0 if none comes in time."""
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        document = BODIES.get(path.partition("?")[0].rpartition("/")[2], {})
        body = json.dumps(document) if method == "POST" else None
        began = time.monotonic()
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=CALLERS_PATIENCE_SECONDS
        )
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except TimeoutError:
            return Answer(0, None, "", time.monotonic() - began)
        finally:
            connection.close()
        seconds = time.monotonic() - began
        return Answer(answer.status, answer.headers["Retry-After"], text, seconds)


def every_request(identity: str, check: str) -> list[tuple[str, str]]:
    """Return requests that need Redis, one for each endpoint, in the ways that differ."""
    one, looked = f"{API}/remediations/{identity}", f"{API}/readiness-checks/{check}"
    read = [
        *("/readyz", "/readyz?verbose", f"{API}/system", f"{API}/clusters", f"{API}/credentials"),
        *(f"{API}/remediations", one, f"{one}?wait=60", f"{one}/results"),
        *(f"{one}/results?format=csv", f"{one}/results?format=ndjson"),
        *(f"{API}/readiness-checks", looked, f"{looked}?wait=60", f"{looked}/findings"),
        *(f"{looked}/gate", f"{looked}/restart-plan", f"{looked}/findings?format=csv"),
        *(f"{API}/audit-events", f"{API}/audit-events/verification"),
    ]
    done = [
        *(f"{API}/remediations", f"{API}/readiness-checks", f"{API}/remediations?wait=60"),
        *(f"{one}/cancel", f"{one}/retry", f"{one}/undo", f"{one}/approve", f"{one}/reject"),
        *(f"{API}/system/pause", f"{API}/system/resume"),
    ]
    return [*(("GET", path) for path in read), *(("POST", path) for path in done)]


def until_it_answers(caller: Caller) -> None:
    """Wait until the service has found Redis again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while caller.send("GET", "/readyz").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_endpoint_answers_in_time(
    run: Run,
    environment: dict[str, str],
    key: ApiKey,
    store: Store,
    start: Callable[..., str],
    ask: Callable[..., str],
    server: RedisServer,
    hang: Callable[[], None],
    record_property: Callable[[str, object], None],
) -> None:
    requests = every_request(start(), ask())
    caller = Caller(run(**environment), key)
    assert caller.send("GET", "/readyz").status == 200

    for _ in range(TRIES):
        hang()
        with ThreadPoolExecutor(CALLERS) as threads:
            crowd = [*requests, *requests][:CALLERS]
            answers = list(threads.map(lambda request: caller.send(*request), crowd))
        later = caller.send("POST", f"{API}/remediations")  # it is known by now
        if all(answer.status for answer in answers):
            break
        server.go_on()
        until_it_answers(caller)

    record_property("slowest", max(answer.seconds for answer in answers))
    record_property("later", later.seconds)
    wrong = [
        (request, answer)
        for request, answer in zip(crowd, answers, strict=True)
        if (answer.status, answer.retry_after) != (503, "2")
    ]
    assert wrong == []
    assert (later.status, later.retry_after) == (503, "2")
    assert caller.send("GET", "/livez").status == 200
    assert caller.send("GET", f"{API}/whoami").status == 200


def test_a_long_poll_is_answered_when_redis_begins_to_hang(
    run: Run,
    environment: dict[str, str],
    key: ApiKey,
    store: Store,
    start: Callable[..., str],
    hang: Callable[[], None],
    record_property: Callable[[str, object], None],
) -> None:
    identity = start()
    process = run(**environment)
    answers: list[tuple[float, int]] = []

    def wait() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
        connection.request("GET", f"{API}/remediations/{identity}?wait=60", headers=bearer(key))
        status = connection.getresponse().status
        answers.append((time.monotonic(), status))
        connection.close()

    waiting = [threading.Thread(target=wait) for _ in range(CALLERS)]
    for thread in waiting:
        thread.start()
    while store.redis.info("clients")["blocked_clients"] < CALLERS:
        time.sleep(0.02)

    hang()
    began = time.monotonic()
    for thread in waiting:
        thread.join(CALLERS_PATIENCE_SECONDS)
        assert not thread.is_alive()

    record_property("slowest", max(at for at, _ in answers) - began)
    assert {status for _, status in answers} == {503}


def test_what_was_accepted_is_there_once(
    run: Run,
    environment: dict[str, str],
    key: ApiKey,
    store: Store,
    announce: Announce,
    server: RedisServer,
    hang: Callable[[], None],
    record_property: Callable[[str, object], None],
) -> None:
    """Each caller sends again, under its key, whatever it was told: as people do whose chat says "timed out"."""
    caller = Caller(run(**environment), key)
    announce("eu-1")
    for attempt in range(TRIES):
        answers: list[Answer] = []
        made = Insistence(caller, answers, attempt).through(server, hang)
        record_property("slowest", max(answer.seconds for answer in answers))
        # Also of those whose callers gave up waiting, each is there once.
        assert len(set(made)) == 2 * CALLERS
        assert store.redis.zcard(keys.REMEDIATIONS) == 2 * CALLERS * (attempt + 1)
        if all(answer.status for answer in answers):
            break
    assert {answer.status for answer in answers} == {202, 503}
    assert {answer.retry_after for answer in answers if answer.status == 503} == {"2"}


class Insistence:
    """Callers who send again, under their key, until it is accepted."""

    def __init__(self, caller: Caller, answers: list[Answer], attempt: int) -> None:
        self._caller = caller
        self._answers = answers
        self._attempt = attempt
        self._hangs, self._over = threading.Event(), threading.Event()
        self._answered, self._insisted = threading.Semaphore(0), threading.Semaphore(0)

    def through(self, server: RedisServer, hang: Callable[[], None]) -> list[str]:
        """Have Redis hang while they send; return the ids that they were told."""
        with ThreadPoolExecutor(CALLERS) as threads:
            callers = [threads.submit(self._both, number) for number in range(CALLERS)]
            for _ in range(CALLERS // 5):
                assert self._answered.acquire(timeout=PATIENCE_SECONDS)
            hang()
            self._hangs.set()
            for _ in range(CALLERS):
                assert self._insisted.acquire(timeout=PATIENCE_SECONDS)
            server.go_on()
            until_it_answers(self._caller)
            self._over.set()
            return [identity for each in callers for identity in each.result(PATIENCE_SECONDS)]

    def _both(self, number: int) -> tuple[str, str]:
        """Have one in flight when Redis begins to hang, and send another one while it does."""
        name = f"slack-T01-{self._attempt}-{number:04}"
        first = self._insist(f"{name}.1")
        assert self._hangs.wait(PATIENCE_SECONDS)
        return first, self._insist(f"{name}.2")

    def _insist(self, key: str) -> str:
        """Send it until it is accepted: three times at once, then when Redis is back; return the id."""
        sent = 0
        while True:
            answer = self._caller.send("POST", f"{API}/remediations", key)
            self._answers.append(answer)
            self._answered.release()
            if answer.status == 202:
                return str(json.loads(answer.body)["id"])
            sent += 1
            if sent == INSIST:
                self._insisted.release()
            if sent >= INSIST:
                self._over.wait(PATIENCE_SECONDS)
