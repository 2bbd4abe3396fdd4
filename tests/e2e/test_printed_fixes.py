"""What a finding prints is what helps: its lines are carried out as they stand, and the finding is gone."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.build import binaries
from tests.e2e.fleet import Space, docker_config
from tests.e2e.readiness import IMAGE, Place, found, judged
from tests.e2e.service import Service

_LINE = re.compile(r"(?:kubectl|remediator) .*?(?= \(|; |, then | and then |$)")
POISON = {"auths": {"other.example.com": {"auth": "%%%"}}}
ELSEWHERE = docker_config(registry="other.example.com")
OLD = docker_config(password="an-older-one")
LEGACY = "kubernetes.io/dockercfg"
ACCOUNT = "/api/v1/namespaces/{}/serviceaccounts/default"
ENFORCE = "kubernetes.io/enforce-mountable-secrets"


def carry_out(service: Service, place: Place, fix: str, editor: str = "") -> list[str]:
    """Carry the lines of a fix out as their reader would; return their output."""
    lines = _LINE.findall(fix)
    assert lines, fix
    return [_run(service, place, line, editor) for line in lines]


def _run(service: Service, place: Place, line: str, editor: str) -> str:
    program, *arguments = shlex.split(line)
    if program == "remediator":
        done = service.cli(*arguments)
    else:
        if "delete" in arguments:
            arguments.append("--wait=false")  # no kubelet ends the pod here
        environment = os.environ | {"KUBECONFIG": str(place.cluster.kubeconfig)}
        done = subprocess.run(
            [binaries("kubectl")["kubectl"], *arguments],
            env=environment | {"KUBE_EDITOR": editor},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def enforced(place: Place, *listed: str) -> Place:
    """Have the ServiceAccount allow only what it lists."""
    entries = [{"name": name} for name in listed] or None
    metadata = {"annotations": {ENFORCE: "true"}}
    place.cluster.http.patch(
        ACCOUNT.replace("{}", place.name),
        content=json.dumps({"metadata": metadata, "imagePullSecrets": entries}),
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    return place


TEMPLATES: dict[str, tuple[Callable[[Space], Place], str]] = {
    "unpatched": (lambda s: Place(s).secret().workload(), "W_SA_UNPATCHED"),
    "unpatched, no Secret": (lambda s: Place(s).workload(), "W_SA_UNPATCHED"),
    "own Secrets": (
        lambda s: (
            Place(s, ("docker",)).secret().secret(ELSEWHERE, name="pull-two").workload("pull-two")
        ),
        "W_TEMPLATE_SECRETS",
    ),
    "own entry without a name": (
        lambda s: Place(s, ("docker",)).secret().workload(""),
        "W_TEMPLATE_SECRETS",
    ),
    "own Secrets of a CronJob": (
        lambda s: Place(s, ("docker",)).secret().workload("", kind="CronJob"),
        "W_TEMPLATE_SECRETS",
    ),
    "unpatched, a Secret of another type": (
        lambda s: Place(s).secret("x", kind="Opaque", key="a").workload(),
        "W_SA_UNPATCHED",
    ),
    "unpatched, a legacy Secret": (
        lambda s: Place(s).secret({}, kind=LEGACY, key=".dockercfg").workload(),
        "W_SA_UNPATCHED",
    ),
    "unpatched, somebody else's Secret": (
        lambda s: Place(s).secret(ELSEWHERE).workload(),
        "W_SA_UNPATCHED",
    ),
    "unpatched, a malformed Secret": (
        lambda s: Place(s).secret(POISON).workload(),
        "W_SA_UNPATCHED",
    ),
    "unpatched, an immutable Secret": (
        lambda s: Place(s).secret(ELSEWHERE, immutable=True).workload(),
        "W_SA_UNPATCHED",
    ),
    "another type": (
        lambda s: Place(s, ("docker",)).secret("x", kind="Opaque", key="a").workload(),
        "W_WRONG_TYPE",
    ),
    "another type in the template": (
        lambda s: Place(s).secret("x", kind="Opaque", key="a").workload("docker"),
        "W_WRONG_TYPE",
    ),
    "no account, own Secrets": (
        lambda s: Place(s).secret(ELSEWHERE).workload("docker", serviceAccountName="robot"),
        "W_SA_MISSING",
    ),
    "dangling": (lambda s: Place(s, ("docker",)).workload(), "W_DANGLING"),
    "stale": (lambda s: Place(s, ("docker",)).secret(OLD).workload(), "W_STALE"),
    "stale and immutable": (
        lambda s: Place(s, ("docker",)).secret(OLD, immutable=True).workload(),
        "W_STALE",
    ),
    "another key": (lambda s: Place(s, ("docker",)).secret(ELSEWHERE).workload(), "W_KEY"),
    "enforced": (lambda s: enforced(Place(s).secret().workload("docker")), "W_ENFORCED"),
    "enforced, other entries": (
        lambda s: enforced(Place(s, ("more",)).secret().workload("docker"), "more"),
        "W_ENFORCED",
    ),
    "enforced, another Secret": (
        lambda s: enforced(Place(s).secret().workload("docker", "quay"), "docker"),
        "W_ENFORCED",
    ),
    "dormant": (lambda s: Place(s).secret().workload(replicas=0), "W_DORMANT"),
    "unused": (lambda s: Place(s), "SA_UNUSED_UNPATCHED"),
    "unused, a Secret of another type": (
        lambda s: Place(s).secret("x", kind="Opaque", key="a"),
        "SA_UNUSED_UNPATCHED",
    ),
    "unused, somebody else's Secret": (
        lambda s: Place(s).secret(ELSEWHERE),
        "SA_UNUSED_UNPATCHED",
    ),
}


@pytest.mark.parametrize("case", TEMPLATES)
def test_the_printed_fix_ends_the_finding(service: Service, space: Space, case: str) -> None:
    make, expected = TEMPLATES[case]
    place = make(space)
    # What is made after the last remediation of a cluster, by whatever test, is told as a race.
    service.remediate(clusters=["alpha"], namespaces=[space.namespace("elsewhere")])
    kept = [name for name in space.pull_secrets(place.name, "default") if name]

    carry_out(service, place, found(judged(service, namespaces=[place.name]), expected)["fix"])

    check = judged(service, namespaces=[place.name])
    assert expected not in {row["class"] for row in check["findings"]}, check["findings"]
    names = space.pull_secrets(place.name, "default")
    assert names[: len(kept)] == kept
    assert len(names) == len(set(names))


def test_a_malformed_secret_is_emptied_as_told(
    service: Service, space: Space, tmp_path: Path
) -> None:
    place = Place(space, ("docker",)).secret(POISON).workload()
    editor = tmp_path / "editor"
    empty = "eyJhdXRocyI6e319"  # {"auths":{}}
    editor.write_text(
        f"#!/bin/sh\nsed -i 's/\\.dockerconfigjson: .*/.dockerconfigjson: {empty}/' \"$1\"\n"
    )
    editor.chmod(0o700)

    fix = found(judged(service, namespaces=[place.name]), "W_POISONED")["fix"]
    carry_out(service, place, fix, str(editor))
    then = found(judged(service, namespaces=[place.name]), "W_KEY")["fix"]
    carry_out(service, place, then)

    assert judged(service, namespaces=[place.name])["verdict"] == "safe"


@pytest.mark.parametrize("pulled", [True, False], ids=["P_RISK_RESTART", "P_BREAKS_ON_FLIP"])
def test_a_pod_without_a_controller_is_created_again_as_told(
    service: Service, space: Space, pulled: bool
) -> None:
    place = Place(space)
    state = None if pulled else {"waiting": {"reason": "ImagePullBackOff"}}
    place.pod(pulled=pulled, state=state)
    expected = "P_RISK_RESTART" if pulled else "P_BREAKS_ON_FLIP"

    outputs = carry_out(
        service, place, found(judged(service, namespaces=[place.name]), expected)["fix"]
    )
    _created_again(place, outputs[-1])

    check = judged(service, namespaces=[place.name])
    assert found(check, "P_COVERED")
    assert check["verdict"] == "safe"


def _created_again(place: Place, manifest: str) -> None:
    """Do what is left to a pod's owner: delete it, and create it from its own manifest, not from what was added."""
    assert IMAGE in manifest
    path = f"/api/v1/namespaces/{place.name}/pods"
    place.cluster.http.delete(f"{path}/web", params={"gracePeriodSeconds": "0"}).raise_for_status()
    place.pod()


