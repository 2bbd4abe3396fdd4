"""Whether the image that a container asks for is the one on its node: a live pod's image can be changed.

Until the kubelet has acted (its node is away, the pull has not ended), the status tells of the image before. Runtimes
name an image as they like: by one of its other tags or repositories with the same content, by its digest alone, with a
scheme in front. So another name is no proof by itself.
"""

from enum import StrEnum

from remediation.image import ImageReference, InvalidReference, parse_image
from remediation.readiness.observation import Container, ContainerKind, ContainerState, Pod
from remediation.readiness.starts import STARTED

_AS_CREATED = 1
_PULL_REASONS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
)


class Pulled(StrEnum):
    """Whether an image is on the pod's node."""

    YES = "yes"
    DOUBTED = "doubted"  # the status may speak of another image
    NO = "no"


def pulled(pod: Pod, container: Container, image: ImageReference) -> Pulled:
    """Tell whether the image was pulled for this container."""
    if container.kind is ContainerKind.VOLUME:  # they are there before any container starts
        there = any(other.state in STARTED for other in pod.containers)
        return Pulled.YES if there else Pulled.NO
    waits = container.state is ContainerState.WAITING
    if waits and container.reason in _PULL_REASONS:
        return Pulled.NO
    if container.state is not ContainerState.RUNNING and not container.image_id:
        return Pulled.NO
    if pod.generation == _AS_CREATED:
        return Pulled.YES  # nothing was changed: another name is another name of the same content
    return _of_this_image(pod, container, image)


def _of_this_image(pod: Pod, container: Container, image: ImageReference) -> Pulled:
    shown, kept = _reference(container.shown_image), _digest_of(container.image_id)
    told = [one for one in (shown, kept) if one]
    same = [one for one in told if one.repository == image.repository]
    if told and not same:
        return Pulled.NO if pod.generation else Pulled.DOUBTED
    if any(_contradicts(one, image) for one in same):
        return Pulled.DOUBTED
    if not pod.unseen or any(one.reference == image.reference for one in same):
        return Pulled.YES
    return Pulled.DOUBTED


def _contradicts(shown: ImageReference, image: ImageReference) -> bool:
    """Tell whether a name of the same repository is of another image; a tag and a digest cannot be compared."""
    if image.digest:
        return shown.digest is not None and shown.digest != image.digest
    return shown.digest is None and (shown.tag or "latest") != (image.tag or "latest")


def _digest_of(text: str) -> ImageReference | None:
    """Return the name in an imageID; None for an id alone."""
    return _reference(text) if "@" in text else None


def _reference(text: str) -> ImageReference | None:
    """Return a name that a status gives; None for the digest of the content alone, which says nothing of names."""
    name = text.rpartition("://")[2]
    if not name or name.startswith("sha256:"):
        return None
    try:
        return parse_image(name)
    except InvalidReference:
        return None
