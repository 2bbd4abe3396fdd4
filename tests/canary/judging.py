"""A readiness check over Secrets and custom resources that hold passwords."""

from __future__ import annotations

import json
from functools import partial

from tests.canary.asking import eventually
from tests.canary.stage import READS_MORE, REPOSITORY, Stage
from tests.e2e.fleet import docker_config

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def judged(stage: Stage) -> None:
    """A readiness check: it reads the Secrets that pods name, and custom resources that name the registry."""
    foreign, mentioned = stage.canaries["foreign"], stage.canaries["mentioned"]
    http = stage.space.clusters[0].http
    name = stage.space.namespace("judged")
    content = docker_config(stage.registry, foreign.username, foreign.password)
    stage.space.secret(name, content, name="own")
    container = {"name": "app", "image": f"{stage.registry}/{REPOSITORY}:1.0"}
    spec = {"containers": [container], "imagePullSecrets": [{"name": "own"}]}
    pod = {"metadata": {"name": "app"}, "spec": spec}
    http.post(f"/api/v1/namespaces/{name}/pods", json=pod).raise_for_status()
    mirrors(stage)
    url = f"https://{mentioned.username}:{mentioned.password}@{stage.registry}/v2/"
    config = json.dumps(docker_config(stage.registry, mentioned.username, mentioned.password))
    mirror = {
        "apiVersion": "canary.example.com/v1",
        "kind": "Mirror",
        "metadata": {"name": "nightly"},
        "spec": {"url": url, "deep": [config]},
    }
    eventually(
        lambda: (
            http.post(
                f"/apis/canary.example.com/v1/namespaces/{name}/mirrors", json=mirror
            ).is_success
        )
    )
    wanted = {"clusters": ["alpha"], "registry": stage.registry, "credential": "named"}
    for evidence in ({}, {"evidence": "L0"}, {"evidence": "L3"}):
        body = wanted | {"namespaces": [name]} | evidence
        answer = stage.ask("POST", "/readiness-checks", params={"wait": "60"}, json=body)
        assert answer.status_code == 202, answer.text
        path = f"/readiness-checks/{answer.json()['id']}"
        eventually(partial(_ended, stage, path))
        rows = stage.ask("GET", f"{path}/findings", params={"limit": "1000"}).json()["items"]
        told = [row["explanation"] for row in rows if row["kind"] == "Mirror"]
        assert {"spec.url" in each for each in told} == {True, False}, rows
    # Tests of readiness share the cluster, and their workers may not list these.
    http.delete(f"{CRDS}/mirrors.canary.example.com").raise_for_status()


def mirrors(stage: Stage) -> None:
    """Have the cluster know a kind of custom resource, which the worker may list."""
    group, account = "canary.example.com", "-".join(("remediator", *READS_MORE))
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True}
    definition = {
        "metadata": {"name": f"mirrors.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "mirrors", "singular": "mirror", "kind": "Mirror"},
            "versions": [version | {"schema": {"openAPIV3Schema": anything}}],
        },
    }
    cluster = stage.space.clusters[0]
    cluster.http.post(CRDS, json=definition).raise_for_status()
    metadata = {"metadata": {"name": "canary-mirrors"}}
    rule = {"apiGroups": [group], "resources": ["*"], "verbs": ["list"]}
    role = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "canary-mirrors",
    }
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "default"}
    cluster.apply(
        {"kind": "ClusterRole", "rules": [rule]} | metadata,
        {"kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]} | metadata,
    )


def _ended(stage: Stage, path: str) -> bool:
    return bool(stage.ask("GET", path).json()["terminal"])