@pytest.mark.parametrize("pulled", [True, False], ids=["P_RISK_RESTART", "P_BREAKS_ON_FLIP"])
@pytest.mark.parametrize("strategy", ["rolls", "paused", "OnDelete"])
def test_a_controllers_pods_are_renewed_as_told(
    service: Service, space: Space, pulled: bool, strategy: str
) -> None:
    kind = "StatefulSet" if strategy == "OnDelete" else "Deployment"
    place = Place(space).workload(kind=kind)
    path = f"/apis/apps/v1/namespaces/{place.name}/{kind.lower()}s/web"
    change = {
        "paused": {"paused": True},
        "OnDelete": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}},
    }
    place.patch(path, {"spec": change.get(strategy, {})})
    owner = place.cluster.http.get(path).json()
    reference = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": "web",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    state = None if pulled else {"waiting": {"reason": "ImagePullBackOff"}}
    place.pod(pulled=pulled, state=state, ownerReferences=[reference])
    service.remediate(clusters=["alpha"], namespaces=[place.name])
    expected = "P_RISK_RESTART" if pulled else "P_BREAKS_ON_FLIP"

    fix = found(judged(service, namespaces=[place.name]), expected)["fix"]
    carry_out(service, place, fix)
    _act_as_the_controller(place, path, reference)

    check = judged(service, namespaces=[place.name])
    assert found(check, "P_COVERED")
    assert check["verdict"] == "safe"


