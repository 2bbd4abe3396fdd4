"""Findings about pod specs that name the registry where no image is: variables, arguments, volumes of drivers."""

import re
from collections.abc import Iterable

from remediation.image import ImageReference
from remediation.readiness.call import Call
from remediation.readiness.finding import FindingClass, Severity
from remediation.readiness.observation import By, Mention
from remediation.readiness.reduction import Reduction

_WORDS = re.compile(r"[\s=,;\"']+")
_PASSING = ("Job",)


def judge_spoken(kept: Reduction, mention: Mention, used: frozenset[ImageReference]) -> Call | None:
    """Return what a text means, None for nothing to tell; `used` are the images of all judged pods and templates."""
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
            f"{said} Pods with this image are judged themselves.",
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


def images_used(kept: Reduction, texts: Iterable[str]) -> frozenset[ImageReference]:
    """Return the images of judged pods and of `texts`."""
    of_pods = (use.image for key in kept.pods if kept.judged(key.namespace) for use in key.uses)
    return frozenset(image for text in (*texts, *of_pods) if (image := kept.image(text)))
