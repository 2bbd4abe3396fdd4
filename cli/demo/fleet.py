"""The throwaway fleet: two real control planes with a few teams' workloads."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CliError
from controlplane.cluster import Cluster, write_kubeconfig

CLUSTERS = ("eu-demo", "us-demo")
SECRET = "docker"
OTHERS_ENTRY = "search-team-registry"
IMAGE = "registry.example.com/team/app:1.4.2"
RUNNING_SECONDS = 120.0

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment: its namespace, name, ServiceAccount and number of pods."""

    namespace: str
    name: str
    account: str
    replicas: int


WORKLOADS = (
    Workload("payments", "api", "payments-api", 2),
    Workload("payments", "ledger", "default", 1),
    Workload("checkout", "web", "default", 2),
    Workload("checkout", "mailer", "mailer", 1),
    Workload("search", "index", "indexer", 2),
)
OTHERS_ACCOUNT = ("search", "indexer")  # carries an entry that somebody else put there


@contextmanager
def fleet(directory: Path) -> Iterator[list[Cluster]]:
    """Yield the running clusters with their workloads, started side by side; they end with the context."""
    pool = ThreadPoolExecutor(len(CLUSTERS))
    starting = [pool.submit(_start, name, directory / name) for name in CLUSTERS]
    try:
        yield [cluster.result() for cluster in starting]
    finally:
        for cluster in starting:
            if cluster.exception() is None:  # waits: whatever happened, those that come up must end
                cluster.result().stop()
        pool.shutdown()


def _start(name: str, directory: Path) -> Cluster:
    cluster = Cluster.start(name, directory, controllers=True, scheduler=True, nodes=1)
    try:
        cluster.apply(*manifests())
    except BaseException:
        cluster.stop()
        raise
    return cluster


def write_fleet_kubeconfig(path: Path, clusters: list[Cluster]) -> None:
    """Write one kubeconfig with a context for each cluster."""
    write_kubeconfig(path, {cluster.name: cluster.context for cluster in clusters})


def wait_until_running(clusters: list[Cluster]) -> None:
    """Wait until every pod of the workloads runs. Raises CliError if that takes too long."""
    wanted = sum(workload.replicas for workload in WORKLOADS)
    deadline = time.monotonic() + RUNNING_SECONDS
    for cluster in clusters:
        while sum(pod["status"].get("phase") == "Running" for pod in pods(cluster)) < wanted:
            if time.monotonic() > deadline:
                raise CliError(f"the pods of {cluster.name} do not come up")
            time.sleep(0.2)


def pods(cluster: Cluster) -> list[Manifest]:
    """Return the pods of a cluster."""
    return items(cluster, "/api/v1/pods")


def items(cluster: Cluster, path: str) -> list[Manifest]:
    """Return the objects of a collection."""
    answer = cluster.http.get(path)
    answer.raise_for_status()
    return list(answer.json()["items"])


def manifests() -> list[Manifest]:
    """Return what each cluster gets: namespaces, then ServiceAccounts, then Deployments."""
    namespaces = dict.fromkeys(workload.namespace for workload in WORKLOADS)
    accounts = dict.fromkeys(
        (workload.namespace, workload.account)
        for workload in WORKLOADS
        if workload.account != "default"
    )
    return [
        *({"kind": "Namespace", "metadata": {"name": name}} for name in namespaces),
        *(_account(namespace, name) for namespace, name in accounts),
        *map(_deployment, WORKLOADS),
    ]


def pod(namespace: str, name: str, account: str) -> Manifest:
    """Return a pod as somebody might create it tomorrow."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": _pod_spec(account),
    }


def _account(namespace: str, name: str) -> Manifest:
    account: Manifest = {
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    }
    if (namespace, name) == OTHERS_ACCOUNT:
        account["imagePullSecrets"] = [{"name": OTHERS_ENTRY}]
    return account


def _deployment(workload: Workload) -> Manifest:
    labels = {"app": workload.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": workload.name, "namespace": workload.namespace},
        "spec": {
            "replicas": workload.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec(workload.account)},
        },
    }


def _pod_spec(account: str) -> Manifest:
    return {"serviceAccountName": account, "containers": [{"name": "app", "image": IMAGE}]}
