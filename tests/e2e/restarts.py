"""Whether containers that ran before the flip start again after it, on a real node that remembers who pulled what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.cluster import Cluster
from tests.e2e.day_after import Scene, top_owner
from tests.e2e.judges import RealJudge
from tests.e2e.random_cluster import Plan
from tests.e2e.random_parts import Manifest
from tests.e2e.safety import Subject, by_pod, key


@dataclass(frozen=True, slots=True)
class Memory:
    """What ran on a random cluster, and with which Secrets, before what happened until it was judged."""

    pods: Sequence[Manifest]
    secrets: Sequence[Manifest]


def remember(cluster: Cluster, planned: Plan) -> Memory:
    """Return what runs now."""

    def listed(resource: str) -> list[Manifest]:
        return [
            item
            for name in planned.namespaces
            for item in cluster.http.get(f"/api/v1/namespaces/{name}/{resource}").json()["items"]
        ]

    pods = [pod for pod in listed("pods") if pod["status"].get("phase") == "Running"]
    return Memory(pods, listed("secrets"))


def restarted(judge: RealJudge, scene: Scene, memory: Memory, public: str) -> list[Subject]:
    """Return the pods of which a container does not start again; every start needs its image.

    Those that are there still count, and not those of older kubelets, which the real one is not. What starts again says
    nothing: the node may lose the image.
    """
    there = {key(pod): pod for pod in scene.listed("pods")}
    old = {one["metadata"]["name"] for one in nodes(scene.cluster) if not verifies(one)}
    pods = [
        pod for pod in memory.pods if key(pod) in there and pod["spec"].get("nodeName") not in old
    ]
    host = scene.ground.host
    after = scene.listed("secrets")
    found = by_pod(judge.restart(pods, memory.secrets, after, registry=host, public=public))
    subjects = []
    for place, pulls in found.items():
        failing = tuple(one for one in pulls if not one.pull.ok)
        if failing:
            images = frozenset(one.pull.image for one in failing)
            owner = top_owner(there[place])
            subjects.append(Subject(place[0], *owner, "P_", failing, images, images))
    return subjects


def nodes(cluster: Cluster) -> list[Manifest]:
    """Return the nodes of a cluster."""
    return list(cluster.http.get("/api/v1/nodes").raise_for_status().json()["items"])


def verifies(node: Manifest) -> bool:
    """Whether its kubelet remembers who pulled an image: those of 1.35 and newer do."""
    version = node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "")
    found = re.match(r"v1\.(\d+)", version)
    return not found or int(found[1]) >= 35
