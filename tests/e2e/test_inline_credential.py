"""A login that comes in the request, from the command line to the Secret, on real parts; and what is left of it."""

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from store import keys
from tests.e2e.fleet import Space, docker_config, grant_least_privilege
from tests.e2e.gate import Gate
from tests.e2e.service import ROOT, Outcome, Service, descendants, ended, own_environment
from tests.leaks import files_in, forms_of, leaks, processes_of, values_in

REGISTRY = "inline.example.com"
USERNAME = "inline-robot"
PATIENCE = 90.0


@pytest.fixture
def password() -> str:
    """Return a password that is nowhere else, with what JSON and shells would rather not have."""
    return f'p"\\ä$ {secrets.token_hex(12)}'


def login(password: str) -> dict[str, str]:
    return {"registry": REGISTRY, "username": USERNAME, "password": password}


def usual(password: str) -> dict[str, Any]:
    """Return a request with a login for a registry that is nowhere, so it is not asked."""
    return {"inline_credential": login(password), "registry_check": "skip"}


def post(service: Service, password: str, **body: Any) -> Outcome:
    """Ask for a remediation with a login and wait for its end."""
    answer = service.http.post("/remediations", json=usual(password) | body)
    assert answer.status_code == 202, answer.text
    return service.wait(answer.json()["id"])


def run_with_login(
    service: Service, password: str, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """Run `remediator` with the password on its standard input."""
    own = {"REMEDIATOR_URL": service.url, "REMEDIATOR_TOKEN": service.token, "NO_COLOR": "1"}
    options = ("--server", REGISTRY, "--username", USERNAME, "--password-stdin")
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments, *options],
        cwd=ROOT,
        env=own_environment(own),
        input=f"{password}\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def redis(service: Service) -> Iterator[Redis]:
    """Return a connection to the Redis of the service, as bytes."""
    with service.redis() as opened:
        yield opened


def marks_of(password: str) -> list[bytes]:
    """Return what must be nowhere; the end of the password needs no escaping anywhere."""
    return [*forms_of(password, USERNAME), password.rpartition(" ")[2].encode()]


def nowhere(service: Service, redis: Redis, password: str) -> bool:
    files = [content for _, content in files_in(service.directory / "data")]
    processes = [part for pair in processes_of(service.directory) for part in pair]
    everywhere = [*values_in(redis), service.log.read_bytes(), *files, *processes]
    return leaks(everywhere, marks_of(password)) == 0


def test_run_and_plan_with_a_login_of_ones_own(
    service: Service, space: Space, redis: Redis, password: str
):
    name = space.namespace("n", ("default", "web"))
    where = ("--clusters", "alpha", "--namespaces", name, "--registry-check", "skip")

    plan = run_with_login(service, password, "plan", *where)
    assert plan.returncode == 0, plan.stderr
    assert space.pull_secrets(name, "default") == []
    run = run_with_login(service, password, "run", *where)

    assert run.returncode == 0, run.stderr
    assert space.pull_secrets(name, "web") == ["docker"]
    secret = space.clusters[0].http.get(f"/api/v1/namespaces/{name}/secrets/docker").json()
    content = base64.b64decode(secret["data"][".dockerconfigjson"])
    assert docker_config(REGISTRY, USERNAME, password) == json.loads(content)
    assert secret["metadata"]["annotations"]["remediator.dev/credential"] == f"inline/{REGISTRY}"
    assert password not in plan.stdout + plan.stderr + run.stdout + run.stderr
    assert list(redis.scan_iter(keys.sealed("*"))) == []
    assert nowhere(service, redis, password)


def test_a_leak_would_be_found(service: Service, redis: Redis, password: str):
    """The search can fail: in a value that RQ would compress, in a file, in an environment."""
    redis.hset("rq:job:leak", "data", zlib.compress(f'["{password}"]'.encode()))
    try:
        assert not nowhere(service, redis, password)
    finally:
        redis.delete("rq:job:leak")
    for mark in marks_of(password):
        assert leaks([b"a log line: " + mark], marks_of(password)) == 1


