"""What tests of objects on their way out, and of old revisions, do to a cluster."""

from __future__ import annotations

from typing import Any

from tests.e2e.readiness import IMAGE, Place

HOLD = "example.com/hold"


def hold(place: Place, path: str) -> str:
    """Delete an object that a finalizer keeps; return its path."""
    full = path.replace("{}", place.name)
    place.patch(full, {"metadata": {"finalizers": [HOLD]}})
    place.cluster.http.delete(full).raise_for_status()
    assert place.cluster.http.get(full).json()["metadata"]["deletionTimestamp"]
    return full


def release(place: Place, path: str) -> None:
    """Let an object go."""
    place.patch(path, {"metadata": {"finalizers": None}})
    assert place.cluster.http.get(path).status_code == 404


def template(*own: str, image: str = IMAGE) -> dict[str, Any]:
    """Return a pod template."""
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": image}]}
    if own:
        spec["imagePullSecrets"] = [{"name": name} for name in own]
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec}


def owned(kind: str, name: str, uid: str, group: str = "apps/v1") -> dict[str, Any]:
    """Return the ownerReferences of what a controller made."""
    reference = {"apiVersion": group, "kind": kind, "name": name, "uid": uid, "controller": True}
    return {"ownerReferences": [reference]}


def uid_of(place: Place, path: str) -> str:
    """Return the uid of an object of the namespace."""
    answer = place.cluster.http.get(path.replace("{}", place.name)).raise_for_status()
    return str(answer.json()["metadata"]["uid"])


def classes(check: dict[str, Any]) -> dict[str, str]:
    """Return the severity of each class, without what other namespaces are told of."""
    return {
        row["class"]: row["severity"] for row in check["findings"] if row["class"] != "N_IGNORED"
    }


def old_set(place: Place, name: str, uid: str, *own: str, replicas: int = 0, **more: Any) -> None:
    """Make a ReplicaSet of Deployment web."""
    body = {
        "metadata": {"name": name, **owned("Deployment", "web", uid), **more},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(*own),
        },
    }
    place.post(f"/apis/apps/v1/namespaces/{place.name}/replicasets", body)
