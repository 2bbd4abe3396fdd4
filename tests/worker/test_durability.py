"""A worker on a Redis that would lose what was accepted says so."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from store import keys
from tests.conftest import STORE_DATABASE, keep_append_only_file

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0
WARNING = "keeps no append-only file: a crash of it loses accepted requests"


@pytest.fixture
def worker_log(tmp_path: Path, redis_server: str) -> Iterator[Path]:
    """Start a worker without clusters; the value is its log."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("REMEDIATOR_", "REDIS_"))}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{apiVersion: v1, kind: Config, contexts: [], clusters: [], users: []}")
    environment = kept | {
        "REDIS_URL": f"{redis_server}?db={STORE_DATABASE}",
        "REMEDIATOR_KUBECONFIG": str(kubeconfig),
        "REMEDIATOR_CREDENTIALS_DIR": str(tmp_path),
    }
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"], cwd=ROOT, env=environment, stdout=file, stderr=file
        )
    yield log
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0


@pytest.fixture
def without_file(redis_server: str) -> Iterator[None]:
    """Have Redis keep no append-only file for a while."""
    with Redis.from_url(redis_server) as redis:
        redis.config_set("appendonly", "no")
        yield
        keep_append_only_file(redis)


def until_at_work(redis_server: str) -> None:
    """Wait until the worker has announced itself: what it says at its start it has said by then."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with Redis.from_url(f"{redis_server}?db={STORE_DATABASE}") as redis:
        while not redis.zcard(keys.WORKERS):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.usefixtures("store", "without_file")
def test_without_an_append_only_file_the_log_warns(redis_server: str, worker_log: Path) -> None:
    until_at_work(redis_server)

    assert WARNING in worker_log.read_text()


@pytest.mark.usefixtures("store")
def test_with_one_it_does_not(redis_server: str, worker_log: Path) -> None:
    until_at_work(redis_server)

    assert WARNING not in worker_log.read_text()
