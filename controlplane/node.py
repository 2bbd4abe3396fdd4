"""A real node: the real kubelet, containerd and runc, behind walls of their own.

It needs Linux, root and a C compiler (or runc); where the machine does not allow it, `Unavailable` says why.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from controlplane import node_files
from controlplane.build import Progress, binaries, no_runc, say
from controlplane.cluster import Cluster
from controlplane.image import program_image
from controlplane.image_server import ImageServer
from controlplane.kubeconfig import write_kubeconfig
from controlplane.part import Part
from controlplane.process import Process, StartError, wait_for
from controlplane.readiness import node_is_ready

_PROGRAMS = ("kubelet", "containerd", "containerd-shim-runc-v2", "runc-unfiltered", "runc")
BINARIES = (*_PROGRAMS, "pause")
_WALLED = Path(__file__).with_name("_walled.py")
_STOP_SECONDS = 20.0


class Unavailable(Exception):
    """This machine does not allow a real node; the text says why."""


def why_not() -> str:
    """Return why there can be no real node here, "" if there can; nothing is built for it."""
    if sys.platform != "linux":
        return "it needs Linux"
    if os.geteuid() != 0:
        return "it needs root"
    return no_runc() or _no_walls()


def _no_walls() -> str:
    with tempfile.TemporaryDirectory(prefix="remediator-node-") as directory:
        tried = subprocess.run(
            _command("none", Path(directory), ()),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_STOP_SECONDS,
        )
    if tried.returncode == 0:
        return ""
    told = tried.stderr.strip().splitlines()[-1:]
    return f"it needs namespaces, mounts and control groups: {''.join(told) or 'not allowed'}"


def _command(name: str, directory: Path, programs: Iterable[Path]) -> list[str]:
    walled = [sys.executable, "-I", "-S", str(_WALLED), str(os.getpid()), name, str(directory)]
    return [*walled, *map(str, programs)]


class RealNode(Part):
    """A running node of a cluster; a context manager that ends it and everything on it."""

    def __init__(
        self, name: str, resting: str, pid: int, directory: Path, stack: ExitStack
    ) -> None:
        """Use `RealNode.start` instead."""
        self.name = name
        # The process that everything on it ends with.
        self.pid = pid
        # An image that is always there, and does nothing.
        self.resting = resting
        self._directory = directory
        self._stack = stack

    @classmethod
    def start(
        cls,
        directory: Path,
        cluster: Cluster,
        *,
        name: str = "real",
        progress: Progress = say,
    ) -> Self:
        """Join a node to the cluster and return it when it is Ready; its logs are in `directory`.

        A first build takes minutes. Raises Unavailable, BuildError, and StartError with the end of a log.
        """
        if reason := why_not():
            raise Unavailable(reason)
        found = binaries(*BINARIES, progress=progress)
        directory = directory.absolute()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as stack:
            server = stack.enter_context(ImageServer(program_image(found["pause"].read_bytes())))
            node_files.write(directory, server.reference)
            write_kubeconfig(directory / "kubeconfig", {cluster.name: cluster.context})
            command = _command(name, directory, [found[one] for one in _PROGRAMS])
            process = Process.start("node", command, directory)
            stack.callback(process.stop, grace=_STOP_SECONDS)
            _wait(process, partial(node_is_ready, cluster.http, name), directory)
            return cls(name, server.reference, process.pid, directory, stack.pop_all())

    def stop(self) -> None:
        """End it with everything that runs on it. Harmless when already stopped."""
        self._stack.close()

    def name_registry(self, host: str, url: str) -> None:
        """Have it find at `url` what images call `host`; from the next pull on."""
        node_files.name_registry(self._directory, host, url)

    def kill(self, pod: Mapping[str, Any]) -> None:
        """Kill the running containers of a pod, as it is in the API: the kubelet starts them again."""
        told = pod["status"].get("containerStatuses", [])
        identities = {
            one["containerID"].rpartition("/")[2] for one in told if "running" in one["state"]
        }
        for process in _processes(identities):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _wait(process: Process, ready: Callable[[], bool], directory: Path) -> None:
    try:
        wait_for(ready, "a Ready node", [process])
    except StartError as error:
        ends = [_end(directory / f"{name}.log") for name in ("containerd", "kubelet")]
        raise StartError("\n".join([str(error), *filter(None, ends)])) from error


def _end(log: Path) -> str:
    if not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-12:]
    return f"the end of {log}:\n" + "\n".join(line[:400] for line in lines)


def _processes(identities: set[str]) -> Iterator[int]:
    """Yield the processes of containers, which are those in the containers' control groups."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            group = (folder / "cgroup").read_text()
            if any(one in group for one in identities):
                yield int(folder.name)
