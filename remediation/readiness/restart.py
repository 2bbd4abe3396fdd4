"""A plan to renew pods that stay uncovered until they are made anew. It is a plan: nothing here restarts anything.

A rollout does not ask PodDisruptionBudgets, so the order has to respect them: controllers whose pods share a budget are
never in one batch, a budget that allows no disruption holds its controllers back, and pods that are deleted by hand go
in portions that the budget allows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediation.label_selector import LabelSelector, Requirement
from remediation.readiness import renewing
from remediation.readiness.judgement import Judgement, Renewal
from remediation.readiness.observation import DisruptionBudget

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


@dataclass(frozen=True, slots=True)
class Step:
    """One controller: the lines to run one after the other; `budgets` are the names that its pods fall under.

    `batch` counts from 0: steps of one batch may run at the same time, the next batch after all of them. `held` says
    why a step has to wait: it is in no batch (-1). `note` says what to heed while its lines run.
    """

    namespace: str
    kind: str
    name: str
    pods: int
    batch: int
    lines: tuple[str, ...]
    budgets: tuple[str, ...] = ()
    held: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class RestartPlan:
    """Steps of one cluster in order: batches, then what is held. `recreate` names pods that nobody makes again."""

    cluster: str
    steps: tuple[Step, ...]
    recreate: tuple[str, ...] = ()


def selector_of(selector: Mapping[str, Any] | None) -> LabelSelector | None:
    """Return a label selector as the API writes it (matchLabels, matchExpressions); None selects nothing.

    Raises ValueError for an operator that does not exist.
    """
    if selector is None:
        return None
    labels, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    found = [Requirement(key, "in", frozenset({value})) for key, value in labels.items()]
    for expression in expressions:
        operator = _OPERATORS.get(expression["operator"])
        if operator is None:
            raise ValueError(f"'{expression['operator']}' is no operator of a label selector")
        values = frozenset(expression.get("values") or ())
        found.append(Requirement(expression["key"], operator, values))
    return LabelSelector(tuple(found))


def plan_restarts(judgement: Judgement, budgets: Iterable[DisruptionBudget]) -> RestartPlan:
    """Return the plan for one cluster; `budgets` are all of its PodDisruptionBudgets."""
    known = [(budget, selector_of(budget.selector)) for budget in budgets]
    batches: list[set[tuple[str, str]]] = []
    steps, held = [], []
    for renewal in _merged(judgement.renewals):
        if renewal.owner.kind == "Pod":
            continue
        mine = [
            budget
            for budget, selector in known
            if selector is not None
            and budget.namespace == renewal.namespace
            and selector.matches(renewal.labels)
        ]
        reason = _held(renewal, mine)
        if reason:
            held.append(_step(judgement.cluster, renewal, mine, -1, reason))
            continue
        taken = {(budget.namespace, budget.name) for budget in mine}
        batch = _first_free(batches, taken)
        batches[batch] |= taken
        steps.append(_step(judgement.cluster, renewal, mine, batch, ""))
    bare = sorted(
        f"{renewal.namespace}/{renewal.owner.name}"
        for renewal in judgement.renewals
        if renewal.owner.kind == "Pod"
    )
    ordered = sorted(steps, key=lambda step: step.batch)
    return RestartPlan(judgement.cluster, (*ordered, *held), tuple(bare))


def _merged(renewals: Iterable[Renewal]) -> list[Renewal]:
    """Return one renewal for each controller, the most urgent first."""
    found: dict[tuple[str, str, str], Renewal] = {}
    for renewal in renewals:
        key = (renewal.namespace, renewal.owner.kind, renewal.owner.name)
        other = found.get(key)
        found[key] = renewal if other is None else _together(other, renewal)
    return [found[key] for key in sorted(found, key=lambda key: (found[key].urgency, key))]


def _together(one: Renewal, other: Renewal) -> Renewal:
    return Renewal(
        one.namespace,
        one.renewer,
        (*one.pods, *other.pods),
        one.labels,
        min(one.urgency, other.urgency),
        one.ready and other.ready,
        one.unsure or other.unsure,
    )


def _held(renewal: Renewal, budgets: Sequence[DisruptionBudget]) -> str:
    if not renewal.ready:
        return "its new pods would not be covered either: mend its template or ServiceAccount first"
    full = [budget.name for budget in budgets if budget.disruptions_allowed < 1]
    if full:
        return f"PodDisruptionBudget {full[0]} allows no disruption now"
    return ""


def _first_free(batches: list[set[tuple[str, str]]], taken: set[tuple[str, str]]) -> int:
    for number, batch in enumerate(batches):
        if not batch & taken:
            return number
    batches.append(set())
    return len(batches) - 1


def _step(
    cluster: str,
    renewal: Renewal,
    budgets: Sequence[DisruptionBudget],
    batch: int,
    held: str,
) -> Step:
    return Step(
        renewal.namespace,
        renewal.owner.kind,
        renewal.owner.name,
        len(renewal.pods),
        batch,
        _lines(cluster, renewal, budgets),
        tuple(budget.name for budget in budgets),
        held,
        _note(renewal),
    )


def _note(renewal: Renewal) -> str:
    notes = [renewing.note(renewal.renewer)]
    if renewal.unsure:
        notes.insert(
            0,
            "only a new pod shows whether it is covered: renew one pod, start a new check, then the others",
        )
    return "; ".join(filter(None, notes))


def _lines(cluster: str, renewal: Renewal, budgets: Sequence[DisruptionBudget]) -> tuple[str, ...]:
    pods = renewal.pods
    # What is held back has no disruption to spare; its lines are for the time when it has one.
    portion = max(min((budget.disruptions_allowed for budget in budgets), default=len(pods)), 1)
    return renewing.lines(cluster, renewal.namespace, renewal.renewer, pods, portion)
