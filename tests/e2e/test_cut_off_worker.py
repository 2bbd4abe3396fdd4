"""A worker alone loses the way to Redis, and not the one to its cluster, while others go on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from controlplane.cluster import ContextSpec, write_kubeconfig
from tests.chaos.redis_server import RedisProxy, RedisServer
from tests.chaos.way import Way
from tests.e2e.fleet import Space, grant_least_privilege
from tests.e2e.service import ROOT, Service, own_environment, until

NAMESPACES = 40
# Alone it needs half a minute for all of them.
WRITE_SECONDS = 0.25
POOL = "cut-off"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def a_worker(
    stack: ExitStack, folder: Path, context: ContextSpec, credentials: Path, redis_url: str
) -> Path:
    """Start a worker of the pool that has a way of its own to the cluster; return its log."""
    folder.mkdir()
    write_kubeconfig(folder / "kubeconfig", {"shared": context})
    settings = {
        "REDIS_URL": redis_url,
        "REMEDIATOR_KUBECONFIG": str(folder / "kubeconfig"),
        "REMEDIATOR_CREDENTIALS_DIR": str(credentials),
        "REMEDIATOR_POOL": POOL,
        "REMEDIATOR_PROCESSES": "1",
        "REMEDIATOR_CONCURRENCY": "1",
    }
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            cwd=ROOT,
            env=own_environment(settings),
            stdout=file,
            stderr=file,
        )
    stack.callback(process.wait, 30)
    stack.callback(process.terminate)
    return log


def test_what_was_taken_over_and_undone_meanwhile_is_not_written_again(
    stack: ExitStack, tmp_path: Path, space: Space, credentials: Path
) -> None:
    alpha, beta = space.clusters
    names = [space.namespace(f"n{number:02}") for number in range(NAMESPACES)]
    before = {name: space.pull_secrets(name, "default") for name in names}
    redis = stack.enter_context(RedisServer())
    to_redis = stack.enter_context(RedisProxy(redis.socket, Random(0)))
    way = Way(alpha, Random(0))
    stack.enter_context(way)
    way.write_seconds = WRITE_SECONDS
    token = grant_least_privilege(alpha)
    log = a_worker(
        stack,
        tmp_path / "slow",
        ContextSpec(way.server, alpha.ca_file, token),
        credentials,
        to_redis.url,
    )
    elsewhere = tmp_path / "elsewhere"
    write_kubeconfig(
        elsewhere,
        {"elsewhere": ContextSpec(beta.server, beta.ca_file, grant_least_privilege(beta))},
    )
    service = Service(tmp_path / "up", [elsewhere], credentials, {"REDIS_URL": redis.url})
    stack.callback(service.stop)
    until(lambda: '"shared"' in service.http.get("/clusters").text, "cluster of the worker")
    asked = service.post(clusters=["shared"], namespaces=names).json()
    until(lambda: sum(each.method == "PATCH" for each in way.log) > 3, "write")

    to_redis.behave("hang")
    direct = ContextSpec(alpha.server, alpha.ca_file, token)
    a_worker(stack, tmp_path / "other", direct, credentials, redis.url)
    done = service.wait(asked["id"])
    assert done.status == "succeeded", done.body
    assert done.clusters["shared"]["attempt"] == 2
    undo = service.http.post(f"/remediations/{asked['id']}/undo", json={})
    assert undo.status_code == 202, undo.text
    undone = service.wait(undo.json()["id"])
    assert undone.status == "succeeded", undone.body

    # The first worker has time for some more writes, were it to make any, until it is told that it has lost the run.
    time.sleep(20 * WRITE_SECONDS)
    to_redis.behave("pass")
    until(lambda: "somebody else has it now" in log.read_text(), "worker that gives up")
    assert {name: space.pull_secrets(name, "default") for name in names} == before
    there = [name for name in names if space.exists(f"namespaces/{name}/secrets/docker")]
    kept = {row["namespace"] for row in undone.rows if row["secret"]["action"] != "deleted"}
    assert set(there) == kept
