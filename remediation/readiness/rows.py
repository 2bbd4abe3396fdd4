"""Turning what was decided about an object's images into findings: one row for each class, not for each image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from remediation.readiness.call import Call
from remediation.readiness.coverage import Cover
from remediation.readiness.finding import Coverage, Finding, FindingClass, Severity
from remediation.readiness.observation import Owner
from remediation.readiness.proof import Level

REPOSITORY = "Repository"  # the kind of a finding about the registry's repositories
NO_COVER = Cover(Coverage.NONE)
_GRAVEST_FIRST = (Severity.BLOCKING, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one image of an object."""

    image: str
    call: Call
    cover: Cover = NO_COVER
    admitted: bool = False


def rows(
    cluster: str,
    namespace: str,
    owner: Owner,
    decisions: Iterable[Decision],
    *,
    number: int = 1,
    examples: Sequence[str] = (),
    apart: frozenset[FindingClass] = frozenset(),
) -> tuple[Finding, ...]:
    """Return the findings about an object; of a class the image that matters most stands for the others.

    Of the classes in `apart` each image is a finding of its own.
    """
    by_class: dict[tuple[FindingClass, str], list[Decision]] = {}
    for decision in decisions:
        found = decision.call.finding_class
        key = (found, decision.image if found in apart else "")
        by_class.setdefault(key, []).append(decision)
    return tuple(
        _row(cluster, namespace, owner, alike, number, tuple(examples))
        for alike in by_class.values()
    )


def _row(
    cluster: str,
    namespace: str,
    owner: Owner,
    alike: Sequence[Decision],
    number: int,
    examples: tuple[str, ...],
) -> Finding:
    # The first of the worst: one image that is only worth a look must not hide another that blocks.
    first = min(alike, key=lambda decision: _GRAVEST_FIRST.index(decision.call.severity))
    images = len({decision.image for decision in alike})
    more = f" So are {images - 1} more of its images." if images > 1 else ""
    return Finding(
        cluster,
        namespace,
        owner.kind,
        owner.name,
        first.image,
        first.call.finding_class,
        first.call.severity,
        first.cover.code,
        first.call.explanation + more,
        first.call.fix,
        number,
        examples,
        _evidence(first),
        first.call.doubt,
    )


def _evidence(decision: Decision) -> tuple[Level, ...]:
    levels = [level for level in Level if decision.cover.level.includes(level)]
    return (*levels, *((Level.ADMISSION,) if decision.admitted else ()))
