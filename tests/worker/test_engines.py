"""Policies of engines: which of them write lists of Secrets, and which namespaces they can reach."""

import base64
import gzip
from typing import Any

import msgspec
import pytest

from remediation.readiness.rewriter import Rewriter
from worker.readiness.engines import Engines
from worker.readiness.policies import _policy
from worker.readiness.traces import Traces

LIST = {"spec": {"imagePullSecrets": [{"name": "other"}]}}
PATCH = "- op: replace\n  path: /spec/imagePullSecrets\n  value: []"
NAME = "kubernetes.io/metadata.name"


class Told:
    """A judge who only listens."""

    def __init__(self) -> None:
        self.rewriters: list[Rewriter] = []

    def add_rewriter(self, rewriter: Rewriter) -> None:
        self.rewriters.append(rewriter)


def found(resource: str, spec: Any, namespace: str = "") -> list[Rewriter]:
    """Return what is found in one object."""
    told = Told()
    document = {"kind": "Some", "metadata": {"name": "p", "namespace": namespace}, "spec": spec}
    Engines([told]).look(resource, [msgspec.Raw(msgspec.json.encode(document))])  # type: ignore[list-item]
    return told.rewriters


def rule(match: Any = None, **more: Any) -> dict[str, Any]:
    """Return a policy of Kyverno with one rule."""
    return {"rules": [{"name": "a", "match": match or {}, **more}]}


BUNDLE = base64.b64encode(gzip.compress(b"pod.spec.imagePullSecrets = []")).decode()


@pytest.mark.parametrize(
    ("resource", "spec"),
    [
        ("clusterpolicies.kyverno.io", rule(mutate={"patchesJson6902": PATCH})),
        ("clusterpolicies.kyverno.io", rule(mutate={"patchStrategicMerge": LIST})),
        ("policies.kyverno.io", rule(mutate={"foreach": [{"patchesJson6902": PATCH}]})),
        ("clusterpolicies.kyverno.io", rule(generate={"data": LIST})),
        (
            "mutatingpolicies.policies.kyverno.io",
            {"mutations": [{"jsonPatch": {"expression": PATCH}}]},
        ),
        ("assign.mutations.gatekeeper.sh", {"location": "spec.imagePullSecrets"}),
        ("modifyset.mutations.gatekeeper.sh", {"location": "spec.imagePullSecrets"}),
        ("jspolicybundles.policy.jspolicy.com", {"bundle": BUNDLE}),
        ("clusteradmissionpolicies.policies.kubewarden.io", {"mutating": True, "settings": LIST}),
        ("overridepolicies.policy.karmada.io", {"overriders": {"path": "/spec/imagePullSecrets"}}),
        ("policies.example.com", {"set": {"serviceAccountName": "other"}}),
    ],
)
def test_a_policy_that_writes_a_list_is_found(resource: str, spec: Any) -> None:
    (rewriter,) = found(resource, spec)

    assert rewriter.sets_secrets
    assert rewriter.applies({NAME: "team"})


@pytest.mark.parametrize(
    ("resource", "spec"),
    [
        ("clusterpolicies.kyverno.io", rule(validate={"pattern": LIST})),
        ("clusterpolicies.kyverno.io", rule(preconditions=LIST, mutate={"x": "labels"})),
        ("validatingpolicies.policies.kyverno.io", {"validations": [LIST]}),
        ("policyreports.wgpolicyk8s.io", {"results": [LIST]}),
        ("k8srequired.constraints.gatekeeper.sh", LIST),
        (
            "jspolicies.policy.jspolicy.com",
            {"type": "Validating", "javascript": "imagePullSecrets"},
        ),
        ("admissionpolicies.policies.kubewarden.io", {"mutating": False, "settings": LIST}),
        ("clusters.db.example.com", LIST),
        ("clusterpolicies.kyverno.io", rule(mutate={"patchStrategicMerge": {"metadata": {}}})),
    ],
)
def test_what_writes_no_list_is_none(resource: str, spec: Any) -> None:
    assert found(resource, spec) == []


