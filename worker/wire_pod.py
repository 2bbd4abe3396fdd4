"""Pods and pod templates, by their images and the Secrets that they name; decoded straight from JSON."""

from collections.abc import Iterable, Iterator

import msgspec

from worker.wire import OwnerMeta, WireReference, runtime_of


class WireSecretVolume(msgspec.Struct, gc=False):
    """The Secret of a volume."""

    secretName: str = ""


class WireSource(msgspec.Struct, gc=False):
    """A source of a projected volume: its Secret, if it is one."""

    secret: WireReference | None = None


class WireProjected(msgspec.Struct, gc=False):
    """A projected volume."""

    sources: list[WireSource] | None = None


class WireImage(msgspec.Struct, gc=False):
    """The image of a volume."""

    reference: str = ""


class WireVolume(msgspec.Struct, gc=False):
    """A volume: its image or Secret, if it is one."""

    image: WireImage | None = None
    secret: WireSecretVolume | None = None
    projected: WireProjected | None = None

    def secrets(self) -> Iterator[str]:
        """Yield the names of the Secrets that are mounted."""
        if self.secret:
            yield self.secret.secretName
        for source in (self.projected and self.projected.sources) or ():
            if source.secret:
                yield source.secret.name


class WireValueFrom(msgspec.Struct, gc=False):
    """Where a variable comes from: a Secret, if it is one."""

    secretKeyRef: WireReference | None = None


class WireVariable(msgspec.Struct, gc=False):
    """A variable of a container."""

    valueFrom: WireValueFrom | None = None


class WireVariables(msgspec.Struct, gc=False):
    """All variables of a source: a Secret, if it is one."""

    secretRef: WireReference | None = None


class WireContainer(msgspec.Struct, gc=False):
    """A container, by its image and its variables."""

    image: str = ""
    env: list[WireVariable] | None = None
    envFrom: list[WireVariables] | None = None

    def secrets(self) -> Iterator[str]:
        """Yield the names of the Secrets that its variables come from."""
        for variable in self.env or ():
            if variable.valueFrom and variable.valueFrom.secretKeyRef:
                yield variable.valueFrom.secretKeyRef.name
        for source in self.envFrom or ():
            if source.secretRef:
                yield source.secretRef.name


class WirePodSpec(msgspec.Struct, gc=False):
    """What of a pod names images, Secrets and its ServiceAccount."""

    serviceAccountName: str = ""
    imagePullSecrets: list[WireReference] | None = None

    containers: list[WireContainer] | None = None
    initContainers: list[WireContainer] | None = None
    ephemeralContainers: list[WireContainer] | None = None
    volumes: list[WireVolume] | None = None

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """The names of its pull Secrets, "" for an entry without one."""
        return tuple(entry.name for entry in self.imagePullSecrets or ())

    def all_containers(self) -> Iterator[WireContainer]:
        """Yield its containers of every kind."""
        for containers in (self.initContainers, self.containers, self.ephemeralContainers):
            yield from containers or ()

    def names(self, secret_name: str) -> bool:
        """Tell whether it names a Secret: to pull with, as a volume or for variables."""
        return (
            secret_name in self.pull_secrets
            or any(secret_name in volume.secrets() for volume in self.volumes or ())
            or any(secret_name in container.secrets() for container in self.all_containers())
        )


class WireContainerStatus(msgspec.Struct, gc=False):
    """What became of a container: its id begins with the name of the node's runtime, like "cri-o://"."""

    containerID: str = ""


class WirePodStatus(msgspec.Struct, gc=False):
    """What became of a pod."""

    containerStatuses: list[WireContainerStatus] | None = None
    initContainerStatuses: list[WireContainerStatus] | None = None


class WirePod(msgspec.Struct, gc=False):
    """A pod."""

    metadata: OwnerMeta
    spec: WirePodSpec = msgspec.field(default_factory=WirePodSpec)
    status: WirePodStatus = msgspec.field(default_factory=WirePodStatus)

    def runtimes(self) -> Iterable[str]:
        """Yield the runtimes of its node, once a container was started."""
        status = self.status
        for statuses in (status.containerStatuses, status.initContainerStatuses):
            yield from filter(None, (runtime_of(each.containerID) for each in statuses or ()))

    def images(self) -> Iterable[str]:
        """Yield the images that its node pulls."""
        yield from (each.image for each in self.spec.all_containers() if each.image)
        volumes = self.spec.volumes or ()
        yield from (v.image.reference for v in volumes if v.image and v.image.reference)
