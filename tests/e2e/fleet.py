"""Two real clusters, and what tests do to them as the people who own them."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.e2e.service import until

ACCESS = Path(__file__).parents[2] / "docs" / "kubernetes-access.yaml"
READINESS_ACCESS = ACCESS.with_name("kubernetes-access-readiness.yaml")
# The names that tests use for the Secret; the documented role names them one by one.
SECRET_NAMES = ("docker", "pull-two")
REGISTRY = "registry.example.com"
USERNAME = "robot"
PASSWORD = "correct-horse-battery"

_numbers = itertools.count(1)


def grant_least_privilege(
    cluster: Cluster, *optional: str, more_secrets: Iterable[str] = ()
) -> str:
    """Give an account the documented rules, with those of `optional` roles, and nothing else; return its token."""
    role = yaml.safe_load(ACCESS.read_text())
    for rule in role["rules"]:
        if rule["resources"] == ["secrets"]:
            rule["resourceNames"] = [*SECRET_NAMES, *more_secrets]
    own_name = "-".join(("remediator", *optional))
    account = {"name": own_name, "namespace": "default"}
    cluster.apply({"kind": "ServiceAccount", "metadata": account}, role)
    wanted = ("remediator-readiness", *optional)
    for extra in yaml.safe_load_all(READINESS_ACCESS.read_text()):
        if extra["metadata"]["name"] in wanted:
            cluster.apply(extra)
    for name in ("remediator", *wanted):
        cluster.apply(
            {
                "kind": "ClusterRoleBinding",
                "metadata": {"name": f"{name}-{own_name}"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": name,
                },
                "subjects": [{"kind": "ServiceAccount"} | account],
            },
        )
    _until_bound(cluster, own_name, ("remediator", *wanted))
    return cluster.service_account_token("default", own_name)


def until_allowed(cluster: Cluster, account: str, rule: dict[str, Any]) -> None:
    """Return when an account of `default` may do all that a rule says: RBAC is told of a change a moment later."""
    who = f"system:serviceaccount:default:{account}"
    names = rule.get("resourceNames", [""])[-1:]
    for group, resource, verb, name in itertools.product(
        rule["apiGroups"], rule["resources"], rule["verbs"], names
    ):
        what = {"group": group, "resource": resource, "verb": verb, "name": name}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": who, "resourceAttributes": what},
        }

        def allowed(body: dict[str, Any] = body) -> bool:
            answer = cluster.http.post(
                "/apis/authorization.k8s.io/v1/subjectaccessreviews", json=body
            )
            return bool(answer.raise_for_status().json()["status"]["allowed"])

        until(allowed, f"right of {who} to {verb} {resource}")


def _until_bound(cluster: Cluster, account: str, roles: Iterable[str]) -> None:
    for role in roles:
        path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}"
        for rule in cluster.http.get(path).raise_for_status().json()["rules"]:
            until_allowed(cluster, account, rule)


def until_admitted_with(cluster: Cluster, namespace: str, account: str = "default") -> None:
    """Return when new pods get what the ServiceAccount lists now: admission goes by a cache of the API server."""
    place = f"/api/v1/namespaces/{namespace}"
    spec = {"serviceAccountName": account, "containers": [{"name": "app", "image": "app"}]}
    pod = {"metadata": {"generateName": "asked-", "labels": {"asked": ""}}, "spec": spec}
    listed = cluster.http.get(f"{place}/serviceaccounts/{account}").raise_for_status().json()

    def same() -> bool:
        answer = cluster.http.post(f"{place}/pods", json=pod, params={"dryRun": "All"})
        given = answer.raise_for_status().json()["spec"].get("imagePullSecrets", [])
        return bool(given == listed.get("imagePullSecrets", []))

    until(same, f"pod with the Secrets of {namespace}/{account}")


def write_least_privileged(path: Path, clusters: Iterable[Cluster], *optional: str) -> Path:
    """Write the worker's kubeconfig: one context a cluster, with the least privileged account."""
    write_kubeconfig(
        path,
        {
            cluster.name: ContextSpec(
                cluster.server, cluster.ca_file, grant_least_privilege(cluster, *optional)
            )
            for cluster in clusters
        },
    )
    return path


