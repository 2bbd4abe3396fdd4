"""Findings about tools that log in to the registry by themselves, with pull Secrets, and try one login.

The kubelet tries every login that matches an image. Knative's tag resolver, updaters and image caches take the first
that they find (knative/serving#13126, keel-hq/keel#798, enix/kube-image-keeper#237): where a list holds two, it may be
the one that cannot pull.
"""

import re
from collections.abc import Iterator

from remediation.docker_config import Login
from remediation.image import ImageReference
from remediation.readiness.call import Call
from remediation.readiness.coverer import Coverer
from remediation.readiness.finding import Coverage, FindingClass, Severity
from remediation.readiness.observation import Asks, By, Mention, Pull
from remediation.readiness.reduction import Reduction
from remediation.readiness.wakers import KNATIVE
from remediation.readiness.workloads import DEFAULT_ACCOUNT

# Knative asks others to cache what its Revisions use; each of these belongs to a Revision.
KNATIVE_CACHING = "caching.internal.knative.dev"
_ECHO = "client.knative.dev/user-image"  # the tag that `kn` was told, beside the image
_BETWEEN = re.compile(r"[\s,]+")
_WAIVE = "or waive this with an owner and a date"


class Asking:
    """Judges what tools ask the registry with."""

    def __init__(self, kept: Reduction, coverer: Coverer) -> None:
        self._kept = kept
        self._coverer = coverer
        # kube-image-keeper names the Secrets in another object than the image.
        self._keepers = {
            (mention.asks.tool, image.repository): mention.asks
            for mention in kept.mentions
            if mention.asks and mention.asks.secrets
            for image in _images(kept, mention.text)
        }

    def call(self, mention: Mention, said: str, why: str | None) -> Call | None:
        """Return what a field means that a tool reads, None if no tool is known to; `why` as in `Explanations`."""
        if mention.more:
            return None
        if mention.owner.group == KNATIVE:
            return self._knative(mention, said, why)
        if mention.asks is None:
            return None
        asks, images = mention.asks, _images(self._kept, mention.text)
        if not (asks.secrets or asks.account) and images:
            asks = self._keepers.get((asks.tool, images[0].repository), asks)
        return self._judge(asks, images, said)

    def polled(self, mention: Mention) -> Call | None:
        """Return what it means that a tool asks for the newest image of a workload."""
        images = _images(self._kept, mention.text)
        if mention.asks is None or not images:
            return None
        return self._judge(mention.asks, images, f"It has the image {images[0]}.")

    def _judge(self, asks: Asks, images: tuple[ImageReference, ...], said: str) -> Call:
        told = f"{said} {asks.tool} asks the registry for it by itself and tries one login."
        names = self._kept.names_for(asks)
        where = asks.named_in or "the field for it"
        if not names or not images:
            return _doubt(
                f"{told} Which login it has is not named, and cannot be seen.",
                f"name a Secret with the login in {where}, {_WAIVE} if the tool has a login of its own",
            )
        logins, listed = self._logins(asks, images), _listed(names)
        if logins is None:
            return _doubt(
                f"{told} What {listed} hold for the registry is not known.",
                f"let the worker read these Secrets, {_WAIVE}",
            )
        if len(logins) > 1 and not (asks.in_order and self._first(asks, images)):
            return _doubt(
                f"{told} {listed} hold {len(logins)} logins for the registry: it may try one that cannot pull.",
                f"name one Secret with the login in {where}, or leave one login for the registry in {listed}, {_WAIVE}",
            )
        if self._covers(asks, images):
            return Call(FindingClass.W_OTHER, Severity.INFO, f"{told} {listed} hold the right one.")
        return _doubt(
            f"{told} That {listed} hold the right one is not shown.",
            f"name a Secret with the login in {where}, {_WAIVE}",
        )

    def _knative(self, mention: Mention, said: str, why: str | None) -> Call | None:
        resolver = "Knative looks up a tag with pull Secrets by itself and tries one login, the first that matches"
        if why != "":
            reason = (why or "").strip()
            return _doubt(
                f"{said} {reason}{' ' if reason else ''}{resolver}; a Deployment with this repository and what"
                " the object names for pulling is not seen.",
                f"judge again once its Revision is ready, {_WAIVE}",
            )
        image = self._kept.image(mention.text)
        above = mention.controller
        if image is None or image.digest or is_echo(mention) or (above and above.group == KNATIVE):
            return None  # no tag, or another field or object is what the next Revision comes of
        asks = asked_by_knative(mention)
        logins = self._logins(asks, (image,))
        if logins is not None and (len(logins) < 2 or self._first(asks, (image,))):
            return None
        names = self._kept.names_for(asks)
        held = "an unknown number of" if logins is None else str(len(logins))
        return _doubt(
            f"{said} The pods that it controls are judged themselves. {resolver}: {_listed(names)} hold {held} logins"
            " for it, so the next Revision may fail.",
            f"leave one login for the registry in these Secrets, have the right one first in the imagePullSecrets of"
            f" ServiceAccount '{asks.account}', name the image by digest, {_WAIVE}",
        )

    def _first(self, asks: Asks, images: tuple[ImageReference, ...]) -> bool:
        names = self._kept.names_for(asks)
        found = [self._coverer.cover(asks.namespace, names, one.repository) for one in images]
        return all(each.code is Coverage.COVERED for each in found)

    def _covers(self, asks: Asks, images: tuple[ImageReference, ...]) -> bool:
        names = self._kept.names_for(asks)
        return all(
            self._coverer.cover(asks.namespace, names, one.repository).covers for one in images
        )

    def _logins(self, asks: Asks, images: tuple[ImageReference, ...]) -> frozenset[Login] | None:
        """Return the logins of the image that most match; None where that is not known."""
        names = self._kept.names_for(asks)
        found = [self._coverer.presented(asks.namespace, names, one.repository) for one in images]
        known = [each for each in found if each is not None]
        return max(known, key=len) if len(known) == len(found) and known else None


