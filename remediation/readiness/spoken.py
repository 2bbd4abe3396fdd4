"""Findings about pod specs that name the registry where no image is: variables, arguments, volumes of drivers."""

import re
from collections.abc import Iterator

from remediation.image import ImageReference
from remediation.readiness.call import Call
from remediation.readiness.finding import FindingClass, Severity
from remediation.readiness.observation import WORKLOAD_KINDS, By, Mention, Owner
from remediation.readiness.reduction import PodKey, Reduction

_WORDS = re.compile(r"[\s=,;\"']+")
_PASSING = ("Job",)


def judge_spoken(kept: Reduction, mention: Mention, used: frozenset[ImageReference]) -> Call | None:
    """Return what a text means, None for nothing to tell; `used` as `images_used` tells."""
    images = [image for word in _WORDS.split(mention.text) if (image := kept.image(word))]
    told = ", ".join(map(str, images)) or str(kept.options.target)
    said = f"{mention.field} names the registry: {told}."
    if mention.by is By.VOLUME:
        return Call(
            FindingClass.W_OTHER,
            Severity.BLOCKING,
            f"{said} A CSI driver pulls it, and with which login cannot be seen.",
            "find out how the driver logs in, then waive this with an owner and a date",
            doubt=True,
        )
    if images and all(image in used for image in images):
        return Call(
            FindingClass.W_OTHER,
            Severity.INFO,
            f"{said} Pods of an operator with this image are judged themselves.",
        )
    if images and "image" in f"{mention.field} {mention.text}".lower():
        return Call(
            FindingClass.W_OTHER,
            Severity.BLOCKING,
            f"{said} It may make pods with this image. None is there, so which Secrets they name cannot be seen.",
            "have it make such a pod and judge again, or waive this with an owner and a date",
            doubt=True,
        )
    if mention.kind in _PASSING or mention.from_pod:
        return None
    return Call(
        FindingClass.W_OTHER,
        Severity.WARNING,
        f"{said} It may pull or push by itself, with a login that is not in imagePullSecrets.",
        "see that it logs in, before the flip",
    )


def images_used(kept: Reduction) -> frozenset[ImageReference]:
    """Return the images of judged pods that an operator may have made, or put an image into.

    An application that happens to use the same image says nothing of the operator's pods. So what counts are pods of
    controllers that are not built in, at any height, and images that a pod has and its template does not. Nor do these
    say anything of an image that an application has as well: they may be another application, in a CloneSet.
    """
    found = {
        image
        for key in kept.pods
        if key.owner is not None and kept.judged(key.namespace)
        for image in _of_operators(kept, key, kept.top(key.namespace, key.owner))
    }
    return frozenset(found - _of_applications(kept)) if found else frozenset()


def _of_applications(kept: Reduction) -> set[ImageReference]:
    """Return the images of templates that no other object controls."""
    return {
        image
        for reduced in kept.workloads.values()
        if reduced.workload.controller is None
        for text in reduced.images
        if (image := kept.image(text))
    }


def _of_operators(kept: Reduction, key: PodKey, top: Owner) -> Iterator[ImageReference]:
    images = (image for use in key.uses if (image := kept.image(use.image)))
    template = kept.workloads.get((key.namespace, top.kind, top.name))
    if template is None:
        yield from images if top.kind not in WORKLOAD_KINDS else ()
    elif template.workload.controller is not None:
        yield from images
    else:
        own = {image.repository for text in template.images if (image := kept.image(text))}
        yield from (image for image in images if image.repository not in own)
