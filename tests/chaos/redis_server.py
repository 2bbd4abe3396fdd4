"""A Redis that is killed and started again, and the bad way to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from types import TracebackType

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from controlplane.process import Process
from tests.conftest import START_SECONDS, redis_executable

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_SLOW_SECONDS = (0.01, 0.15)
_LOST_SHARE = 0.1
_CHUNK = 1 << 16


class RedisServer:
    """A Redis with an append-only file that holds all it ever answered, so that none of it is lost by a kill."""

    def __init__(self) -> None:
        # A short path: the name of a socket has little more than 100 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="rmd-", dir="/tmp"))
        self.socket = self._folder / "redis.sock"
        self._process: Process | None = None

    def __enter__(self) -> RedisServer:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.stop()
        shutil.rmtree(self._folder)

    @property
    def url(self) -> str:
        """Where it is, without the bad way."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it on what it had; return when it answers."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes",
            # With `everysec`, what was answered while the disk is busy may not be in the file yet.
            "appendfsync": "always",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = Process.start("redis", [redis_executable(), *arguments], self._folder)
        deadline = time.monotonic() + START_SECONDS
        with Redis.from_url(self.url) as redis:
            while True:
                self._process.check()
                try:
                    redis.ping()
                except RedisConnectionError:  # not there yet, or reading its file
                    assert time.monotonic() < deadline, self._process.last_lines()
                    time.sleep(0.02)
                else:
                    return

    def hang(self) -> None:
        """Have it take connections and commands, and say nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End the hang: it carries out what came meanwhile."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.stop()


class RedisProxy:
    """The way to Redis: a TCP port whose `mode` says how it is.

    "pass"; "refuse" (connections are reset at once); "hang" (nothing moves); "slow" (everything waits a little);
    "lose" (Redis does what it is told, and some answers are lost with their connection).
    """

    def __init__(self, upstream: Path, rng: Random) -> None:
        self._upstream = upstream
        self._rng = rng
        self._mode = "pass"
        self._open: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> RedisProxy:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=20)

    @property
    def url(self) -> str:
        """What REDIS_URL must be."""
        return f"redis://127.0.0.1:{self.port}/0"

    def behave(self, mode: str) -> None:
        """Set how the way is from now on."""
        self._loop.call_soon_threadsafe(self._behave, mode)

    def cut(self) -> None:
        """Reset every connection that there is."""
        self._loop.call_soon_threadsafe(self._cut)

    def _behave(self, mode: str) -> None:
        self._mode = mode
        if mode == "hang":
            self._moving.clear()
        else:
            self._moving.set()

    def _cut(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._moving = asyncio.Event()
        self._moving.set()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._moving.set()
        self._cut()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "refuse":
            _reset(writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            _reset(writer)
            return
        both = {writer, up_writer}
        self._open |= both
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, up_writer, answers=False))
                pumps.create_task(self._pump(up_reader, writer, answers=True))
        except* OSError:
            pass
        finally:
            self._open -= both
            for end in both:
                _reset(end)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._moving.wait()
            if self._mode == "slow":
                await asyncio.sleep(self._rng.uniform(*_SLOW_SECONDS))
            if answers and self._mode == "lose" and self._rng.random() < _LOST_SHARE:
                break
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one end is gone: so is the other


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection in the way that the other side sees an error, and not an end."""
    end = writer.get_extra_info("socket")
    if end is not None and end.family != socket.AF_UNIX and not writer.transport.is_closing():
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
