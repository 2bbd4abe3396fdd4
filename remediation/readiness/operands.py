"""Which images that operators are told of are accounted for by pods that are judged.

An application that happens to use the same image says nothing of the operator's pods. So what counts are pods of
controllers that are not built in, at any height, and images that a pod has and its template does not. Nor do these say
anything of an image that an application has as well: they may be another application, in a CloneSet.

Whose pods they are cannot be seen. Pods of one API group in one namespace account for one teller: for one of their own
namespace, else, if none there needs them, for one of another. The others may still make pods that are not there.
"""

from collections.abc import Iterable, Iterator

from remediation.image import ImageReference
from remediation.readiness.observation import WORKLOAD_KINDS, Owner
from remediation.readiness.reduction import PodKey, Reduction

Claim = tuple[str, Owner, ImageReference]


def accounted(kept: Reduction, claims: Iterable[Claim]) -> frozenset[Claim]:
    """Return the claims (namespace, teller, image) that pods account for; each teller claims an image once."""
    there = _there(kept)
    waiting = list(dict.fromkeys(claims))
    found: set[Claim] = set()
    used: set[tuple[ImageReference, str]] = set()
    for claim in waiting:
        namespace, _, image = claim
        own = sorted(place for place in there.get(image, ()) if place[0] == namespace)
        if own:
            there[image].remove(own[0])
            used.add((image, own[0][1]))
            found.add(claim)
    for claim in waiting:
        image = claim[2]
        groups = {group for _, group in there.get(image, ()) if (image, group) not in used}
        if claim not in found and groups:
            used.add((image, min(groups)))
            found.add(claim)
    return frozenset(found)


def _there(kept: Reduction) -> dict[ImageReference, set[tuple[str, str]]]:
    """Return in which namespaces, and for which API groups, judged pods of operators have an image."""
    found: dict[ImageReference, set[tuple[str, str]]] = {}
    for key in kept.pods:
        if key.owner is not None and kept.judged(key.namespace):
            top = kept.top(key.namespace, key.owner)
            for image in _of_operators(kept, key, top):
                found.setdefault(image, set()).add((key.namespace, top.group))
    applications = _of_applications(kept) if found else set()
    return {image: places for image, places in found.items() if image not in applications}


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
