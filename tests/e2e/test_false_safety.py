"""Whatever readiness calls covered can be pulled after the flip: random clusters, judged, flipped, recreated, pulled.

`make safety CLUSTERS=200` takes more of them, and names the false alarms.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from controlplane.node_pull import Node, images
from controlplane.pull import Login
from controlplane.registry import Registry
from tests.e2e.fleet import grant_least_privilege
from tests.e2e.random_cluster import Plan, Pods, make, plan, recreate
from tests.e2e.random_parts import Ground, Manifest
from tests.e2e.safety import Subject, Tally, by_pod, key, running
from tests.e2e.service import Service

CLUSTERS = int(os.environ.get("SAFETY_CLUSTERS") or 12)
# The tests of every change judge the same clusters; `make safety` draws others unless told.
USUAL_SEED = 1
DRAWN = "SAFETY_CLUSTERS" in os.environ
SEED = int(
    os.environ.get("SAFETY_SEED")
    or (random.SystemRandom().randrange(2**32) if DRAWN else USUAL_SEED)
)
RIGHT = (Login("robot", "made-up"), Login("second", "made-up-too"))
WRONG = Login("robot", "guessed")
CREDENTIAL = "right"
TRIES = 3
# The same cluster twice: with the documented rights, and with those to read other teams' Secrets as well.
MODES = {"plain": (), "deep": ("remediator-readiness-secrets",)}
PASSWORDS = {login.username: login.password for login in RIGHT}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry.start(tmp_path_factory.mktemp("registry")) as public:
        yield public


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start("random", tmp_path_factory.mktemp("cluster") / "random") as started:
        yield started


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, registry: Registry
) -> Iterator[Service]:
    """The service with a proof of the future: a shadow of the registry that is private already."""
    directory = tmp_path_factory.mktemp("service")
    with registry.shadow(directory / "shadow", htpasswd=PASSWORDS) as shadow:
        entry = directory / "credentials" / CREDENTIAL
        entry.mkdir(parents=True)
        parts = {"registry": registry.host, "shadow": f"http://{shadow.host}"}
        parts |= {"username": RIGHT[0].username, "password": RIGHT[0].password}
        for name, text in parts.items():
            (entry / name).write_text(text)
        rules = directory / "registries.yaml"
        rules.write_text(yaml.safe_dump({"registries": {registry.host: {"plain_http": True}}}))
        kubeconfig = directory / "kubeconfig"
        write_kubeconfig(
            kubeconfig,
            {
                mode: ContextSpec(
                    cluster.server, cluster.ca_file, grant_least_privilege(cluster, *roles)
                )
                for mode, roles in MODES.items()
            },
        )
        environment = {"REMEDIATOR_REGISTRIES_FILE": str(rules)}
        running = Service(directory, [kubeconfig], entry.parent, environment)
        yield running
        running.stop()


@pytest.mark.timeout(3600)
def test_nothing_that_is_called_covered_fails(
    service: Service, cluster: Cluster, registry: Registry, tmp_path: Path
) -> None:
    ground = Ground.push(registry.host, RIGHT, WRONG)
    plans = [plan(SEED + number, f"r{number}-", ground) for number in range(CLUSTERS)]
    for number, one in enumerate(plans):
        make(cluster, one)
        if number % 2:  # else hardly any would be safe
            remediate(service, one)
            recreate(cluster, one)
    judged = [judge(service, registry.host, one) for one in plans]
    registry.restart(htpasswd=PASSWORDS)
    with Node.start(tmp_path, plain_http=True) as node:
        before = [live(node, cluster, registry.host, one) for one in plans]
        after = [
            made_again(node, cluster, registry.host, one, recreate(cluster, one)) for one in plans
        ]
    tallies = {mode: Tally() for mode in MODES}
    for answers, was, came in zip(judged, before, after, strict=True):
        for mode, (verdict, rows) in answers.items():
            tallies[mode].compare(verdict, rows, [*was, *came])

    print(f"\n{CLUSTERS} clusters, seed {SEED}")  # noqa: T201
    for mode, tally in tallies.items():
        print(f"  {mode}: {tally}")  # noqa: T201
    lies = [f"{mode}: {lie}" for mode, tally in tallies.items() for lie in tally.false_safety]
    assert not lies, f"SEED={SEED}\n" + "\n".join(lies)
    # Or nothing was shown.
    assert tallies["deep"].failed > 2 * CLUSTERS
    assert tallies["deep"].covered > CLUSTERS
    assert tallies["deep"].covered > tallies["plain"].covered > CLUSTERS / 4


def remediate(service: Service, planned: Plan) -> None:
    """Have the service do what it can: some of what is random cannot be mended."""
    service.remediate(
        clusters=["deep"],
        namespaces=[f"{planned.prefix}*"],
        credential=CREDENTIAL,
        on_conflict="replace",
        registry_check="require",
        readiness=False,
    )


def judge(service: Service, host: str, planned: Plan) -> dict[str, tuple[str, list[Manifest]]]:
    """Return verdict and findings of one random cluster by mode. Raises AssertionError if it cannot be judged."""
    body = {
        "clusters": list(MODES),
        "namespaces": [f"{planned.prefix}*"],
        "registry": host,
        "credential": CREDENTIAL,
        "evidence": "L2",
    }
    check: dict[str, Any] = {"status": ""}
    for _ in range(TRIES):  # a busy machine may not answer in time; that is no judgement
        answer = service.http.post("/readiness-checks", params={"wait": "60"}, json=body)
        assert answer.status_code == 202, answer.text
        check = answer.json()
        while not check["terminal"]:
            path = f"/readiness-checks/{check['id']}"
            check = service.http.get(path, params={"wait": "60"}).json()
        if check["status"] == "succeeded":
            break
    assert check["status"] == "succeeded", [one["error"] for one in check["clusters"]]
    found = service.http.get(
        f"/readiness-checks/{check['id']}/findings", params={"limit": "1000"}
    ).json()
    assert found.get("next_cursor") is None
    # Of other random clusters, which were left out, nothing.
    rows = [row for row in found["items"] if row["namespace"].startswith(planned.prefix)]
    return {
        one["name"]: (one["verdict"], [row for row in rows if row["cluster"] == one["name"]])
        for one in check["clusters"]
    }


def live(node: Node, cluster: Cluster, host: str, planned: Plan) -> list[Subject]:
    """Pull for the pods that were there when they were judged, with the lists that they have."""
    pods = listed(cluster, planned, "pods")
    pulls = by_pod(node.pull(pods, listed(cluster, planned, "secrets"), registry=host))
    return running(pods, top_owner, pulls)


def made_again(node: Node, cluster: Cluster, host: str, planned: Plan, pods: Pods) -> list[Subject]:
    """Pull for the pods that came after the flip; each is judged by what made it."""
    bodies = [pod for _, pod in pods.taken]
    pulls = by_pod(node.pull(bodies, listed(cluster, planned, "secrets"), registry=host))
    found = []
    for label, pod in pods.taken:
        kind, namespace, name = label.split("/")
        needed = frozenset(images(pod["spec"]))
        by_hand = kind == "Pod"
        found.append(
            Subject(
                namespace,
                kind,
                name,
                "P_" if by_hand else "W_",
                tuple(pulls.get(key(pod), ())),
                needed,
                account=pod["spec"]["serviceAccountName"] if by_hand else "",
            )
        )
    return found


def top_owner(pod: Manifest) -> tuple[str, str]:
    """Return what made a pod: the Deployment, not its ReplicaSet; the pod itself if nothing did."""
    references = pod["metadata"].get("ownerReferences")
    if not references:
        return "Pod", pod["metadata"]["name"]
    kind, name = references[0]["kind"], references[0]["name"]
    of_deployment = kind == "ReplicaSet" and name.endswith("-5d9f")
    return ("Deployment", name.removesuffix("-5d9f")) if of_deployment else (kind, name)


def listed(cluster: Cluster, planned: Plan, resource: str) -> list[Manifest]:
    """Return the objects of a random cluster."""
    return [
        item
        for name in planned.namespaces
        for item in cluster.http.get(f"/api/v1/namespaces/{name}/{resource}").json()["items"]
    ]
