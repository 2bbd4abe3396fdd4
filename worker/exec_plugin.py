"""Running the exec plugin of a kubeconfig.

The Python client's own way of doing it lets a plugin that hangs live on, hangs itself on one that writes much to
stderr, and takes an empty token for a credential.
"""

import asyncio
import errno
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from remediation.redaction import is_secret_name, last_words
from worker.exec_answer import credential_of, strings_in
from worker.kubeconfig_plugin import install_hint
from worker.kubeconfig_rules import Unusable
from worker.renewal import NotNow

SECONDS = 20.0
_MOST_OUTPUT = 1 << 20  # a credential is a few kilobytes
_TAIL = 1 << 15
_CHUNK = 1 << 16
_NO_TERMINAL = (
    "not a terminal",
    "not a tty",
    "inappropriate ioctl",
    "non-interactive",
    "eof when reading",
)


async def run(plugin: Mapping[str, Any], cluster: Mapping[str, Any]) -> dict[str, str]:
    """Return what the plugin answers, as the user entry of a kubeconfig; with provideClusterInfo it is told `cluster`.

    Raises Unusable with the name of its command and the last words of its standard error, as far as they may be told.
    """
    process = await _started(plugin, cluster)
    output, said = bytearray(), bytearray()
    try:
        await _finish(process, output, said)
        return _judged(process.returncode, bytes(output), plugin)
    except TimeoutError:
        kind, why = (
            Unusable,
            f"did not finish within {SECONDS:.0f} s; it cannot ask for anything here",
        )
    except Unusable as error:
        kind, why = type(error), str(error)
    words = last_words(bytes(said), _secrets(plugin, bytes(output)))
    problem = f"its exec plugin {_name(plugin)} {why}"
    if words:
        problem += f": {words}"
    if any(sign in words.lower() for sign in _NO_TERMINAL):
        problem += "; a worker has no terminal: log in beforehand, or use a login for machines"
    raise kind(problem)


def _judged(code: int | None, output: bytes, plugin: Mapping[str, Any]) -> dict[str, str]:
    if len(output) > _MOST_OUTPUT:
        raise Unusable(f"writes more than {_MOST_OUTPUT >> 20} MiB to its standard output")
    if code:
        raise NotNow(_ended(code))
    return credential_of(output, plugin.get("apiVersion"))


async def _started(
    plugin: Mapping[str, Any], cluster: Mapping[str, Any]
) -> asyncio.subprocess.Process:
    """Start the plugin. Cancelled meanwhile, asyncio would end the plugin alone, and wait for all that it started."""
    starting = asyncio.ensure_future(_start(plugin, cluster))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(Unusable):
            await _end(await starting)
        raise


async def _start(
    plugin: Mapping[str, Any], cluster: Mapping[str, Any]
) -> asyncio.subprocess.Process:
    spec = {"interactive": False} | (
        {"cluster": cluster} if plugin.get("provideClusterInfo") else {}
    )
    told = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": spec}
    try:
        own = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or ()}
        return await asyncio.create_subprocess_exec(
            plugin["command"],
            *(str(argument) for argument in plugin.get("args") or ()),
            env=os.environ | own | {"KUBERNETES_EXEC_INFO": json.dumps(told, default=str)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # so that it can be ended with all that it started
        )
    except OSError as error:
        raise Unusable(_not_started(plugin, error)) from None
    except (TypeError, KeyError, ValueError):
        detail = f"the args or env of its exec plugin {_name(plugin)} are not as they should be"
        raise Unusable(detail) from None


async def _finish(process: asyncio.subprocess.Process, output: bytearray, said: bytearray) -> None:
    """Read what the process writes until it ends; one that writes too much is ended. Raises TimeoutError."""
    try:
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(_read_output(process, output), _read_tail(process, said))
            await process.wait()
    except BaseException:
        await _end(process)
        raise


async def _read_output(process: asyncio.subprocess.Process, into: bytearray) -> None:
    assert process.stdout  # noqa: S101 -- it is a pipe
    while chunk := await process.stdout.read(_CHUNK):
        if len(into) > _MOST_OUTPUT:
            continue  # read to its end: asyncio sees no process end whose pipe is full
        into += chunk
        if len(into) > _MOST_OUTPUT:
            _kill(process)


async def _read_tail(process: asyncio.subprocess.Process, into: bytearray) -> None:
    assert process.stderr  # noqa: S101 -- it is a pipe
    while chunk := await process.stderr.read(_CHUNK):
        into += chunk
        del into[:-_TAIL]


async def _end(process: asyncio.subprocess.Process) -> None:
    _kill(process)
    with suppress(TimeoutError):  # of a child in another session that holds the pipes open
        async with asyncio.timeout(1):
            await process.communicate()


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _ended(code: int) -> str:
    if code > 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _not_started(plugin: Mapping[str, Any], error: OSError) -> str:
    """Return why there is no process, and what the kubeconfig says of how to get the plugin."""
    text = f"its exec plugin {_name(plugin)} cannot be started ({error.strerror})"
    if error.errno == errno.ENOENT:
        text += "; install it where the worker runs, or put it on the worker's PATH"
    text += install_hint(plugin)
    return text


def _name(plugin: Mapping[str, Any]) -> str:
    command = str(plugin.get("command"))
    return repr(command if "/" not in command else os.path.normpath(command))


def _secrets(plugin: Mapping[str, Any], output: bytes) -> Iterator[str]:
    """Yield what the plugin may have repeated: values it was given, and the credential that it printed."""
    yield from strings_in(output)
    before = ""
    for argument in map(str, plugin.get("args") or ()):
        name, _, value = argument.partition("=")
        if is_secret_name(before):
            yield argument
        if value and is_secret_name(name):
            yield value
        before = argument
    own = ((str(item["name"]), str(item["value"])) for item in plugin.get("env") or ())
    for name, value in (*own, *os.environ.items()):
        if is_secret_name(name) or name.endswith("_URL"):
            yield value
