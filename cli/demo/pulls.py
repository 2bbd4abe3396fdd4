"""Whether pods get their images: those that run, and those that come when every one is replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from cli.demo.fleet import items, live_pods, wait_for_pods
from cli.demo.workloads import (
    RUNNING_PODS,
    SECRET,
    STUBBORN,
    WORKLOADS,
    Manifest,
    workload_manifest,
)
from controlplane.cluster import Cluster
from controlplane.node_pull import Node, PodPull
from controlplane.pull import PullOutcome

_APPS = "/apis/apps/v1/namespaces"
_CORE = "/api/v1/namespaces"
_BATCH = "/apis/batch/v1/namespaces"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of pulls, by cluster. Where no pull was tried, nothing is proven: neither `ok` nor `refused`."""

    by_cluster: Mapping[str, Sequence[PodPull]]

    @property
    def ok(self) -> bool:
        """Whether every cluster had pulls and all ended well."""
        return all(self.by_cluster.values()) and all(one.pull.ok for one in self._all())

    @property
    def refused(self) -> bool:
        """Whether every cluster had pulls and the registry let none of them in."""
        outcomes = {one.pull.outcome for one in self._all()}
        return all(self.by_cluster.values()) and outcomes == {PullOutcome.UNAUTHORIZED}

    @property
    def told(self) -> str:
        """How many of how many ended well."""
        return f"{sum(one.pull.ok for one in self._all())} of {len(self._all())}"

    def _all(self) -> list[PodPull]:
        return [one for pulls in self.by_cluster.values() for one in pulls]


def try_pulls(node: Node, clusters: Sequence[Cluster]) -> dict[str, list[PodPull]]:
    """Pull every image of every running pod, by cluster, with what the pod itself names and nothing else."""
    return {
        cluster.name: node.pull(live_pods(cluster), items(cluster, "/api/v1/secrets"))
        for cluster in clusters
    }


def pull_anonymously(node: Node, registry: str) -> list[PodPull]:
    """Pull every image of the workloads as a pod that names no Secret."""
    bare = [
        {
            "metadata": {"namespace": one.namespace, "name": one.name},
            "spec": {"containers": [{"name": "app", "image": f"{registry}/{one.image}"}]},
        }
        for one in WORKLOADS
    ]
    return node.pull(bare, [])


def recreate_pods(clusters: Sequence[Cluster], registry: str) -> None:
    """Replace every pod, run every CronJob once, and wait until all new pods run, or a kubelet has no image for them.

    Pods of controllers are made anew by these; those without are created again as their owner
    would. Raises CliError if they do not come up.
    """
    before = {cluster.name: _delete_pods(cluster) for cluster in clusters}
    bare = _without_owner(registry)
    for cluster in clusters:
        cluster.apply(*bare)
        _run_cron_jobs(cluster)
    runs = sum(workload.kind == "CronJob" for workload in WORKLOADS)
    for cluster in clusters:
        gone = before[cluster.name]
        wait_for_pods(
            cluster, "/api/v1/pods", RUNNING_PODS + runs, gone=gone, keep=bare, or_refused=True
        )


def mend_template(clusters: Sequence[Cluster]) -> None:
    """Name our Secret in the one template that has a list of its own, and wait for its new pods.

    Raises CliError if they do not come up.
    """
    place = f"{_APPS}/{STUBBORN.namespace}/deployments/{STUBBORN.name}"
    # In a pod's list a strategic merge goes by name: what is there stays.
    spec = {"template": {"spec": {"imagePullSecrets": [{"name": SECRET}]}}}
    for cluster in clusters:
        pods = f"{_CORE}/{STUBBORN.namespace}/pods?labelSelector=app={STUBBORN.name}"
        before = _uids(items(cluster, pods))
        answer = cluster.http.patch(
            place,
            json={"spec": spec},
            headers={"Content-Type": "application/strategic-merge-patch+json"},
        )
        answer.raise_for_status()
        wait_for_pods(cluster, pods, STUBBORN.pods, gone=before)


def pull_table(found: Mapping[str, Sequence[PodPull]], *, failures_only: bool = False) -> Table:
    """Return a table with a row for every pull."""
    table = Table("cluster", "pod", "image", "pull", box=None, padding=(0, 2, 0, 0))
    for cluster, pulls in found.items():
        for one in pulls:
            if one.pull.ok and failures_only:
                continue
            told = "[green]ok[/]" if one.pull.ok else f"[red]{one.pull.outcome}[/]"
            table.add_row(cluster, f"{one.namespace}/{one.pod}", one.pull.image, told)
    return table


def _delete_pods(cluster: Cluster) -> frozenset[str]:
    """Delete the pods of the workloads and return the uids of all there were."""
    before = _uids(items(cluster, "/api/v1/pods"))
    for namespace in dict.fromkeys(workload.namespace for workload in WORKLOADS):
        # At once: the kubelet that could give them time to end is none.
        answer = cluster.http.delete(
            f"{_CORE}/{namespace}/pods", params={"gracePeriodSeconds": "0"}
        )
        answer.raise_for_status()
    return before


def _without_owner(registry: str) -> list[Manifest]:
    return [workload_manifest(registry, one) for one in WORKLOADS if one.kind == "Pod"]


def _run_cron_jobs(cluster: Cluster) -> None:
    for workload in WORKLOADS:
        if workload.kind != "CronJob":
            continue
        place = f"{_BATCH}/{workload.namespace}"
        found = cluster.http.get(f"{place}/cronjobs/{workload.name}")
        found.raise_for_status()
        metadata = {"generateName": f"{workload.name}-"}
        job = {"metadata": metadata, "spec": found.json()["spec"]["jobTemplate"]["spec"]}
        cluster.http.post(f"{place}/jobs", json=job).raise_for_status()


def _uids(found: Sequence[Manifest]) -> frozenset[str]:
    return frozenset(pod["metadata"]["uid"] for pod in found)
