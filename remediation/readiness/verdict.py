"""The verdict over all clusters: safe, not safe, or not known."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.judgement import Judgement

_MOST_REASONS = 5


class Verdict(StrEnum):
    """The answer; what is not known never makes it better."""

    SAFE = "safe"
    NOT_SAFE = "not_safe"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Summary:
    """The verdict in numbers and in words.

    `counts` are objects by class, `severities` objects by severity; waived ones are in both and in `waived`. `reasons`
    name what keeps the verdict from being safe, the largest classes first.
    """

    verdict: Verdict
    text: str
    counts: Mapping[FindingClass, int]
    severities: Mapping[Severity, int]
    waived: int
    pods: int
    workloads: int
    reasons: tuple[str, ...]


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict that findings allow."""
    blocking = [finding for finding in findings if finding.blocks]
    if any(not finding.doubt for finding in blocking):
        return Verdict.NOT_SAFE
    return Verdict.UNKNOWN if blocking else Verdict.SAFE


def summarise(judgements: Sequence[Judgement]) -> Summary:
    """Return the verdict over some clusters; without any it is unknown, since nothing was looked at."""
    findings = [finding for judgement in judgements for finding in judgement.findings]
    verdict = verdict_of(findings) if judgements else Verdict.UNKNOWN
    counts: Counter[FindingClass] = Counter()
    for judgement in judgements:
        counts.update(judgement.counts)
    severities: Counter[Severity] = Counter()
    for finding in findings:
        severities[finding.severity] += finding.count
    pods = sum(judgement.pods for judgement in judgements)
    workloads = sum(judgement.workloads for judgement in judgements)
    reasons = _reasons(findings)
    return Summary(
        verdict,
        _text(verdict, pods, workloads, reasons),
        dict(counts),
        dict(severities),
        sum(finding.count for finding in findings if finding.waiver),
        pods,
        workloads,
        reasons,
    )


def _reasons(findings: Iterable[Finding]) -> tuple[str, ...]:
    blocking: dict[FindingClass, list[Finding]] = {}
    for finding in findings:
        if finding.blocks:
            blocking.setdefault(finding.finding_class, []).append(finding)
    # What is known to be wrong comes before what is not known, the largest first.
    ordered = sorted(
        blocking.values(),
        key=lambda alike: (alike[0].doubt, -sum(finding.count for finding in alike)),
    )
    return tuple(_reason(alike) for alike in ordered)


def _reason(alike: Sequence[Finding]) -> str:
    first = alike[0]
    place = "/".join(part for part in (first.namespace, first.kind, first.name) if part)
    number = sum(finding.count for finding in alike)
    return f"{number} x {first.finding_class}, such as {first.cluster}: {place}"


def _text(verdict: Verdict, pods: int, workloads: int, reasons: Sequence[str]) -> str:
    looked = f"{pods} pods and {workloads} workloads use it"
    if verdict is Verdict.SAFE:
        return (
            f"The registry can be flipped: {looked}, and what would break is accepted, if anything."
        )
    start = (
        "Pods would break"
        if verdict is Verdict.NOT_SAFE
        else "Whether pods would break is not known"
    )
    listed = "; ".join(reasons[:_MOST_REASONS]) or "nothing was looked at"
    more = len(reasons) - _MOST_REASONS
    rest = f"; and {more} classes more" if more > 0 else ""
    return f"{start} ({looked}): {listed}{rest}."
