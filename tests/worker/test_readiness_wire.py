"""What is read of workloads and their owners: whose pods are judged by which template."""

from typing import Any

import msgspec
import pytest

from remediation.readiness.observation import Owner, RestartRule, Rollout
from worker.readiness.wire_objects import WireNode
from worker.readiness.wire_pod import WirePod
from worker.readiness.wire_workload import WireWorkload


@pytest.mark.parametrize(
    ("version", "kind", "expected"),
    [
        ("apps/v1", "StatefulSet", "StatefulSet"),
        ("batch/v1", "Job", "Job"),
        ("v1", "ReplicationController", "ReplicationController"),
        ("apps.kruise.io/v1beta1", "StatefulSet", "StatefulSet.apps.kruise.io"),
        ("batch.volcano.sh/v1alpha1", "Job", "Job.batch.volcano.sh"),
        ("argoproj.io/v1alpha1", "Rollout", "Rollout"),
    ],
)
def test_a_kind_that_only_shares_its_name_is_another(
    version: str, kind: str, expected: str
) -> None:
    owner = {"apiVersion": version, "kind": kind, "name": "web", "controller": True}
    pod = msgspec.convert({"metadata": {"name": "web-0", "ownerReferences": [owner]}}, WirePod)

    group = "" if expected == kind and kind != "Rollout" else version.partition("/")[0]
    assert pod.to_domain().controller == Owner(expected, "web", group)


@pytest.mark.parametrize("kind", ["containerStatuses", "initContainerStatuses"])
def test_pods_and_nodes_tell_the_runtime(kind: str) -> None:
    status = {kind: [{"containerID": "cri-o://0123"}, {"containerID": ""}]}
    node = {"nodeInfo": {"containerRuntimeVersion": "cri-o://1.34.1"}}

    assert msgspec.convert({"metadata": {}, "status": status}, WirePod).runtimes == {"cri-o"}
    assert msgspec.convert({"metadata": {}}, WirePod).runtimes == set()
    assert msgspec.convert({"metadata": {}, "status": node}, WireNode).runtime == "cri-o"
    assert msgspec.convert({"metadata": {}}, WireNode).runtime == ""


TWO = {"currentRevision": "web-1", "updateRevision": "web-2", "observedGeneration": 5}


def rolling(partition: int) -> dict[str, Any]:
    """Return the part of a spec that says how it is rolled out."""
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}}


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, TWO, ""),
        (rolling(0), TWO, ""),
        (rolling(2), {}, ""),
        (rolling(2), TWO, "web-1"),
        (rolling(2), TWO | {"updateRevision": "web-1"}, ""),
        # The controller has not seen the newest template.
        (rolling(2), TWO | {"updateRevision": "web-1", "observedGeneration": 4}, "web-1"),
        ({"updateStrategy": {"type": "OnDelete"}}, TWO, ""),
    ],
)
def test_the_revision_of_the_pods_below_a_partition_is_known(
    spec: dict[str, Any], status: dict[str, Any], expected: str
) -> None:
    raw = {
        "metadata": {"name": "web", "generation": 5},
        "spec": {**spec, "template": {}},
        "status": status,
    }
    read = msgspec.json.decode(msgspec.json.encode(raw), type=WireWorkload)

    assert read.to_domain("StatefulSet").held == expected
    assert not read.to_domain("Deployment").held


def test_restart_rules_and_what_a_status_tells_are_read() -> None:
    """An action or an operator of a later version counts as the widest one."""
    rules = [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}},
        {"action": "RestartAllContainers", "exitCodes": {"operator": "NotIn", "values": [2]}},
        {"action": "RestartNode", "exitCodes": {"operator": "Above", "values": [3]}},
    ]
    container = {"name": "m", "image": "i:2", "restartPolicy": "Never", "restartPolicyRules": rules}
    told = {"name": "m", "image": "i:1", "imageID": "x", "state": {"terminated": {"exitCode": 7}}}
    raw = {
        "metadata": {"name": "web", "generation": 3},
        "spec": {"containers": [container]},
        "status": {"observedGeneration": 2, "containerStatuses": [told]},
    }

    pod = msgspec.json.decode(msgspec.json.encode(raw), type=WirePod).to_domain()

    (found,) = pod.containers
    assert found.restart_rules == (
        RestartRule(frozenset({1})),
        RestartRule(frozenset({2}), negated=True, everything=True),
        RestartRule(frozenset(), negated=True, everything=True),
    )
    assert (found.restart_policy, found.exit_code, found.shown_image) == ("Never", 7, "i:1")
    assert (pod.generation, pod.unseen) == (3, True)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, Rollout.ROLLS),
        ({"paused": True}, Rollout.PAUSED),
        ({"updateStrategy": {"type": "OnDelete"}}, Rollout.BY_HAND),
        ({"updateStrategy": {"rollingUpdate": {"partition": 1}}}, Rollout.BY_HAND),
        ({"updateStrategy": {"type": "RollingUpdate"}}, Rollout.ROLLS),
    ],
)
def test_whether_a_rollout_replaces_pods_is_read(spec: dict[str, Any], expected: Rollout) -> None:
    raw = {"metadata": {"name": "web"}, "spec": {**spec, "template": {}}}
    read = msgspec.json.decode(msgspec.json.encode(raw), type=WireWorkload)

    assert read.to_domain("StatefulSet").rollout is expected
