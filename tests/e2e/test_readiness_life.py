"""A readiness check over time: the gate, the check that follows a remediation, killed workers, lists that run out."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.e2e.fleet import Space, docker_config, grant_least_privilege
from tests.e2e.processes import workers_below
from tests.e2e.proxy import Proxy
from tests.e2e.readiness import Place, found, judged
from tests.e2e.registry import known_registry
from tests.e2e.service import Service

ACCOUNT = "/api/v1/namespaces/{}/serviceaccounts/default"
DEPLOYMENT = "/apis/apps/v1/namespaces/{}/deployments/web"
SECRET = "/api/v1/namespaces/{}/secrets/docker"


def gate(service: Service, check: dict[str, Any]) -> tuple[int, list[str]]:
    """Return the status of the gate, and the codes of its reasons."""
    answer = service.http.get(f"/readiness-checks/{check['id']}/gate", params={"wait": "60"})
    return answer.status_code, [error["code"] for error in answer.json().get("errors", [])]


@pytest.fixture
def place(space: Space) -> Place:
    """A namespace whose one Deployment is covered."""
    return Place(space, ("docker",)).secret().workload()


def no_reference(place: Place) -> None:
    """Take the name out of the ServiceAccount."""
    place.patch(ACCOUNT, {"imagePullSecrets": None})


def another_login(place: Place) -> None:
    """Put another password into the Secret."""
    place.patch(
        SECRET,
        {
            "data": None,
            "stringData": {".dockerconfigjson": str(docker_config(password="x")).replace("'", '"')},
        },
    )


def own_list(place: Place) -> None:
    """Have the template name its own Secrets."""
    spec = {"imagePullSecrets": [{"name": "mine"}]}
    place.patch(DEPLOYMENT, {"spec": {"template": {"spec": spec}}})


def uncovered_pod(place: Place) -> None:
    """Have a pod run that names no Secret."""
    place.patch(ACCOUNT, {"imagePullSecrets": None})
    place.pod()
    place.patch(ACCOUNT, {"imagePullSecrets": [{"name": "docker"}]})


def one_more_reference(place: Place) -> None:
    """Change the ServiceAccount in a way that leaves everything covered."""
    place.patch(ACCOUNT, {"imagePullSecrets": [{"name": "docker"}, {"name": "docker"}]})


@pytest.mark.parametrize(
    "change", [no_reference, another_login, own_list, uncovered_pod, one_more_reference]
)
def test_the_gate_closes_when_something_it_stands_on_changes(
    service: Service, place: Place, change: Callable[[Place], None]
) -> None:
    check = judged(service, namespaces=[place.name])
    assert gate(service, check) == (200, [])

    change(place)

    status, codes = gate(service, check)
    assert (status, codes[0]) == (412, "changed")


def test_the_gate_stays_open_for_what_makes_no_difference(service: Service, place: Place) -> None:
    check = judged(service, namespaces=[place.name])

    place.pod()  # covered through its ServiceAccount
    place.patch(DEPLOYMENT, {"spec": {"replicas": 3}, "metadata": {"labels": {"a": "b"}}})
    place.patch(ACCOUNT, {"metadata": {"labels": {"a": "b"}}})

    assert gate(service, check) == (200, [])


def test_the_command_line_says_it_by_its_exit_code(service: Service, place: Place) -> None:
    arguments = ["--clusters", "alpha", "--namespaces", place.name, "--evidence", "L0"]
    ask = ["readiness", *arguments, "--registry", "registry.example.com", "--credential", "harbor"]
    safe = service.cli(*ask)
    identity = safe.stdout.split()[0]
    opened = service.cli("gate", identity)
    no_reference(place)
    broken = service.cli(*ask)
    closed = service.cli("gate", identity)
    unknown = service.cli("readiness", *arguments, "--registry", "registry.example.com")

    assert (safe.returncode, opened.returncode) == (0, 0), safe.stderr + opened.stderr
    assert (broken.returncode, closed.returncode) == (1, 1)
    assert "W_SA_UNPATCHED" in broken.stdout
    assert "fix: remediator run" in broken.stdout
    assert "safe" in safe.stdout
    assert unknown.returncode == 1, "what is known to break counts more than what is not known"


def test_a_check_follows_a_remediation_and_delays_nothing(
    service: Service, space: Space, place: Place
) -> None:
    no_reference(place)
    outcome = service.remediate(clusters=["alpha"], namespaces=[place.name], readiness=True)
    assert outcome.status == "succeeded"

    told = wait_for(lambda: _readiness(service, outcome.body["id"]))

    assert told["verdict"] == "safe"
    check = service.http.get(f"/readiness-checks/{told['check_id']}").json()
    assert check["remediation_id"] == outcome.body["id"]
    assert check["registries"] == ["registry.example.com"]
    assert check["summary"]["classes"]["W_COVERED_SA"] == 1


def test_the_restart_plan_names_what_stays_uncovered(service: Service, place: Place) -> None:
    owner = place.cluster.http.get(DEPLOYMENT.replace("{}", place.name)).json()["metadata"]
    no_reference(place)
    place.pod(
        labels={"app": "web"},
        ownerReferences=[
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "web",
                "uid": owner["uid"],
                "controller": True,
            }
        ],
    )
    place.patch(ACCOUNT, {"imagePullSecrets": [{"name": "docker"}]})

    check = judged(service, namespaces=[place.name])

    assert check["verdict"] == "not_safe"
    assert "rollout restart" in found(check, "P_RISK_RESTART")["fix"]
    plan = service.http.get(f"/readiness-checks/{check['id']}/restart-plan").json()
    (step,) = plan["clusters"][0]["steps"]
    assert (step["kind"], step["name"], step["pods"]) == ("Deployment", "web", 1)
    assert any("rollout restart deployment/web" in line for line in step["lines"])


@pytest.fixture(scope="module")
def slow_way(
    tmp_path_factory: pytest.TempPathFactory, clusters: tuple[Cluster, ...], credentials: Path
) -> Iterator[tuple[Proxy, Service]]:
    """A service whose way to the cluster is as bad as a test wants it."""
    directory = tmp_path_factory.mktemp("slow-way")
    with (
        Proxy(clusters[0], lambda *_: "pass") as proxy,
        known_registry(directory / "known") as environment,
    ):
        token = grant_least_privilege(clusters[0])
        path = directory / "kubeconfig"
        write_kubeconfig(path, {"alpha": ContextSpec(proxy.server, clusters[0].ca_file, token)})
        running = Service(directory, [path], credentials, environment)
        yield proxy, running
        running.stop()


def test_a_check_whose_worker_is_killed_is_carried_out_by_another(
    slow_way: tuple[Proxy, Service], place: Place
) -> None:
    proxy, service = slow_way
    proxy.plan = lambda method, path, number: "hang" if path.endswith("/pods") else "pass"
    body = {
        "clusters": ["alpha"],
        "namespaces": [place.name],
        "registry": "registry.example.com",
        "credential": "harbor",
        "evidence": "L0",
    }
    check = service.http.post("/readiness-checks", json=body).json()
    wait_for(lambda: any(path.endswith("/pods") for _, path, _ in proxy.seen))

    killed = workers_below(service.process.pid)
    for pid in killed:
        with suppress(ProcessLookupError):  # it died with the first
            os.kill(pid, signal.SIGKILL)
    proxy.plan = lambda *_: "pass"

    assert killed
    path = f"/readiness-checks/{check['id']}"
    ended = wait_for(
        lambda: (
            one
            if (one := service.http.get(path, params={"wait": "60"}).json())["terminal"]
            else None
        )
    )
    assert (ended["status"], ended["verdict"]) == ("succeeded", "safe")
    assert ended["clusters"][0]["attempt"] > 1
    rows = service.http.get(
        f"/readiness-checks/{check['id']}/findings", params={"limit": "1000"}
    ).json()
    here = [row for row in rows["items"] if row["namespace"] == place.name]
    assert [row["class"] for row in here] == ["W_COVERED_SA"], rows


def test_a_list_that_runs_out_is_read_again_as_a_whole(
    slow_way: tuple[Proxy, Service], space: Space, place: Place
) -> None:
    proxy, service = slow_way
    for number in range(3):
        space.account(place.name, f"more-{number}")
    proxy.page = 2
    expired = iter(["410"])

    def once(method: str, path: str, number: int) -> str:
        listed = path.endswith("/serviceaccounts")
        return next(expired, "pass") if listed and number == 1 else "pass"

    proxy.seen.clear()
    proxy.plan = once
    try:
        check = judged(service, namespaces=[place.name])
    finally:
        proxy.page = None

    assert check["verdict"] == "safe"
    assert next(expired, None) is None, "the list ran out"
    # Each reading begins with the cluster's identity; lists come in many pages here.
    assert len([path for _, path, _ in proxy.seen if path.endswith("/kube-system")]) == 2


def test_lists_that_always_run_out_are_read_some_other_way_or_are_unknown(
    slow_way: tuple[Proxy, Service], space: Space, place: Place
) -> None:
    proxy, service = slow_way

    def always(method: str, path: str, number: int) -> str:
        return "410" if path in broken else "pass"

    proxy.plan = always
    broken = {"/api/v1/pods", "/api/v1/serviceaccounts", "/apis/apps/v1/deployments"}
    check = judged(service, namespaces=[place.name])
    assert check["verdict"] == "safe", check["findings"]  # namespace by namespace

    broken.add("/api/v1/nodes")
    check = judged(service, namespaces=[place.name])
    assert check["verdict"] == "unknown"
    unread = {
        row["name"]: row["severity"] for row in check["findings"] if row["class"] == "C_UNREADABLE"
    }
    # Of those that were read namespace by namespace it is told that they were not read of others.
    others = dict.fromkeys(("deployments", "pods", "serviceaccounts"), "warning")
    assert unread == {"nodes": "blocking"} | others


def wait_for(look: Callable[[], Any]) -> Any:
    """Return what `look` sees once it sees something, for three minutes at most."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.05)
    raise AssertionError("it did not come")


def _readiness(service: Service, remediation_id: str) -> Any:
    told = service.http.get(f"/remediations/{remediation_id}").json()["readiness"]
    return told if told and told["verdict"] else None
