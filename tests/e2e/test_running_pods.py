"""Running pods that start a container again, or whose image is not what their status tells, on a real API server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.fleet import REGISTRY, Space
from tests.e2e.readiness import IMAGE, Place, found, judged
from tests.e2e.service import Service

NGINX = "docker.io/library/nginx:1"
ALL = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
SELF = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def ended(code: int) -> dict[str, Any]:
    """Return the state of a container that has ended."""
    return {"terminated": {"exitCode": code, "reason": "Completed"}}


def container(name: str, image: str = IMAGE, policy: str = "Always", **more: Any) -> dict[str, Any]:
    """Return a container of a spec."""
    return {"name": name, "image": image, "imagePullPolicy": policy} | more


def watcher(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a container of another registry with a restart rule."""
    return container("w", NGINX, restartPolicy="Never", restartPolicyRules=[rule])


def run(place: Place, spec: dict[str, Any], states: dict[str, Any], **more: Any) -> None:
    """Make a pod, and have its status say what a kubelet would; a container without a state runs."""
    spec = {"nodeName": f"node-{place.name}", "restartPolicy": "Never"} | spec
    path = f"/api/v1/namespaces/{place.name}/pods"
    place.post(path, {"metadata": {"name": "web"}, "spec": spec})
    kinds = {"containers": "containerStatuses", "initContainers": "initContainerStatuses"}
    status: dict[str, Any] = {
        field: [
            {
                "name": one["name"],
                "image": one["image"],
                "imageID": f"{one['image'].rpartition(':')[0]}@sha256:{'0' * 64}",
                "ready": False,
                "restartCount": 0,
                "state": states.get(one["name"], RUNNING),
            }
            for one in spec.get(kind, ())
        ]
        for kind, field in kinds.items()
    }
    place.cluster.http.patch(
        f"{path}/web/status",
        content=json.dumps({"status": {"phase": "Running"} | status | more}),
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()


SPECS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a rule of another container restarts all": (
        {"containers": [container("m"), watcher(ALL)]},
        {},
        "P_RISK_RESTART",
    ),
    "init containers too": (
        {"initContainers": [container("i")], "containers": [watcher(ALL)]},
        {"i": ended(0)},
        "P_RISK_RESTART",
    ),
    "image volumes too": (
        {
            "containers": [watcher(ALL)],
            "volumes": [{"name": "v", "image": {"reference": IMAGE, "pullPolicy": "Always"}}],
        },
        {},
        "P_RISK_RESTART",
    ),
    "a rule of an init container that failed and is tried again": (
        {
            "initContainers": [
                container("w", NGINX, restartPolicy="OnFailure", restartPolicyRules=[ALL])
            ],
            "containers": [container("m")],
        },
        {"w": ended(42)},
        "P_RISK_RESTART",
    ),
    "a rule of a container that has ended cannot fire": (
        {"containers": [container("m"), watcher(ALL)]},
        {"w": ended(0)},
        "P_NO_PULL",
    ),
    "a rule of another container that restarts only itself": (
        {"containers": [container("m"), watcher(SELF)]},
        {},
        "P_NO_PULL",
    ),
    "a rule that comes after one that takes its codes": (
        {
            "containers": [
                container("m"),
                container("w", NGINX, restartPolicy="Never", restartPolicyRules=[SELF, ALL]),
            ]
        },
        {},
        "P_NO_PULL",
    ),
    "a rule of its own": (
        {"containers": [container("m", restartPolicy="Never", restartPolicyRules=[SELF])]},
        {},
        "P_RISK_RESTART",
    ),
    "it ended with a code that no rule is about": (
        {
            "containers": [
                container("m", restartPolicy="Never", restartPolicyRules=[SELF]),
                container("w", NGINX),
            ]
        },
        {"m": ended(1)},
        "P_NO_PULL",
    ),
    "it succeeded under a policy OnFailure of its own": (
        {
            "restartPolicy": "Always",
            "containers": [container("m", restartPolicy="OnFailure"), container("w", NGINX)],
        },
        {"m": ended(0)},
        "P_NO_PULL",
    ),
    "a policy Never of its own does not hold for a new sandbox": (
        {
            "restartPolicy": "Always",
            "containers": [container("m", restartPolicy="Never"), container("w", NGINX)],
        },
        {"m": ended(0)},
        "P_RISK_RESTART",
    ),
}


@pytest.mark.parametrize("case", SPECS)
def test_a_pod_is_judged_by_which_containers_start_again(
    service: Service, space: Space, case: str
) -> None:
    spec, states, expected = SPECS[case]
    place = Place(space)
    run(place, spec, states)

    check = judged(service, namespaces=[place.name])

    row = next(row for row in check["findings"] if row["class"].startswith("P_"))
    assert row["class"] == expected, row
    assert check["verdict"] == ("safe" if expected == "P_NO_PULL" else "not_safe")


