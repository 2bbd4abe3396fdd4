"""The nodes that the pods run on: real ones where the machine allows it, else played ones."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli.demo.fleet import items, pods
from controlplane import node_told
from controlplane.cluster import Cluster
from controlplane.node import RealNode, why_not
from controlplane.node_pull import PodPull, images
from controlplane.pull import Pull, PullOutcome

_NOT_TOLD = "the kubelet said nothing of it"


class Nodes:
    """A node for each cluster: a real one with an own kubelet, or a played one; `reason` says why it is played."""

    def __init__(self, directory: Path, registry: str) -> None:
        """Find out which; nodes come with `join`. Their images come from `registry`, which has no TLS."""
        self.reason = why_not()
        self._directory = directory
        self._registry = registry
        self._real: dict[str, RealNode] = {}

    @property
    def real(self) -> bool:
        """Whether every pod runs on a real node."""
        return not self.reason

    def join(self, cluster: Cluster) -> None:
        """Give a cluster its first node. Raises BuildError, StartError."""
        if self.real:
            self._real[cluster.name] = self._start(cluster, "node-0")
        else:
            cluster.add_nodes(1)

    def replace(self, clusters: Sequence[Cluster]) -> None:
        """Put a new real node, that has no image, in the place of each. What ran on the old ones ends with them."""
        with ThreadPoolExecutor(len(clusters)) as pool:
            list(pool.map(self._replace, clusters))

    def told(self, clusters: Sequence[Cluster]) -> dict[str, list[PodPull]]:
        """Return what the kubelets said of each image of each pod, by cluster."""
        return {cluster.name: _told(cluster) for cluster in clusters}

    def stop(self) -> None:
        """End the real ones."""
        for node in self._real.values():
            node.stop()
        self._real.clear()

    def _start(self, cluster: Cluster, name: str) -> RealNode:
        directory = self._directory / cluster.name / name
        node = RealNode.start(directory, cluster, name=name)
        node.name_registry(self._registry, f"http://{self._registry}")
        return node

    def _replace(self, cluster: Cluster) -> None:
        old = self._real[cluster.name]
        old.stop()
        cluster.http.delete(f"/api/v1/nodes/{old.name}").raise_for_status()
        self._real[cluster.name] = self._start(cluster, "node-1")


def _told(cluster: Cluster) -> list[PodPull]:
    events: dict[str, list[dict[str, object]]] = {}
    for event in items(cluster, "/api/v1/events"):
        events.setdefault(event["involvedObject"].get("uid", ""), []).append(event)
    found = []
    for pod in pods(cluster):
        metadata = pod["metadata"]
        pulls = node_told.pulls(pod, events.get(metadata["uid"], []))
        for image in images(pod["spec"]):
            pull = pulls.get(image) or Pull(image, PullOutcome.FAILED, _NOT_TOLD)
            found.append(PodPull(metadata["namespace"], metadata["name"], pull))
    return found
