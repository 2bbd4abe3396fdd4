"""Keeps child processes alive and passes on what they say. One thread: everything happens in one loop."""

import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TextIO

from cli.child import Child, ChildSpec, describe_exit
from cli.errors import CliError

STOP_SECONDS = 10.0
EARLY_DEATHS = 5
WRONG_SETTINGS = (
    2  # how our processes end when a variable is wrong: starting them again changes nothing
)
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StartFailed(CliError):
    """A child does not come up; the message holds its last lines."""


class Supervisor:
    """The parent of some child processes; a context manager that ends them all, last started first."""

    def __init__(self, output: TextIO | None = None) -> None:
        self.stopping = False
        self._settled = False
        self._output = output or sys.stderr
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._handlers: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> "Supervisor":
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            self._handlers[number] = signal.signal(number, self._ask_to_stop)
        # A handler that does nothing, so that a child's death wakes the loop.
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in self._handlers.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
            self._selector.close()
            self._wake.close()
            self._waker.close()

    def start(self, spec: ChildSpec) -> Child:
        """Start a child and keep it alive from now on."""
        child = Child(spec)
        self._children.append(child)
        self._launch(child)
        return child

    def settle(self) -> None:
        """Say that everything is up: from now on a child that has worked and dies is started again for ever."""
        self._settled = True

    def run_until(self, done: Callable[[], bool], every: float = 0.05) -> bool:
        """Look after the children until `done`, asked every so many seconds, or until a signal says to stop.

        Return whether it is done. Raises StartFailed if a child does not come up.
        """
        due = time.monotonic()
        while not self.stopping:
            left = due - time.monotonic()
            if left > 0:
                self._turn(left)
                continue
            if done():
                return True
            due = time.monotonic() + every
        return False

    def run(self) -> None:
        """Look after the children until a signal says to stop. Raises StartFailed for wrong settings."""
        while not self.stopping:
            self._turn(None)

    def stop(self) -> None:
        """End the children one after the other, last started first; those that do not listen are killed."""
        self.stopping = True
        for child in reversed(self._children):
            self._end(child)
        self._children.clear()

    def say(self, name: str, line: str) -> None:
        """Write one line of a child, or about it."""
        try:
            self._output.write(f"{name:<6} | {line}\n")
            self._output.flush()
        except OSError:
            pass  # nobody listens any more; the service goes on

    def _turn(self, seconds: float | None) -> None:
        """Wait for something to happen, at most so long; pass on output; start again who died."""
        due = [child.restart_at for child in self._children if child.restart_at is not None]
        if due:
            pause = max(0.0, min(due) - time.monotonic())
            seconds = pause if seconds is None else min(seconds, pause)
        self._listen(seconds)
        for child in self._children:
            self._reap(child)
            if child.restart_at is not None and child.restart_at <= time.monotonic():
                self._launch(child)

    def _listen(self, seconds: float | None) -> None:
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, Child):
                self._pass_on(key.data)
            else:
                self._wake.recv(4096)

    def _pass_on(self, child: Child) -> bool:
        lines = child.read_lines()
        for line in lines:
            self.say(child.name, line)
        return bool(lines)

    def _reap(self, child: Child) -> None:
        code = child.poll(time.monotonic())
        if code is None:
            return
        self._bury(child)
        if self.stopping:
            return
        # Who finds its settings wrong at its very start, even when all others are up, finds the same the next time. One
        # that has worked with them may have come upon a file that is just being changed.
        wrong = code == WRONG_SETTINGS and (child.never_worked or not self._settled)
        if wrong or (child.deaths >= EARLY_DEATHS and not self._settled):
            last = "\n".join(f"  {line}" for line in child.last_lines)
            raise StartFailed(f"{child.name} {describe_exit(code)}; it last said:\n{last}")
        self.say(child.name, f"{describe_exit(code)}; starting it again")

    def _bury(self, child: Child) -> None:
        while self._pass_on(child):
            pass
        self._selector.unregister(child.output)
        child.forget()

    def _launch(self, child: Child) -> None:
        child.start(time.monotonic())
        self._selector.register(child.output, selectors.EVENT_READ, child)

    def _end(self, child: Child) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            child.signal(number)
            deadline = time.monotonic() + STOP_SECONDS
            self._reap(child)
            while child.pid and (left := deadline - time.monotonic()) > 0:
                self._listen(left)
                self._reap(child)
            if child.pid and number is signal.SIGTERM:
                self.say(child.name, f"did not end within {STOP_SECONDS:g} s; killing it")

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
