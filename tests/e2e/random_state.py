"""A state that a namespace of a random cluster may be in, and what comes of it after the flip."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.e2e.random_acts import Act, Verb
from tests.e2e.random_parts import DOCKERCONFIGJSON, Ground, Manifest, auth

# Namespace, kind and name of an object.
Source = tuple[str, str, str]

# A Secret that nothing makes: a template that names it, and only it, is never covered.
FOREIGN = "quay-pull"
OUR_SECRET = "docker"


@dataclass(frozen=True, slots=True)
class Coming:
    """A pod that is made within a day of the flip, and the object by whose findings it is judged.

    `by_person` tells that only a deliberate act makes it, such as `kubectl rollout undo`.
    """

    body: Manifest
    kind: str
    name: str
    sources: tuple[Source, ...] = ()
    by_person: bool = False


@dataclass(frozen=True, slots=True)
class Living:
    """A pod that is there when the cluster is judged; `then` happens to it after its status was set."""

    body: Manifest
    phase: str = "Running"
    then: tuple[Act, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """One state; `tag` names it in the answer.

    `before` comes before a remediation and `after` after it; then come `pods`. After the flip `itself` happens by
    itself within the day and `person` by somebody's hand. `accounts` and `secrets` are the names of those that change
    meanwhile: pods with them are pods of this state. `templates` are made before and give a pod at each recreation,
    those of `ended` (KIND/NAME) do not. `recorded` tells that what happens can be known for sure by one who noted what
    stood there before the remediation. `policies` are admission policies, on all pods of the namespace if `everywhere`:
    they are in force as soon as a pod like `probe` has the text `shows` in it. `quota` keeps pods away until the flip.
    """

    tag: str
    namespace: str
    before: tuple[Act, ...] = ()
    after: tuple[Act, ...] = ()
    pods: tuple[Living, ...] = ()
    itself: tuple[Act, ...] = ()
    person: tuple[Act, ...] = ()
    accounts: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    templates: tuple[Manifest, ...] = ()
    coming: tuple[Coming, ...] = ()
    sources: tuple[Source, ...] = ()
    recorded: bool = False
    ended: frozenset[str] = frozenset()
    policies: tuple[Act, ...] = ()
    everywhere: bool = False
    probe: Manifest | None = None
    shows: str = ""
    quota: Manifest | None = None


class Setting:
    """Where a state comes about: a namespace, and how its parts look there."""

    def __init__(self, rng: Random, ground: Ground, namespace: str, *, remediated: bool) -> None:
        self.rng = rng
        self.ground = ground
        self.namespace = namespace
        self.remediated = remediated

    def node(self) -> str:
        """Return a node of the namespace, with an old kubelet or a new one."""
        return f"{self.namespace}-{self.rng.choice(['old', 'new'])}"

    def metadata(self, name: str, **more: Any) -> Manifest:
        """Return metadata of an object here."""
        return {"name": name, "namespace": self.namespace, **more}

    def source(self, kind: str, name: str) -> Source:
        """Return an object here."""
        return self.namespace, kind, name

    def image(self) -> str:
        """Return an image of the registry."""
        name, tag = self.rng.choice(list(self.ground.digests))
        return f"{self.ground.host}/{name}:{tag}"

    def account(self, name: str, *names: str, **more: Any) -> Manifest:
        """Return a ServiceAccount with a list, or without one."""
        body: Manifest = {"kind": "ServiceAccount", "metadata": self.metadata(name, **more)}
        return body | ({"imagePullSecrets": references(names)} if names else {})

    def in_line(self, name: str) -> Act:
        """Return what makes a ServiceAccount that covers its pods, with a remediation or without."""
        names = () if self.remediated else (OUR_SECRET,)
        return Act(Verb.CREATE, self.account(name, *names))

    def docker(self) -> Act:
        """Return what makes our Secret as a remediation would, where it is not there."""
        return Act(Verb.CREATE, self.secret(OUR_SECRET, self.ground.host))

    def secret(self, name: str, key: str, **more: Any) -> Manifest:
        """Return a Secret with the right login under a key."""
        login = self.ground.right[0]
        entry = {"username": login.username, "password": login.password, "auth": auth(login)}
        content = json.dumps({"auths": {key: entry}}).encode()
        return {
            "kind": "Secret",
            "metadata": self.metadata(name, **more),
            "type": DOCKERCONFIGJSON,
            "data": {".dockerconfigjson": base64.b64encode(content).decode()},
        }

    def spec(
        self, account: str = "", *own: str, image: str = "", policy: str = "", **more: Any
    ) -> Manifest:
        """Return a pod's spec with one container."""
        container = {"name": "app", "image": image or self.image()}
        container |= {"imagePullPolicy": policy} if policy else {}
        spec: Manifest = {"containers": [container], **more}
        spec |= {"serviceAccountName": account} if account else {}
        return spec | ({"imagePullSecrets": references(own)} if own else {})

    def workload(self, kind: str, name: str, spec: Manifest, **more: Any) -> Manifest:
        """Return a workload with a pod template; `more` goes into its spec."""
        return workload(kind, self.metadata(name), spec, **more)

    def pod(self, name: str, spec: Manifest, *, owner: tuple[str, str] | None = None) -> Manifest:
        """Return a pod that somebody made; `owner` is (kind, name) of what controls it."""
        metadata = self.metadata(name, labels={"app": name})
        if owner:
            metadata["ownerReferences"] = [{"kind": owner[0], "name": owner[1]}]
        return {"kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(spec)}

    def new_pod(self, name: str, spec: Manifest, labels: Manifest | None = None) -> Manifest:
        """Return a pod that a controller will make."""
        metadata = {
            "generateName": f"{name}-",
            "namespace": self.namespace,
            "labels": labels or {"app": name},
        }
        return {"kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(spec)}


def references(names: Sequence[str]) -> list[Manifest]:
    """Return an imagePullSecrets list."""
    return [{"name": name} for name in names]


def workload(kind: str, metadata: Manifest, spec: Manifest, **more: Any) -> Manifest:
    """Return a workload of a built-in kind."""
    labels = {"app": metadata["name"]}
    template = {"template": {"metadata": {"labels": labels}, "spec": copy.deepcopy(spec)}}
    body: Manifest
    match kind:
        case "Job":
            template["template"]["spec"].setdefault("restartPolicy", "Never")
            body = template
        case "CronJob":
            template["template"]["spec"].setdefault("restartPolicy", "Never")
            body = {"schedule": "0 4 1 1 *", "jobTemplate": {"spec": template}}
        case "ReplicationController":
            body = template | {"selector": labels, "replicas": 1}
        case "DaemonSet":
            body = template | {"selector": {"matchLabels": labels}}
        case "StatefulSet":
            body = template | {
                "selector": {"matchLabels": labels},
                "replicas": 1,
                "serviceName": metadata["name"],
            }
        case _:
            body = template | {"selector": {"matchLabels": labels}, "replicas": 1}
    return {"kind": kind, "metadata": metadata, "spec": body | more}
