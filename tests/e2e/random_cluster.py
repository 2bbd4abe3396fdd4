"""Random clusters: namespaces of one prefix on a shared API server, with everything that readiness must see through.

`plan` decides everything from a seed, `make` puts it on a real API server, `recreate` replaces every pod as the
controllers and owners would. No controller runs there and no node: pods have the status that they were given.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import httpx

from controlplane import objects
from controlplane.cluster import Cluster
from tests.e2e.fleet import until_admitted_with
from tests.e2e.random_acts import Act, Verb, named, perform
from tests.e2e.random_custom import CUSTOM, left_out
from tests.e2e.random_parts import (
    SECRET_NAMES,
    Ground,
    Manifest,
    image,
    pod_spec,
    references,
    secret,
)
from tests.e2e.random_sleepers import SLEEPERS
from tests.e2e.random_state import Setting, State
from tests.e2e.random_states import STATES
from tests.e2e.random_texts import TEXTS
from tests.e2e.service import until

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
# How many namespaces have the right login and lists that name it, and how many clusters a namespace that is left out.
_TIDY = 0.6
_LEFT_OUT = 0.15
# What a namespace cannot hold both: they would make one object in two ways.
_CLASHES = (
    {"synchronised_secret", "secret_going"},
    {"account_going", "applied_list"},
    {"rewritten_image", "added_container"},
    # Under a full quota the API server cannot be asked.
    {"full_quota", "rewritten_image"},
    {"full_quota", "added_container"},
    {"full_quota", "replaced_secrets"},
)
KUBELETS = {"old": "v1.34.9", "new": "v1.36.3"}


@dataclass(frozen=True, slots=True)
class PlannedPod:
    """A pod as it is sent, the status it gets, what made it, and what was added to look into it.

    `owner` is (kind, name) in its namespace; `debugger` the image of an ephemeral container,
    which comes later and is not there again in a recreated pod. `node` is where it runs if it does.
    """

    body: Manifest
    phase: str
    owner: tuple[str, str] | None = None
    debugger: str | None = None
    node: str = ""


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
    states: tuple[State, ...] = ()

    @property
    def ignored(self) -> str:
        """The namespace that requests leave out."""
        return f"{self.prefix}left"


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods as the API server took them, by the source "KIND/NAMESPACE/NAME" they are of; and what it refused."""

    taken: tuple[tuple[str, Manifest], ...]
    refused: tuple[str, ...]


def plan(seed: int, prefix: str, ground: Ground, *, remediated: bool = False) -> Plan:
    """Decide a cluster: 1 to 3 namespaces whose names start with `prefix`.

    Its states suit a cluster that is `remediated` before it is judged, or one that is judged as it is.
    """
    rng = Random(seed)
    names = tuple(f"{prefix}{number}" for number in range(rng.randint(1, 3)))
    spaces = [_Space(rng, ground, name) for name in names]
    states = [
        state
        for space, name in zip(spaces, names, strict=True)
        for state in _states(Setting(rng, ground, name, remediated=remediated), space.tidy)
    ]
    if rng.random() < _LEFT_OUT:
        states.append(left_out(Setting(rng, ground, f"{prefix}left", remediated=remediated)))
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
        states=tuple(states),
    )


def _states(setting: Setting, tidy: bool) -> list[State]:
    """Draw states of a namespace, each kind at most once; a tidy one has more, so that they show."""
    rng = setting.rng
    kinds = dict((*STATES, *CUSTOM, *SLEEPERS, *TEXTS))
    found: list[State] = []
    for _ in range(rng.choices([0, 1, 2, 3, 4], [1, 2, 4, 3, 2] if tidy else [4, 3, 2, 1, 0])[0]):
        [chosen] = rng.choices(list(kinds), list(kinds.values()))
        kinds = {one: weight for one, weight in kinds.items() if not _clash(chosen, one)}
        found.append(chosen(setting))
    return found


def _clash(one: Callable[[Setting], State], other: Callable[[Setting], State]) -> bool:
    both = {one.__name__, other.__name__}
    return len(both) == 1 or both in _CLASHES


