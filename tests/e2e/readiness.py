"""What tests of readiness make on a cluster, and how they ask what the service thinks of it."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.fleet import REGISTRY, Space, docker_config, until_admitted_with
from tests.e2e.service import Service

IMAGE = f"{REGISTRY}/team/app:1"


class Place:
    """A namespace of a case, and what is made in it."""

    def __init__(self, space: Space, account: tuple[str, ...] | None = ()) -> None:
        """Make the namespace, with the ServiceAccount `default` and its imagePullSecrets (None for no account)."""
        self.space = space
        self.cluster = space.clusters[0]
        self.name = space.namespace("case", [])
        if account is not None:
            space.account(self.name, "default", *account)

    @classmethod
    def at(cls, space: Space, name: str) -> Place:
        """Return a namespace that is there already."""
        place = cls.__new__(cls)
        place.space, place.cluster, place.name = space, space.clusters[0], name
        return place

    def secret(self, content: Any = None, name: str = "docker", **more: Any) -> Place:
        """Make a Secret, with the right login unless told otherwise."""
        self.space.secret(
            self.name, docker_config() if content is None else content, name=name, **more
        )
        return self

    def workload(
        self,
        *own: str,
        kind: str = "Deployment",
        image: str = IMAGE,
        replicas: int = 1,
        **spec: Any,
    ) -> Place:
        template = {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": image}], **spec},
        }
        if own:
            template["spec"]["imagePullSecrets"] = [{"name": name} if name else {} for name in own]
        body: dict[str, Any] = {
            "selector": {"matchLabels": {"app": "web"}},
            "template": template,
        }
        if kind != "DaemonSet":
            body["replicas"] = replicas
        if kind == "ReplicationController":
            body["selector"] = {"app": "web"}
        if kind in ("Job", "CronJob"):
            template["spec"]["restartPolicy"] = "Never"
            body = {"template": template}
        if kind == "CronJob":
            body = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": body}}
        paths = {
            "Job": "/apis/batch/v1",
            "CronJob": "/apis/batch/v1",
            "ReplicationController": "/api/v1",
        }
        self.post(
            f"{paths.get(kind, '/apis/apps/v1')}/namespaces/{self.name}/{kind.lower()}s",
            {"metadata": {"name": "web"}, "spec": body},
        )
        return self

    def pod(
        self,
        *own: str,
        policy: str = "Always",
        restart: str = "Always",
        state: dict[str, Any] | None = None,
        pulled: bool = True,
        image: str = IMAGE,
        node: str = "",
        runtime: str = "containerd",
        **more: Any,
    ) -> Place:
        spec: dict[str, Any] = {
            "nodeName": node or f"node-{self.name}",
            "restartPolicy": restart,
            "containers": [{"name": "main", "image": image, "imagePullPolicy": policy}],
        }
        if own:
            spec["imagePullSecrets"] = [{"name": name} if name else {} for name in own]
        path = f"/api/v1/namespaces/{self.name}/pods"
        self.post(path, {"metadata": {"name": "web", **more}, "spec": spec})
        name = more.get("name", "web")
        status = {
            "phase": "Running" if pulled else "Pending",
            "containerStatuses": [
                {
                    "name": "main",
                    "image": image,
                    "imageID": f"{image}@sha256:{'0' * 64}" if pulled else "",
                    "containerID": f"{runtime}://{'0' * 64}" if pulled else "",
                    "ready": False,
                    "restartCount": 0,
                    "state": state or {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                }
            ],
        }
        self.cluster.http.patch(
            f"{path}/{name}/status",
            content=json.dumps({"status": status}),
            headers={"Content-Type": "application/merge-patch+json"},
        ).raise_for_status()
        return self

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """Change an object of the namespace by merge patch; pods that are made afterwards heed it."""
        self.cluster.http.patch(
            path.replace("{}", self.name),
            content=json.dumps(body),
            headers={"Content-Type": "application/merge-patch+json"},
        ).raise_for_status()
        if path.endswith("/serviceaccounts/default"):
            until_admitted_with(self.cluster, self.name)

    def delete(self, path: str) -> None:
        """Delete an object."""
        self.cluster.http.delete(path).raise_for_status()

    def post(self, path: str, body: dict[str, Any]) -> None:
        """Make an object."""
        answer = self.cluster.http.post(path, json=body)
        assert answer.is_success, answer.text


def judged(service: Service, **body: Any) -> dict[str, Any]:
    """Ask for a check (None leaves a member out) and wait for its end; return it with its findings."""
    usual = {
        "clusters": ["alpha"],
        "registry": REGISTRY,
        "credential": "harbor",
        "evidence": "L0",
    }
    wanted = {name: value for name, value in (usual | body).items() if value is not None}
    answer = service.http.post("/readiness-checks", params={"wait": "60"}, json=wanted)
    assert answer.status_code == 202, answer.text
    check: dict[str, Any] = answer.json()
    for _ in range(3):
        if not check["terminal"]:
            path = f"/readiness-checks/{check['id']}"
            check = service.http.get(path, params={"wait": "60"}).json()
    assert check["terminal"], check
    rows = service.http.get(f"/readiness-checks/{check['id']}/findings", params={"limit": "1000"})
    return check | {"findings": rows.json()["items"]}


def found(check: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the one finding of a class."""
    rows = [row for row in check["findings"] if row["class"] == name]
    assert len(rows) == 1, [(row["class"], row["explanation"]) for row in check["findings"]]
    return dict(rows[0])
