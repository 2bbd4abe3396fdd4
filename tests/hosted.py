"""A Redis as others host it: with logins, rights, policies and roles of their choice."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.conftest import START_SECONDS, redis_executable

ADMIN = "admin-hunter2"


class HostedRedis:
    """A Redis on a port of loopback; `admin` may do everything on it."""

    def __init__(self, **options: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rmd-", dir="/tmp"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        usual = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "no",
            "user": f"admin on >{ADMIN} ~* &* +@all",
        }
        words = [f"{name} {value or chr(34) * 2}\n" for name, value in (usual | options).items()]
        configuration = self._folder / "redis.conf"
        configuration.write_text("".join(words))
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [redis_executable(), str(configuration)], stdout=log, stderr=log
            )
        self.admin = Redis(port=self.port, username="admin", password=ADMIN, decode_responses=True)

    def __enter__(self) -> HostedRedis:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.admin.ping()
            except RedisError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.admin.close()
        self._process.terminate()
        self._process.wait(START_SECONDS)
        shutil.rmtree(self._folder)

    def url(self, login: str = "", database: str = "0") -> str:
        """Return what REDIS_URL must be."""
        at = f"{login}@" if login else ""
        return f"redis://{at}127.0.0.1:{self.port}/{database}"

    def user(self, name: str, *rules: str) -> str:
        """Make an ACL user; return its URL."""
        self.admin.execute_command("ACL", "SETUSER", name, "reset", "on", ">hunter2", *rules)
        return self.url(f"{name}:hunter2")

    def set(self, **options: Any) -> None:
        """Set options while it runs."""
        for name, value in options.items():
            self.admin.config_set(name.replace("_", "-"), value)
