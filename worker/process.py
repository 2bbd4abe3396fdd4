"""The processes of a worker: one RQ worker for each run at a time, and one that announces and looks for lost runs."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from store.connection import PATIENT, connect
from store.queue import JOB, queue_name
from worker.settings import Settings

_PR_SET_PDEATHSIG = 1
_STOP = {signal.SIGTERM}
# RQ waits for a wake-up, and for an answer of Redis, about as long: by default 7 minutes on a connection that is dead.
_WORKER_TTL_SECONDS = 25

Execute = Callable[[str], None]


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent `parent` ends (Linux; elsewhere leases alone protect).

    The kernel ties it to the forking thread, so it serves for forks of a main thread only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the call
            os._exit(1)


class RunWorker(Worker):
    """An RQ worker whose job process dies with it, and passes SIGTERM on instead of waiting for the job's end."""

    prepare: Callable[[], object]

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Run in the forked process."""
        die_with_parent(self._own_pid)
        super().main_work_horse(job, queue)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork the process that does one job; what `prepare` reads is shared with all later ones."""
        self.prepare()
        self._own_pid = os.getpid()
        # SIGTERM waits here, for there is nobody yet whom it could be passed on to.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
        super().fork_work_horse(job, queue)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        if self._stop_requested:  # it came before
            self.handle_warm_shutdown_request()

    def setup_work_horse_signals(self) -> None:
        """Have SIGTERM end the forked process, until it has something to hand back."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)

    def handle_warm_shutdown_request(self) -> None:
        """Tell the job to hand its run back."""
        if self.horse_pid:
            with suppress(ProcessLookupError):  # it ended this moment
                os.kill(self.horse_pid, signal.SIGTERM)


def job_class(execute: Execute) -> type[Job]:
    """Return a job class that runs `execute` and nothing else, whatever the job in Redis names."""

    class RunJob(Job):
        """A wake-up for a run."""

        @property
        def func(self) -> Callable[..., Any]:
            """The one allowed function. Raises PermissionError."""
            if self.func_name != JOB:
                raise PermissionError("a job named another function than the one allowed")
            return execute

        # RQ would import whatever name a job carries here.
        success_callback = property(lambda self: None)
        failure_callback = property(lambda self: None)
        stopped_callback = property(lambda self: None)

    return RunJob


def serve(settings: Settings, execute: Execute, prepare: Callable[[], object]) -> None:
    """Take wake-ups from the pool's queue until told to stop; `prepare` runs before each job process is forked."""
    connection = connect(settings.redis_url, retries=PATIENT, text=False)
    kind = job_class(execute)
    queue = Queue(
        queue_name(settings.pool), connection=connection, serializer=JSONSerializer, job_class=kind
    )
    worker = RunWorker(
        [queue],  # exactly one: with several RQ loses a job that it was killed with in hand
        connection=connection,
        serializer=JSONSerializer,
        job_class=kind,
        log_job_description=False,
        worker_ttl=_WORKER_TTL_SECONDS,
    )
    worker.prepare = prepare
    worker.work(logging_level="WARNING")
