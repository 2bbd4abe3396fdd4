"""What runs on each cluster of the demo, as a few teams would have written it."""

import base64
import json
from dataclasses import dataclass
from typing import Any

SECRET = "docker"
OTHERS_ENTRY = "search-team-registry"
OTHERS_ACCOUNT = ("search", "indexer")  # carries an entry that somebody else put there
MIRROR_SECRET = "mirror-registry"
JOB_RUNS = "0 4 1 1 *"  # once a year: none starts by itself while the demo looks

# The program of all images waits for a signal, or ends at once.
_END = ["done"]

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """What makes pods: `pods` of them run, from `image` and, if any, after `first` has run.

    Images are `repository:tag`. `own_secret` is an imagePullSecrets list of the template's own:
    what its ServiceAccount carries then counts for nothing.
    """

    kind: str
    namespace: str
    name: str
    image: str
    account: str = "default"
    pods: int = 1
    first: str | None = None
    own_secret: str | None = None


WORKLOADS = (
    Workload(
        "Deployment", "payments", "api", "team/api:1.4.2", "payments-api", 2, "team/migrate:7"
    ),
    Workload("Deployment", "payments", "ledger", "team/ledger:2.0"),
    Workload("CronJob", "payments", "statements", "team/statements:1.1", pods=0),
    Workload("Deployment", "checkout", "web", "team/web:5.3.0", pods=2),
    Workload("Deployment", "checkout", "mailer", "team/mailer:latest", "mailer"),
    Workload("Pod", "checkout", "load-test", "team/load-test:0.9"),
    Workload("StatefulSet", "search", "index", "team/search:8.1", "indexer", 2),
    Workload("DaemonSet", "platform", "log-agent", "platform/log-agent:3.2"),
    Workload("Deployment", "billing", "invoices", "team/invoices:4.4", own_secret=MIRROR_SECRET),
)
# The one that no ServiceAccount can help.
STUBBORN = next(workload for workload in WORKLOADS if workload.own_secret)
RUNNING_PODS = sum(workload.pods for workload in WORKLOADS)
OTHERS_SECRETS = ((OTHERS_ACCOUNT[0], OTHERS_ENTRY), (STUBBORN.namespace, MIRROR_SECRET))


def image_references() -> list[tuple[str, str]]:
    """Return the (repository, tag) of every image that the workloads name."""
    named = [image for one in WORKLOADS for image in (one.first, one.image) if image]
    parted = (image.partition(":") for image in dict.fromkeys(named))
    return [(repository, tag) for repository, _, tag in parted]


def manifests(registry: str) -> list[Manifest]:
    """Return what each cluster gets, in an order in which it can be created.

    `registry` is the host and port that the images come from.
    """
    namespaces = dict.fromkeys(workload.namespace for workload in WORKLOADS)
    accounts = dict.fromkeys((workload.namespace, workload.account) for workload in WORKLOADS)
    return [
        *({"kind": "Namespace", "metadata": {"name": name}} for name in namespaces),
        *(_others_secret(namespace, name) for namespace, name in OTHERS_SECRETS),
        *(_account(namespace, name) for namespace, name in accounts),
        *(workload_manifest(registry, workload) for workload in WORKLOADS),
    ]


def workload_manifest(registry: str, workload: Workload) -> Manifest:
    """Return the object of a workload."""
    labels = {"app": workload.name}
    template = {"metadata": {"labels": labels}, "spec": _pod_spec(registry, workload)}
    selecting = {"selector": {"matchLabels": labels}, "template": template}
    spec: Manifest
    match workload.kind:
        case "Pod":
            spec = template["spec"]
        case "CronJob":
            template["spec"] |= {"restartPolicy": "Never"}
            template["spec"]["containers"][0]["args"] = _END
            spec = {"schedule": JOB_RUNS, "jobTemplate": {"spec": {"template": template}}}
        case "DaemonSet":
            spec = selecting
        case "StatefulSet":
            spec = selecting | {"replicas": workload.pods, "serviceName": workload.name}
        case _:
            spec = selecting | {"replicas": workload.pods}
    metadata = {"name": workload.name, "namespace": workload.namespace}
    return {"kind": workload.kind, "metadata": metadata, "spec": spec}


def pod(registry: str, name: str, like: Workload) -> Manifest:
    """Return a pod as somebody might create it tomorrow, with the image and account of a workload."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": like.namespace},
        "spec": _pod_spec(registry, like),
    }


def _pod_spec(registry: str, workload: Workload) -> Manifest:
    spec: Manifest = {
        "serviceAccountName": workload.account,
        "containers": [{"name": "app", "image": f"{registry}/{workload.image}"}],
    }
    if workload.first:
        first = {"name": "first", "image": f"{registry}/{workload.first}", "args": _END}
        spec["initContainers"] = [first]
    if workload.own_secret:
        spec["imagePullSecrets"] = [{"name": workload.own_secret}]
    return spec


def _account(namespace: str, name: str) -> Manifest:
    account: Manifest = {
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    }
    if (namespace, name) == OTHERS_ACCOUNT:
        account["imagePullSecrets"] = [{"name": OTHERS_ENTRY}]
    return account


def _others_secret(namespace: str, name: str) -> Manifest:
    auth = base64.b64encode(b"another-team:made-up").decode()
    config = {"auths": {"mirror.example.com": {"auth": auth}}}
    return {
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()},
    }