def test_the_answer_shows_the_content_that_was_used(service: Service, space: Space, password: str):
    name = space.namespace("n")

    done = post(service, password, clusters=["alpha"], namespaces=[name])
    by_name = service.remediate(clusters=["alpha"], namespaces=[name], secret_name="pull-two")
    held = {c["name"]: c for c in service.http.get("/credentials").json()["items"]}

    shown = {"registry": REGISTRY, "username": USERNAME}
    assert done.body["request"]["inline_credential"] == shown
    fingerprint = by_name.clusters["alpha"]["credential_fingerprint"]
    assert fingerprint == held["harbor"]["fingerprint"]
    assert done.clusters["alpha"]["credential_fingerprint"] not in (None, fingerprint)


def test_a_retry_brings_the_login_again_and_an_undo_needs_none(
    service: Service, space: Space, redis: Redis, password: str
):
    good, bad = space.namespace("good"), space.namespace("bad")
    space.secret(bad, {"auths": {"theirs.example.com": {"auth": "dTpw"}}})
    first = post(service, password, clusters=["alpha"], namespaces=[space.pattern])
    assert first.outcomes() == {good: "changed", bad: "failed"}
    space.clusters[0].http.delete(f"/api/v1/namespaces/{bad}/secrets/docker").raise_for_status()
    path = f"/remediations/{first.body['id']}/retry"

    assert service.http.post(path).status_code == 422
    run = run_with_login(service, password, "retry", first.body["id"])

    assert run.returncode == 0, run.stderr
    assert space.pull_secrets(bad, "default") == ["docker"]
    answer = service.http.post(f"/remediations/{first.body['id']}/undo")
    assert service.wait(answer.json()["id"]).outcomes() == {good: "changed"}
    assert space.pull_secrets(good, "default") == []
    assert list(redis.scan_iter(keys.sealed("*"))) == []
    assert nowhere(service, redis, password)


@pytest.fixture
def gate(clusters: tuple[Cluster, ...]) -> Iterator[Gate]:
    """Return a closed gate before the first cluster."""
    gate = Gate(clusters[0])
    with gate:
        yield gate
        gate.open.set()


@pytest.fixture
def slow(gate: Gate, credentials: Path, tmp_path: Path) -> Iterator[Service]:
    """Return a service whose way to the cluster is behind the gate."""
    token = grant_least_privilege(gate.cluster)
    context = ContextSpec(gate.server, gate.cluster.ca_file, token)
    write_kubeconfig(tmp_path / "kubeconfig", {"alpha": context})
    running = Service(tmp_path / "service", [tmp_path / "kubeconfig"], credentials)
    try:
        yield running
    finally:
        gate.open.set()
        running.stop()


def test_a_worker_that_is_killed_in_the_middle_opens_the_login_again(
    slow: Service, gate: Gate, space: Space, password: str
):
    name = space.namespace("n")
    body = usual(password) | {"clusters": ["alpha"], "namespaces": [name]}
    remediation_id = slow.http.post("/remediations", json=body).json()["id"]
    with slow.redis() as redis:
        assert gate.reached.wait(PATIENCE)
        assert leaks(values_in(redis), marks_of(password)) == 0
        assert redis.exists(keys.sealed(remediation_id))

        worker = descendants(slow.child(b"worker")[0])
        os.kill(worker[0], signal.SIGKILL)  # all its processes die with it
        for pid in worker[1:]:
            assert ended(pid)
        gate.open.set()
        done = slow.wait(remediation_id)

        assert (done.status, done.outcomes()) == ("succeeded", {name: "changed"})
        assert done.clusters["alpha"]["attempt"] > 1
        assert space.pull_secrets(name, "default") == ["docker"]
        assert not redis.exists(keys.sealed(remediation_id))
        assert nowhere(slow, redis, password)


def test_a_cancelled_one_leaves_nothing(slow: Service, gate: Gate, space: Space, password: str):
    name = space.namespace("n")
    body = usual(password) | {"clusters": ["alpha"], "namespaces": [name]}
    remediation_id = slow.http.post("/remediations", json=body).json()["id"]
    assert gate.reached.wait(PATIENCE)

    assert slow.http.post(f"/remediations/{remediation_id}/cancel").status_code == 202
    gate.open.set()
    slow.wait(remediation_id)

    with slow.redis() as redis:
        assert not redis.exists(keys.sealed(remediation_id))
        assert nowhere(slow, redis, password)
