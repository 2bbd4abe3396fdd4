"""The parts of Kubernetes objects that a readiness check reads, decoded straight from JSON into small structs."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from remediation.credential import SECRET_KEY, SECRET_TYPE
from remediation.readiness.drift import signals_of
from remediation.readiness.observation import (
    Account,
    Container,
    ContainerKind,
    ContainerState,
    DisruptionBudget,
    Node,
    Owner,
    Pod,
    PullSecret,
    Workload,
)
from worker.wire import WireReference

LEGACY_TYPE = "kubernetes.io/dockercfg"
LEGACY_KEY = ".dockercfg"
ENFORCE_ANNOTATION = "kubernetes.io/enforce-mountable-secrets"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_KEYS = {SECRET_TYPE: SECRET_KEY, LEGACY_TYPE: LEGACY_KEY}


class WireOwner(msgspec.Struct, gc=False):
    """An owner reference."""

    kind: str = ""
    name: str = ""
    controller: bool | None = None


class WireMeta(msgspec.Struct, gc=False):
    """Object metadata, without managedFields."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creationTimestamp: str | None = None
    deletionTimestamp: str | None = None
    ownerReferences: list[WireOwner] | None = None

    @property
    def controller(self) -> Owner | None:
        """The owner that controls the object."""
        for owner in self.ownerReferences or ():
            if owner.controller:
                return Owner(owner.kind, owner.name)
        return None

    @property
    def created_at(self) -> datetime | None:
        """When it was made."""
        return datetime.fromisoformat(self.creationTimestamp) if self.creationTimestamp else None


class WireContainer(msgspec.Struct, gc=False):
    """A container of any kind."""

    name: str = ""
    image: str = ""
    imagePullPolicy: str = ""
    restartPolicy: str = ""
    restartPolicyRules: list[msgspec.Raw] | None = None


class WireImageVolume(msgspec.Struct, gc=False):
    """The source of an image volume."""

    reference: str = ""
    pullPolicy: str = ""


class WireVolume(msgspec.Struct, gc=False):
    """A volume of a pod; all but image volumes are passed over."""

    name: str = ""
    image: WireImageVolume | None = None


class WirePodSpec(msgspec.Struct, gc=False):
    """What runs, and with which Secrets it is pulled."""

    containers: list[WireContainer] | None = None
    initContainers: list[WireContainer] | None = None
    ephemeralContainers: list[WireContainer] | None = None
    volumes: list[WireVolume] | None = None
    imagePullSecrets: list[WireReference] | None = None
    serviceAccountName: str = ""
    serviceAccount: str = ""
    nodeName: str = ""
    restartPolicy: str = ""

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """The names, "" for an entry without one."""
        return tuple(entry.name for entry in self.imagePullSecrets or ())

    @property
    def account(self) -> str:
        """The ServiceAccount's name, "" where none is named."""
        return self.serviceAccountName or self.serviceAccount


class WireWaiting(msgspec.Struct, gc=False):
    """Why a container waits, or why it ended."""

    reason: str = ""


class WireState(msgspec.Struct, gc=False):
    """The state of a container: one of the three is there."""

    waiting: WireWaiting | None = None
    running: WireWaiting | None = None
    terminated: WireWaiting | None = None

    @property
    def reason(self) -> str:
        """Why it waits, "" if it does not."""
        return self.waiting.reason if self.waiting else ""

    @property
    def kind(self) -> ContainerState:
        """Which of them."""
        if self.running is not None:
            return ContainerState.RUNNING
        if self.terminated is not None:
            return ContainerState.TERMINATED
        return ContainerState.WAITING


class WireContainerStatus(msgspec.Struct, gc=False):
    """The status of a container."""

    name: str = ""
    imageID: str = ""
    state: WireState = msgspec.field(default_factory=WireState)


class WirePodStatus(msgspec.Struct, gc=False):
    """The status of a pod."""

    phase: str = ""
    containerStatuses: list[WireContainerStatus] | None = None
    initContainerStatuses: list[WireContainerStatus] | None = None
    ephemeralContainerStatuses: list[WireContainerStatus] | None = None

    def by_name(self) -> dict[str, WireContainerStatus]:
        """Return the statuses of all kinds; a name is unique in its pod."""
        return {
            status.name: status
            for statuses in (
                self.containerStatuses,
                self.initContainerStatuses,
                self.ephemeralContainerStatuses,
            )
            for status in statuses or ()
        }


