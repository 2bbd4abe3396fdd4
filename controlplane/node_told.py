"""What a kubelet tells of pulls in the events of a pod."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from controlplane.pull import Pull, PullOutcome

Manifest = Mapping[str, Any]

# A dangling name in imagePullSecrets is told so, and the pull goes on without.
SECRET_MISSING = "FailedToRetrieveImagePullSecret"

_PULLED = re.compile(r'^(?:Successfully pulled image|Container image) "([^"]*)"')
_REFUSED = re.compile(
    r'^Failed to (?:pull image|inspect image|apply default image tag) "([^"]*)": (.*)', re.S
)
_OUTCOMES = (
    (
        re.compile(r"401|no basic auth credentials|authorization failed|insufficient_scope"),
        PullOutcome.UNAUTHORIZED,
    ),
    (re.compile(r"unexpected status|403 Forbidden|429 "), PullOutcome.HTTP_STATUS),
    (re.compile(r": not found|manifest unknown"), PullOutcome.NOT_FOUND),
    (re.compile(r"dial tcp|failed to do request|i/o timeout|EOF"), PullOutcome.NETWORK),
)


def pulls(pod: Manifest, events: Iterable[Manifest]) -> dict[str, Pull]:
    """Return the first that the events of a pod say of each of its images; no entry while nothing is said."""
    told = sorted(events, key=_order)
    found: dict[str, Pull] = {}
    for one in (*map(_pull, told), *_without_image(pod, told)):
        if one is not None:
            found.setdefault(one.image, one)
    return found


def settled(pod: Manifest, events: Iterable[Manifest]) -> bool:
    """Whether each container was started or failed, or one failed that others wait for."""
    ended = _ended(events)
    first = _places(pod, "initContainers")
    if any(ended.get(place) == "Failed" for place in first):
        return True
    return set(ended) >= {*first, *_places(pod, "containers")}


def pulled(pod: Manifest, events: Iterable[Manifest]) -> bool:
    """Whether something is said of each image."""
    return set(pulls(pod, events)) >= {*_places(pod, "containers").values()}


def started(pod: Manifest, events: Iterable[Manifest]) -> bool:
    """Whether every container was started."""
    ended = _ended(events)
    places = [*_places(pod, "initContainers"), *_places(pod, "containers")]
    return all(ended.get(place) == "Started" for place in places)


def warnings(events: Iterable[Manifest]) -> set[str]:
    """Return the reasons of all warnings."""
    return {event["reason"] for event in events if event["type"] == "Warning"}


def _pull(event: Manifest) -> Pull | None:
    text, reason = event["message"], event["reason"]
    if reason == "Pulled" and (match := _PULLED.match(text)):
        return Pull(match[1], PullOutcome.OK, text)
    if reason in ("Failed", "InspectFailed") and (match := _REFUSED.match(text)):
        return Pull(match[1], _outcome(match[2]), match[2])
    return None


def _without_image(pod: Manifest, told: Iterable[Manifest]) -> Iterator[Pull]:
    """Yield what is said of containers that got no image, for reasons in which no image is named.

    An image volume that is not there for such a reason is told of as a failure of the container that mounts it.
    """
    named = {**_places(pod, "initContainers"), **_places(pod, "containers")}
    volumes = [
        one["image"]["reference"] for one in pod["spec"].get("volumes") or () if "image" in one
    ]
    for event in told:
        image = named.get(event["involvedObject"].get("fieldPath", ""))
        if image and event["reason"] in ("Failed", "ErrImageNeverPull"):
            for each in (image, *volumes):
                yield Pull(each, PullOutcome.FAILED, event["message"])


def _places(pod: Manifest, kind: str) -> dict[str, str]:
    """Return the images of containers by the path that events have for them."""
    return {f"spec.{kind}{{{one['name']}}}": one["image"] for one in pod["spec"].get(kind) or ()}


def _ended(events: Iterable[Manifest]) -> dict[str, str]:
    """Return "Started" or "Failed" by the path of a container."""
    return {
        event["involvedObject"].get("fieldPath", ""): event["reason"]
        for event in events
        if event["reason"] in ("Started", "Failed")
    }


def _outcome(text: str) -> PullOutcome:
    return next(
        (outcome for pattern, outcome in _OUTCOMES if pattern.search(text)), PullOutcome.FAILED
    )


def _order(event: Manifest) -> tuple[str, int]:
    return event["firstTimestamp"] or "", int(event["metadata"]["resourceVersion"])
