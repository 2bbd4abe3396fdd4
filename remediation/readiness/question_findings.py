"""Findings about the question itself: a namespace, a selector or a registry that matches nothing may have a slip.

Each says what one cluster does not have. Where another cluster of the same check has it, it counts for nothing: see
`SLIPS` and what reads it.
"""

from collections.abc import Iterator

from remediation.readiness.call import Call
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.observation import Owner, Scope
from remediation.readiness.reduction import Reduction
from remediation.readiness.rows import Decision, rows
from remediation.selection import nearest
from remediation.unmatched import Part, Unmatched

SLIPS = (FindingClass.C_UNMATCHED, FindingClass.C_UNUSED)
_KINDS = {
    Part.NAMESPACES: "Namespace",
    Part.IGNORE: "IgnoredNamespace",
    Part.SELECTOR: "NamespaceSelector",
}


def unmatched(kept: Reduction) -> Iterator[Finding]:
    """Yield what the request names and the cluster does not have."""
    for slip in kept.unmatched:
        if kind := _KINDS.get(slip.part):
            yield from _row(kept, Owner(kind, slip.pattern), _call(slip))
    narrowed = any(slip.part in (Part.NAMESPACES, Part.SELECTOR) for slip in kept.unmatched)
    if kept.namespaces and not narrowed and not any(map(kept.judged, kept.namespaces)):
        yield from _row(kept, Owner("Namespaces", "all"), _nothing_judged(kept))


def unused(kept: Reduction) -> Iterator[Finding]:
    """Yield that nothing uses the registry: whether that is so, or its name has a slip, only its owner can tell."""
    target = str(kept.options.target)
    near = nearest(target, sorted(kept.other_registries))
    meant = f" Images here come from '{near}': did you mean that?" if near else ""
    call = Call(
        FindingClass.C_UNUSED,
        Severity.BLOCKING,
        f"Nothing here uses {target}: no pod, no template, no custom resource that was read.{meant}"
        " A registry whose name has a slip looks the same.",
        f"look at the name of the registry; if '{target}' is right and not used yet, waive this with an owner and a"
        " date",
        doubt=True,
    )
    yield from _row(kept, Owner("Registry", target), call)


def _call(slip: Unmatched) -> Call:
    meant = f" Did you mean '{slip.nearest}'?" if slip.nearest else ""
    if slip.part is Part.IGNORE:
        return Call(
            FindingClass.C_UNMATCHED,
            Severity.WARNING,
            f"`ignore` has '{slip.pattern}', and no namespace here is called that: what was to be left out may be"
            f" judged.{meant}",
            "correct the name in `ignore`, or take it out",
            doubt=True,
        )
    what = (
        f"`namespace_selector` is '{slip.pattern}', and no namespace that the request names has such labels"
        if slip.part is Part.SELECTOR
        else f"`namespaces` has '{slip.pattern}', and no namespace here is called that"
    )
    return Call(
        FindingClass.C_UNMATCHED,
        Severity.BLOCKING,
        f"{what}: nothing was judged for it.{meant}",
        f"correct `{slip.part}` in the request, or take '{slip.pattern}' out of it",
        doubt=True,
    )


def _nothing_judged(kept: Reduction) -> Call:
    left_out = sum(
        1 for known in kept.namespaces.values() if known.scope in (Scope.IGNORED, Scope.EXCLUDED)
    )
    going = sum(1 for known in kept.namespaces.values() if known.scope is Scope.JUDGED)
    return Call(
        FindingClass.C_UNMATCHED,
        Severity.BLOCKING,
        "No namespace here was judged: of those that the request means,"
        f" {left_out} are left out by `ignore` or by their own annotation, and {going} are being deleted.",
        "name namespaces that are not left out, or leave this cluster out of the check",
        doubt=True,
    )


def _row(kept: Reduction, owner: Owner, call: Call) -> tuple[Finding, ...]:
    return rows(kept.options.cluster, "", owner, [Decision("", call)])
