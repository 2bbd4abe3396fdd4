"""Where an object of each kind lives in the API."""

from __future__ import annotations

from typing import Any, NamedTuple


class _Kind(NamedTuple):
    prefix: str
    plural: str
    namespaced: bool


_CORE = "/api/v1"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"

_KINDS = {
    "ClusterRole": _Kind(_RBAC, "clusterroles", False),
    "ClusterRoleBinding": _Kind(_RBAC, "clusterrolebindings", False),
    "ConfigMap": _Kind(_CORE, "configmaps", True),
    "CronJob": _Kind("/apis/batch/v1", "cronjobs", True),
    "DaemonSet": _Kind("/apis/apps/v1", "daemonsets", True),
    "Deployment": _Kind("/apis/apps/v1", "deployments", True),
    "Job": _Kind("/apis/batch/v1", "jobs", True),
    "Namespace": _Kind(_CORE, "namespaces", False),
    "Node": _Kind(_CORE, "nodes", False),
    "Pod": _Kind(_CORE, "pods", True),
    "ReplicaSet": _Kind("/apis/apps/v1", "replicasets", True),
    "ReplicationController": _Kind(_CORE, "replicationcontrollers", True),
    "ResourceQuota": _Kind(_CORE, "resourcequotas", True),
    "Role": _Kind(_RBAC, "roles", True),
    "RoleBinding": _Kind(_RBAC, "rolebindings", True),
    "Secret": _Kind(_CORE, "secrets", True),
    "ServiceAccount": _Kind(_CORE, "serviceaccounts", True),
    "StatefulSet": _Kind("/apis/apps/v1", "statefulsets", True),
    "ValidatingAdmissionPolicy": _Kind(_ADMISSION, "validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": _Kind(
        _ADMISSION, "validatingadmissionpolicybindings", False
    ),
    "ValidatingWebhookConfiguration": _Kind(_ADMISSION, "validatingwebhookconfigurations", False),
}


def path(body: dict[str, Any]) -> str:
    """Return the path of an object; a namespaced one without a namespace is in `default`.

    Raises ValueError for a kind that is not in the table.
    """
    metadata = body["metadata"]
    kind = _KINDS.get(body["kind"])
    if kind is None:
        raise ValueError(f"no path known for kind {body['kind']!r}")
    namespace = f"/namespaces/{metadata.get('namespace', 'default')}" if kind.namespaced else ""
    return f"{kind.prefix}{namespace}/{kind.plural}/{metadata['name']}"


def with_api_version(body: dict[str, Any]) -> dict[str, Any]:
    """Return the object with the `apiVersion` of its kind, if it names none."""
    prefix = _KINDS[body["kind"]].prefix
    return {"apiVersion": prefix.split("/", 2)[2], **body}


def node(name: str) -> dict[str, Any]:
    """Return a Node big enough for any test."""
    room = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": room, "capacity": room},
    }
