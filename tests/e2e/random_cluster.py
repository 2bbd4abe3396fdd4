"""Random clusters: namespaces of one prefix on a shared API server, with everything that readiness must see through.

`plan` decides everything from a seed, `make` puts it on a real API server, `recreate` replaces every pod as the
controllers and owners would. No controller runs there and no node: pods have the status that they were given.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import httpx

from controlplane import objects
from controlplane.cluster import Cluster
from tests.e2e.fleet import until_admitted_with
from tests.e2e.random_parts import (
    SECRET_NAMES,
    Ground,
    Manifest,
    image,
    pod_spec,
    references,
    secret,
)

# A label, a body, a phase, the image of a debugger.
_Sent = tuple[str, Manifest, str, str | None]

KINDS = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Job",
    "CronJob",
)
_RESTARTS = {"Job": ("Never", "OnFailure"), "CronJob": ("Never", "OnFailure")}
_ANY_RESTART = ("Always", "OnFailure", "Never")
_MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True, slots=True)
class PlannedPod:
    """A pod as it is sent, the status it gets, what made it, and what was added to look into it.

    `owner` is (kind, name) in its namespace; `debugger` the image of an ephemeral container,
    which comes later and is not there again in a recreated pod.
    """

    body: Manifest
    phase: str
    owner: tuple[str, str] | None = None
    debugger: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything of one random cluster. `accounts` are as when the pods were made, `later` as they are now."""

    seed: int
    prefix: str
    namespaces: tuple[str, ...]
    secret_kinds: dict[tuple[str, str], str]
    secrets: tuple[Manifest, ...] = field(repr=False)
    accounts: tuple[Manifest, ...]
    later: tuple[Manifest, ...]
    templates: tuple[Manifest, ...]
    pods: tuple[PlannedPod, ...]


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods as the API server took them, by the source "KIND/NAMESPACE/NAME" they are of; and what it refused."""

    taken: tuple[tuple[str, Manifest], ...]
    refused: tuple[str, ...]


def plan(seed: int, prefix: str, ground: Ground) -> Plan:
    """Decide a cluster: 1 to 3 namespaces whose names start with `prefix`."""
    rng = Random(seed)
    names = tuple(f"{prefix}{number}" for number in range(rng.randint(1, 3)))
    spaces = [_Space(rng, ground, name) for name in names]
    return Plan(
        seed=seed,
        prefix=prefix,
        namespaces=names,
        secret_kinds={pair: kind for space in spaces for pair, kind in space.secret_kinds.items()},
        secrets=tuple(body for space in spaces for body in space.secrets),
        accounts=tuple(body for space in spaces for body in space.accounts),
        later=tuple(body for space in spaces for body in space.later),
        templates=tuple(body for space in spaces for body in space.templates),
        pods=tuple(pod for space in spaces for pod in space.pods),
    )


def make(cluster: Cluster, planned: Plan) -> Pods:
    """Put it on the cluster; return its pods. Raises HTTPStatusError for anything unexpected."""
    for name in planned.namespaces:
        _create(cluster, {"kind": "Namespace", "metadata": {"name": name}})
    for body in (*planned.secrets, *planned.accounts, *planned.templates):
        _create(cluster, body)
    pods = _send(cluster, _planned_pods(cluster, planned))
    for body in planned.later:
        answer = cluster.http.patch(objects.path(body), json=body, headers=_MERGE)
        answer.raise_for_status()
    taken = tuple((source({"kind": "Pod"} | pod), pod) for _, pod in pods.taken)
    return Pods(taken, pods.refused)


def recreate(cluster: Cluster, planned: Plan) -> Pods:
    """Delete every pod; create again those without owner, and one of every template.

    Each template's pod is a new one, whether it had one before or not.
    """
    for namespace in planned.namespaces:
        # No kubelet is there to end them.
        place = f"/api/v1/namespaces/{namespace}/pods"
        cluster.http.delete(place, params={"gracePeriodSeconds": "0"}).raise_for_status()
    for account in planned.accounts:
        until_admitted_with(cluster, account["metadata"]["namespace"], account["metadata"]["name"])
    bare = [(source(one.body), one.body) for one in planned.pods if one.owner is None]
    made = [(source(body), pod_of(body)) for body in planned.templates]
    return _send(cluster, [(label, body, "Pending", None) for label, body in [*bare, *made]])


def pod_of(template: Manifest) -> Manifest:
    """Return a pod as the template's controller would create it."""
    spec = template["spec"]
    inner = spec["jobTemplate"]["spec"] if template["kind"] == "CronJob" else spec
    metadata = {
        "generateName": f"{template['metadata']['name']}-",
        "namespace": template["metadata"]["namespace"],
        "labels": inner["template"]["metadata"]["labels"],
    }
    return {"kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(inner["template"]["spec"])}


def source(body: Manifest) -> str:
    """Return "KIND/NAMESPACE/NAME"."""
    return f"{body['kind']}/{body['metadata']['namespace']}/{body['metadata']['name']}"


def set_status(cluster: Cluster, pod: Manifest, phase: str) -> None:
    """Say as a kubelet would how a pod is; "Waiting" is Pending because its images do not come."""
    spec = pod["spec"]
    status: Manifest = {"phase": "Pending" if phase == "Waiting" else phase}
    for containers, told in (
        ("initContainers", "initContainerStatuses"),
        ("containers", "containerStatuses"),
    ):
        if spec.get(containers):
            status[told] = [_container_status(one, phase) for one in spec[containers]]
    place = objects.path({"kind": "Pod", "metadata": pod["metadata"]})
    cluster.http.patch(
        f"{place}/status", json={"status": status}, headers=_MERGE
    ).raise_for_status()


class _Space:
    """What is decided for one namespace."""

    def __init__(self, rng: Random, ground: Ground, name: str) -> None:
        self._rng = rng
        self._ground = ground
        self._name = name
        self.secret_kinds: dict[tuple[str, str], str] = {}
        self.secrets = [self._secret(one) for one in SECRET_NAMES if rng.random() < 0.7]
        names = ["default", *rng.sample(["builder", "runner", "api"], rng.randint(0, 2))]
        self.accounts = [self._account(one) for one in names]
        # Some were patched after their pods were made: then the pods do not have what the account has.
        self.later = [self._account(one) for one in names if rng.random() < 0.3]
        kinds = rng.sample(KINDS, rng.randint(1, 4))
        self.templates = [self._template(kind, names) for kind in kinds]
        self.pods = [self._bare_pod(number, names) for number in range(rng.randint(0, 3))]
        self.pods += [
            PlannedPod(pod_of(body), self._phase(), (body["kind"], body["metadata"]["name"]))
            for body in self.templates
            if body["kind"] != "CronJob" and rng.random() < 0.8
        ]

    def _secret(self, name: str) -> Manifest:
        kind, body = secret(self._rng, self._ground, name)
        self.secret_kinds[self._name, name] = kind
        return {"kind": "Secret", "metadata": self._metadata(name), **body}

    def _account(self, name: str) -> Manifest:
        metadata = self._metadata(name)
        if self._rng.random() < 0.05:
            metadata["annotations"] = {"kubernetes.io/enforce-mountable-secrets": "true"}
        body: Manifest = {"kind": "ServiceAccount", "metadata": metadata}
        entries = references(self._rng)
        if entries and self._rng.random() < 0.1:
            entries = [*entries, entries[0]]
        return body if entries is None else body | {"imagePullSecrets": entries}

    def _template(self, kind: str, accounts: Sequence[str]) -> Manifest:
        rng = self._rng
        name = kind.lower()
        # A template may name an account that is not there; a pod cannot.
        known = accounts if rng.random() < 0.95 else ["missing"]
        spec = pod_spec(rng, self._ground, known)
        spec["restartPolicy"] = rng.choice(_RESTARTS.get(kind, ("Always",)))
        labels = {"app": name}
        template = {"template": {"metadata": {"labels": labels}, "spec": spec}}
        replicas = {"replicas": rng.choice([0, 1, 2])}
        body: Manifest
        match kind:
            case "Job":
                body = template
            case "CronJob":
                body = {"schedule": "0 4 1 1 *", "jobTemplate": {"spec": template}}
                body["suspend"] = rng.random() < 0.3
            case "DaemonSet":
                body = template | {"selector": {"matchLabels": labels}}
            case "ReplicationController":
                body = template | replicas | {"selector": labels}
            case "StatefulSet":
                body = (
                    template | replicas | {"selector": {"matchLabels": labels}, "serviceName": name}
                )
            case _:
                body = template | replicas | {"selector": {"matchLabels": labels}}
        return {"kind": kind, "metadata": self._metadata(name), "spec": body}

    def _bare_pod(self, number: int, accounts: Sequence[str]) -> PlannedPod:
        spec = pod_spec(self._rng, self._ground, accounts)
        spec["restartPolicy"] = self._rng.choice(_ANY_RESTART)
        body = {"kind": "Pod", "metadata": self._metadata(f"bare-{number}"), "spec": spec}
        debugger = image(self._rng, self._ground) if self._rng.random() < 0.1 else None
        return PlannedPod(body, self._phase(), debugger=debugger)

    def _phase(self) -> str:
        phases = ["Running", "Pending", "Waiting", "Succeeded", "Failed"]
        return self._rng.choices(phases, [8, 1, 1, 1, 1])[0]

    def _metadata(self, name: str) -> Manifest:
        return {"name": name, "namespace": self._name}


def _planned_pods(cluster: Cluster, planned: Plan) -> list[_Sent]:
    owners = {source(body): body for body in planned.templates}
    sent = []
    for pod in planned.pods:
        body = copy.deepcopy(pod.body)
        label = "bare"
        if pod.owner is not None:
            kind, name = pod.owner
            label = f"{kind}/{body['metadata']['namespace']}/{name}"
            body["metadata"]["ownerReferences"] = [_owner(cluster, owners[label])]
        if pod.phase != "Pending":  # it was given a node
            body["spec"]["nodeName"] = "node-0"
        sent.append((label, body, pod.phase, pod.debugger))
    return sent


def _owner(cluster: Cluster, template: Manifest) -> Manifest:
    """Return the reference of a controlled pod; a Deployment's is to a ReplicaSet, made here."""
    if template["kind"] == "Deployment":
        metadata = template["metadata"] | {"name": f"{template['metadata']['name']}-5d9f"}
        metadata["ownerReferences"] = [_reference(cluster, template)]
        inner = template | {"kind": "ReplicaSet", "metadata": metadata}
        _create(cluster, inner)
        return _reference(cluster, inner)
    return _reference(cluster, template)


def _reference(cluster: Cluster, body: Manifest) -> Manifest:
    found = cluster.http.get(objects.path(body))
    found.raise_for_status()
    return {
        "apiVersion": objects.with_api_version(body)["apiVersion"],
        "kind": body["kind"],
        "name": body["metadata"]["name"],
        "uid": found.json()["metadata"]["uid"],
        "controller": True,
    }


def _send(cluster: Cluster, sent: Sequence[_Sent]) -> Pods:
    taken, refused = [], []
    for label, body, phase, debugger in sent:
        answer = cluster.http.post(_collection(body), json=body)
        if answer.status_code == httpx.codes.FORBIDDEN:
            # No such account, or one that allows no Secret but its own.
            refused.append(label)
            continue
        answer.raise_for_status()
        pod = answer.json()
        if debugger:
            pod = _look_into(cluster, pod, debugger)
        if phase != "Pending":
            set_status(cluster, pod, phase)
        taken.append((label, pod))
    return Pods(tuple(taken), tuple(refused))


def _look_into(cluster: Cluster, pod: Manifest, image: str) -> Manifest:
    place = f"{objects.path({'kind': 'Pod', 'metadata': pod['metadata']})}/ephemeralcontainers"
    spec = {"ephemeralContainers": [{"name": "debugger", "image": image}]}
    answer = cluster.http.patch(place, json={"spec": spec}, headers=_MERGE)
    answer.raise_for_status()
    return dict(answer.json())


def _create(cluster: Cluster, body: Manifest) -> None:
    cluster.http.post(_collection(body), json=body).raise_for_status()


def _collection(body: Manifest) -> str:
    metadata = {"name": "", **body["metadata"]}
    return objects.path(body | {"metadata": metadata}).rpartition("/")[0]


def _container_status(container: Manifest, phase: str) -> Manifest:
    state: Manifest = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    if phase == "Waiting":
        state = {"waiting": {"reason": "ImagePullBackOff"}}
    elif phase in ("Succeeded", "Failed"):
        state = {"terminated": {"exitCode": int(phase == "Failed"), "reason": "Completed"}}
    running = phase == "Running"
    told = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "restartCount": 0,
    }
    return told | {"ready": running, "started": running, "state": state}