def make(cluster: Cluster, planned: Plan) -> Pods:
    """Put it on the cluster; return its pods. Raises HTTPStatusError for anything unexpected."""
    for name in planned.namespaces:
        _create(cluster, {"kind": "Namespace", "metadata": {"name": name}})
        for age, version in KUBELETS.items():
            _create(cluster, _node(f"{name}-{age}", version))
    for body in (*planned.secrets, *planned.accounts, *planned.templates):
        _create(cluster, body)
    pods = _send(cluster, _planned_pods(cluster, planned))
    for body in planned.later:
        answer = cluster.http.patch(objects.path(body), json=body, headers=_MERGE)
        answer.raise_for_status()
    taken = tuple((source({"kind": "Pod"} | pod), pod) for _, pod in pods.taken)
    return Pods(taken, pods.refused)


def begin(cluster: Cluster, planned: Plan) -> None:
    """Bring about what its states need before a remediation."""
    for state in planned.states:
        perform(cluster, state.before)
        perform(cluster, [Act(Verb.CREATE, body) for body in state.templates])


def finish(cluster: Cluster, planned: Plan) -> None:
    """Bring about the rest of its states, admission policies left out."""
    for state in planned.states:
        perform(cluster, state.after)
        for pod in state.pods:
            perform(cluster, [Act(Verb.CREATE, pod.body)])
            if not cluster.http.get(objects.path(pod.body)).is_success:
                continue  # its account allows no Secret but its own
            set_status(cluster, pod.body, pod.phase)
            perform(cluster, pod.then)
    quotas = [Act(Verb.CREATE, state.quota) for state in planned.states if state.quota]
    perform(cluster, quotas)


def lift_quotas(cluster: Cluster, planned: Plan) -> None:
    """Let pods be made again."""
    for state in planned.states:
        if state.quota:
            perform(cluster, [Act(Verb.DELETE, named(state.quota))])
            place = f"/api/v1/namespaces/{state.namespace}/pods"
            probe = {
                "metadata": {"generateName": "asked-", "labels": {"asked": ""}},
                "spec": {"containers": [{"name": "app", "image": "app"}]},
            }
            until(
                lambda place=place, probe=probe: (
                    cluster.http.post(  # type: ignore[misc]
                        place, json=probe, params={"dryRun": "All"}
                    ).is_success
                ),
                f"room in {state.namespace}",
            )


def enact(cluster: Cluster, planned: Plan) -> None:
    """Make its admission policies. They are in force a moment later: see `until_in_force`."""
    for state in planned.states:
        perform(cluster, state.policies)


def repeal(cluster: Cluster, planned: Plan) -> None:
    """Take its admission policies away: they would be seen in the judgement of other random clusters."""
    for state in planned.states:
        perform(cluster, [Act(Verb.DELETE, named(act.body)) for act in state.policies])


def until_in_force(cluster: Cluster, planned: Plan) -> None:
    """Return when its admission policies act on pods."""
    for state in planned.states:
        if state.probe:
            place = f"/api/v1/namespaces/{state.namespace}/pods"

            def acts(place: str = place, state: State = state) -> bool:
                answer = cluster.http.post(place, json=state.probe, params={"dryRun": "All"})
                return state.shows in answer.text  # of a refusal by the account as well

            until(acts, f"effect of {state.tag}")


def recreate(cluster: Cluster, planned: Plan, *, states: bool = False) -> Pods:
    """Delete every pod; create again those without owner, and one of every template, those of `states` as well.

    Each template's pod is a new one, whether it had one before or not.
    """
    for namespace in planned.namespaces:
        # No kubelet is there to end them.
        place = f"/api/v1/namespaces/{namespace}/pods"
        cluster.http.delete(place, params={"gracePeriodSeconds": "0"}).raise_for_status()
    until_admitted(cluster, planned.namespaces)
    bare = [(source(one.body), one.body) for one in planned.pods if one.owner is None]
    templates = [*planned.templates, *(templates_of(planned) if states else ())]
    made = [(source(body), pod_of(body)) for body in templates]
    return send(cluster, [*bare, *made])


def until_admitted(cluster: Cluster, namespaces: Sequence[str]) -> None:
    """Return when new pods get what the ServiceAccounts list now."""
    for name in namespaces:
        listed = cluster.http.get(f"/api/v1/namespaces/{name}/serviceaccounts").json()["items"]
        for account in listed:
            until_admitted_with(cluster, name, account["metadata"]["name"])


def templates_of(planned: Plan) -> list[Manifest]:
    """Return the templates of its states that make pods."""
    return [
        body
        for state in planned.states
        for body in state.templates
        if f"{body['kind']}/{body['metadata']['name']}" not in state.ended
    ]


