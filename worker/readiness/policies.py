"""MutatingAdmissionPolicies with their bindings, and webhooks: what may change a pod before it is stored."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from remediation.readiness.observation import WORKLOAD_KINDS
from remediation.readiness.rewriter import Rewriter
from worker.readiness.lists import Lists
from worker.readiness.traces import Traces

_GROUP = "/apis/admissionregistration.k8s.io"
_VERSIONS = ("v1", "v1beta1", "v1alpha1")
_WEBHOOKS = {
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}
_PODS = ("*", "*/*", "pods", "pods/*")
# What pods are made of: a Job of a CronJob, a ReplicaSet of the next rollout, the list of a ServiceAccount.
_SOURCES = ("serviceaccounts", *(f"{each.lower()}s" for each in WORKLOAD_KINDS))
# What a pod in a dry run does not have as a controller's pod has it: who makes it, its name, and what controllers add.
_OF_REAL_PODS = re.compile(
    r"dryRun|userInfo|\brequest\.\??(?:name|options|uid)\b|\bauthorizer\b|\bobject\.\??metadata\.\??name\b"
    r"|ownerReferences|generateName|\"resourceNames\":\[\"|pod-template-(?:hash|generation)|controller-revision-hash"
    r"|controller-uid|job-name|completion-index|pod-index|statefulset\.kubernetes\.io|rollouts-pod-template-hash"
    r"|\bspec\.\??(?:hostname|subdomain|affinity|tolerations|nodeName)\b"
)
# The other way to name a field: `object['metadata']`.
_INDEXED = re.compile(r"\[\s*'(\w+)'\s*\]")


async def rewriters(lists: Lists, traces: Traces) -> AsyncIterator[Rewriter]:
    """Yield what is bound; a list that may not be read is in `lists.refused`. Raises Fault and ListExpired."""
    bound: dict[str, list[Mapping[str, Any]]] = {}
    asks: set[str] = set()
    async for binding in _every(lists, "mutatingadmissionpolicybindings"):
        spec = binding.get("spec") or {}
        matched = spec.get("matchResources") or {}
        selector = matched.get("namespaceSelector") or {}
        name = str(spec.get("policyName", ""))
        bound.setdefault(name, []).append(selector)
        if _tells_pods_apart(spec):
            asks.add(name)
    all_known = "mutatingadmissionpolicybindings" not in lists.refused
    async for policy in _every(lists, "mutatingadmissionpolicies"):
        name = (policy.get("metadata") or {}).get("name", "")
        if name in bound or not all_known:
            found = _policy(name, policy.get("spec") or {}, bound.get(name, [{}]), traces)
            yield replace(found, unseen=found.unseen or name in asks)
    async for configuration in _every(lists, _WEBHOOKS["MutatingWebhookConfiguration"]):
        name = (configuration.get("metadata") or {}).get("name", "")
        hooks = [hook for hook in configuration.get("webhooks") or () if _sees_pods(hook)]
        if hooks:
            scopes = tuple((hook.get("namespaceSelector") or {},) for hook in hooks)
            yield Rewriter("MutatingWebhookConfiguration", name, scopes=scopes)


async def webhooks(lists: Lists) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    """Yield kind and object of each webhook configuration. Raises Fault and ListExpired."""
    for kind, resource in _WEBHOOKS.items():
        async for configuration in _every(lists, resource):
            yield kind, configuration


async def _every(lists: Lists, resource: str) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the objects of a kind from the newest version of it that is served; one that is not served has none."""
    for version in _VERSIONS:
        if resource in lists.missing:
            lists.missing.discard(resource)
            lists.refused.pop(resource, None)
        async for page in lists.pages(f"{_GROUP}/{version}/{resource}", msgspec.Raw):
            for raw in page:
                yield msgspec.json.decode(raw)
        if resource not in lists.missing:
            return
    # No version of the API server has it.
    lists.refused.pop(resource, None)


def _policy(
    name: str, spec: Mapping[str, Any], selectors: Iterable[Mapping[str, Any]], traces: Traces
) -> Rewriter:
    constraints = spec.get("matchConstraints") or {}
    own = constraints.get("namespaceSelector") or {}
    changes = {"mutations": spec.get("mutations"), "variables": spec.get("variables")}
    return Rewriter(
        "MutatingAdmissionPolicy",
        name,
        tuple(named for text in _texts(spec) if (named := traces.in_text(text))),
        tuple(_texts(changes)),
        tuple((own, selector) for selector in selectors),
        any(_of_pods(rule) for rule in constraints.get("resourceRules") or ()),
        any(
            resource.partition("/")[0] in ("*", *_SOURCES)
            for rule in constraints.get("resourceRules") or ()
            for resource in rule.get("resources") or ()
        )
        or _tells_pods_apart(spec),
    )


def _tells_pods_apart(spec: Mapping[str, Any]) -> bool:
    """Tell whether a policy or its binding may treat the pod of a dry run in another way than a controller's."""
    text = msgspec.json.encode(spec).decode().replace('\\"', "'")
    return bool(_OF_REAL_PODS.search(_INDEXED.sub(r".\1", text)))


def _sees_pods(hook: Mapping[str, Any]) -> bool:
    return any(_of_pods(rule) for rule in hook.get("rules") or ())


def _of_pods(rule: Mapping[str, Any]) -> bool:
    return (
        any(group in ("", "*") for group in rule.get("apiGroups") or ())
        and any(resource in _PODS for resource in rule.get("resources") or ())
        and any(operation in ("CREATE", "*") for operation in rule.get("operations") or ())
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
