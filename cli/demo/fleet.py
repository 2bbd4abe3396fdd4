"""The throwaway fleet: two real control planes with workloads, and the registry their images come from."""

import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from cli.demo.workloads import RUNNING_PODS, Manifest, image_references, manifests
from cli.errors import CliError
from controlplane.cluster import Cluster, write_kubeconfig
from controlplane.image import push_all
from controlplane.registry import Registry

CLUSTERS = ("eu-demo", "us-demo")
RUNNING_SECONDS = 120.0


@contextmanager
def public_registry(directory: Path) -> Iterator[Registry]:
    """Yield a registry that asks for no password, with every image of the workloads in it."""
    with Registry.start(directory) as registry:
        push_all(registry.host, image_references())
        yield registry


@contextmanager
def fleet(directory: Path, registry: str) -> Iterator[list[Cluster]]:
    """Yield the running clusters with their workloads, started side by side; they end with the context."""
    pool = ThreadPoolExecutor(len(CLUSTERS))
    starting = [pool.submit(_start, name, directory / name, registry) for name in CLUSTERS]
    try:
        yield [cluster.result() for cluster in starting]
    finally:
        for cluster in starting:
            if cluster.exception() is None:  # waits: whatever happened, those that come up must end
                cluster.result().stop()
        pool.shutdown()


def _start(name: str, directory: Path, registry: str) -> Cluster:
    cluster = Cluster.start(name, directory, controllers=True, scheduler=True, nodes=1)
    try:
        cluster.apply(*manifests(registry))
    except BaseException:
        cluster.stop()
        raise
    return cluster


def write_fleet_kubeconfig(path: Path, clusters: list[Cluster]) -> None:
    """Write one kubeconfig with a context for each cluster."""
    write_kubeconfig(path, {cluster.name: cluster.context for cluster in clusters})


def wait_until_running(clusters: list[Cluster]) -> None:
    """Wait until every pod of the workloads runs. Raises CliError if that takes too long."""
    for cluster in clusters:
        wait_for_pods(cluster, "/api/v1/pods", RUNNING_PODS)


def wait_for_pods(
    cluster: Cluster,
    path: str,
    wanted: int,
    *,
    gone: Collection[str] = frozenset(),
    keep: Sequence[Manifest] = (),
) -> None:
    """Wait until the `wanted` pods of a collection run and those with the uids `gone` do not.

    `keep` are pods without a controller, made again for as long as they are not there: the fake kubelet deletes by
    name, and may do so when a new pod has the name already. A pod that has run to its end counts. Raises CliError if
    that takes too long.
    """
    deadline = time.monotonic() + RUNNING_SECONDS
    while True:
        cluster.apply(*keep)
        uids = {pod["metadata"]["uid"] for pod in live_pods(cluster, path)}
        if len(uids) >= wanted and uids.isdisjoint(gone):
            return
        if time.monotonic() > deadline:
            raise CliError(f"the pods of {cluster.name} do not come up")
        time.sleep(0.2)


def live_pods(cluster: Cluster, path: str = "/api/v1/pods") -> list[Manifest]:
    """Return the pods whose containers were started and which nobody is deleting."""
    return [
        pod
        for pod in items(cluster, path)
        if pod["status"].get("phase") in ("Running", "Succeeded")
        and "deletionTimestamp" not in pod["metadata"]
    ]


def pods(cluster: Cluster) -> list[Manifest]:
    """Return the pods of a cluster."""
    return items(cluster, "/api/v1/pods")


def items(cluster: Cluster, path: str) -> list[Manifest]:
    """Return the objects of a collection."""
    answer = cluster.http.get(path)
    answer.raise_for_status()
    return cast(list[Manifest], answer.json()["items"])
