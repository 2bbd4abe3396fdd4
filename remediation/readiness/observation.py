"""What was read from a cluster, reduced to what the judgement needs. Objects are handed over one at a time.

Names, kinds and texts are as the API server gives them; a missing text is "". An entry of `imagePullSecrets` without a
name is "" and stays in its list: it counts, and switches the injection by the ServiceAccount off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from remediation.drift.signals import QUIET, Signals

# Kinds whose pod templates are judged. What one of these controls (a Deployment's ReplicaSet) is judged through it.
WORKLOAD_KINDS = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Job",
    "CronJob",
)


class Scope(StrEnum):
    """Whether a namespace is judged, and if not, why not."""

    JUDGED = "judged"
    IGNORED = "ignored"  # by the request's `ignore`
    EXCLUDED = "excluded"  # by its own annotation
    OUTSIDE = "outside"  # not among the request's `namespaces`


class ContainerKind(StrEnum):
    """Where in a pod an image is named."""

    CONTAINER = "container"
    INIT = "init"
    SIDECAR = "sidecar"  # an init container with restartPolicy Always
    EPHEMERAL = "ephemeral"
    VOLUME = "volume"  # an image volume


class ContainerState(StrEnum):
    """What a container's status says; NONE if there is no status yet."""

    NONE = "none"
    WAITING = "waiting"
    RUNNING = "running"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class RestartRule:
    """One entry of `restartPolicyRules`: an exit with one of `codes` (`negated`: with any other) restarts.

    `everything` tells that it restarts all containers of the pod, not only its own.
    """

    codes: frozenset[int]
    negated: bool = False
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """One place of a pod or of a template that names an image; `name` is the container's or the volume's.

    `pull_policy` is Always, IfNotPresent, Never or "" (the default for the tag). `restart_policy` is the container's
    own, "" where the pod's holds; `restart_rules` are asked before either. Of a running pod also `state`, `image_id`
    and `shown_image` (imageID and image of the status, "" until the image is on the node), the `reason` of a waiting
    one and the `exit_code` of a terminated one.
    """

    name: str
    image: str
    kind: ContainerKind = ContainerKind.CONTAINER
    pull_policy: str = ""
    state: ContainerState = ContainerState.NONE
    image_id: str = ""
    reason: str = ""
    restart_policy: str = ""
    restart_rules: tuple[RestartRule, ...] = ()
    shown_image: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller of an object: the owner reference with `controller: true`.

    `group` is its API group, "" for the groups of the built-in workloads.
    """

    kind: str
    name: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace; `created_at` is its creationTimestamp, `labels` are what policies select it by."""

    name: str
    scope: Scope = Scope.JUDGED
    created_at: datetime | None = None
    terminating: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A node; `kubelet_version` as in status.nodeInfo, for example v1.36.3."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    kubelet_version: str = ""


@dataclass(frozen=True, slots=True)
class Going:
    """Whether an object is on its way out: `deleting` by its own deletionTimestamp, kept by `finalizers` only.

    `owners` are the uids of its ownerReferences: garbage collection deletes it once none of them is left.
    """

    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


STAYS = Going()


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount; `enforces_mountable` is its annotation kubernetes.io/enforce-mountable-secrets.

    `listed_at` is when `imagePullSecrets` was last written by a manager that still owns it, `listed_by_others_at` the
    same of managers other than ours, which may have taken entries out.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    pull_secrets: tuple[str, ...] = ()
    enforces_mountable: bool = False
    created_at: datetime | None = None
    signals: Signals = QUIET
    going: Going = STAYS
    listed_at: datetime | None = None
    listed_by_others_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PullSecret:
    """A Secret that was read; `content` is its data under the key of its type, None if it has none.

    The key of kubernetes.io/dockerconfigjson is .dockerconfigjson, that of kubernetes.io/dockercfg is .dockercfg; other
    types need no content. `manifest` is the content that a client-side apply gives it, None where that is not known.
    `ours` tells that a remediation made it.
    """

    namespace: str
    name: str
    type: str
    content: bytes | None = field(default=None, repr=False)
    immutable: bool = False
    going: Going = STAYS
    uid: str = ""
    signals: Signals = QUIET
    manifest: bytes | None = field(default=None, repr=False)
    ours: bool = False


class Wakes(StrEnum):
    """Whether pods will be wanted again without anybody's doing."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Waker:
    """What may scale a workload up; `told` is a clause with "it" for the workload."""

    told: str
    wakes: Wakes = Wakes.YES


@dataclass(frozen=True, slots=True)
class Sleeper:
    """What tells whether another object means a workload that wants no pods now.

    `labels` are its own and those of its pods, `texts` the values of its labels and annotations. `writers` are the
    managers that wrote its template and that it wants no pods.
    """

    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    writers: frozenset[str] = frozenset()


class Rollout(StrEnum):
    """Whether `kubectl rollout restart` replaces a workload's pods."""

    ROLLS = "rolls"
    PAUSED = "paused"  # once it is resumed
    BY_HAND = "by hand"  # OnDelete, or a partition keeps some


