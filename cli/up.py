"""`remediator up`: everything on one machine."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from cli.access import ensure_token
from cli.child import ChildSpec
from cli.data_dir import DataDir, default_data_dir
from cli.listen import Address, reserve
from cli.processes import python_module
from cli.redis_server import RedisServer, prepare_redis
from cli.sealing_keys import ensure_pair
from cli.supervisor import Supervisor
from cli.up_text import Inventory, greeting, inventory

INVENTORY_SECONDS = 5.0  # how long to wait for the worker's first announcement
_FILE = click.Path(exists=True, path_type=Path)
_SEALING_KEY = "REMEDIATOR_SEALING_KEY_FILE"
_SEALING_PUBLIC_KEY = "REMEDIATOR_SEALING_PUBLIC_KEY_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `up` was asked for; None leaves it to the process that reads it."""

    kubeconfigs: tuple[Path, ...]
    credentials_dir: Path | None
    data_dir: Path
    host: str
    port: int
    access_file: Path | None
    json: bool


@click.command("up")
@click.option(
    "--kubeconfig",
    "kubeconfigs",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="File or folder; repeatable.  [default: the usual one]",
)
@click.option(
    "--credentials-dir",
    # Not made if it is missing: a slip would be an empty folder, and every credential unknown.
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="REMEDIATOR_CREDENTIALS_DIR",
    metavar="DIR",
    help="Registry logins: NAME/.dockerconfigjson or NAME/{registry,username,password}."
    "  [default: credentials in the data directory]",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_data_dir,
    metavar="DIR",
    help="What is kept between two starts.  [default: ~/.local/share/remediator]",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="0 picks a free one.",
)
@click.option(
    "--access-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="REMEDIATOR_ACCESS_FILE",
    metavar="FILE",
    help="Who may call.  [default: one key of your own]",
)
@click.option(
    "--json", "json", is_flag=True, help="Print one JSON line when ready: url, token, pid."
)
def up_command(**options: object) -> None:
    """Start everything on this machine: Redis, worker and API.

    Ctrl-C ends it. Nothing accepted is lost: the next start on the same data directory goes on.
    """
    up(Settings(**options))  # type: ignore[arg-type]


def up(settings: Settings) -> None:
    """Run until a signal says to stop. Raises CliError if something does not come up; nothing is left behind."""
    data_dir = DataDir(settings.data_dir.absolute())
    data_dir.prepare()
    lock = data_dir.lock()
    address = reserve(settings.host, settings.port)
    token = None if settings.access_file else ensure_token(data_dir)
    with _redis(data_dir) as redis, Supervisor() as supervisor:
        environment = _environment(settings, data_dir, address)
        if redis:
            supervisor.start(redis.child(environment.plain, lock.inherited))
            environment = environment.with_redis(redis.url)
            supervisor.run_until(redis.answers)
        if not supervisor.stopping:
            supervisor.start(
                _child("worker", environment.worker, lock.inherited, data_dir.audit_file)
            )
            supervisor.start(_child("api", environment.api, lock.inherited, data_dir.audit_file))
        if not supervisor.run_until(address.ready):
            return
        data_dir.write_url(address.url)
        try:
            _announce(settings, data_dir, address, token, supervisor)
            supervisor.run()
        finally:
            data_dir.forget_url()


@dataclass(frozen=True, slots=True)
class Environment:
    """What each process sees: no more than it needs."""

    plain: dict[str, str]
    worker: dict[str, str]
    api: dict[str, str]

    def with_redis(self, url: str) -> "Environment":
        """Return the same with another Redis."""
        redis = {"REDIS_URL": url}
        return Environment(self.plain, self.worker | redis, self.api | redis)


def _environment(settings: Settings, data_dir: DataDir, address: Address) -> Environment:
    credentials = settings.credentials_dir or data_dir.credentials
    credentials.mkdir(mode=0o700, parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if name != "REMEDIATOR_TOKEN"}
    secret = ("REMEDIATOR_", "REDIS_URL", "KUBECONFIG")
    plain = {name: value for name, value in inherited.items() if not name.startswith(secret)}
    # Its own user's kubeconfigs: `kubectl` runs whatever they name too.
    worker = {"REMEDIATOR_EXEC_PLUGINS": "*", **inherited}
    worker["REMEDIATOR_CREDENTIALS_DIR"] = str(credentials.absolute())
    if settings.kubeconfigs:
        files = (str(path.absolute()) for path in settings.kubeconfigs)
        worker["REMEDIATOR_KUBECONFIG"] = os.pathsep.join(files)
    access_file = settings.access_file or data_dir.access_file
    private = ("KUBECONFIG", _SEALING_KEY, "REMEDIATOR_CREDENTIALS_DIR")
    api = {name: value for name, value in inherited.items() if not _holds(name, private)} | {
        "REMEDIATOR_ACCESS_FILE": str(access_file.absolute()),
        "REMEDIATOR_LISTEN": address.listen,
        "REMEDIATOR_PUBLIC_URL": os.environ.get("REMEDIATOR_PUBLIC_URL") or address.url,
    }
    if not (os.environ.get(_SEALING_KEY) or os.environ.get(_SEALING_PUBLIC_KEY)):
        pair = ensure_pair(data_dir.path)
        worker[_SEALING_KEY] = str(pair.private)
        api[_SEALING_PUBLIC_KEY] = str(pair.public)
    return Environment(plain, worker, api)


def _holds(name: str, parts: tuple[str, ...]) -> bool:
    return any(part in name for part in parts)


def _child(name: str, environment: dict[str, str], lock: int, audit: Path) -> ChildSpec:
    return ChildSpec(
        name=name,
        command=python_module(name),
        # Lines must come when they are written, not when a buffer is full.
        environment={**environment, "PYTHONUNBUFFERED": "1"},
        # All keep the lock: if this process is killed, the next one waits until they have ended.
        descriptors=(lock,),
        # Nothing but the audit trail goes to standard output: not for the terminal, and not for who reads --json.
        output=audit,
    )


@contextlib.contextmanager
def _redis(data_dir: DataDir) -> Iterator[RedisServer | None]:
    """Yield the Redis to start, None if the environment names one."""
    if os.environ.get("REDIS_URL"):
        yield None
        return
    redis = prepare_redis(data_dir)
    try:
        yield redis
    finally:
        redis.clean_up()


def _announce(
    settings: Settings,
    data_dir: DataDir,
    address: Address,
    token: str | None,
    supervisor: Supervisor,
) -> None:
    supervisor.settle()
    found = Inventory()

    def announced() -> bool:
        nonlocal found
        found = inventory(address.url, token)
        return found.workers > 0 or token is None or time.monotonic() > deadline

    # The first request must not fail only because the worker has not yet said which clusters it serves.
    deadline = time.monotonic() + INVENTORY_SECONDS
    if not supervisor.run_until(announced, every=0.25):
        return
    if settings.json:
        line = {"url": address.url, "token": token, "pid": os.getpid()}
        click.echo(json.dumps(line))
    else:
        credentials = settings.credentials_dir or data_dir.credentials
        click.echo(greeting(address, data_dir, credentials.absolute(), token, found))
