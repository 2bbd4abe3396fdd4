"""Custom resources and admission policies that tests put on a shared cluster, and take away again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from controlplane.cluster import Cluster
from tests.e2e.fleet import until_allowed
from tests.e2e.readiness import Place
from tests.e2e.service import until

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
# The deep one is "-".join(("remediator", *DEEP)).
DEEP = ("remediator-readiness-secrets", "remediator-readiness-admission")
ACCOUNTS = ("remediator", "-".join(("remediator", *DEEP)))
_READERS = "custom-readers"
_ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@contextmanager
def kinds(cluster: Cluster, named: Mapping[str, str]) -> Iterator[None]:
    """Serve kinds, {"plural.group": "Kind"}, which the workers' accounts may list; "*Kind" has no namespace."""
    groups = sorted({name.partition(".")[2] for name in named})
    rules = [{"apiGroups": groups, "resources": ["*"], "verbs": ["list"]}]
    role = {"kind": "ClusterRole", "metadata": {"name": _READERS}, "rules": rules}
    # By name: a review of access knows no groups of an account.
    subjects = [
        {"kind": "ServiceAccount", "name": name, "namespace": "default"} for name in ACCOUNTS
    ]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _READERS}
    binding = {"kind": "ClusterRoleBinding", "metadata": {"name": _READERS}}
    cluster.apply(role, binding | {"roleRef": reference, "subjects": subjects})
    for name, kind in named.items():
        answer = cluster.http.post(DEFINITIONS, json=_definition(name, kind))
        assert answer.is_success, answer.text
    for name in named:
        plural, _, of = name.partition(".")
        place = f"/apis/{of}/v1/{plural}"
        until(partial(_served, cluster, place), f"kind {name}")
    until_allowed_all(cluster, groups)
    try:
        yield
    finally:
        for name in named:
            _release(cluster, name)
            cluster.http.delete(f"{DEFINITIONS}/{name}").raise_for_status()
        # Or the next test finds kinds in the discovery that no account can list.
        until(partial(_gone, cluster, named), "end of the kinds")


def _release(cluster: Cluster, name: str) -> None:
    """Take away what holds objects of a kind, such as the finalizer of a deletion in the foreground."""
    plural, _, group = name.partition(".")
    for item in cluster.http.get(f"/apis/{group}/v1/{plural}").raise_for_status().json()["items"]:
        meta = item["metadata"]
        if meta.get("finalizers"):
            space = f"namespaces/{meta['namespace']}/" if "namespace" in meta else ""
            cluster.http.patch(
                f"/apis/{group}/v1/{space}{plural}/{meta['name']}",
                json={"metadata": {"finalizers": None}},
                headers={"Content-Type": "application/merge-patch+json"},
            ).raise_for_status()


def _gone(cluster: Cluster, named: Mapping[str, str]) -> bool:
    definitions = cluster.http.get(DEFINITIONS).raise_for_status().json()["items"]
    left = {item["metadata"]["name"] for item in definitions} & set(named)
    groups = cluster.http.get("/apis").raise_for_status().json()["groups"]
    served = {group["name"] for group in groups}
    others = {item["spec"]["group"] for item in definitions}
    return not left and not {name.partition(".")[2] for name in named} & (served - others)


def _served(cluster: Cluster, place: str) -> bool:
    return cluster.http.get(place).is_success


def until_allowed_all(cluster: Cluster, groups: list[str]) -> None:
    """Return when an account of the namespace default may list these groups."""
    rule = {"apiGroups": groups, "resources": ["*"], "verbs": ["list"]}
    until_allowed(cluster, "remediator", rule)


def _definition(name: str, kind: str) -> dict[str, Any]:
    plural, _, group = name.partition(".")
    return {
        "metadata": {
            "name": name,
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": "Cluster" if kind.startswith("*") else "Namespaced",
            "names": {
                "plural": plural,
                "singular": kind.strip("*").lower(),
                "kind": kind.strip("*"),
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _ANY},
                }
            ],
        },
    }


def resource(place: Place, plural: str, kind: str, name: str, spec: Any, **more: Any) -> Any:
    """Make a custom resource ("plural.group") in the namespace of a place; return its reference as a controller."""
    plural, _, group = plural.partition(".")
    body = {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": name} | more.pop("metadata", {}),
        "spec": spec,
    }
    path = f"/apis/{group}/v1/namespaces/{place.name}/{plural}"
    answer = place.cluster.http.post(path, json=body | more)
    assert answer.is_success, answer.text
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "name": name,
        "uid": answer.json()["metadata"]["uid"],
        "controller": True,
    }


@contextmanager
def mutating_policy(
    place: Place,
    expression: str,
    *,
    resources: list[str] | None = None,
    probe: str = "",
    condition: str = "",
    selector: dict[str, Any] | None = None,
) -> Iterator[str]:
    """Have a MutatingAdmissionPolicy change what is made in a place by a JSON patch; `probe` is what then shows.

    It does so under a `condition`, and to objects that a `selector` of labels matches.
    """
    name = f"{place.name}-policy"
    spaces = {"matchLabels": {"kubernetes.io/metadata.name": place.name}}
    rule = {
        "apiGroups": ["", "apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": resources or ["pods"],
    }
    patch = {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": spaces}
        | ({"objectSelector": selector} if selector else {}),
        "matchConditions": [{"name": "it", "expression": condition}] if condition else [],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [patch],
    }
    http = place.cluster.http
    policies, bindings = (
        f"{POLICIES}/mutatingadmissionpolicies",
        f"{POLICIES}/mutatingadmissionpolicybindings",
    )
    answer = http.post(policies, json={"metadata": {"name": name}, "spec": spec})
    assert answer.is_success, answer.text
    answer = http.post(bindings, json={"metadata": {"name": name}, "spec": {"policyName": name}})
    assert answer.is_success, answer.text
    try:
        if probe:
            pod = {
                "metadata": {"name": "probe"},
                "spec": {"containers": [{"name": "app", "image": "docker.io/library/busybox:1"}]},
            }
            pods = f"/api/v1/namespaces/{place.name}/pods"
            until(
                lambda: probe in http.post(pods, json=pod, params={"dryRun": "All"}).text,
                "effect of the policy",
            )
        yield name
    finally:
        http.delete(f"{bindings}/{name}")
        http.delete(f"{policies}/{name}")
