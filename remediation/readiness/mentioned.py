"""Findings about objects that are no judged template and name the registry: custom resources and the like.

A field is explained by judged pods that its object controls, of the same image and the same pull configuration; each
workload explains one field. Everything else is in doubt: what a controller does with a field cannot be seen.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from remediation.image import ImageReference
from remediation.readiness.asking import KNATIVE_CACHING, Asking, encloses, is_echo, nearest
from remediation.readiness.call import Call
from remediation.readiness.coverer import Coverer
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.futures import Maker
from remediation.readiness.observation import By, Mention, Owner, Pull, Scope
from remediation.readiness.reduction import Reduction
from remediation.readiness.rows import Decision, rows
from remediation.readiness.spoken import judge_spoken
from remediation.readiness.wakers import KNATIVE

_Place = tuple[str, Owner]
_MOST_LINKS = 5
# Where verifiers of images say which images they mean.
_PATTERNS = re.compile(
    r"spec\.(?:rules\[\d+\]\.verifyImages\[|matchImageReferences\[|images\[|repositories\[)"
)
_WAIVE = "find out how it logs in, then waive this with an owner and a date"


@dataclass(frozen=True, slots=True)
class _Use:
    """What makes one kind of pod in an object: its fields that are images, and what applies to pulling them."""

    mentions: tuple[Mention, ...]
    images: frozenset[ImageReference]
    secrets: Pull | None
    account: Pull | None


class Explanations:
    """Which fields of custom resources are accounted for by pods that are judged."""

    def __init__(
        self,
        kept: Reduction,
        makers: Iterable[Maker],
        coverer: Coverer,
        well: Callable[[Maker], bool],
    ) -> None:
        self._kept = kept
        self._coverer = coverer
        self._asking = Asking(kept, coverer)
        self._links = {
            (mention.namespace, mention.owner): mention.controller
            for mention in kept.mentions
            if mention.controller
        }
        makers = list(makers)
        self._by_owner: dict[_Place, list[Maker]] = {}
        for maker in makers:
            # One that wants no pods says nothing of those to come, unless they would be well.
            if not maker.future.dormant or well(maker):
                for owner in self._owners(maker):
                    place = (maker.future.namespace, owner)
                    self._by_owner.setdefault(place, []).append(maker)

    def findings(self) -> Iterator[Finding]:
        """Yield a finding for each field in judged namespaces, and outside of all."""
        for (namespace, owner), mentions in self._objects(judged=True):
            for decision in self._decisions(namespace, owner, mentions):
                yield from rows(self._kept.options.cluster, namespace, owner, [decision])

    def _decisions(
        self, namespace: str, owner: Owner, mentions: Sequence[Mention]
    ) -> Iterator[Decision]:
        calls = self._calls(namespace, owner, mentions)
        for mention in mentions:
            # An image holds no secret. Any other text may: a URL with a login, a docker config. It is not told.
            image = self._kept.image(mention.text)
            told = mention.text if image else str(self._kept.options.target)
            why = calls.get(id(mention))
            call = self._asking.call(mention, _said(mention, told), why)
            yield Decision(told, call or _call(mention, told, why))

    def spoken(self) -> Iterator[Finding]:
        """Yield what pod specs in judged namespaces say of the registry besides their images."""
        cluster, target = self._kept.options.cluster, str(self._kept.options.target)
        inside = [one for one in dict.fromkeys(self._kept.mentions) if self._inside(one)]
        polls = ((one, self._asking.polled(one)) for one in inside if one.by is By.POLL)
        said = [one for one in inside if one.by in (By.TEXT, By.VOLUME)]
        for mention, call in (*polls, *judge_spoken(self._kept, said)):
            if call:
                yield from rows(cluster, mention.namespace, mention.owner, [Decision(target, call)])

    def left_out(self) -> Mapping[str, int]:
        """Return how many objects are in doubt in each namespace that is not judged."""
        return Counter(
            namespace
            for (namespace, owner), mentions in self._objects(judged=False)
            if any(
                decision.call.severity is not Severity.INFO
                for decision in self._decisions(namespace, owner, mentions)
            )
        )

    def _objects(self, *, judged: bool) -> Iterator[tuple[_Place, list[Mention]]]:
        verifiers = {(one.namespace, one.owner) for one in self._kept.verifiers}
        objects: dict[_Place, list[Mention]] = {}
        for mention in self._kept.mentions:
            known = (mention.namespace, mention.owner) in verifiers and _PATTERNS.match(
                mention.field
            )
            if mention.by is By.FIELD and self._inside(mention) is judged and not known:
                objects.setdefault((mention.namespace, mention.owner), []).append(mention)
        yield from objects.items()

    def _inside(self, mention: Mention) -> bool:
        return not mention.namespace or self._kept.scope(mention.namespace) is Scope.JUDGED

    def _calls(
        self, namespace: str, owner: Owner, mentions: Sequence[Mention]
    ) -> Mapping[int, str]:
        """Return for the fields that are images, by id, why they are in doubt, "" if they are explained."""
        uses = self._uses(mentions)
        makers = self._by_owner.get((namespace, owner), [])
        if owner.group == KNATIVE_CACHING and (above := mentions[0].controller):
            makers = self._by_owner.get((namespace, above), [])
        taken: set[tuple[int, ImageReference]] = set()
        found: dict[int, str] = {}
        for use in sorted(uses, key=lambda use: not (use.secrets or use.account)):
            why = self._take(namespace, owner, use, makers, taken)
            found |= dict.fromkeys(map(id, use.mentions), why)
        explained = {
            image.repository
            for use in uses
            if found[id(use.mentions[0])] == ""
            for image in use.images
        }
        for mention in mentions:
            image = self._kept.image(mention.text)
            if owner.group == KNATIVE and is_echo(mention) and image:
                found[id(mention)] = "" if image.repository in explained else " "
        strays = self._strays(namespace, mentions, uses, makers)
        if strays:
            why = f"It also names {strays[0]}, which is not what its judged pods have. "
            found = {field: doubt or why for field, doubt in found.items()}
        return found

    def _take(
        self,
        namespace: str,
        owner: Owner,
        use: _Use,
        makers: Sequence[Maker],
        taken: set[tuple[int, ImageReference]],
    ) -> str:
        """Use a workload up for a use; return why none explains it, "" for one that does."""
        why = ""
        fitting = [
            (number, maker) for number, maker in enumerate(makers) if self._fits(owner, use, maker)
        ]
        # One that has just this configuration first: another field may need the one that is covered either way.
        fitting.sort(key=lambda one: not self._same(one[1], use))
        for number, maker in fitting:
            if any((number, image) in taken for image in use.images):
                why = (
                    why
                    or "Pods that it controls use this image, and another field of it accounts for them. "
                )
            elif self._same(maker, use) or self._covered(namespace, use):
                taken |= {(number, image) for image in use.images}
                return ""
            else:
                named = _named(use.secrets if use.secrets else use.account)
                why = f"It names {named}, which is not what its judged pods have. "
        return why or " "

    def _fits(self, owner: Owner, use: _Use, maker: Maker) -> bool:
        """Tell whether a workload has the images of a use; Knative makes a digest of the tag that it was told."""
        there = {image for text in maker.images if (image := self._kept.image(text))}
        resolved = {image.repository for image in there if image.digest}
        return all(
            image in there or (owner.group == KNATIVE and image.repository in resolved)
            for image in use.images
        )

    @staticmethod
    def _same(maker: Maker, use: _Use) -> bool:
        future = maker.future
        return (use.secrets is None or set(use.secrets.secrets) == set(future.own)) and (
            use.account is None or use.account.account == future.account_name
        )

    def _covered(self, namespace: str, use: _Use) -> bool:
        """Tell whether what applies to a use covers it whichever of it is used."""
        return all(
            self._covers(namespace, pull, use.images) for pull in (use.secrets, use.account) if pull
        )

    def _covers(self, namespace: str, pull: Pull, images: Iterable[ImageReference]) -> bool:
        names = pull.secrets
        if pull.account:
            account = self._kept.accounts.get((namespace, pull.account))
            names = account.pull_secrets if account else ()
        return all(
            self._coverer.cover(namespace, names, image.repository).covers for image in images
        )

    def _strays(
        self,
        namespace: str,
        mentions: Sequence[Mention],
        uses: Sequence[_Use],
        makers: Sequence[Maker],
    ) -> list[str]:
        """Return what an object names for pulling elsewhere than above its images, if nothing accounts for it."""
        applied = {pull for use in uses for pull in (use.secrets, use.account) if pull}
        images = {image for use in uses for image in use.images}
        own = [set(maker.future.own) for maker in makers]
        accounts = {maker.future.account_name for maker in makers}
        return [
            _named(pull)
            for pull in dict.fromkeys(mentions[0].pulls)
            if pull not in applied
            and not (pull.account in accounts if pull.account else set(pull.secrets) in own)
            and not self._covers(namespace, pull, images)
        ]

    def _uses(self, mentions: Sequence[Mention]) -> tuple[_Use, ...]:
        by_use: dict[str, list[Mention]] = {}
        for mention in mentions:
            echo = mention.owner.group == KNATIVE and is_echo(mention)
            if self._kept.image(mention.text) and not (mention.more or echo):
                by_use.setdefault(mention.use, []).append(mention)
        return tuple(
            _Use(
                tuple(alike),
                frozenset(image for one in alike if (image := self._kept.image(one.text))),
                nearest(
                    pull for pull in alike[0].pulls if encloses(pull, alike[0]) and pull.secrets
                ),
                nearest(
                    pull for pull in alike[0].pulls if encloses(pull, alike[0]) and pull.account
                ),
            )
            for alike in by_use.values()
        )

    def _owners(self, maker: Maker) -> Iterator[Owner]:
        """Yield what makes the pods and what controls that, up to the custom resource that somebody wrote."""
        future = maker.future
        reduced = self._kept.workloads.get((future.namespace, future.owner.kind, future.owner.name))
        owner = reduced.workload.controller if reduced else None
        yield future.owner
        for _ in range(_MOST_LINKS):
            if owner is None:
                return
            yield owner
            owner = self._links.get((future.namespace, owner))


def _named(pull: Pull | None) -> str:
    if pull is None:
        return "nothing"
    if pull.account:
        return f"ServiceAccount '{pull.account}'"
    return f"the Secrets {', '.join(map(repr, pull.secrets))}"


def _said(mention: Mention, told: str) -> str:
    where = f"Its field {mention.field}" if mention.field else "It"
    return f"{where} names the registry: {told}."


def _call(mention: Mention, told: str, why: str | None) -> Call:
    if mention.more:
        return Call(
            FindingClass.W_OTHER,
            Severity.BLOCKING,
            "It names the registry in more fields than are looked at: what the rest say is not known.",
            _WAIVE,
            doubt=True,
        )
    if mention.unread:
        return Call(
            FindingClass.W_OTHER,
            Severity.BLOCKING,
            f"Its field {mention.field} holds more than is decoded, or what cannot be: whether it names the registry"
            " is not known.",
            "look into it, then waive this with an owner and a date",
            doubt=True,
        )
    said = _said(mention, told)
    if why == "":
        return Call(
            FindingClass.W_OTHER,
            Severity.INFO,
            f"{said} The pods that it controls use this image, and are judged themselves.",
        )
    return Call(
        FindingClass.W_OTHER,
        Severity.BLOCKING,
        f"{said} {(why or '').lstrip()}What its controller does with it, and with which login, cannot be seen.",
        _WAIVE,
        doubt=True,
    )
