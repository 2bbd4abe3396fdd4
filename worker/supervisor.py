"""The parent process of a worker: forks the others, starts them again when they die, ends them with itself."""

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping

from worker.process import die_with_parent

GRACE_SECONDS = 5.0
WRONG_SETTINGS = 2
_QUICK_SECONDS = 5.0
_SLOWEST_RESTART_SECONDS = 5.0
_POLL_SECONDS = 1.0
_WAITED_FOR = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}

log = logging.getLogger(__name__)

Body = Callable[[], None]


class Supervisor:
    """Keeps one process for each named body. It has one thread only, so that it may fork at any time."""

    def __init__(self, bodies: Mapping[str, Body]) -> None:
        self._bodies = bodies
        self._running: dict[int, str] = {}
        self._started: dict[str, float] = {}
        self._quick_ends: dict[str, int] = {}
        self._due: dict[str, float] = dict.fromkeys(bodies, 0.0)

    def run(self) -> int:
        """Keep the processes until SIGTERM or SIGINT; then end them within GRACE_SECONDS, and return the exit code.

        So does one that ends with WRONG_SETTINGS: it has said why, and would end again.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
        while True:
            self._start_due()
            told = signal.sigtimedwait(_WAITED_FOR, self._patience())
            if told and told.si_signo != signal.SIGCHLD:
                self._end()
                return 0
            if self._collect():
                self._end()
                return WRONG_SETTINGS

    def _start_due(self) -> None:
        now = time.monotonic()
        for name, due in list(self._due.items()):
            if due <= now:
                del self._due[name]
                self._started[name] = now
                self._running[self._fork(self._bodies[name])] = name

    def _patience(self) -> float:
        now = time.monotonic()
        return max(0.0, min([_POLL_SECONDS, *(due - now for due in self._due.values())]))

    def _collect(self) -> bool:
        """Have those that ended started again; return whether one found its settings wrong."""
        wrong = False
        for pid, status in _ended():
            name = self._running.pop(pid, None)
            if name is None:
                continue
            lived = time.monotonic() - self._started[name]
            quick = self._quick_ends.get(name, 0) + 1 if lived < _QUICK_SECONDS else 0
            self._quick_ends[name] = quick
            pause = min(_SLOWEST_RESTART_SECONDS, 0.1 * 2**quick)
            self._due[name] = time.monotonic() + pause
            if os.waitstatus_to_exitcode(status) == WRONG_SETTINGS:
                wrong = True
            else:
                log.warning("%s ended (%s); starting it again", name, _describe(status))
        return wrong

    def _end(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        while self._running and (left := until - time.monotonic()) > 0:
            signal.sigtimedwait({signal.SIGCHLD}, min(left, 0.1))
            for pid, _ in _ended():
                self._running.pop(pid, None)
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    @staticmethod
    def _fork(body: Body) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            die_with_parent(parent)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED_FOR)
            body()
            code = 0
        except KeyboardInterrupt:
            code = 0
        except SystemExit as asked:
            code = asked.code if isinstance(asked.code, int) else 1
        except Exception as error:  # the child must not fall back into the parent's code
            log.error("ended by %s", type(error).__name__)  # noqa: TRY400
        finally:
            os._exit(code)


def _ended() -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not pid:
            return found
        found.append((pid, status))


def _describe(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {signal.Signals(os.WTERMSIG(status)).name}"
    return f"code {os.WEXITSTATUS(status)}"
