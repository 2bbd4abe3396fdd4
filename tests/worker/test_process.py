"""The job class and the supervisor: only the one function runs, and nobody is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer

from remediation.permission import Binding, Grant, Policy, Role
from remediation.request import RemediationRequest
from remediation.status import RunStatus
from store import keys
from store.queue import JOB
from store.store import Store
from tests.chaos.redis_server import RedisProxy
from tests.conftest import STORE_DATABASE
from tests.e2e.conftest import write_login
from tests.e2e.service import own_environment
from tests.store.values import ID
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


SERVED = """
import os, sys, time
from pathlib import Path
from worker.process import serve
from worker.settings import Settings

folder = Path(sys.argv[2])

def prepare():
    (folder / "preparing").touch()
    while not (folder / "go").exists():
        time.sleep(0.02)

serve(Settings(sys.argv[1], ()), lambda run_id: time.sleep(600), prepare)
"""


def test_sigterm_right_before_a_job_process_is_there_ends_that_too(
    store: Store, redis_server: str, tmp_path: Path
) -> None:
    store.queue.wake("default", "run-1")
    arguments = [f"{redis_server}?db={STORE_DATABASE}", str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", SERVED, *arguments], cwd=ROOT) as process:
        try:
            while not (tmp_path / "preparing").exists():
                time.sleep(0.02)
            process.terminate()
            time.sleep(0.2)  # it has the signal
            (tmp_path / "go").touch()

            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_run_that_has_just_been_claimed_is_handed_back_too(
    store: Store, redis_server: str, tmp_path: Path
) -> None:
    """SIGTERM finds the job process between its claim and its event loop, which the slow way to Redis holds open."""
    kubeconfig = tmp_path / "kubeconfig"
    document = {
        "clusters": [{"name": "eu", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "eu", "user": {"token": "a-token"}}],
        "contexts": [{"name": "eu", "context": {"cluster": "eu", "user": "eu"}}],
    }
    kubeconfig.write_text(json.dumps(document))
    write_login(tmp_path / "harbor", "registry.example.com", "robot", "a-password")
    request = RemediationRequest(clusters=("eu",), credential="harbor")
    anything = ("*",)
    grant = Grant(role=Role.REQUESTER, clusters=anything, namespaces=anything, credentials=anything)
    store.policies.publish(Policy((Binding(("user:alice",), grant),)))
    (run,) = store.intake.remediation(ID, request, "user:alice", [("eu", "default")])
    with RedisProxy(Path(redis_server.removeprefix("unix://")), Random(0)) as proxy:
        settings = {
            "REDIS_URL": proxy.url.removesuffix("/0") + f"/{STORE_DATABASE}",
            "REMEDIATOR_KUBECONFIG": str(kubeconfig),
            "REMEDIATOR_CREDENTIALS_DIR": str(tmp_path),
            "REMEDIATOR_PROCESSES": "1",
        }
        command = [sys.executable, "-m", "worker"]
        with subprocess.Popen(command, cwd=ROOT, env=own_environment(settings)) as process:
            try:
                while not store.inventory.workers():
                    time.sleep(0.02)
                proxy.behave("slow")
                store.queue.wake("default", run.id)
                while not store.redis.exists(keys.lease(run.id)):
                    time.sleep(0.005)
                process.terminate()
                time.sleep(0.1)  # it is on its way to the job process
                proxy.behave("pass")
                assert process.wait(60) == 0
            finally:
                process.kill()

    after = store.runs.get(run.id)
    assert after
    assert (after.status, after.attempt, after.handed_back) == (RunStatus.RUNNING, 1, 1)
