"""What must be true at the end of the demo, asked of the clusters themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

from cli.demo.fleet import items, pods
from cli.demo.workloads import OTHERS_ACCOUNT, OTHERS_ENTRY, SECRET, WORKLOADS, Manifest, pod
from controlplane.cluster import Cluster

LATER_POD = "created-later"


@dataclass(frozen=True, slots=True)
class Check:
    """A claim and whether it held."""

    claim: str
    held: bool


def pod_uids(clusters: list[Cluster]) -> dict[str, set[str]]:
    """Return the identities of all pods by cluster."""
    return {
        cluster.name: {item["metadata"]["uid"] for item in pods(cluster)} for cluster in clusters
    }


def check(
    clusters: list[Cluster], uids_before: Mapping[str, set[str]], registry: str
) -> list[Check]:
    """Look at the clusters and return what held; `registry` is where their images come from."""
    uids_after = pod_uids(clusters)
    return [
        *(_secrets(cluster) for cluster in clusters),
        *(_accounts(cluster) for cluster in clusters),
        _others_entry(clusters),
        Check(
            f"no pod was restarted: the same {sum(map(len, uids_before.values()))} pods run as before",
            uids_after == uids_before,
        ),
        _later_pods(clusters, registry),
    ]


def _secrets(cluster: Cluster) -> Check:
    namespaces = items(cluster, "/api/v1/namespaces")
    secrets = items(cluster, f"/api/v1/secrets?fieldSelector=metadata.name={SECRET}")
    return Check(
        f"{cluster.name}: {len(secrets)} of {len(namespaces)} namespaces hold the Secret",
        len(secrets) == len(namespaces),
    )


def _accounts(cluster: Cluster) -> Check:
    accounts = items(cluster, "/api/v1/serviceaccounts")
    carrying = sum(SECRET in _entries(account) for account in accounts)
    return Check(
        f"{cluster.name}: {carrying} of {len(accounts)} ServiceAccounts name it",
        carrying == len(accounts),
    )


def _others_entry(clusters: list[Cluster]) -> Check:
    namespace, name = OTHERS_ACCOUNT
    found = [
        _entries(account)
        for cluster in clusters
        for account in items(cluster, f"/api/v1/namespaces/{namespace}/serviceaccounts")
        if account["metadata"]["name"] == name
    ]
    return Check(
        f"what somebody else had put into {namespace}/{name} is still there, ours comes after it",
        found == [[OTHERS_ENTRY, SECRET]] * len(clusters),
    )


def _later_pods(clusters: list[Cluster], registry: str) -> Check:
    like = WORKLOADS[0]
    created = []
    for cluster in clusters:
        answer = cluster.http.post(
            f"/api/v1/namespaces/{like.namespace}/pods", json=pod(registry, LATER_POD, like)
        )
        answer.raise_for_status()
        created.append(_entries(answer.json()["spec"]))
    return Check(
        "a pod that is created now gets the Secret without anybody doing anything",
        created == [[SECRET]] * len(clusters),
    )


def _entries(holder: Manifest) -> list[str]:
    return [entry["name"] for entry in holder.get("imagePullSecrets") or ()]
