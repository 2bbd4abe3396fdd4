"""`remediator up` on a Redis of its own: started, killed in parts or as a whole, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from rq import Worker

from controlplane import _tied
from store.connection import PROMPT, connect
from store.store import Store
from tests.chaos.redis_server import RedisProxy, RedisServer
from tests.e2e.service import ROOT, own_environment

START_SECONDS = 90.0
PROCESSES = 8
CONCURRENCY = 2


@dataclass(frozen=True, slots=True)
class Job:
    """A run at work: the process that does it, and the RQ worker that forked that process."""

    run: str
    remediation: str
    cluster: str
    pid: int
    parent: int


class Installation:
    """The service as its user starts it; a context manager that ends all of it."""

    def __init__(
        self,
        directory: Path,
        kubeconfig: Path,
        credentials: Path,
        redis: RedisServer,
        proxy: RedisProxy,
    ) -> None:
        self.log = directory / "up.log"
        self.redis = redis
        self._command = [sys.executable, "-m", "cli", "up", "--json", "--port", "0"]
        self._command += ["--data-dir", str(directory / "data")]
        self._command += ["--credentials-dir", str(credentials), "--kubeconfig", str(kubeconfig)]
        self._environment = own_environment(
            {
                "REDIS_URL": proxy.url,
                "REMEDIATOR_PROCESSES": str(PROCESSES),
                "REMEDIATOR_CONCURRENCY": str(CONCURRENCY),
            }
        )
        self._http = httpx.Client(timeout=5, trust_env=False)
        # The bad way left out.
        self._store = Store.open(redis.url, retries=PROMPT)
        self._rq = connect(redis.url, retries=PROMPT, text=False)
        self._url = self._token = ""
        self._up: subprocess.Popen[str] | None = None

    def __enter__(self) -> Installation:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._http.close()
        self._store.close()
        self._rq.close()

    def start(self) -> None:
        """Start it; return when it says that it is ready."""
        tie = [sys.executable, "-I", "-S", str(Path(_tied.__file__)), str(os.getpid())]
        with self.log.open("ab") as log:
            self._up = subprocess.Popen(
                [*tie, *self._command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                text=True,
            )
        assert self._up.stdout
        # One that does not come up ends; one that hangs is ended here, and the line stays empty.
        guard = threading.Timer(START_SECONDS, self._up.kill)
        guard.start()
        line = self._up.stdout.readline()
        guard.cancel()
        assert line, f"up did not start:\n{self.last_lines()}"
        ready = json.loads(line)
        self._url, self._token = f"{ready['url']}", ready["token"]

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self._up:
            self._up.terminate()
            self._bury()

    def kill(self, *, children: bool) -> None:
        """Kill `up`, with or without all that it started."""
        assert self._up
        for pid in descendants(self._up.pid) if children else [self._up.pid]:
            kill(pid)
        self._bury()

    def request(self, method: str, path: str, seconds: float = 5.0, **more: Any) -> httpx.Response:
        """Ask the API. Raises httpx.TransportError where no answer came."""
        headers = {"Authorization": f"Bearer {self._token}"} | more.pop("headers", {})
        url = f"{self._url}/api/v1{path}"
        return self._http.request(method, url, headers=headers, timeout=seconds, **more)

    def ready(self) -> bool:
        """Tell whether requests can be served."""
        with suppress(httpx.TransportError):
            return self._http.get(f"{self._url}/readyz", timeout=1).is_success
        return False

    def worker(self) -> int | None:
        """Return the worker's parent process."""
        return self._child("worker")

    def api(self) -> int | None:
        """Return the API's parent process."""
        return self._child("api")

    def attendants(self) -> list[int]:
        """Return the worker's processes that are no RQ workers. Raises StoreUnavailable."""
        known = {pid for pid, _ in self._rq_workers()}
        return [pid for pid in children(self.worker()) if pid not in known]

    def jobs(self) -> list[Job]:
        """Return who works on what. Raises StoreUnavailable."""
        ours = set(children(self.worker()))
        return [
            Job(run.id, run.remediation_id, run.cluster, pid, parent)
            for parent, job in self._rq_workers()
            if parent in ours and (run := self._store.runs.get(job.rpartition("-")[0]))
            for pid in children(parent)
        ]

    def last_lines(self, count: int = 40) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def _child(self, module: str) -> int | None:
        assert self._up
        for pid in children(self._up.pid):
            with suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_text().split("\0")[-3:-1] == ["-m", module]:
                    return pid
        return None

    def _rq_workers(self) -> list[tuple[int, str]]:
        """Return process id and current job of each RQ worker that Redis knows."""
        known = Worker.all(connection=self._rq)
        return [(each.pid, each.get_current_job_id() or "") for each in known if each.pid]

    def _bury(self) -> None:
        assert self._up
        try:
            self._up.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            self._up.kill()
            self._up.communicate(timeout=10)


def children(pid: int | None) -> list[int]:
    """Return the child processes, the oldest first; none of a process that has ended."""
    found: list[int] = []
    for entry in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in entry.read_text().split()]
    return found


def descendants(pid: int) -> list[int]:
    """Return the process and all that it started, parents first."""
    found = [pid]
    for parent in found:
        found += children(parent)
    return found


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