def _act_as_the_controller(place: Place, path: str, reference: dict[str, Any]) -> None:
    """Replace the pod if the template was changed and a rollout does that, or if it was deleted."""
    now = place.cluster.http.get(path).json()
    annotations = now["spec"]["template"]["metadata"].get("annotations", {})
    rolls = now["spec"].get("updateStrategy", {}).get("type") != "OnDelete"
    pod = f"/api/v1/namespaces/{place.name}/pods/web"
    if rolls and "kubectl.kubernetes.io/restartedAt" in annotations:
        assert not now["spec"].get("paused"), "a paused Deployment replaces nothing"
        place.cluster.http.delete(pod, params={"gracePeriodSeconds": "0"}).raise_for_status()
    left = place.cluster.http.get(pod)
    if left.is_success:
        assert left.json()["metadata"].get("deletionTimestamp"), "nothing replaces this pod"
        place.cluster.http.delete(pod, params={"gracePeriodSeconds": "0"}).raise_for_status()
    place.pod(ownerReferences=[reference])


@pytest.mark.parametrize(
    ("kind", "group", "expected"),
    [
        ("Cluster", "postgresql.cnpg.io", ["kubectl cnpg restart pg --context alpha -n {}"]),
        (
            "Database",
            "db.example.com",
            [f"kubectl --context alpha -n {{}} delete pod pg-{number}" for number in range(3)],
        ),
    ],
)
def test_pods_of_an_operator_are_planned_by_its_procedure(
    service: Service, space: Space, kind: str, group: str, expected: list[str]
) -> None:
    place = Place(space)
    owner = {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "name": "pg",
        "uid": "u",
        "controller": True,
    }
    for number in range(3):
        name, labels = f"pg-{number}", {"app": "pg"}
        place.pod(policy="IfNotPresent", name=name, labels=labels, ownerReferences=[owner])
    budget = {"minAvailable": 2, "selector": {"matchLabels": {"app": "pg"}}}
    budgets = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets".replace("{}", place.name)
    place.post(budgets, {"metadata": {"name": "pg"}, "spec": budget})
    status = {
        "disruptionsAllowed": 1,
        "currentHealthy": 3,
        "desiredHealthy": 2,
        "expectedPods": 3,
        "observedGeneration": 1,
    }
    place.patch(f"{budgets}/pg/status", {"status": status})
    service.remediate(clusters=["alpha"], namespaces=[place.name])

    check = judged(service, namespaces=[place.name])

    plan = service.http.get(f"/readiness-checks/{check['id']}/restart-plan").json()
    (step,) = plan["clusters"][0]["steps"]
    assert step["lines"] == [line.format(place.name) for line in expected]
    assert (step["pods"], step["batch"], step["held"]) == (3, 0, "")
    assert "a restart of its own" in step["note"]
    fix = found(check, "P_RISK_LOW")["fix"]
    assert expected[0].format(place.name) in fix
    assert "delete pod pg-0 pg-1" not in fix
