"""When a running pod would pull an image again: what the flip would do to it, were it not covered.

Rules: EnsureImageExists runs at every start of a container (pkg/kubelet/images of Kubernetes 1.36). From 1.35 on a
kubelet may ask for credentials even for an image that is on the node.
"""

import re
from enum import StrEnum

from remediation.image import ImageReference
from remediation.readiness.facts import ClusterFacts
from remediation.readiness.observation import Container, ContainerState, Pod
from remediation.readiness.pulled import Pulled, pulled
from remediation.readiness.starts import starts_again

_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_VERIFYING_SINCE = (1, 35)


class Exposure(StrEnum):
    """What happens to an uncovered use of an image, the worst first."""

    UNPULLED = "unpulled"  # it still has to be pulled
    DOUBTED = (
        "doubted"  # it may be that it still has to be pulled: its status tells of another image
    )
    RESTART = "restart"  # the next start of the container pulls
    RECORDED = "recorded"  # it is there, and the kubelet may ask for a login that pulled it
    LOW = "low"  # only where the node lost the image
    NONE = "none"  # nothing pulls it again


class Verification(StrEnum):
    """Whether a kubelet asks a pod for a login for an image that is on the node."""

    NEVER = "never"
    RECORDED = "recorded"  # if it pulled the image itself, and only ever with logins
    ALWAYS = "always"  # whoever pulled it


def verification(kubelet_version: str, facts: ClusterFacts) -> Verification:
    """Tell what a kubelet asks for; an unknown version counts as new, and without a word the default holds."""
    found = _VERSION.match(kubelet_version)
    old = found and (int(found[1]), int(found[2])) < _VERIFYING_SINCE
    if old or facts.kubelet_verification == "NeverVerify":
        return Verification.NEVER
    return Verification.ALWAYS if facts.verifies else Verification.RECORDED


def pull_policy(container: Container, image: ImageReference) -> str:
    """Return the policy that holds; without one the API server sets it by the tag."""
    if container.pull_policy:
        return container.pull_policy
    moving = image.digest is None and image.tag in (None, "latest")
    return "Always" if moving else "IfNotPresent"


def exposure(
    pod: Pod,
    container: Container,
    image: ImageReference,
    *,
    verification: Verification,
    always: bool,
) -> tuple[Exposure, bool]:
    """Judge one use of an image by itself; `always` if the cluster turns every policy into Always.

    The second value tells that a start which would not pull the image may still need a login that pulled it before:
    other pods of the node then make it RECORDED.
    """
    policy = "Always" if always else pull_policy(container, image)
    there = pulled(pod, container, image)
    again = starts_again(pod, container)
    if there is not Pulled.YES:
        # A changed image starts a running container again whatever its policy is; one that has ended stays so.
        ended = container.state is ContainerState.TERMINATED and not again
        if policy == "Never" or ended:
            return Exposure.NONE, False
        return Exposure.UNPULLED if there is Pulled.NO else Exposure.DOUBTED, False
    if not again:
        return Exposure.NONE, False
    if policy == "Always" or verification is Verification.ALWAYS:
        return Exposure.RESTART, False
    alone = Exposure.NONE if policy == "Never" else Exposure.LOW
    return alone, verification is Verification.RECORDED
