"""Carrying out a restart plan as the owners of the pods would: the service itself restarts nothing."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from cli.demo.fleet import items, wait_for_pods
from cli.demo.workloads import WORKLOADS, workload_manifest
from cli.request import JsonObject
from controlplane import objects
from controlplane.cluster import Cluster

_MERGE = {"Content-Type": "application/merge-patch+json"}


def lines(plan: JsonObject) -> Iterator[str]:
    """Yield the lines of a plan as somebody would run them, and what they cannot do."""
    for step in plan["steps"]:
        if not step["held"]:
            yield step["lines"][0]


def held(plan: JsonObject) -> list[str]:
    """Return what has to wait, and for what."""
    return [
        f"{step['namespace']}/{step['name']}: {step['held']}"
        for step in plan["steps"]
        if step["held"]
    ]


def carry_out(clusters: Iterable[Cluster], plans: Iterable[JsonObject], registry: str) -> None:
    """Restart batch by batch, wait for each, and make again the pods that nobody else would.

    Raises CliError if pods do not come up.
    """
    known = {plan["cluster"]: plan for plan in plans}
    for cluster in clusters:
        plan = known.get(cluster.name, {"steps": [], "recreate": []})
        steps = [step for step in plan["steps"] if not step["held"]]
        for batch in sorted({step["batch"] for step in steps}):
            _restart(cluster, [step for step in steps if step["batch"] == batch])
        _recreate(cluster, plan["recreate"], registry)


def _restart(cluster: Cluster, steps: list[JsonObject]) -> None:
    before = [_uids(cluster, _pods(step)) for step in steps]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    # What `kubectl rollout restart` does.
    restarted = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}}
    for step in steps:
        metadata = {"namespace": step["namespace"], "name": step["name"]}
        answer = cluster.http.patch(
            objects.path({"kind": step["kind"], "metadata": metadata}),
            json={"spec": {"template": restarted}},
            headers=_MERGE,
        )
        answer.raise_for_status()
    for step, gone in zip(steps, before, strict=True):
        wait_for_pods(cluster, _pods(step), step["pods"], gone=gone)


def _recreate(cluster: Cluster, names: list[str], registry: str) -> None:
    for workload in WORKLOADS:
        if workload.kind != "Pod" or f"{workload.namespace}/{workload.name}" not in names:
            continue
        pods = f"/api/v1/namespaces/{workload.namespace}/pods"
        mine = f"{pods}?fieldSelector=metadata.name={workload.name}"
        gone = _uids(cluster, mine)
        answer = cluster.http.delete(f"{pods}/{workload.name}", params={"gracePeriodSeconds": "0"})
        answer.raise_for_status()
        again = workload_manifest(registry, workload)
        wait_for_pods(cluster, mine, 1, gone=gone, keep=[again])


def _pods(step: JsonObject) -> str:
    return f"/api/v1/namespaces/{step['namespace']}/pods?labelSelector=app={step['name']}"


def _uids(cluster: Cluster, path: str) -> frozenset[str]:
    return frozenset(pod["metadata"]["uid"] for pod in items(cluster, path))
