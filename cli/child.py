"""A child process: how it is started, its last words, and when it may be started again."""

import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from cli.tied import tied

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
STEADY_SECONDS = 10.0  # who lived this long starts with a short pause again
KEPT_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to run. `descriptors` stay open in the child; `environment` is all that it sees."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    descriptors: tuple[int, ...] = ()


class Child:
    """One child over all its lives. Times are those of one monotonic clock, in seconds."""

    def __init__(self, spec: ChildSpec) -> None:
        self.name = spec.name
        self.deaths = 0
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.restart_at: float | None = None
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._rest = b""

    @property
    def pid(self) -> int | None:
        """The process' id while it lives."""
        return self._process.pid if self._process else None

    @property
    def output(self) -> IO[bytes]:
        """Both output streams of the process, as a pipe that does not block."""
        if self._process is None or self._process.stdout is None:
            raise ValueError(f"{self.name} does not run")
        return self._process.stdout

    def start(self, now: float) -> None:
        """Start the process, in a session of its own: Ctrl-C in the terminal is for the parent to handle."""
        self.restart_at = None
        self.last_lines.clear()
        self._started = now
        self._process = subprocess.Popen(
            tied(self._spec.command),
            env=dict(self._spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=self._spec.descriptors,
            start_new_session=True,
            umask=0o077,
        )
        os.set_blocking(self.output.fileno(), False)

    def read_lines(self) -> list[str]:
        """Return the complete lines that came since the last call."""
        try:
            data = os.read(self.output.fileno(), 1 << 16)
        except BlockingIOError:
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._rest and (not data or len(self._rest) > 1 << 16):
            lines, self._rest = [*lines, self._rest], b""
        texts = [line.decode(errors="replace").rstrip("\r") for line in lines]
        self.last_lines.extend(texts)
        return texts

    def poll(self, now: float) -> int | None:
        """Return the exit code if the process has just ended, and plan its restart."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        if now - self._started >= STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        self.deaths += 1
        self.restart_at = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        return code

    def forget(self) -> None:
        """Clear away what is left of a process that has ended.

        Its own children must not outlive it: they may hold the port that its successor needs.
        """
        if self._process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self.output.close()
        self._process = None
        self._rest = b""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it lives."""
        if self._process:
            self._process.send_signal(number)


def describe_exit(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
