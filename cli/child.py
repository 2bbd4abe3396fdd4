"""A child process: how it is started, its last words, and when it may be started again."""

import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cli.tied import tied

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
STEADY_SECONDS = 10.0  # who lived this long starts with a short pause again
KEPT_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to run. `descriptors` stay open in the child; `environment` is all that it sees.

    Standard output goes to the end of the file `output`, where there is one; else both streams are passed on.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    descriptors: tuple[int, ...] = ()
    output: Path | None = None


class Child:
    """One child over all its lives. Times are those of one monotonic clock, in seconds."""

    def __init__(self, spec: ChildSpec) -> None:
        self.name = spec.name
        self.deaths = 0
        self.never_worked = False  # it has ended for the first time, right after its start
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
        """What the process says, as a pipe that does not block."""
        stream = self._process and (self._process.stdout or self._process.stderr)
        if not stream:
            raise ValueError(f"{self.name} does not run")
        return stream

    def start(self, now: float) -> None:
        """Start the process, in a session of its own: Ctrl-C in the terminal is for the parent to handle."""
        self.restart_at = None
        self.last_lines.clear()
        self._started = now
        with _opened(self._spec.output) as file:
            self._process = subprocess.Popen(
                tied(self._spec.command),
                env=dict(self._spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=file or subprocess.PIPE,
                stderr=subprocess.PIPE if file else subprocess.STDOUT,
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
        steady = now - self._started >= STEADY_SECONDS
        if steady:
            self._pause = FIRST_PAUSE_SECONDS
        self.deaths += 1
        self.never_worked = self.deaths == 1 and not steady
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


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[IO[bytes] | None]:
    """Open a file that only its owner may read, at its end; None without a path."""
    if path is None:
        yield None
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with os.fdopen(os.open(path, flags, 0o600), "ab", buffering=0) as file:
        yield file


def describe_exit(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
