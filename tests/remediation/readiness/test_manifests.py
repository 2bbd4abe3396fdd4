"""What records of appliers say of a workload that wants no pods now."""

import base64
import gzip
import json
from typing import Any

import pytest

from remediation.drift.signals import LAST_APPLIED
from remediation.footprint import OUR_MANAGER
from remediation.readiness.manifests import Applier, waker_by_manifest
from remediation.readiness.observation import Wakes

KAPP, RANCHER = "kapp.k14s.io/original", "objectset.rio.cattle.io/applied"


def record(key: str = LAST_APPLIED, **spec: Any) -> dict[str, str]:
    """Return the annotation that an applier leaves."""
    return {key: json.dumps({"spec": spec})}


@pytest.mark.parametrize(
    ("kind", "annotations", "wakes"),
    [
        ("Deployment", record(replicas=3), True),
        ("Deployment", record(replicas=0), False),
        ("Deployment", record(), False),
        ("Deployment", record(replicas=True), False),
        ("Deployment", record(suspend=False), False),
        ("StatefulSet", record(replicas=1), True),
        ("ReplicationController", record(replicas=1), True),
        ("CronJob", record(suspend=False), True),
        ("CronJob", record(suspend=True), False),
        ("Job", record(suspend=False), True),
        ("Deployment", record(KAPP, replicas=3), True),
        ("Deployment", record(RANCHER, replicas=3), True),
        ("Deployment", {LAST_APPLIED: 'no JSON, "replicas"'}, False),
        ("Deployment", {LAST_APPLIED: '["replicas"]'}, False),
        ("Deployment", {LAST_APPLIED: '{"spec": ["replicas"]}'}, False),
        ("Deployment", {RANCHER: "no base64"}, False),
        ("Deployment", {RANCHER: base64.b64encode(b"no gzip").decode()}, False),
        ("Deployment", {}, False),
    ],
)
def test_a_manifest_that_wants_pods_brings_them_back(
    kind: str, annotations: dict[str, str], wakes: bool
) -> None:
    found = waker_by_manifest(kind, annotations, ())

    assert (found.wakes if found else None) == (Wakes.MAYBE if wakes else None)


def test_a_packed_manifest_is_read() -> None:
    packed = base64.b64encode(gzip.compress(record(replicas=3)[LAST_APPLIED].encode())).decode()

    found = waker_by_manifest("Deployment", {RANCHER: packed}, ())

    assert found
    assert "3 replicas" in found.told


@pytest.mark.parametrize(
    ("appliers", "wakes"),
    [
        ([Applier("flux", applies=True, template=True, switch=False)], True),
        ([Applier("flux", applies=True, template=True, switch=True)], False),
        ([Applier("policy", applies=True, template=False, switch=False)], False),
        ([Applier("kubectl", applies=False, template=True, switch=False)], False),
        ([Applier(OUR_MANAGER, applies=True, template=True, switch=False)], False),
        # What wrote that field alone put it to sleep, in whatever way it writes, and may wake it.
        ([Applier("scaler", applies=True, template=False, switch=True)], True),
        ([Applier("scaler", applies=False, template=False, switch=True)], True),
        ([Applier("", applies=False, template=False, switch=True)], True),
        ([Applier("kubectl-scale", applies=False, template=False, switch=True)], False),
        ([Applier("Mozilla", applies=False, template=False, switch=True)], False),
        ([Applier("scaler", applies=False, template=True, switch=True)], False),
    ],
)
def test_an_applier_that_lost_the_field_may_restore_it(
    appliers: list[Applier], wakes: bool
) -> None:
    found = waker_by_manifest("Deployment", {}, appliers)

    assert (found.wakes if found else None) == (Wakes.MAYBE if wakes else None)


WROTE_ALL = {"template": True, "switch": True}


@pytest.mark.parametrize(
    ("tool", "appliers", "wakes"),
    [
        ("Argo CD", [Applier("argocd-controller", applies=False, **WROTE_ALL)], False),
        ("Flux", [Applier("helm-controller", applies=True, **WROTE_ALL)], False),
        ("Helm release web", [Applier("Helm", applies=False, **WROTE_ALL)], False),
        # Of another tool, and without any record: the next sync may restore another.
        ("Argo CD", [Applier("kubectl-create", applies=False, **WROTE_ALL)], True),
        ("Argo CD", [Applier("kubectl-scale", applies=False, template=False, switch=True)], True),
        ("Helm release web", [Applier("helm", applies=False, template=True, switch=False)], True),
        ("Flux", [], True),
    ],
)
def test_a_tool_that_deploys_it_has_to_have_written_that_it_wants_no_pods(
    tool: str, appliers: list[Applier], wakes: bool
) -> None:
    found = waker_by_manifest("Deployment", {}, appliers, (tool,))

    assert (found.wakes if found else None) == (Wakes.MAYBE if wakes else None)
    assert found is None or tool in found.told
