"""What a fresh control plane must show before it is called ready."""

from __future__ import annotations

from typing import Any

import httpx

PROBE_NAME = "controlplane-probe"

# A new ordinary identity with a role of its own. After `/readyz` says ok, legitimate users can
# still get 403 for some tenths of a second: the authorizer has not seen the bindings yet.
PROBE: tuple[dict[str, Any], ...] = (
    {
        "kind": "ServiceAccount",
        "metadata": {"name": PROBE_NAME, "namespace": "kube-system"},
    },
    {
        "kind": "ClusterRole",
        "metadata": {"name": PROBE_NAME},
        "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}],
    },
    {
        "kind": "ClusterRoleBinding",
        "metadata": {"name": PROBE_NAME},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": PROBE_NAME,
        },
        "subjects": [{"kind": "ServiceAccount", "name": PROBE_NAME, "namespace": "kube-system"}],
    },
)


def exists(client: httpx.Client, path: str) -> bool:
    """Whether this identity can read what is at `path`."""
    return client.get(path).is_success


def nodes_are_ready(client: httpx.Client) -> bool:
    """Whether every Node has the condition Ready."""
    nodes = client.get("/api/v1/nodes").raise_for_status().json()["items"]
    return all(_is_ready(node) for node in nodes)


def node_is_ready(client: httpx.Client, name: str) -> bool:
    """Whether there is a Node of this name and it has the condition Ready."""
    answer = client.get(f"/api/v1/nodes/{name}")
    return answer.is_success and _is_ready(answer.json())


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", ())
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