@pytest.mark.parametrize(
    ("match", "namespace", "more", "reached"),
    [
        ({"any": [{"resources": {"namespaces": ["team"]}}]}, "", {}, {"team"}),
        ({"any": [{"resources": {"namespaces": ["te*"]}}]}, "", {}, {"team", "other"}),
        ({"resources": {"namespaces": ["other"]}}, "", {}, {"other"}),
        (
            {"all": [{"resources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}]},
            "",
            {},
            {"team"},
        ),
        ({}, "other", {}, {"other"}),
        (
            {"any": [{"resources": {"namespaces": ["team"]}}]},
            "",
            {"targets": [{"kind": "Deployment"}]},
            {"team", "other"},
        ),
    ],
)
def test_a_policy_reaches_the_namespaces_that_it_names(
    match: Any, namespace: str, more: Any, reached: set[str]
) -> None:
    spec = rule(match, mutate={"patchesJson6902": PATCH, **more})
    (rewriter,) = found("clusterpolicies.kyverno.io", spec, namespace)
    labels = {"team": {NAME: "team", "a": "b"}, "other": {NAME: "other"}}

    assert {name for name, each in labels.items() if rewriter.applies(each)} == reached


@pytest.mark.parametrize(
    ("resources", "unseen"), [(["pods"], False), (["jobs"], True), (["serviceaccounts"], True)]
)
def test_a_policy_that_changes_what_pods_are_made_of_is_not_seen_in_a_dry_run(
    resources: list[str], unseen: bool
) -> None:
    changes = {"mutations": [{"jsonPatch": {"expression": PATCH}}]}
    rules = [{"apiGroups": ["", "batch"], "operations": ["CREATE"], "resources": resources}]
    spec = {"matchConstraints": {"resourceRules": rules}} | changes

    rewriter = _policy("p", spec, [{}], Traces(["registry.example.com"]))

    assert (rewriter.unseen, rewriter.sets_secrets) == (unseen, True)


def condition(expression: str) -> dict[str, Any]:
    """Return a policy's condition."""
    return {"matchConditions": [{"name": "it", "expression": expression}]}


@pytest.mark.parametrize(
    ("more", "unseen"),
    [
        (condition("!request.dryRun"), True),
        (condition("request.userInfo.username.startsWith('system:serviceaccount:')"), True),
        (condition("request.?name.orValue('') == 'web-0'"), True),
        (condition("has(object.metadata.ownerReferences)"), True),
        (condition("object.metadata.generateName.startsWith('web-')"), True),
        (condition("object.metadata.?name.orValue('') == 'web-0'"), True),
        (condition('"pod-template-hash" in object.metadata.labels'), True),
        (condition("authorizer.group('').resource('pods').check('create').allowed()"), True),
        (condition("has(object.spec.affinity)"), True),
        (condition("object.spec.?tolerations.orValue([]).size() > 0"), True),
        (condition("object['metadata']['name'] == 'web-0'"), True),
        (condition('object["spec"]["hostname"] == "web-0"'), True),
        ({"variables": [{"name": "v", "expression": "object.spec.hostname == 'web-0'"}]}, True),
        ({"matchConstraints": {"objectSelector": {"matchLabels": {"job-name": "a"}}}}, True),
        ({"matchConstraints": {"resourceRules": [{"resourceNames": ["web-0"]}]}}, True),
        (
            condition("object.metadata.labels['team'] == 'one' && request.operation == 'CREATE'"),
            False,
        ),
        (condition("namespaceObject.metadata.name == 'team' && object.spec.hostNetwork"), False),
        ({"matchConstraints": {"namespaceSelector": {"matchLabels": {NAME: "team"}}}}, False),
        ({"matchConstraints": {"resourceRules": [{"resourceNames": []}]}}, False),
    ],
)
def test_a_policy_that_tells_a_dry_run_from_a_real_pod_is_not_seen_in_one(
    more: dict[str, Any], unseen: bool
) -> None:
    assert _policy("p", more, [{}], Traces(["registry.example.com"])).unseen is unseen
