"""The day after the flip on a random cluster: what happens by itself, then what people do.

Each pod that there was or that comes of it is pulled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from controlplane.cluster import Cluster
from controlplane.node_pull import PodPull, images
from tests.e2e.random_acts import perform
from tests.e2e.random_cluster import (
    Plan,
    Pods,
    lift_quotas,
    pod_of,
    recreate,
    send,
    source,
    templates_of,
    until_admitted,
    until_in_force,
)
from tests.e2e.random_parts import Ground, Manifest
from tests.e2e.random_state import Coming, State
from tests.e2e.safety import Subject, by_pod, key, kind_of, running


class Judge(Protocol):
    """Who says of each image of a pod whether it can be pulled: the puller, or a real node."""

    def pull(
        self, pods: Iterable[Manifest], secrets: Iterable[Manifest], *, registry: str | None = None
    ) -> list[PodPull]:
        """Pull every image of the registry that the pods name, with the Secrets they name."""


def padded(host: str) -> str:
    """Return a registry's name with a zero before its port: dialled, it is the same."""
    name, _, port = host.rpartition(":")
    return f"{name}:0{port}"


@dataclass(frozen=True, slots=True)
class Scene:
    """One random cluster after the flip, and who judges its pulls."""

    judge: Judge
    cluster: Cluster
    ground: Ground
    planned: Plan

    def pulls(self, pods: Sequence[Manifest]) -> dict[tuple[str, str], list[PodPull]]:
        """Pull for pods with the Secrets that are there now."""
        secrets = self.listed("secrets")
        hosts = [self.ground.host]
        other = padded(self.ground.host)
        if any(image.startswith(other) for pod in pods for image in images(pod["spec"])):
            hosts.append(other)
        return by_pod(
            pull for one in hosts for pull in self.judge.pull(pods, secrets, registry=one)
        )

    def listed(self, resource: str) -> list[Manifest]:
        """Return the objects of the cluster."""
        return [
            item
            for name in self.spaces
            for item in self.cluster.http.get(f"/api/v1/namespaces/{name}/{resource}").json()[
                "items"
            ]
        ]

    @property
    def own_lists(self) -> set[str]:
        """The sources of pods without a controller that name Secrets themselves."""
        bare = [one.body for one in self.planned.pods if one.owner is None]
        return {source(body) for body in bare if body["spec"].get("imagePullSecrets")}

    @property
    def spaces(self) -> tuple[str, ...]:
        """Its namespaces, that which the request left out as well."""
        others = dict.fromkeys(state.namespace for state in self.planned.states)
        return tuple(dict.fromkeys((*self.planned.namespaces, *others)))


def play(scene: Scene) -> list[Subject]:
    """Let the day go by; return every pod that there was or came. Its admission policies must have been made."""
    alive = [
        pod for pod in scene.listed("pods") if pod["metadata"]["namespace"] != scene.planned.ignored
    ]
    found = _living(scene, alive, [])
    lift_quotas(scene.cluster, scene.planned)
    until_in_force(scene.cluster, scene.planned)
    made = recreate(scene.cluster, scene.planned, states=True)
    found += _made_again(scene, made)
    found += _passing(scene, alive, made, by_person=False)
    found += _passing(scene, alive, made, by_person=True)
    return found


def _living(scene: Scene, pods: Sequence[Manifest], moved: Sequence[State]) -> list[Subject]:
    """Pull for the pods that were there when they were judged; after Secrets `moved`, only for those that name them."""
    if moved:
        pods = [pod for pod in pods if any(_names(pod, state) for state in moved)]
    subjects = running(pods, top_owner, scene.pulls(pods))
    alive = [pod for pod in pods if pod["status"].get("phase") not in ("Succeeded", "Failed")]
    return [
        _in_states(
            subject,
            [state for state in moved if _names(pod, state)] if moved else _of_pod(scene, pod),
            changed=bool(moved),
        )
        for subject, pod in zip(subjects, alive, strict=True)
    ]


def _made_again(scene: Scene, pods: Pods) -> list[Subject]:
    """Pull for the pods that came right after the flip; each is judged by what made it."""
    pulls = scene.pulls([pod for _, pod in pods.taken])
    found = [_subject(scene, label, pod, pulls) for label, pod in pods.taken]
    found += [_refused(label) for label in pods.refused if not label.startswith("Pod/")]
    return [_in_states(one, _of_template(scene, one)) for one in found]


