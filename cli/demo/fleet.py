"""The throwaway fleet: two real control planes with workloads, and the registry their images come from."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

from cli.demo.workloads import RUNNING_PODS, Manifest, image_references, manifests
from cli.errors import CliError
from controlplane.build import binaries
from controlplane.cluster import Cluster, write_kubeconfig
from controlplane.image import program_image, push_all
from controlplane.registry import Registry

CLUSTERS = ("eu-demo", "us-demo")
RUNNING_SECONDS = 120.0
_REFUSED = ("ErrImagePull", "ImagePullBackOff")


@contextmanager
def public_registry(directory: Path) -> Iterator[Registry]:
    """Yield a registry that asks for no password, with every image of the workloads in it.

    They run, on a real node too: all are one small program, which waits for its end.
    """
    program = binaries("pause")["pause"].read_bytes()
    with Registry.start(directory) as registry:
        push_all(registry.host, image_references(), made_by=partial(program_image, program))
        yield registry


@contextmanager
def fleet(
    directory: Path, registry: str, join: Callable[[Cluster], None]
) -> Iterator[list[Cluster]]:
    """Yield the running clusters with their workloads, started side by side; they end with the context.

    `join` gives a cluster a node.
    """
    pool = ThreadPoolExecutor(len(CLUSTERS))
    starting = [pool.submit(_start, name, directory / name, registry, join) for name in CLUSTERS]
    try:
        yield [cluster.result() for cluster in starting]
    finally:
        for cluster in starting:
            if cluster.exception() is None:  # waits: whatever happened, those that come up must end
                cluster.result().stop()
        pool.shutdown()


def _start(name: str, directory: Path, registry: str, join: Callable[[Cluster], None]) -> Cluster:
    cluster = Cluster.start(name, directory, controllers=True, scheduler=True)
    try:
        join(cluster)
        for body in manifests(registry):
            # An entry that was applied would be taken for the whole list whenever its manifest is applied again.
            make = cluster.create if "imagePullSecrets" in body else cluster.apply
            make(body)
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
    or_refused: bool = False,
) -> None:
    """Wait until the `wanted` pods of a collection run and those with the uids `gone` are gone.

    With `or_refused` it is enough that each pod that is there runs or is one that a kubelet gets no image for, if there
    is such a one: the pods of a StatefulSet wait for each other. `keep` are pods without a controller, made again for
    as long as they are not there: the fake kubelet deletes by name, and may do so when a new pod has the name already.
    A pod that has run to its end counts. Raises CliError if that takes too long.
    """
    deadline = time.monotonic() + RUNNING_SECONDS
    while True:
        cluster.apply(*keep)
        there = items(cluster, path)
        uids = {pod["metadata"]["uid"] for pod in there}
        came = sum(map(_lives, there)) >= wanted
        if or_refused and any(map(_is_refused, there)):
            came = all(_lives(pod) or _is_refused(pod) for pod in there)
        if came and uids.isdisjoint(gone):
            return
        if time.monotonic() > deadline:
            raise CliError(f"the pods of {cluster.name} do not come up")
        time.sleep(0.2)


def live_pods(cluster: Cluster, path: str = "/api/v1/pods") -> list[Manifest]:
    """Return the pods whose containers were started and which nobody is deleting."""
    return [pod for pod in items(cluster, path) if _lives(pod)]


def _is_refused(pod: Manifest) -> bool:
    status = pod["status"]
    told = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return any(one["state"].get("waiting", {}).get("reason") in _REFUSED for one in told)


def _lives(pod: Manifest) -> bool:
    started = pod["status"].get("phase") in ("Running", "Succeeded")
    return started and "deletionTimestamp" not in pod["metadata"]


def pods(cluster: Cluster) -> list[Manifest]:
    """Return the pods of a cluster."""
    return items(cluster, "/api/v1/pods")


def items(cluster: Cluster, path: str) -> list[Manifest]:
    """Return the objects of a collection."""
    answer = cluster.http.get(path)
    answer.raise_for_status()
    return cast(list[Manifest], answer.json()["items"])
