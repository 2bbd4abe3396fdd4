"""Redis goes away under load and comes back: callers are told to come again, workers wait, nothing is lost.

REDIS_AWAY_SECONDS says for how long (longer than a lease by default).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import httpx
import pytest

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.chaos.installation import children
from tests.chaos.redis_server import RedisServer
from tests.chaos.way import Way
from tests.e2e.fleet import Space, grant_least_privilege
from tests.e2e.service import Service, until

AWAY_SECONDS = float(os.environ.get("REDIS_AWAY_SECONDS", "5"))
NAMESPACES, WRITES = 60, 3
# One write after the other: the work takes about twice as long as Redis is away.
SLOW = {"REMEDIATOR_CONCURRENCY": "1", "REMEDIATOR_PROCESSES": "2"}
WRITE_SECONDS = 2 * AWAY_SECONDS / (NAMESPACES * WRITES)


class Slow:
    """A service on a cluster whose writes take their time."""

    def __init__(self, service: Service, way: Way, names: list[str]) -> None:
        self.service = service
        self.way = way
        self.names = names

    def started(self) -> str:
        """Ask for a remediation; return its id when some of it is written and reported."""
        answer = self.service.post(clusters=["slow"], namespaces=self.names)
        remediation_id = str(answer.json()["id"])
        until(lambda: self.changed(remediation_id) > 2, "row")
        return remediation_id

    def changed(self, remediation_id: str) -> int:
        """Return how many namespaces are reported as changed."""
        body = self.service.http.get(f"/remediations/{remediation_id}").json()
        return int(body["summary"]["namespaces"]["changed"])

    def probe(self, path: str) -> httpx.Response:
        """Ask as a load balancer does, but with patience."""
        return httpx.get(f"{self.service.url}/{path}", trust_env=False, timeout=90)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(
    stack: ExitStack,
    directory: Path,
    space: Space,
    credentials: Path,
    environment: dict[str, str] | None = None,
) -> Slow:
    """Start a service on namespaces of the test's own."""
    alpha: Cluster = space.clusters[0]
    way = Way(alpha, Random(0))
    stack.enter_context(way)
    way.write_seconds = WRITE_SECONDS
    names = [space.namespace(f"n{number:03}", ("default", "web")) for number in range(NAMESPACES)]
    kubeconfig = directory / "kubeconfig"
    token = grant_least_privilege(alpha)
    write_kubeconfig(kubeconfig, {"slow": ContextSpec(way.server, alpha.ca_file, token)})
    service = Service(directory / "up", [kubeconfig], credentials, SLOW | (environment or {}))
    stack.callback(service.stop)
    return Slow(service, way, names)


def all_done_once(slow: Slow, space: Space, remediation_id: str) -> None:
    """Check that each namespace has one row, and that it is as its row says."""
    done = slow.service.wait(remediation_id)
    assert done.status == "succeeded", done.body
    assert done.outcomes() == dict.fromkeys(slow.names, "changed")
    assert len(done.rows) == len(slow.names)
    assert done.summary["namespaces"]["changed"] == len(slow.names)
    assert done.summary["service_accounts"]["changed"] == 2 * len(slow.names)
    for name in slow.names:
        assert space.pull_secrets(name, "web").count("docker") == 1


def is_sent_away(answer: httpx.Response) -> bool:
    """Tell whether the answer says to come again."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    return True


def test_redis_is_away_for_a_while_under_load(
    stack: ExitStack, tmp_path: Path, space: Space, credentials: Path
) -> None:
    redis = stack.enter_context(RedisServer())
    slow = start(stack, tmp_path, space, credentials, {"REDIS_URL": redis.url})
    http = slow.service.http
    remediation_id = slow.started()
    other = {"clusters": ["slow"], "namespaces": slow.names[:1], "credential": "harbor"}
    other |= {"secret_name": "pull-two", "registry_check": "skip"}
    key = {"Idempotency-Key": "while-redis-is-away"}

    redis.kill()
    gone_at = time.monotonic()
    while time.monotonic() < gone_at + AWAY_SECONDS:
        assert is_sent_away(http.post("/remediations", json=other, headers=key))
        assert is_sent_away(http.get(f"/remediations/{remediation_id}"))
        assert is_sent_away(http.post(f"/remediations/{remediation_id}/cancel"))
        assert is_sent_away(http.post(f"/remediations/{remediation_id}/undo"))
        assert is_sent_away(slow.probe("readyz"))
        assert slow.probe("livez").is_success
    redis.start()

    until(lambda: slow.probe("readyz").is_success, "API that has found Redis again")
    # Of what was refused nothing was made, and the key is free for it.
    assert [item["id"] for item in http.get("/remediations").json()["items"]] == [remediation_id]
    answer = http.post("/remediations", json=other, headers=key)
    assert answer.status_code == 202
    assert "Idempotency-Replayed" not in answer.headers
    all_done_once(slow, space, remediation_id)
    assert slow.service.wait(answer.json()["id"]).status == "succeeded"


def test_up_starts_its_redis_again(
    stack: ExitStack, tmp_path: Path, space: Space, credentials: Path
) -> None:
    slow = start(stack, tmp_path, space, credentials)
    remediation_id = slow.started()

    killed: set[int] = set()
    for _ in range(3):
        redis = next_redis(slow.service, killed)
        os.kill(redis, signal.SIGKILL)
        killed.add(redis)

    next_redis(slow.service, killed)
    until(lambda: slow.probe("readyz").is_success, "API that has found Redis again")
    all_done_once(slow, space, remediation_id)


def next_redis(service: Service, killed: set[int]) -> int:
    """Return the process of Redis that `up` has started last."""
    found: list[int] = []

    def started() -> bool:
        for pid in children(service.process.pid):
            with suppress(OSError):  # it has ended this moment
                name = Path(f"/proc/{pid}/comm").read_text()
                if pid not in killed and ("redis" in name or "valkey" in name):
                    found.append(pid)
        return bool(found)

    until(started, "other Redis")
    return found[0]
