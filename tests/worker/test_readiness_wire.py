"""What is read of workloads and their owners: whose pods are judged by which template."""

from typing import Any

import msgspec
import pytest

from remediation.readiness.observation import Owner
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


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {}, False),
        ({}, {"currentRevision": "web-1", "updateRevision": "web-1"}, False),
        ({}, {"currentRevision": "web-1", "updateRevision": "web-2"}, True),
        ({"updateStrategy": {"rollingUpdate": {"partition": 0}}}, {}, False),
        ({"updateStrategy": {"rollingUpdate": {"partition": 2}}}, {}, True),
    ],
)
def test_a_statefulset_between_two_templates_is_known(
    spec: dict[str, Any], status: dict[str, Any], expected: bool
) -> None:
    raw = {"metadata": {"name": "web"}, "spec": {**spec, "template": {}}, "status": status}
    read = msgspec.json.decode(msgspec.json.encode(raw), type=WireWorkload)

    assert read.to_domain("StatefulSet").partial is expected
    assert not read.to_domain("Deployment").partial
