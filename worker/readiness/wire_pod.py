"""Pods, decoded straight from JSON into small structs."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from remediation.readiness.observation import (
    Container,
    ContainerKind,
    ContainerState,
    Pod,
    RestartRule,
)
from worker.readiness.wire_meta import WireMeta
from worker.wire import WireReference, runtime_of

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class WireExitCodes(msgspec.Struct, gc=False):
    """The exit codes that a restart rule is about."""

    operator: str = ""
    values: list[int] | None = None


class WireRestartRule(msgspec.Struct, gc=False):
    """A restart rule of a container."""

    action: str = ""
    exitCodes: WireExitCodes = msgspec.field(default_factory=WireExitCodes)

    def to_domain(self) -> RestartRule:
        """Return the rule; an operator or an action of a later version counts as the widest of those that are known."""
        codes = self.exitCodes
        known = codes.operator in ("In", "NotIn")
        return RestartRule(
            frozenset(codes.values or ()) if known else frozenset(),
            negated=codes.operator != "In",
            everything=self.action != "Restart",
        )


_NOTHING = msgspec.Raw(b"null")
_ENDED = ("Succeeded", "Failed")


class WireContainer(msgspec.Struct, gc=False):
    """A container of any kind; what it runs and is told stays as it stands."""

    name: str = ""
    image: str = ""
    imagePullPolicy: str = ""
    restartPolicy: str = ""
    restartPolicyRules: list[WireRestartRule] | None = None
    env: msgspec.Raw = _NOTHING
    command: msgspec.Raw = _NOTHING
    args: msgspec.Raw = _NOTHING
    lifecycle: msgspec.Raw = _NOTHING


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
    volumes: msgspec.Raw = _NOTHING
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
    def image_volumes(self) -> Iterator[WireVolume]:
        """The volumes that are images; most pods have none, which their text alone says."""
        if b'"image"' in bytes(self.volumes):
            yield from (volume for volume in _VOLUMES.decode(self.volumes) or () if volume.image)

    @property
    def account(self) -> str:
        """The ServiceAccount's name, "" where none is named."""
        return self.serviceAccountName or self.serviceAccount


class WireWaiting(msgspec.Struct, gc=False):
    """Why a container waits, or how it ended."""

    reason: str = ""
    exitCode: int = 0


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
    def exit_code(self) -> int:
        """How it ended, 0 if it did not."""
        return self.terminated.exitCode if self.terminated else 0

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
    image: str = ""
    imageID: str = ""
    containerID: str = ""
    state: WireState = msgspec.field(default_factory=WireState)


class WirePodStatus(msgspec.Struct, gc=False):
    """The status of a pod."""

    phase: str = ""
    observedGeneration: int = 0
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

    @property
    def ended(self) -> bool:
        """Tell whether it has come to its end, so that nothing is pulled for it any more."""
        return self.status.phase in _ENDED

    @property
    def runtimes(self) -> set[str]:
        """The runtime of its node, once a container was started."""
        status = self.status
        told = (*(status.containerStatuses or ()), *(status.initContainerStatuses or ()))
        return {runtime for each in told if (runtime := runtime_of(each.containerID))}

    def to_domain(self) -> Pod:
        """Return what the judgement wants to know."""
        meta, spec = self.metadata, self.spec
        return Pod(
            namespace=meta.namespace,
            name=meta.name,
            containers=tuple(containers(spec, self.status.by_name())),
            pull_secrets=spec.pull_secrets,
            account=spec.account,
            controller=meta.maker,
            node=spec.nodeName,
            restart_policy=spec.restartPolicy or "Always",
            mirror=MIRROR_ANNOTATION in (meta.annotations or {}),
            generation=meta.generation,
            unseen=0 < self.status.observedGeneration < meta.generation,
            labels=meta.labels or {},
            created_at=meta.created_at,
            ended=self.ended,
        )


def containers(
    spec: WirePodSpec, statuses: Mapping[str, WireContainerStatus]
) -> Iterator[Container]:
    """Yield all places of a pod, or of a template, that name an image."""
    yield from _of_kind(ContainerKind.INIT, spec.initContainers or (), statuses)
    yield from _of_kind(ContainerKind.CONTAINER, spec.containers or (), statuses)
    yield from _of_kind(ContainerKind.EPHEMERAL, spec.ephemeralContainers or (), statuses)
    # Volumes are mounted before the first container starts; a pod says nothing else of them.
    mounted = any(status.state.kind in _STARTED for status in statuses.values())
    for volume in spec.image_volumes:
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
            restart_policy=container.restartPolicy,
            restart_rules=tuple(map(WireRestartRule.to_domain, container.restartPolicyRules or ())),
            shown_image=status.image if status else "",
            exit_code=status.state.exit_code if status else 0,
        )


_VOLUMES = msgspec.json.Decoder(list[WireVolume] | None)
