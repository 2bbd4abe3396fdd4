"""Findings about what is not judged, or not by its objects: left-out namespaces, custom resources, unreadable lists."""

from collections.abc import Iterable, Iterator, Mapping

from remediation.readiness.call import Call
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.futures import Maker
from remediation.readiness.observation import Owner, Scope
from remediation.readiness.reduction import Reduction
from remediation.readiness.rows import Decision, rows

_WHY_LEFT_OUT = {
    Scope.IGNORED: "is on the request's ignore list",
    Scope.EXCLUDED: "excludes itself by its annotation",
    Scope.OUTSIDE: "is not among the request's namespaces",
    Scope.JUDGED: "is being deleted",
}


def left_out(kept: Reduction, tallies: Mapping[str, tuple[int, int, int]]) -> Iterator[Finding]:
    """Yield the namespaces that are not judged and use the target.

    `tallies` has for each (pods, workloads, how many of both are not known to be covered).
    """
    for namespace, (pods, workloads, uncovered) in sorted(tallies.items()):
        reason = _WHY_LEFT_OUT[kept.scope(namespace)]
        covered = (
            "all of them are covered" if not uncovered else f"{uncovered} of them are not covered"
        )
        call = Call(
            FindingClass.N_IGNORED,
            Severity.WARNING if uncovered else Severity.INFO,
            f"The namespace {reason}, and {pods} pods and {workloads} workloads in it use the registry; {covered}.",
            _what_to_do(kept.scope(namespace)) if uncovered else "",
        )
        owner = Owner("Namespace", namespace)
        yield from rows(kept.options.cluster, namespace, owner, [Decision("", call)])


def _what_to_do(scope: Scope) -> str:
    if scope is Scope.JUDGED:
        return "see what keeps it from being gone, if it stays; its pods are never made again"
    return "take it into the check, or tell its owners before the flip"


def mentioned(kept: Reduction, found: Iterable[Maker]) -> Iterator[Finding]:
    """Yield the custom resources that name the registry; those whose pods are judged need no word of anybody."""
    judged = {
        (maker.future.namespace, owner, image)
        for maker in found
        for owner in _owners(kept, maker)
        for text in maker.images
        if (image := kept.image(text))
    }
    for mention in kept.mentions:
        if mention.namespace and kept.scope(mention.namespace) is not Scope.JUDGED:
            continue
        owner = Owner(mention.kind, mention.name)
        image = kept.image(mention.text)
        known = (mention.namespace, owner, image) in judged
        # An image holds no secret. Any other text may: a URL with a login, a whole docker config. It is not told.
        told = mention.text if image else str(kept.options.target)
        call = _mention(mention.field, told, known)
        yield from rows(kept.options.cluster, mention.namespace, owner, [Decision(told, call)])


def _owners(kept: Reduction, maker: Maker) -> tuple[Owner, ...]:
    future = maker.future
    reduced = kept.workloads.get((future.namespace, future.owner.kind, future.owner.name))
    above = reduced.workload.controller if reduced else None
    return (future.owner, above) if above else (future.owner,)


def _mention(field: str, told: str, known: bool) -> Call:
    said = f"Its field {field} names the registry: {told}."
    if known:
        return Call(
            FindingClass.W_OTHER,
            Severity.INFO,
            f"{said} The pods that it controls use this image, and are judged themselves.",
        )
    return Call(
        FindingClass.W_OTHER,
        Severity.BLOCKING,
        f"{said} What its controller does with it, and with which login, cannot be seen.",
        "find out how it logs in, then waive this with an owner and a date",
        doubt=True,
    )


def unreadable(kept: Reduction) -> Iterator[Finding]:
    """Yield what could not be read, and that nobody named a credential."""
    for problem in kept.problems:
        whole = problem.what == "cluster"
        lists = "these kinds" if problem.what == "customresources" else problem.what
        what = "The cluster" if whole else f"The list of {problem.what}"
        call = Call(
            FindingClass.C_UNREADABLE,
            Severity.BLOCKING,
            f"{what} could not be read: {problem.detail}. What is there is not known.",
            "mend the connection and judge again"
            if whole
            else f"let the worker list {lists}, or waive this with an owner and a date",
            doubt=True,
        )
        yield from _of_cluster(kept, problem.what, call)
    if kept.options.wanted.config is None:
        call = Call(
            FindingClass.C_NO_CREDENTIAL,
            Severity.BLOCKING,
            f"No credential was named: whether Secrets '{kept.options.wanted.secret_name}' hold the right one is"
            " not known.",
            "name the credential in the request",
            doubt=True,
        )
        yield from _of_cluster(kept, kept.options.cluster, call)


def unused(kept: Reduction) -> Iterator[Finding]:
    """Yield that nothing uses the registry: well if that is true, and no answer if its name has a slip."""
    call = Call(
        FindingClass.C_UNUSED,
        Severity.INFO,
        f"Nothing here uses {kept.options.target}: no pod, no template, no custom resource that was read.",
        "if that is not what you expect, look at the name of the registry in the request",
    )
    yield from _of_cluster(kept, kept.options.cluster, call)


def _of_cluster(kept: Reduction, name: str, call: Call) -> tuple[Finding, ...]:
    kind = "Cluster" if name in ("cluster", kept.options.cluster) else "List"
    owner = Owner(kind, kept.options.cluster if kind == "Cluster" else name)
    return rows(kept.options.cluster, "", owner, [Decision("", call)])
