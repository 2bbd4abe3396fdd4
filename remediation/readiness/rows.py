"""Turning what was decided about an object's images into findings: one row for each class, not for each image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from remediation.readiness.call import Call
from remediation.readiness.coverage import Cover
from remediation.readiness.finding import Coverage, Finding, FindingClass
from remediation.readiness.observation import Owner
from remediation.readiness.proof import Level

NO_COVER = Cover(Coverage.NONE)


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
) -> tuple[Finding, ...]:
    """Return the findings about an object; the first image of a class stands for the others."""
    by_class: dict[FindingClass, list[Decision]] = {}
    for decision in decisions:
        by_class.setdefault(decision.call.finding_class, []).append(decision)
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
    first = alike[0]
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
