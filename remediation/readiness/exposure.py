"""When a running pod would pull an image again: what the flip would do to it, were it not covered.

Rules: EnsureImageExists runs at every start of a container (pkg/kubelet/images of Kubernetes 1.36). From 1.35 on a
kubelet may ask for credentials even for an image that is on the node.
"""

import re
from enum import StrEnum

from remediation.image import ImageReference
from remediation.readiness.facts import ClusterFacts
from remediation.readiness.observation import Container, ContainerKind, ContainerState, Pod

_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_VERIFYING_SINCE = (1, 35)
_PULL_REASONS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
)
_STARTED = (ContainerState.RUNNING, ContainerState.TERMINATED)


class Exposure(StrEnum):
    """What happens to an uncovered use of an image, the worst first."""

    UNPULLED = "unpulled"  # it still has to be pulled
    RESTART = "restart"  # the next start of the container pulls
    LOW = "low"  # only where the node lost the image
    NONE = "none"  # nothing pulls it again


def may_verify(kubelet_version: str, facts: ClusterFacts) -> bool:
    """Tell whether a kubelet may ask for credentials for an image it has; an unknown version counts as new."""
    found = _VERSION.match(kubelet_version)
    old = found and (int(found[1]), int(found[2])) < _VERIFYING_SINCE
    return facts.verifies and not old


def pull_policy(container: Container, image: ImageReference) -> str:
    """Return the policy that holds; without one the API server sets it by the tag."""
    if container.pull_policy:
        return container.pull_policy
    moving = image.digest is None and image.tag in (None, "latest")
    return "Always" if moving else "IfNotPresent"


def exposure(
    pod: Pod, container: Container, image: ImageReference, *, verified: bool, always: bool
) -> Exposure:
    """Judge one use of an image.

    `verified` as `may_verify` tells, `always` if the cluster turns every policy into Always.
    """
    policy = "Always" if always else pull_policy(container, image)
    if not _pulled(pod, container):
        return Exposure.NONE if policy == "Never" else Exposure.UNPULLED
    if not _starts_again(pod, container):
        return Exposure.NONE
    if policy == "Never":
        return Exposure.RESTART if verified else Exposure.NONE
    if policy == "IfNotPresent" and not verified:
        return Exposure.LOW
    return Exposure.RESTART


def _pulled(pod: Pod, container: Container) -> bool:
    if container.kind is ContainerKind.VOLUME:  # they are there before any container starts
        return any(other.state in _STARTED for other in pod.containers)
    if container.state is ContainerState.WAITING and container.reason in _PULL_REASONS:
        return False
    return container.state is ContainerState.RUNNING or bool(container.image_id)


def _starts_again(pod: Pod, container: Container) -> bool:
    """Tell whether the kubelet may start it again, init containers with a new sandbox included.

    An image volume is looked after before any container of the pod is started, the first time or again.
    """
    if container.kind is ContainerKind.VOLUME:
        others = [other for other in pod.containers if other.kind is not ContainerKind.VOLUME]
        return any(other.state not in _STARTED or _starts_again(pod, other) for other in others)
    if container.kind is ContainerKind.EPHEMERAL:
        return False
    if container.kind is ContainerKind.SIDECAR or container.restarts:
        return True
    return pod.restart_policy != "Never"