class WirePod(msgspec.Struct, gc=False):
    """A Pod."""

    metadata: WireMeta
    spec: WirePodSpec = msgspec.field(default_factory=WirePodSpec)
    status: WirePodStatus = msgspec.field(default_factory=WirePodStatus)

    def to_domain(self) -> Pod:
        """Return what the judgement wants to know."""
        meta, spec = self.metadata, self.spec
        return Pod(
            namespace=meta.namespace,
            name=meta.name,
            containers=tuple(_containers(spec, self.status.by_name())),
            pull_secrets=spec.pull_secrets,
            account=spec.account,
            controller=meta.controller,
            node=spec.nodeName,
            restart_policy=spec.restartPolicy or "Always",
            mirror=MIRROR_ANNOTATION in (meta.annotations or {}),
            labels=meta.labels or {},
        )


class WireTemplate(msgspec.Struct, gc=False):
    """A pod template."""

    metadata: WireMeta = msgspec.field(default_factory=WireMeta)
    spec: WirePodSpec = msgspec.field(default_factory=WirePodSpec)


class WireJobTemplate(msgspec.Struct, gc=False):
    """The template of a CronJob's Jobs."""

    spec: "WireWorkloadSpec"


class WireWorkloadSpec(msgspec.Struct, gc=False):
    """The spec of any built-in workload."""

    replicas: int | None = None
    suspend: bool | None = None
    template: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    jobTemplate: WireJobTemplate | None = None

    @property
    def pods(self) -> msgspec.Raw:
        """The template that pods are made from in the end, as it stands."""
        return self.jobTemplate.spec.template if self.jobTemplate else self.template


class WireCondition(msgspec.Struct, gc=False):
    """A condition."""

    type: str = ""
    status: str = ""


class WireWorkloadStatus(msgspec.Struct, gc=False):
    """The conditions of a workload: only those of a Job are read."""

    conditions: list[WireCondition] | None = None


class WireWorkload(msgspec.Struct, gc=False):
    """A Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job or CronJob."""

    metadata: WireMeta
    spec: WireWorkloadSpec = msgspec.field(default_factory=WireWorkloadSpec)
    status: WireWorkloadStatus = msgspec.field(default_factory=WireWorkloadStatus)

    def to_domain(self, kind: str) -> Workload:
        """Return what the judgement wants to know."""
        meta, spec, template = self.metadata, self.spec, _TEMPLATE.decode(self.spec.pods)
        replicas = 1 if spec.replicas is None else spec.replicas
        return Workload(
            namespace=meta.namespace,
            kind=kind,
            name=meta.name,
            containers=tuple(_containers(template.spec, {})),
            pull_secrets=template.spec.pull_secrets,
            account=template.spec.account,
            controller=meta.controller,
            dormant=replicas == 0 or bool(spec.suspend),
            finished=kind == "Job" and self._has_finished(),
            replicas=replicas,
            generation=meta.generation,
            labels=template.metadata.labels or {},
        )

    def _has_finished(self) -> bool:
        return any(
            condition.type in ("Complete", "Failed") and condition.status == "True"
            for condition in self.status.conditions or ()
        )


_TEMPLATE = msgspec.json.Decoder(WireTemplate)