OLD = "quay.io/o/r:1"
# What was there, what is asked for now (None: unchanged), what the status tells as image, then the finding.
CHANGES: dict[str, tuple[str, str | None, str, str, str]] = {
    "another repository": (OLD, IMAGE, OLD, "P_BREAKS_ON_FLIP", "not_safe"),
    "another tag": (IMAGE, f"{REGISTRY}/team/app:2", IMAGE, "P_BREAKS_ON_FLIP", "unknown"),
    "never changed": (IMAGE, None, OLD, "P_RISK_LOW", "safe"),
    "an id alone": (IMAGE, None, f"sha256:{'1' * 64}", "P_RISK_LOW", "safe"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_an_image_that_was_changed_in_a_live_pod_is_not_on_the_node_yet(
    service: Service, space: Space, case: str
) -> None:
    before, after, shown, expected, verdict = CHANGES[case]
    place = Place(space)
    run(
        place,
        {"restartPolicy": "Always", "containers": [container("m", before, "IfNotPresent")]},
        {},
    )
    digest = f"{shown.rpartition(':')[0]}@sha256:{'b' * 64}" if "/" in shown else shown
    told = {"name": "m", "image": shown, "imageID": digest, "ready": True, "restartCount": 0}
    pod = "/api/v1/namespaces/{}/pods/web"
    place.patch(f"{pod}/status", {"status": {"containerStatuses": [told | {"state": RUNNING}]}})
    if after:
        place.cluster.http.patch(
            pod.replace("{}", place.name),
            content=json.dumps({"spec": {"containers": [{"name": "m", "image": after}]}}),
            headers={"Content-Type": "application/strategic-merge-patch+json"},
        ).raise_for_status()

    check = judged(service, namespaces=[place.name])

    assert found(check, expected)["name"] == "web"
    assert check["verdict"] == verdict


def neighbours(space: Space, policy: str, version: str, node: str) -> list[str]:
    """Make two namespaces with a pod each on one node, of which only the first has the login; return their names."""
    covered = Place(space, ("docker",)).secret()
    bare = Place.at(space, space.namespace("bare", ["default"]))
    covered.post("/api/v1/nodes", {"metadata": {"name": node}})
    covered.cluster.http.patch(
        f"/api/v1/nodes/{node}/status",
        content=json.dumps({"status": {"nodeInfo": node_info(version)}}),
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    for place, own in ((covered, "Always"), (bare, policy)):
        run(
            place,
            {
                "nodeName": node,
                "restartPolicy": "Always",
                "containers": [container("m", policy=own)],
            },
            {},
        )
    return [covered.name, bare.name]


def node_info(version: str) -> dict[str, str]:
    """Return what a kubelet of a version tells of itself."""
    needed = ["machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "kubeProxyVersion"]
    names = [*needed, "containerRuntimeVersion", "operatingSystem", "architecture"]
    return dict.fromkeys(names, "x") | {"kubeletVersion": version}


@pytest.mark.parametrize("policy", ["IfNotPresent", "Never"])
def test_a_kubelet_that_checks_pull_records_may_refuse_an_image_it_has(
    service: Service, space: Space, policy: str
) -> None:
    names = neighbours(space, policy, "v1.35.0", f"node-{space.prefix}k")
    try:
        check = judged(service, namespaces=names)
    finally:
        space.clusters[0].http.delete(f"/api/v1/nodes/node-{space.prefix}k")

    row = found(check, "P_RISK_RESTART")
    assert (row["namespace"], row["doubt"]) == (names[1], True)
    assert check["verdict"] == "unknown"


def test_an_older_kubelet_keeps_no_pull_records(service: Service, space: Space) -> None:
    names = neighbours(space, "IfNotPresent", "v1.34.9", f"node-{space.prefix}k")
    try:
        check = judged(service, namespaces=names)
    finally:
        space.clusters[0].http.delete(f"/api/v1/nodes/node-{space.prefix}k")

    assert found(check, "P_RISK_LOW")["namespace"] == names[1]
    assert check["verdict"] == "safe"


def test_an_operator_that_owns_a_pod_without_the_controller_flag_is_in_doubt(
    service: Service, space: Space
) -> None:
    """The pod is covered, but a new one would get what its ServiceAccount lists: nothing."""
    owner = {"apiVersion": "db.example.com/v1", "kind": "Cluster", "name": "db", "uid": "1"}
    place = Place(space).secret().pod("docker", ownerReferences=[owner])

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_OTHER")
    assert (row["kind"], row["severity"], row["doubt"]) == ("Cluster", "blocking", True)
    assert check["verdict"] == "unknown"


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_static_pod_that_has_ended_is_started_again_by_its_node(
    service: Service, space: Space, phase: str
) -> None:
    place = Place(space)
    static = {"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}
    spec = {"nodeName": f"node-{place.name}", "containers": [container("main")]}
    path = f"/api/v1/namespaces/{place.name}/pods"
    place.post(path, {"metadata": {"name": "web"} | static["metadata"], "spec": spec})
    place.post(path, {"metadata": {"name": "job"}, "spec": spec | {"restartPolicy": "Never"}})
    for name in ("web", "job"):
        place.patch(f"{path}/{name}/status", {"status": {"phase": phase}})

    check = judged(service, namespaces=[place.name])

    row = found(check, "P_NODE")
    assert (row["name"], row["severity"], row["doubt"]) == ("web", "blocking", True)
    assert "has ended" in row["explanation"]
    assert check["verdict"] == "unknown"
    assert not [row for row in check["findings"] if row["name"] == "job"]


def test_a_secret_that_is_merely_unread_leaves_open_whether_a_pod_could_be_created_again(
    service: Service, space: Space
) -> None:
    place = Place(space, ("theirs",)).secret().secret(name="theirs").pod("docker")

    rows = judged(service, namespaces=[place.name])["findings"]

    # The account itself is told of as well, as one of its class once it is no longer new.
    (row,) = [row for row in rows if row["coverage"] == "UNKNOWN_SECRET"]
    assert (row["class"], row["severity"], row["doubt"]) == (
        "SA_UNUSED_UNPATCHED",
        "warning",
        True,
    )
    assert "'theirs'" in row["explanation"]