def docker_config(
    registry: str = REGISTRY, username: str = USERNAME, password: str = PASSWORD
) -> dict[str, Any]:
    """Return the content that the service writes for a login."""
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"auths": {registry: {"username": username, "password": password, "auth": auth}}}


@dataclass
class Space:
    """A name prefix of its own on the clusters, so that tests can share them."""

    clusters: tuple[Cluster, ...]
    prefix: str = field(default_factory=lambda: f"t{next(_numbers)}-")

    @property
    def pattern(self) -> str:
        """A glob for the namespaces of this test."""
        return f"{self.prefix}*"

    def namespace(
        self,
        name: str,
        accounts: Iterable[str] = ("default",),
        *,
        cluster: int = 0,
        labels: dict[str, str] | None = None,
        annotations: dict[str, str] | None = None,
    ) -> str:
        """Make a namespace with ServiceAccounts; return its full name."""
        full = self.prefix + name
        metadata = {"name": full, "labels": labels or {}, "annotations": annotations or {}}
        self.clusters[cluster].apply({"kind": "Namespace", "metadata": metadata})
        for account in accounts:
            self.account(full, account, cluster=cluster)
        return full

    def account(self, namespace: str, name: str, *secrets: str, cluster: int = 0) -> None:
        """Make a ServiceAccount with these imagePullSecrets."""
        body: dict[str, Any] = {"metadata": {"name": name}}
        if secrets:
            body["imagePullSecrets"] = [{"name": secret} if secret else {} for secret in secrets]
        answer = self.clusters[cluster].http.post(
            f"/api/v1/namespaces/{namespace}/serviceaccounts", json=body
        )
        answer.raise_for_status()

    def secret(
        self,
        namespace: str,
        content: Any,
        *,
        name: str = "docker",
        kind: str = "kubernetes.io/dockerconfigjson",
        key: str = ".dockerconfigjson",
        cluster: int = 0,
        **more: Any,
    ) -> None:
        """Make somebody else's Secret; `content` is text, or becomes JSON."""
        text = content if isinstance(content, str) else json.dumps(content)
        data = {key: base64.b64encode(text.encode()).decode()}
        answer = self.clusters[cluster].http.post(
            f"/api/v1/namespaces/{namespace}/secrets",
            json={"metadata": {"name": name}, "type": kind, "data": data} | more,
        )
        answer.raise_for_status()

    def get(self, path: str, *, cluster: int = 0) -> dict[str, Any]:
        """Read an object as the owner of the cluster."""
        answer = self.clusters[cluster].http.get(f"/api/v1/{path}")
        answer.raise_for_status()
        return dict(answer.json())

    def exists(self, path: str, *, cluster: int = 0) -> bool:
        """Tell whether an object is there."""
        return self.clusters[cluster].http.get(f"/api/v1/{path}").status_code == 200

    def pull_secrets(self, namespace: str, account: str, *, cluster: int = 0) -> list[str]:
        """Return the names in a ServiceAccount's imagePullSecrets, "" for an entry without one."""
        path = f"namespaces/{namespace}/serviceaccounts/{account}"
        entries = self.get(path, cluster=cluster).get("imagePullSecrets", [])
        return [entry.get("name", "") for entry in entries]

    def content(self, namespace: str, name: str = "docker", *, cluster: int = 0) -> Any:
        """Return the decoded `.dockerconfigjson` of a Secret."""
        data = self.get(f"namespaces/{namespace}/secrets/{name}", cluster=cluster)["data"]
        return json.loads(base64.b64decode(data[".dockerconfigjson"]))

    def versions(self, *, cluster: int = 0) -> dict[str, str]:
        """Return the resourceVersion of every namespace, ServiceAccount and Secret of this test."""
        found = {}
        for kind in ("namespaces", "serviceaccounts", "secrets"):
            for item in self.get(kind, cluster=cluster)["items"]:
                meta = item["metadata"]
                if (meta.get("namespace") or meta["name"]).startswith(self.prefix):
                    key = f"{kind}/{meta.get('namespace', '')}/{meta['name']}"
                    found[key] = meta["resourceVersion"]
        return found