def asked_by_knative(mention: Mention) -> Asks:
    """Return with what Knative looks up the tag in a field: Secrets and ServiceAccount that are named above it."""
    secrets = nearest(pull for pull in mention.pulls if encloses(pull, mention) and pull.secrets)
    account = nearest(pull for pull in mention.pulls if encloses(pull, mention) and pull.account)
    return Asks(
        "Knative",
        mention.namespace,
        secrets.secrets if secrets else (),
        account.account if account else DEFAULT_ACCOUNT,
        in_order=True,
    )


def is_echo(mention: Mention) -> bool:
    """Tell whether a field only repeats what the image of the same object was."""
    return _ECHO in mention.field


def encloses(pull: Pull, mention: Mention) -> bool:
    """Tell whether what an object names for pulling stands above a field."""
    return not pull.place or mention.field.startswith((f"{pull.place}.", f"{pull.place}["))


def nearest(pulls: Iterator[Pull]) -> Pull | None:
    """Return the one that is nearest to the field, None for none."""
    return max(pulls, key=lambda pull: len(pull.place), default=None)


def named_by_askers(kept: Reduction) -> Iterator[tuple[str, str]]:
    """Yield (namespace, name) of Secrets that tools log in with, in judged namespaces."""
    for mention in kept.mentions:
        knative = mention.owner.group == KNATIVE and mention.by is By.FIELD
        asks = asked_by_knative(mention) if knative else mention.asks
        if asks and kept.judged(asks.namespace):
            yield from ((asks.namespace, name) for name in kept.names_for(asks) if name)


def _images(kept: Reduction, text: str) -> tuple[ImageReference, ...]:
    """Return the images of the registry in a text: also after a name (`app=`), a scheme, and before a range of tags."""
    words = (
        word.rpartition("=")[2].rpartition("://")[2].rstrip("/") for word in _BETWEEN.split(text)
    )
    found = (kept.image(word) or kept.image(re.sub(r":[^:/]*$", "", word)) for word in words)
    return tuple(dict.fromkeys(image for image in found if image))


def _listed(names: tuple[str, ...]) -> str:
    several = "Secrets" if len(names) > 1 else "Secret"
    return f"{several} {', '.join(map(repr, names))}"


def _doubt(explanation: str, fix: str) -> Call:
    return Call(FindingClass.W_OTHER, Severity.BLOCKING, explanation, fix, doubt=True)
