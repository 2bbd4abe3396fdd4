"""Child processes that write a log, die with their parent and are ended by their id."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

POLL = 0.05
_TIED = Path(__file__).with_name("_tied.py")


class StartError(Exception):
    """A process ended or was not ready in time; the text ends with its last log lines."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running child."""

    name: str
    log: Path
    _child: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
        spoken_to: bool = False,
    ) -> Process:
        """Run `command` in `directory`, its output in `directory/<name>.log`.

        `environment` replaces that of this process. With `spoken_to`, standard input and output
        are `talk`, and the log gets only what goes to standard error.

        The child dies with this process even if that is killed (Linux only), and has a
        session of its own: Ctrl-C reaches the parent alone, which then ends its children.
        """
        log = directory / f"{name}.log"
        start = partial(_start, command, directory, log, environment, spoken_to)
        return cls(name, log, _SPAWNER.spawn(start))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def talk(self) -> tuple[IO[bytes], IO[bytes]]:
        """Where to write to the child and where to read from it; only if it was `spoken_to`."""
        if self._child.stdin is None or self._child.stdout is None:
            raise ValueError(f"{self.name} was not started to be spoken to")
        return self._child.stdin, self._child.stdout

    def check(self) -> None:
        """Raise StartError if the process has ended."""
        status = self._child.poll()
        if status is not None:
            raise StartError(f"{self.name} ended with status {status}{self.last_lines()}")

    def last_lines(self, count: int = 12) -> str:
        """Return the end of the log as text to append to a message."""
        lines = self.log.read_text(errors="replace").splitlines()[-count:]
        # A registry or API server can write very long lines; the message stays readable.
        return f"; the end of {self.log}:\n" + "\n".join(line[:400] for line in lines)

    def stop(self, *, grace: float = 5.0) -> None:
        """Send SIGTERM, and SIGKILL after `grace` seconds. Harmless when already ended."""
        stop_all([self], grace=grace)


def stop_all(processes: Iterable[Process], *, grace: float = 5.0) -> None:
    """Stop the processes side by side."""
    children = [process._child for process in processes]
    for child in children:
        child.terminate()
    deadline = time.monotonic() + grace
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(
    condition: Callable[[], bool],
    what: str,
    processes: Sequence[Process],
    *,
    timeout: float = 120.0,
) -> None:
    """Return when `condition` holds; `timeout` is generous because machines may be loaded.

    Raises StartError when one of the processes ends, or naming `what` after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        for process in processes:
            process.check()
        if time.monotonic() > deadline:
            raise StartError(f"{what}: not after {timeout:.0f} s{processes[-1].last_lines()}")
        time.sleep(POLL)


class _Spawner:
    """One thread that starts every child and lives as long as the process.

    The kernel's "tell me when my parent dies" means the parent *thread*: a child started
    from a short-lived thread (a pool that starts clusters side by side) would be killed
    when that thread ends. The tie itself is made by a small script that then becomes the
    command, not by Popen's preexec_fn, which is unsafe once there are threads.
    """

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[tuple[Callable[[], _Child], Future[_Child]]]
        self._requests = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def spawn(self, start: Callable[[], _Child]) -> _Child:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="spawner", daemon=True)
                self._thread.start()
        future: Future[_Child] = Future()
        self._requests.put((start, future))
        return future.result()

    def _run(self) -> None:
        while True:
            start, future = self._requests.get()
            try:
                future.set_result(start())
            except OSError as error:
                future.set_exception(error)


_Child = subprocess.Popen[bytes]
_SPAWNER = _Spawner()


def _start(
    command: Sequence[str],
    directory: Path,
    log: Path,
    environment: Mapping[str, str] | None,
    spoken_to: bool,
) -> _Child:
    tied = [sys.executable, "-I", "-S", str(_TIED), str(os.getpid()), *command]
    with log.open("ab") as output:
        return subprocess.Popen(
            tied,
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE if spoken_to else subprocess.DEVNULL,
            stdout=subprocess.PIPE if spoken_to else output,
            stderr=output,
            start_new_session=True,
        )
