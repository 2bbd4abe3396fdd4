"""The demo's own proof on real parts: who can pull before the flip, after it, and after a pod was replaced."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cli.demo.fleet import fleet, live_pods, public_registry, wait_until_running
from cli.demo.pulls import mend_template, pull_table, recreate_pods, try_pulls
from cli.demo.workloads import RUNNING_PODS, SECRET, STUBBORN, WORKLOADS
from controlplane.cluster import Cluster
from controlplane.node_pull import Node, PodPull
from controlplane.pull import Login
from controlplane.registry import Registry

LOGIN = Login("demo-user", "made-up-for-this-test")
# One of them has an init container; a CronJob has no pod before it is run.
IMAGES_OF_RUNNING = RUNNING_PODS + 2


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with public_registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def clusters(tmp_path: Path, registry: Registry) -> Iterator[list[Cluster]]:
    with fleet(tmp_path, registry.host, lambda cluster: cluster.add_nodes(1)) as running:
        wait_until_running(running)
        yield running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with Node.start(tmp_path / "node", plain_http=True) as running:
        yield running


def test_who_can_pull_when(registry: Registry, clusters: list[Cluster], node: Node) -> None:
    before = try_pulls(node, clusters)
    registry.restart(htpasswd={LOGIN.username: LOGIN.password})
    flipped = try_pulls(node, clusters)
    remediate(clusters, registry.host)
    running = try_pulls(node, clusters)
    uids = {pod["metadata"]["uid"] for cluster in clusters for pod in live_pods(cluster)}
    recreate_pods(clusters, registry.host)
    recreated = try_pulls(node, clusters)
    mend_template(clusters)
    mended = try_pulls(node, clusters)

    assert {name: len(pulls) for name, pulls in before.items()} == {
        "eu-demo": IMAGES_OF_RUNNING,
        "us-demo": IMAGES_OF_RUNNING,
    }
    assert failures(before) == []
    assert len(failures(flipped)) == 2 * IMAGES_OF_RUNNING
    # Remediation alone changes nothing for the pods that run: their lists are what they were made with.
    assert len(failures(running)) == 2 * IMAGES_OF_RUNNING
    assert {one.pull.image.rpartition("/")[2] for one in failures(recreated)} == {"invoices:4.4"}
    assert len(failures(recreated)) == 2 * STUBBORN.pods
    assert failures(mended) == []
    # The CronJob's pod too, which did not run before.
    assert {name: len(pulls) for name, pulls in mended.items()} == {
        "eu-demo": IMAGES_OF_RUNNING + 1,
        "us-demo": IMAGES_OF_RUNNING + 1,
    }
    now = {pod["metadata"]["uid"] for cluster in clusters for pod in live_pods(cluster)}
    assert not uids & now
    told = Console(width=200)
    with told.capture() as captured:
        told.print(pull_table(recreated, failures_only=True))
    assert captured.get().count("unauthorized") == 2 * STUBBORN.pods


def failures(found: dict[str, list[PodPull]]) -> list[PodPull]:
    return [one for pulls in found.values() for one in pulls if not one.pull.ok]


def remediate(clusters: list[Cluster], host: str) -> None:
    """Do what the service does, without it."""
    auth = base64.b64encode(f"{LOGIN.username}:{LOGIN.password}".encode()).decode()
    config = json.dumps({"auths": {host: {"auth": auth}}})
    for cluster in clusters:
        for namespace in dict.fromkeys(workload.namespace for workload in WORKLOADS):
            place = f"/api/v1/namespaces/{namespace}"
            body = {
                "metadata": {"name": SECRET},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
            }
            cluster.http.post(f"{place}/secrets", json=body).raise_for_status()
            for account in cluster.http.get(f"{place}/serviceaccounts").json()["items"]:
                entries = [*account.get("imagePullSecrets", []), {"name": SECRET}]
                cluster.http.patch(
                    f"{place}/serviceaccounts/{account['metadata']['name']}",
                    json={"imagePullSecrets": entries},
                    headers={"Content-Type": "application/merge-patch+json"},
                ).raise_for_status()