def send(cluster: Cluster, pods: Sequence[tuple[str, Manifest]]) -> Pods:
    """Create pods, each with the source that it is of."""
    return _send(cluster, [(label, body, "Pending", None) for label, body in pods])


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
        self.tidy = rng.random() < _TIDY
        self.secret_kinds: dict[tuple[str, str], str] = {}
        often = {"docker": 0.9, "team": 0.3} if self.tidy else dict.fromkeys(SECRET_NAMES, 0.7)
        self.secrets = [self._secret(one) for one in often if rng.random() < often[one]]
        names = ["default", *rng.sample(["builder", "runner", "api"], rng.randint(0, 2))]
        self.accounts = [self._account(one) for one in names]
        # Some were patched after their pods were made: then the pods do not have what the account has.
        self.later = [self._account(one) for one in names if rng.random() < 0.3]
        kinds = rng.sample(KINDS, rng.randint(1, 4))
        self.templates = [self._template(kind, names) for kind in kinds]
        self.pods = [self._bare_pod(number, names) for number in range(rng.randint(0, 3))]
        self.pods += [
            PlannedPod(
                pod_of(body),
                self._phase(),
                (body["kind"], body["metadata"]["name"]),
                node=self._node(),
            )
            for body in self.templates
            if body["kind"] != "CronJob" and rng.random() < 0.8
        ]

    def _secret(self, name: str) -> Manifest:
        chosen = "right" if self.tidy else ""
        kind, body = secret(self._rng, self._ground, name, chosen)
        self.secret_kinds[self._name, name] = kind
        return {"kind": "Secret", "metadata": self._metadata(name), **body}

    def _account(self, name: str) -> Manifest:
        metadata = self._metadata(name)
        if self._rng.random() < 0.05:
            metadata["annotations"] = {"kubernetes.io/enforce-mountable-secrets": "true"}
        body: Manifest = {"kind": "ServiceAccount", "metadata": metadata}
        entries = references(self._rng, tidy=self.tidy)
        if entries and self._rng.random() < 0.1:
            entries = [*entries, entries[0]]
        return body if entries is None else body | {"imagePullSecrets": entries}

    def _template(self, kind: str, accounts: Sequence[str]) -> Manifest:
        rng = self._rng
        name = kind.lower()
        # A template may name an account that is not there; a pod cannot.
        known = accounts if rng.random() < 0.95 else ["missing"]
        spec = pod_spec(rng, self._ground, known, tidy=self.tidy)
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
        spec = pod_spec(self._rng, self._ground, accounts, tidy=self.tidy)
        spec["restartPolicy"] = self._rng.choice(_ANY_RESTART)
        body = {"kind": "Pod", "metadata": self._metadata(f"bare-{number}"), "spec": spec}
        debugger = image(self._rng, self._ground) if self._rng.random() < 0.1 else None
        return PlannedPod(body, self._phase(), debugger=debugger, node=self._node())

    def _node(self) -> str:
        return f"{self._name}-{self._rng.choice(list(KUBELETS))}"

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
            body["spec"]["nodeName"] = pod.node
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


def _node(name: str, version: str) -> Manifest:
    body = objects.node(name)
    told = dict.fromkeys(
        (
            "machineID",
            "systemUUID",
            "bootID",
            "kernelVersion",
            "osImage",
            "containerRuntimeVersion",
        ),
        "made-up",
    )
    more = {"kubeletVersion": version, "kubeProxyVersion": version, "operatingSystem": "linux"}
    body["status"] |= {"nodeInfo": told | more | {"architecture": "amd64"}}
    return body


def _collection(body: Manifest) -> str:
    metadata = {"name": "", **body["metadata"]}
    return objects.path(body | {"metadata": metadata}).rpartition("/")[0]


def _image_id(image: str) -> str:
    """Return what the kubelet tells of an image that is on its node: the repository and a digest."""
    name, _, digest = image.partition("@")
    head, _, last = name.rpartition("/")
    repository = "/".join(filter(None, (head, last.partition(":")[0])))
    known = repository if head else f"docker.io/library/{repository}"
    return f"{known}@{digest or 'sha256:' + '0' * 64}"


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
        "imageID": "" if phase == "Waiting" else _image_id(container["image"]),
        "restartCount": 0,
    }
    return told | {"ready": running, "started": running, "state": state}
