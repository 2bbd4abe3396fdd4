"""The processes on a Redis as others host it: they say what endangers records, and end where waiting cannot help."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.test_server import Process
from tests.e2e.service import ROOT, own_environment, until
from tests.hosted import HostedRedis

ALL = ("~rmd:*", "~rq:*", "resetchannels", "&rq:*", "+@all", "-@dangerous", "+info")
PATIENCE_SECONDS = 90.0


@pytest.fixture(scope="module")
def hosted() -> Iterator[HostedRedis]:
    with HostedRedis(**{"maxmemory": "64mb", "maxmemory-policy": "volatile-lru"}) as hosted:
        yield hosted


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a worker without clusters, and of an API that nobody calls."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{apiVersion: v1, kind: Config, contexts: [], clusters: [], users: []}")
    return {
        "REMEDIATOR_KUBECONFIG": str(kubeconfig),
        "REMEDIATOR_CREDENTIALS_DIR": str(tmp_path),
        "REMEDIATOR_PROCESSES": "1",
        "REMEDIATOR_LISTEN": "127.0.0.1:0",
    }


def ended(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a process to its end."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=own_environment(environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("module", ["api", "worker"])
def test_a_refusal_ends_it_at_start_with_the_reason(
    module: str, hosted: HostedRedis, settings: dict[str, str]
) -> None:
    refusals = {
        hosted.url("remediator:wrong-hunter2"): "refuses the login in REDIS_URL (WRONGPASS)",
        hosted.user("limited", *ALL, "-xadd"): "the right to 'xadd'",
    }
    for url, reason in refusals.items():
        result = ended([module], settings | {"REDIS_URL": url})

        assert result.returncode == 2, result.stderr
        last = result.stderr.splitlines()[-1]
        assert last.startswith(f"remediator {module}: REDIS_URL leads to a Redis at redis://127.")
        assert reason in last
        assert "hunter2" not in result.stderr
        assert "Traceback" not in result.stderr


def test_up_ends_with_the_reason(
    hosted: HostedRedis, settings: dict[str, str], tmp_path: Path
) -> None:
    url = hosted.url("remediator:wrong-hunter2")
    arguments = ["cli", "up", "--port", "0", "--data-dir", str(tmp_path / "data")]

    result = ended(arguments, settings | {"REDIS_URL": url})

    assert result.returncode == 1
    assert "refuses the login in REDIS_URL (WRONGPASS)" in result.stderr
    assert "hunter2" not in result.stderr


def test_an_eviction_policy_is_told_and_a_login_that_ends_is(
    hosted: HostedRedis, settings: dict[str, str], tmp_path: Path
) -> None:
    settings |= {"REDIS_URL": hosted.user("remediator", *ALL)}
    log = tmp_path / "worker-log"
    with log.open("wb") as file:
        worker = subprocess.Popen(
            [sys.executable, "-m", "worker"], cwd=ROOT, env=own_environment(settings), stderr=file
        )
    try:
        api = Process(tmp_path / "api-log", **settings)
        try:
            api.logged("maxmemory-policy volatile-lru")
            status, text = api.get("/readyz?verbose")
            assert status == 200
            assert "[+]eviction warning: Redis may drop any key" in text
            until(lambda: hosted.admin.zcard("rmd:workers"), "worker")
            assert "maxmemory-policy volatile-lru" in log.read_text()

            hosted.admin.execute_command("ACL", "DELUSER", "remediator")

            assert api.process.wait(PATIENCE_SECONDS) == 2
            assert worker.wait(PATIENCE_SECONDS) == 2
        finally:
            _end(api.process)
    finally:
        _end(worker)
    for told in (log.read_text(), api.log.read_text()):
        assert "refuses the login in REDIS_URL (WRONGPASS)" in told
        assert "hunter2" not in told


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.kill(process.pid, 15)
        process.wait(PATIENCE_SECONDS)
