"""The service under demonstration: `remediator up` in a directory of its own."""

import json
import os
import secrets
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cli.data_dir import write_private
from cli.errors import CliError
from cli.target import Target
from cli.tied import tied
from controlplane.pull import Login

CREDENTIAL = "demo"
USERNAME = "demo-user"
START_SECONDS = 60.0
STOP_SECONDS = 40.0


def write_credential(directory: Path, registry: str) -> Login:
    """Write a login of the registry as workers read it, and return it.

    Its password is made up here and now.
    """
    login = Login(USERNAME, secrets.token_urlsafe(24))
    entry = directory / CREDENTIAL
    entry.mkdir(mode=0o700, parents=True)
    write_private(entry / "registry", registry)
    write_private(entry / "username", login.username)
    write_private(entry / "password", login.password)
    return login


def write_registries(directory: Path, registry: str, shadow: str) -> Path:
    """Write what the worker has to know of the registry: it has no TLS, and where its shadow is."""
    path = directory / "registries.yaml"
    rules = {"plain_http": True, "shadow": f"http://{shadow}"}
    write_private(path, json.dumps({"registries": {registry: rules}}))
    return path


@contextmanager
def service(
    directory: Path, kubeconfig: Path, credentials: Path, port: int, *, registries: Path
) -> Iterator[Target]:
    """Yield the running service; it ends with the context. Raises CliError if it does not come up."""
    command = [sys.executable, "-P", "-m", "cli", "up", "--json"]
    command += ["--data-dir", str(directory / "data"), "--port", str(port)]
    command += ["--kubeconfig", str(kubeconfig), "--credentials-dir", str(credentials)]
    log = directory / "up.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            tied(command),
            env=_environment() | {"REMEDIATOR_REGISTRIES_FILE": str(registries)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield _target(process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _environment() -> dict[str, str]:
    """Return the environment without anything that leads to real clusters or a real Redis."""
    leading = ("REMEDIATOR_", "REDIS_URL", "KUBECONFIG")
    return {name: value for name, value in os.environ.items() if not name.startswith(leading)}


def _target(process: subprocess.Popen[bytes], log: Path) -> Target:
    line = _first_line(process.stdout, START_SECONDS) if process.stdout else b""
    try:
        ready = json.loads(line)
        return Target(str(ready["url"]), str(ready["token"]))
    except (ValueError, KeyError) as error:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise CliError(f"the service did not come up; it last said:\n{last}") from error


def _first_line(stream: IO[bytes], seconds: float) -> bytes:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(seconds) else b""