class WireManagedFields(msgspec.Struct, gc=False):
    """Who owns which fields."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fieldsV1: dict[str, Any] | None = None


class WireAccountMeta(WireMeta, gc=False):
    """Metadata with managedFields."""

    managedFields: list[WireManagedFields] | None = None


class WireAccount(msgspec.Struct, gc=False):
    """A ServiceAccount."""

    metadata: WireAccountMeta
    imagePullSecrets: list[WireReference] | None = None

    def to_domain(self) -> Account:
        """Return what the judgement wants to know."""
        meta = self.metadata
        annotations = meta.annotations or {}
        return Account(
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resource_version=meta.resourceVersion,
            pull_secrets=tuple(entry.name for entry in self.imagePullSecrets or ()),
            enforces_mountable=annotations.get(ENFORCE_ANNOTATION) == "true",
            created_at=meta.created_at,
            signals=signals_of(msgspec.to_builtins(meta)),
        )


class WirePullSecret(msgspec.Struct, gc=False):
    """A Secret."""

    metadata: WireMeta
    type: str = "Opaque"
    data: dict[str, str] | None = None
    immutable: bool | None = None

    def to_domain(self) -> PullSecret:
        """Return what the judgement wants to know."""
        encoded = (self.data or {}).get(_KEYS.get(self.type, ""))
        return PullSecret(
            self.metadata.namespace,
            self.metadata.name,
            self.type,
            None if encoded is None else _decoded(encoded),
            immutable=bool(self.immutable),
        )


class WireNodeInfo(msgspec.Struct, gc=False):
    """What a node says of itself."""

    kubeletVersion: str = ""


class WireNodeStatus(msgspec.Struct, gc=False):
    """The status of a node."""

    nodeInfo: WireNodeInfo = msgspec.field(default_factory=WireNodeInfo)


class WireNode(msgspec.Struct, gc=False):
    """A Node."""

    metadata: WireMeta
    status: WireNodeStatus = msgspec.field(default_factory=WireNodeStatus)

    def to_domain(self) -> Node:
        """Return what the judgement wants to know."""
        version = self.status.nodeInfo.kubeletVersion
        return Node(self.metadata.name, self.metadata.labels or {}, version)


class WireBudgetSpec(msgspec.Struct, gc=False):
    """Whose disruption is bounded."""

    selector: dict[str, Any] | None = None


class WireBudgetStatus(msgspec.Struct, gc=False):
    """How many may be disrupted now."""

    disruptionsAllowed: int = 0


class WireBudget(msgspec.Struct, gc=False):
    """A PodDisruptionBudget."""

    metadata: WireMeta
    spec: WireBudgetSpec = msgspec.field(default_factory=WireBudgetSpec)
    status: WireBudgetStatus = msgspec.field(default_factory=WireBudgetStatus)

    def to_domain(self) -> DisruptionBudget:
        """Return what the restart plan wants to know."""
        meta = self.metadata
        return DisruptionBudget(
            meta.namespace, meta.name, self.spec.selector, self.status.disruptionsAllowed
        )


def _containers(
    spec: WirePodSpec, statuses: Mapping[str, WireContainerStatus]
) -> Iterator[Container]:
    """Yield all places of a pod, or of a template, that name an image."""
    yield from _of_kind(ContainerKind.INIT, spec.initContainers or (), statuses)
    yield from _of_kind(ContainerKind.CONTAINER, spec.containers or (), statuses)
    yield from _of_kind(ContainerKind.EPHEMERAL, spec.ephemeralContainers or (), statuses)
    # Volumes are mounted before the first container starts; a pod says nothing else of them.
    mounted = any(status.state.kind in _STARTED for status in statuses.values())
    for volume in spec.volumes or ():
        if volume.image:
            yield Container(
                name=volume.name,
                image=volume.image.reference,
                kind=ContainerKind.VOLUME,
                pull_policy=volume.image.pullPolicy,
                state=ContainerState.RUNNING if mounted else ContainerState.NONE,
                image_id=volume.image.reference if mounted else "",
            )


_STARTED = (ContainerState.RUNNING, ContainerState.TERMINATED)


def _of_kind(
    kind: ContainerKind,
    containers: Iterable[WireContainer],
    statuses: Mapping[str, WireContainerStatus],
) -> Iterator[Container]:
    for container in containers:
        status = statuses.get(container.name)
        sidecar = kind is ContainerKind.INIT and container.restartPolicy == "Always"
        yield Container(
            name=container.name,
            image=container.image,
            kind=ContainerKind.SIDECAR if sidecar else kind,
            pull_policy=container.imagePullPolicy,
            state=status.state.kind if status else ContainerState.NONE,
            image_id=status.imageID if status else "",
            reason=status.state.reason if status else "",
            restarts=container.restartPolicy in ("Always", "OnFailure")
            or bool(container.restartPolicyRules),
        )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
