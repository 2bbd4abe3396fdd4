"""The job class and the supervisor: only the one function runs, and nobody is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer

from store.queue import JOB
from worker.process import job_class

ROOT = Path(__file__).parents[2]


class NoConnection:
    """Stands where a connection is not used."""


def a_job(func_name, **values):
    done: list[str] = []
    unused: Any = NoConnection()
    job = job_class(done.append)("id", connection=unused, serializer=JSONSerializer)
    job._func_name, job._args, job._kwargs, job._instance = func_name, ("run-1",), {}, None
    for name, value in values.items():
        setattr(job, name, value)
    return job, done


def test_the_allowed_job_runs_what_the_worker_was_given():
    job, done = a_job(JOB)

    job.func(*job.args)

    assert done == ["run-1"]


@pytest.mark.parametrize("name", ["os.system", "worker.job.other", "subprocess.run", ""])
def test_a_job_that_names_another_function_is_refused(name):
    job, done = a_job(name)

    with pytest.raises((PermissionError, DeserializationError)):
        job.func(*job.args)
    assert done == []


def test_callbacks_named_in_redis_are_never_imported():
    job, _ = a_job(
        JOB,
        _success_callback_name="os.abort",
        _failure_callback_name="os.abort",
        _stopped_callback_name="os.abort",
    )

    assert isinstance(job, Job)
    assert job.success_callback is None
    assert job.failure_callback is None
    assert job.stopped_callback is None


SUPERVISED = """
import os, sys, time
from worker.supervisor import Supervisor

def body():
    print(os.getpid(), flush=True)
    while True:
        time.sleep(60)

Supervisor({"one": body}).run()
"""


@pytest.fixture
def supervisor():
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISED],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process
    process.kill()
    process.communicate(timeout=90)


def gone(pid: int) -> bool:
    """Wait until there is no such process; a zombie counts as gone."""
    for _ in range(1800):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_process_that_dies_is_started_again(supervisor):
    first = int(supervisor.stdout.readline())

    os.kill(first, signal.SIGKILL)

    assert int(supervisor.stdout.readline()) != first


def test_a_child_dies_with_its_killed_supervisor(supervisor):
    child = int(supervisor.stdout.readline())

    supervisor.kill()

    assert gone(child)


def test_sigterm_ends_the_children_first(supervisor):
    child = int(supervisor.stdout.readline())

    supervisor.terminate()

    assert supervisor.wait(timeout=90) == 0
    assert gone(child)