@dataclass(frozen=True, slots=True)
class Workload:
    """A pod template: of a Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job or CronJob.

    Hand over all of them, controlled ones too: a ReplicaSet's controller leads from a pod to its Deployment.
    `account` is serviceAccountName or serviceAccount; `dormant` means no replicas wanted, or suspended, and `waker`
    what ends that by itself, as far as the object says; `sleeper` is what other objects may know it by. `finished` is a
    Job that is complete or failed. `held` is the ControllerRevision by which a StatefulSet makes the pods below its
    partition, "" where that is its template. `revision` counts what a rollback may bring back, from 1. `generation` is
    metadata.generation. `labels` are those of its pods. No controller makes pods for a workload that is `deleting`.
    """

    namespace: str
    kind: str
    name: str
    containers: tuple[Container, ...] = ()
    pull_secrets: tuple[str, ...] = ()
    account: str = ""
    controller: Owner | None = None
    dormant: bool = False
    finished: bool = False
    waker: Waker | None = None
    held: str = ""
    revision: int = 0
    replicas: int = 1
    generation: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    rollout: Rollout = Rollout.ROLLS
    sleeper: Sleeper | None = None

    @property
    def controlled(self) -> bool:
        """Whether a built-in controller made it of its own template."""
        return bool(self.controller and self.controller.kind in WORKLOAD_KINDS)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that has not ended (phase neither Succeeded nor Failed), or a static pod, which its node starts again.

    `ended` tells that such a static pod has ended. `mirror` is the annotation kubernetes.io/config.mirror; `node` is ""
    while it is not scheduled. `generation` is metadata.generation: 1 while the spec is as it was created, 0 where the
    API server (before 1.33) does not count. `unseen` tells that the kubelet has not acted on the newest spec
    (status.observedGeneration).
    """

    namespace: str
    name: str
    containers: tuple[Container, ...]
    pull_secrets: tuple[str, ...] = ()
    account: str = ""
    controller: Owner | None = None
    node: str = ""
    restart_policy: str = "Always"
    mirror: bool = False
    generation: int = 0
    unseen: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Pull:
    """What an object names, in the object at the path `place`, for pulling: Secrets, or a ServiceAccount."""

    place: str
    secrets: tuple[str, ...] = ()
    account: str = ""


class By(StrEnum):
    """How an object names the registry."""

    FIELD = "field"  # of a custom resource
    TEXT = "text"  # a variable, an argument or a command of a pod spec
    VOLUME = "volume"  # a volume of a pod spec that a CSI driver fills
    POLL = "poll"  # an image that a tool asks the registry for, as annotations of a workload say


@dataclass(frozen=True, slots=True)
class Asks:
    """A tool that asks the registry by itself, with Secrets of `namespace` and what a ServiceAccount lists.

    `named_in` says where to name a Secret for it. `in_order` tells that the login that it tries is the kubelet's first.
    """

    tool: str
    namespace: str
    secrets: tuple[str, ...] = ()
    account: str = ""
    named_in: str = ""
    in_order: bool = False


@dataclass(frozen=True, slots=True)
class Mention:
    """An object that names the registry elsewhere than in images that are judged: in `field`, a path, is `text`.

    `controller` controls it. `use` is the path of the pod spec that the field is in, else the field itself. `pulls` are
    all that the object says about pulling. `more` tells that it names the registry in more fields than were looked at,
    `from_pod` that a pod says so, and no template that was read. `asks` is a tool that reads the field by itself.
    `unread` tells that the field holds something encoded that was not read to its end: it may name the registry.
    """

    namespace: str
    kind: str
    name: str
    field: str
    text: str
    group: str = ""
    controller: Owner | None = None
    use: str = ""
    pulls: tuple[Pull, ...] = ()
    more: bool = False
    by: By = By.FIELD
    from_pod: bool = False
    asks: Asks | None = None
    unread: bool = False

    @property
    def owner(self) -> Owner:
        """The object, as what it controls names it."""
        return Owner(self.kind, self.name, self.group)


@dataclass(frozen=True, slots=True)
class DisruptionBudget:
    """A PodDisruptionBudget; `selector` None selects nothing, {} every pod of the namespace.

    `selector` is the object's label selector: matchLabels and matchExpressions, as in the API.
    """

    namespace: str
    name: str
    selector: Mapping[str, Any] | None
    disruptions_allowed: int
