"""The outcome for one cluster."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.observation import Owner
from remediation.readiness.renewing import Renewer

_ORDER = {Severity.BLOCKING: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Renewal:
    """Pods that stay uncovered until they are made anew; `urgency` counts from 0, the most urgent.

    `ready` tells that a new pod in their place would be covered, or that only a new pod can show it (`unsure`).
    `labels` are those of the pods.
    """

    namespace: str
    renewer: Renewer
    pods: tuple[str, ...]
    labels: Mapping[str, str] = field(hash=False)
    urgency: int
    ready: bool
    unsure: bool = False

    @property
    def owner(self) -> Owner:
        """The controller that a step is about."""
        return self.renewer.owner


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found on one cluster: findings, the worst first, and how many objects there are of each class.

    `pods` and `workloads` are those that use the target, in judged namespaces.
    """

    cluster: str
    findings: tuple[Finding, ...]
    counts: Mapping[FindingClass, int]
    pods: int = 0
    workloads: int = 0
    repositories: int = 0
    renewals: tuple[Renewal, ...] = ()


def together(judgements: Iterable[Judgement]) -> Judgement:
    """Return one judgement of several about the same cluster, one for each registry.

    What is about the cluster itself, each of them says; it counts once.
    """
    every = list(judgements)
    findings = in_order(dict.fromkeys(found for each in every for found in each.findings))
    return Judgement(
        every[0].cluster,
        findings,
        count(findings),
        sum(each.pods for each in every),
        sum(each.workloads for each in every),
        sum(each.repositories for each in every),
        tuple(renewal for each in every for renewal in each.renewals),
    )


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings as they are shown: what blocks first, then by place."""
    return tuple(
        sorted(
            findings,
            key=lambda found: (
                _ORDER[found.severity],
                found.waiver is not None,
                found.namespace,
                found.kind,
                found.name,
                found.finding_class,
                found.image,
                found.examples,
            ),
        )
    )


def count(findings: Sequence[Finding]) -> Mapping[FindingClass, int]:
    """Return how many objects each class has."""
    counts: Counter[FindingClass] = Counter()
    for found in findings:
        counts[found.finding_class] += found.count
    return dict(counts)