def _passing(
    scene: Scene, alive: Sequence[Manifest], made: Pods, *, by_person: bool
) -> list[Subject]:
    """Let things happen, and pull for the pods that come of it."""
    planned = scene.planned
    moved = [state for state in planned.states if (state.person if by_person else state.itself)]
    perform(
        scene.cluster,
        [act for state in moved for act in (state.person if by_person else state.itself)],
    )
    coming = [one for state in planned.states for one in state.coming if one.by_person == by_person]
    until_admitted(scene.cluster, sorted({state.namespace for state in moved}))
    bodies = {source(body): pod_of(body) for body in (*planned.templates, *templates_of(planned))}
    bodies |= {source(one.body): _renamed(one.body) for one in planned.pods if one.owner is None}
    again = [
        (label, [state for state in moved if _touches(state, label, pod)])
        for label, pod in made.taken
    ]
    again = [(label, states) for label, states in again if states]
    sent = [(label, bodies[label]) for label, _ in again]
    sent += [(_label(one), one.body) for one in coming]
    pods = send(scene.cluster, sent)
    pulls = scene.pulls([pod for _, pod in pods.taken])
    dormant = {source(body) for body in planned.templates if _is_dormant(body)}
    found = []
    for label, pod in pods.taken:
        subject = _subject(scene, label, pod, pulls)
        states = dict(again).get(label, [])
        mine = [one for one in coming if _label(one) == label and _same(one, pod)]
        if mine:
            subject = replace(subject, sources=frozenset(mine[0].sources), always=subject.needed)
            states = [state for state in planned.states if mine[0] in state.coming]
        elif label not in dormant:
            subject = replace(subject, always=subject.needed)
        under = [state for state in _of_template(scene, subject) if state.policies]
        states = [*states, *(state for state in under if state not in states)]
        found.append(_in_states(subject, states, changed=True, by_person=by_person))
    if moved:
        with_secrets = [state for state in moved if state.secrets]
        if with_secrets:
            found += _living(scene, alive, with_secrets)
    return found


def _subject(
    scene: Scene, label: str, pod: Manifest, pulls: dict[tuple[str, str], list[PodPull]]
) -> Subject:
    kind, namespace, name = label.split("/")
    by_hand = kind == "Pod"
    prefix = {"Pod": "P_", "Namespace": "N_"}.get(kind, "W_")
    return Subject(
        namespace,
        kind,
        name,
        prefix,
        tuple(pulls.get(key(pod), ())),
        frozenset(images(pod["spec"])),
        account=pod["spec"]["serviceAccountName"] if by_hand else "",
        own_list=label in scene.own_lists,
    )


def _refused(label: str) -> Subject:
    kind, namespace, name = label.split("/")
    return Subject(namespace, kind, name, "W_", (), frozenset(), refused=True)


def _in_states(
    subject: Subject, states: Sequence[State], *, changed: bool = False, by_person: bool = False
) -> Subject:
    sources = {one for state in states for one in state.sources}
    return replace(
        subject,
        states=subject.states | {state.tag for state in states},
        sources=subject.sources | sources,
        changed=changed,
        by_person=by_person,
        recorded=changed and any(state.recorded for state in states),
    )


def _of_pod(scene: Scene, pod: Manifest) -> list[State]:
    return [
        state
        for state in scene.planned.states
        if any(key(living.body) == key(pod) for living in state.pods)
    ]


def _of_template(scene: Scene, subject: Subject) -> list[State]:
    """Return the states that a new pod is of: that of its template, and of policies that act on all pods."""
    mine = f"{subject.kind}/{subject.namespace}/{subject.name}"
    return [
        state
        for state in scene.planned.states
        if any(source(body) == mine for body in state.templates)
        or (state.everywhere and state.namespace == subject.namespace)
    ]


def _touches(state: State, label: str, pod: Manifest) -> bool:
    """Tell whether what happens changes what a template's next pod is given."""
    if label.split("/")[1] != state.namespace:
        return False
    return pod["spec"].get("serviceAccountName") in state.accounts or _names(pod, state)


def _names(pod: Manifest, state: State) -> bool:
    names = {entry.get("name") for entry in pod["spec"].get("imagePullSecrets") or ()}
    return pod["metadata"]["namespace"] == state.namespace and bool(names & state.secrets)


def _label(one: Coming) -> str:
    return f"{one.kind}/{one.body['metadata']['namespace']}/{one.name}"


def _same(one: Coming, pod: Manifest) -> bool:
    metadata: dict[str, Any] = one.body["metadata"]
    return bool(pod["metadata"].get("generateName") == metadata["generateName"])


def _renamed(pod: Manifest) -> Manifest:
    """Return the pod as it is made once more, beside the one that is there."""
    metadata = {key: value for key, value in pod["metadata"].items() if key != "name"}
    return pod | {"metadata": metadata | {"generateName": f"{pod['metadata']['name']}-"}}


def _is_dormant(template: Manifest) -> bool:
    spec = template["spec"]
    return spec.get("replicas", 1) == 0 or bool(spec.get("suspend"))


def top_owner(pod: Manifest) -> tuple[str, str]:
    """Return what made a pod: the Deployment, not its ReplicaSet; the pod itself if nothing did."""
    references = pod["metadata"].get("ownerReferences")
    if not references:
        return "Pod", pod["metadata"]["name"]
    kind, name = kind_of(references[0]), references[0]["name"]
    if kind == "ReplicaSet":
        for suffix in ("-5d9f", "-old"):
            if name.endswith(suffix):
                return "Deployment", name.removesuffix(suffix)
    return kind, name
