"""Findings about what is not judged, or not by its objects: left-out namespaces, custom resources, unreadable lists."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from remediation.readiness import fixes
from remediation.readiness.call import Call
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.observation import Owner, Scope
from remediation.readiness.reduction import ELSEWHERE, Problem, Reduction
from remediation.readiness.rows import Decision, rows
from remediation.state import EXCLUDE_ANNOTATION

_EXAMPLES = 3
_MOST_PODS = 10
_WHY_LEFT_OUT = {
    Scope.IGNORED: "is on the request's ignore list",
    Scope.EXCLUDED: "excludes itself by its annotation",
    Scope.OUTSIDE: "is not among the request's namespaces",
    Scope.JUDGED: "is being deleted",
}


# Pods that a Secret covers: whether its login is the right one, only a credential can tell.
_BY_SECRET = (
    FindingClass.P_COVERED,
    FindingClass.W_COVERED_SA,
    FindingClass.W_COVERED_TEMPLATE,
)


def left_out(
    kept: Reduction,
    tallies: Mapping[str, tuple[int, int, int]],
    named: Mapping[str, int],
    uncovered_pods: Mapping[str, Sequence[str]],
) -> Iterator[Finding]:
    """Yield the namespaces that are not judged and use the target.

    `tallies` has for each (pods, workloads, how many of both are not known to be covered), `named` how many other
    objects name the registry and are accounted for by none of these, `uncovered_pods` which pods are not known to be
    covered.
    """
    for namespace in sorted({*tallies, *named}):
        pods, workloads, uncovered = tallies.get(namespace, (0, 0, 0))
        others = named.get(namespace, 0)
        reason = _WHY_LEFT_OUT[kept.scope(namespace)]
        covered = (
            "all of them are covered" if not uncovered else f"{uncovered} of them are not covered"
        )
        at_risk = bool(uncovered or others)
        # Whoever asked left out the others; the annotation is its owners' word, and says nothing about the pods.
        blocks = at_risk and _excludes_itself(kept, namespace)
        severity = Severity.WARNING if at_risk else Severity.INFO
        call = Call(
            FindingClass.N_IGNORED,
            Severity.BLOCKING if blocks else severity,
            f"The namespace {reason}, and {pods} pods and {workloads} workloads in it use the registry; {covered}."
            + _listed(uncovered_pods.get(namespace, ()))
            + (
                f" {others} more objects in it name the registry, and are not judged."
                if others
                else ""
            ),
            _what_to_do(kept, namespace) if at_risk else "",
            doubt=blocks,
        )
        owner = Owner("Namespace", namespace)
        yield from rows(
            kept.options.cluster,
            namespace,
            owner,
            [Decision("", call)],
            examples=uncovered_pods.get(namespace, ())[:_EXAMPLES],
        )


def _listed(pods: Sequence[str]) -> str:
    if not pods:
        return ""
    more = f" and {len(pods) - _MOST_PODS} more" if len(pods) > _MOST_PODS else ""
    return f" Pods that are not covered: {', '.join(pods[:_MOST_PODS])}{more}."


def _excludes_itself(kept: Reduction, namespace: str) -> bool:
    """Tell whether it is left out by its own annotation alone, and may still make pods."""
    known = kept.namespaces[namespace]  # what is not known counts as judged
    return known.scope is Scope.EXCLUDED and not known.terminating


def _what_to_do(kept: Reduction, namespace: str) -> str:
    if kept.scope(namespace) is Scope.JUDGED:
        return "see what keeps it from being gone, if it stays; its pods are never made again"
    if _excludes_itself(kept, namespace):
        line = fixes.kubectl(
            kept.options.cluster,
            namespace,
            "annotate",
            "namespace",
            namespace,
            f"{EXCLUDE_ANNOTATION}-",
        )
        return f"{line}, then judge again; or name it in `ignore`, if its owners see to its pods themselves"
    return "take it into the check, or tell its owners before the flip"


def unreadable(kept: Reduction) -> Iterator[Finding]:
    """Yield what could not be read."""
    for problem in kept.problems:
        if problem.namespace:
            yield from _unread_in(kept, problem)
            continue
        whole = problem.what == "cluster"
        lists = "these kinds" if problem.what == "customresources" else problem.what
        what = "The cluster" if whole else f"The list of {problem.what}"
        allow = f"let the worker list {lists}"
        call = Call(
            FindingClass.C_UNREADABLE,
            Severity.BLOCKING,
            f"{what} could not be read: {problem.detail}. What is there is not known.",
            "fix the connection and judge again"
            if whole
            else f"{problem.hint or allow}, or waive this with an owner and a date",
            doubt=True,
        )
        yield from _of_cluster(kept, problem.what, call)


def _unread_in(kept: Reduction, problem: Problem) -> Iterator[Finding]:
    """Yield what could not be read in one namespace; it matters where pods of that namespace do."""
    if problem.namespace == ELSEWHERE:
        call = Call(
            FindingClass.C_UNREADABLE,
            Severity.WARNING,
            f"The list of {problem.what} was not read of namespaces that are not judged: {problem.detail}.",
            problem.hint,
        )
        yield from _of_cluster(kept, problem.what, call)
        return
    matters = kept.judged(problem.namespace) or _excludes_itself(kept, problem.namespace)
    call = Call(
        FindingClass.C_UNREADABLE,
        Severity.BLOCKING if matters else Severity.WARNING,
        f"The list of {problem.what} in this namespace could not be read: {problem.detail}."
        " What is there is not known.",
        f"{problem.hint or 'judge again'}, or waive this with an owner and a date",
        doubt=matters,
    )
    owner = Owner("List", problem.what)
    yield from rows(kept.options.cluster, problem.namespace, owner, [Decision("", call)])


def no_credential(kept: Reduction, found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield that the request names no credential; it matters where `found` has pods that are covered by a Secret."""
    if kept.options.wanted.config is not None:
        return
    matters = any(finding.finding_class in _BY_SECRET for finding in found)
    name = kept.options.wanted.secret_name
    text = (
        f"The request names no credential: it is not known whether Secrets '{name}' hold the right login."
        if matters
        else "The request names no credential, and no finding rests on one."
    )
    call = Call(
        FindingClass.C_NO_CREDENTIAL,
        Severity.BLOCKING if matters else Severity.INFO,
        text,
        "name the credential in the request" if matters else "",
        doubt=matters,
    )
    yield from _of_cluster(kept, kept.options.cluster, call)


def _of_cluster(kept: Reduction, name: str, call: Call) -> tuple[Finding, ...]:
    kind = "Cluster" if name in ("cluster", kept.options.cluster) else "List"
    owner = Owner(kind, kept.options.cluster if kind == "Cluster" else name)
    return rows(kept.options.cluster, "", owner, [Decision("", call)])
