"""What owners, operators and controllers of a random cluster send to its API server, one request at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx

from controlplane import objects
from controlplane.cluster import Cluster

Manifest = dict[str, Any]

# Kinds that `controlplane.objects` does not know: their API version, the plural, and whether they are in a namespace.
_MORE_KINDS = {
    "Agent": ("tools.example.com/v1", "agents", True),
    "Application": ("argoproj.io/v1alpha1", "applications", True),
    "Canary": ("flagger.app/v1beta1", "canaries", True),
    "CloneSet": ("apps.kruise.io/v1alpha1", "clonesets", True),
    "Cluster": ("db.example.com/v1", "clusters", True),
    "ControllerRevision": ("apps/v1", "controllerrevisions", True),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "ExternalSecret": ("external-secrets.io/v1", "externalsecrets", True),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers", True),
    "MutatingAdmissionPolicy": (
        "admissionregistration.k8s.io/v1",
        "mutatingadmissionpolicies",
        False,
    ),
    "MutatingAdmissionPolicyBinding": (
        "admissionregistration.k8s.io/v1",
        "mutatingadmissionpolicybindings",
        False,
    ),
    "Nap": ("rest.example.com/v1", "naps", True),
    "PodAutoscaler": ("autoscaling.internal.knative.dev/v1alpha1", "podautoscalers", True),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True),
    "PodTemplate": ("v1", "podtemplates", True),
    "Policy": ("kyverno.io/v1", "policies", True),
    "Rollout": ("argoproj.io/v1alpha1", "rollouts", True),
    "ScaledObject": ("keda.sh/v1alpha1", "scaledobjects", True),
    "SleepInfo": ("kube-green.com/v1alpha1", "sleepinfos", True),
    "SealedSecret": ("bitnami.com/v1alpha1", "sealedsecrets", True),
}
# Custom resources whose kind is also one of another group.
_CLASHES = {
    ("Cluster", "other.example.com/v1"): "clusters",
    ("StatefulSet", "apps.kruise.io/v1beta1"): "statefulsets",
}
_OWN_GROUPS = ("apps", "apiextensions.k8s.io", "autoscaling", "admissionregistration.k8s.io", "v1")
_MERGE = {"Content-Type": "application/merge-patch+json"}
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_JSON = {"Content-Type": "application/json-patch+json"}


class Verb(StrEnum):
    """How a request changes an object."""

    CREATE = "create"
    APPLY = "apply"  # server-side, with force
    MERGE = "merge"
    STATUS = "status"  # a merge patch of the status
    IMAGE = "image"  # of the first container of a pod, as `kubectl set image` does
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Act:
    """One request of `manager`; owner references in the body need no uid. Bodies of Secrets are never shown."""

    verb: Verb
    body: Manifest = field(repr=False)
    manager: str = "kubectl"


def path(body: Manifest) -> str:
    """Return the path of an object of any kind that random clusters hold."""
    version, plural, namespaced = _place(body)
    if not plural:
        return objects.path(body)
    prefix = "/api" if version == "v1" else "/apis"
    namespace = f"/namespaces/{body['metadata']['namespace']}" if namespaced else ""
    return f"{prefix}/{version}{namespace}/{plural}/{body['metadata']['name']}"


def api_version(body: Manifest) -> str:
    """Return the API version of an object, which the body need not name."""
    version, plural, _ = _place(body)
    return version if plural else str(objects.with_api_version(body)["apiVersion"])


def with_finalizer(body: Manifest) -> tuple[Act, Act]:
    """Return what sets an object on its way out: a finalizer, then its deletion."""
    held = {"finalizers": ["example.com/hold"]}
    return Act(Verb.MERGE, named(body, held)), Act(Verb.DELETE, named(body))


def without_finalizers(body: Manifest) -> Act:
    """Return what ends it: whoever held the object lets it go."""
    return Act(Verb.MERGE, named(body, {"finalizers": None}))


def named(body: Manifest, more: Manifest | None = None, **members: Any) -> Manifest:
    """Return the kind and name of an object, with more metadata and members."""
    metadata = {
        key: body["metadata"][key] for key in ("name", "namespace") if key in body["metadata"]
    }
    kept = {"apiVersion": body["apiVersion"]} if "apiVersion" in body else {}
    return {"kind": body["kind"], **kept, "metadata": metadata | (more or {}), **members}


def perform(cluster: Cluster, acts: Iterable[Act]) -> None:
    """Send them one after another. What is gone cannot be changed, and a pod may be refused; anything else raises."""
    for act in acts:
        answer = _send(cluster.http, act)
        refused = act.body["kind"] == "Pod" and answer.status_code == httpx.codes.FORBIDDEN
        if not refused and answer.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
            # About a Secret the server may quote the Secret.
            told = "" if act.body["kind"] == "Secret" else answer.text[:500]
            assert answer.is_success, f"{act.verb} {path(act.body)}: {answer.status_code} {told}"


def _send(http: httpx.Client, act: Act) -> httpx.Response:
    place = path(act.body)
    body = _whole(http, act.body) if act.verb in (Verb.CREATE, Verb.APPLY) else act.body
    told = {"fieldManager": act.manager}
    match act.verb:
        case Verb.CREATE:
            return http.post(place.rpartition("/")[0], json=body, params=told)
        case Verb.APPLY:
            return http.patch(
                place, content=json.dumps(body), params=told | {"force": "true"}, headers=_APPLY
            )
        case Verb.MERGE:
            return http.patch(place, content=json.dumps(body), params=told, headers=_MERGE)
        case Verb.STATUS:
            return http.patch(f"{place}/status", content=json.dumps(body), headers=_MERGE)
        case Verb.IMAGE:
            change = {"op": "replace", "path": "/spec/containers/0/image", "value": body["image"]}
            return http.patch(place, content=json.dumps([change]), headers=_JSON)
        case Verb.DELETE:
            return http.delete(place)


def _whole(http: httpx.Client, body: Manifest) -> Manifest:
    whole = copy.deepcopy(body) | {"apiVersion": api_version(body)}
    for owner in whole["metadata"].get("ownerReferences", ()):
        space = {"namespace": body["metadata"]["namespace"], "name": owner["name"]}
        above = {**owner, "metadata": space}
        found = http.get(path(above)).raise_for_status().json()
        owner |= {"apiVersion": found["apiVersion"], "uid": found["metadata"]["uid"]}
        owner.setdefault("controller", True)
    return whole


def _place(body: Manifest) -> tuple[str, str, bool]:
    version = body.get("apiVersion", "")
    if plural := _CLASHES.get((body["kind"], version)):
        return version, plural, True
    return _MORE_KINDS.get(body["kind"], ("", "", True))


def definitions() -> list[Manifest]:
    """Return the CustomResourceDefinitions of all custom kinds here: any field is kept."""
    kinds = [
        (kind, version, plural)
        for kind, (version, plural, _) in _MORE_KINDS.items()
        if version.partition("/")[0] not in _OWN_GROUPS
    ]
    kinds += [(kind, version, plural) for (kind, version), plural in _CLASHES.items()]
    return [_definition(*one) for one in kinds]


def _definition(kind: str, api_version: str, plural: str) -> Manifest:
    group, _, version = api_version.partition("/")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            # Groups of the Kubernetes project itself want to be approved there.
            "annotations": {"api-approved.kubernetes.io": "unapproved, made up"},
        },
        "spec": {
            "group": group,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
