"""Older templates that a rollback would bring back and whose pods would not be covered: a warning a controller."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from remediation.readiness import fixes
from remediation.readiness.call import Call
from remediation.readiness.coverer import Coverer
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.futures import alike
from remediation.readiness.observation import WORKLOAD_KINDS, Owner, Workload
from remediation.readiness.old_templates import CONTROLLER_REVISION, Alike
from remediation.readiness.reduction import Reduction
from remediation.readiness.rows import Decision, rows
from remediation.readiness.workloads import DEFAULT_ACCOUNT, Future, judge_future

_EXAMPLES = 3
_MOST_REVISIONS = 10
_REVISED_KINDS = ("StatefulSet", "DaemonSet")
_GRAVEST_FIRST = (Severity.BLOCKING, Severity.WARNING, Severity.INFO)


def other_templates(kept: Reduction) -> Iterator[tuple[str, Owner, tuple[Alike, ...]]]:
    """Yield the older templates in judged namespaces that give their pods something else than the present one."""
    for namespace, controller, templates in kept.old:
        if not kept.judged(namespace) or (namespace, controller) in kept.ending:
            continue
        now = kept.workloads.get((namespace, controller.kind, controller.name))
        other = tuple(
            each
            for each in templates
            if now is None or not alike(kept, now, each.pull_secrets, each.account, each.images)
        )
        # Without its controller a revision is nothing that anyone can roll back to.
        orphan = now is None and controller.kind in WORKLOAD_KINDS
        if other and not (orphan and other[0].kind == CONTROLLER_REVISION):
            yield namespace, controller, other


def named_by_others(kept: Reduction) -> Iterator[tuple[str, str]]:
    """Yield (namespace, name) of Secrets that pods would name after a rollback."""
    for namespace, _, templates in other_templates(kept):
        for each in templates:
            yield from ((namespace, name) for name in each.pull_secrets if name)


def findings(kept: Reduction, coverer: Coverer) -> Iterator[Finding]:
    """Yield a warning for each controller with older templates whose pods would not be covered."""
    for namespace, controller, templates in other_templates(kept):
        bad = [
            (each, worst)
            for each in templates
            if (worst := _worst(kept, coverer, namespace, controller, each))
        ]
        if not bad:
            continue
        named = sorted((one for each, _ in bad for one in each.names), reverse=True)
        names = [name for _, name in named]
        decision = _warning(kept, namespace, bad[0][0].kind, named, bad[0][1])
        yield from rows(
            kept.options.cluster,
            namespace,
            controller,
            [decision],
            number=len(names),
            examples=names[:_EXAMPLES],
        )


def _worst(
    kept: Reduction, coverer: Coverer, namespace: str, controller: Owner, template: Alike
) -> Decision | None:
    name = template.account or DEFAULT_ACCOUNT
    future = Future(
        kept.options.cluster,
        namespace,
        controller,
        template.pull_secrets,
        name,
        kept.accounts.get((namespace, name)),
        kept.wanted_in(namespace),
        accounts_read=kept.was_read("serviceaccounts", namespace),
        account_going=kept.account_going(namespace, name),
    )
    decisions = [
        Decision(text, judge_future(future, text, cover, kept.every_node(image)), cover)
        for text in template.images
        if (image := kept.image(text))
        and (cover := coverer.cover(namespace, future.names, image.repository))
    ]
    worst = min(decisions, key=lambda each: _GRAVEST_FIRST.index(each.call.severity))
    return worst if worst.call.severity is Severity.BLOCKING else None


def _warning(
    kept: Reduction, namespace: str, kind: str, named: Sequence[tuple[int, str]], worst: Decision
) -> Decision:
    numbers = [number for number, _ in named if number][:_MOST_REVISIONS]
    listed = f" (revisions {', '.join(map(str, numbers))})" if numbers else ""
    names = [name for _, name in named][:_MOST_REVISIONS]
    remove = fixes.kubectl(kept.options.cluster, namespace, "delete", kind.lower(), *names)
    call = Call(
        FindingClass.W_DORMANT,
        Severity.WARNING,
        f"No pods are wanted now of {len(named)} older templates{listed}, which a rollback (kubectl rollout undo, helm"
        f" rollback, an aborted rollout) brings back. After that: {worst.call.explanation}",
        f"do not roll back to them, or remove them: {remove}",
    )
    return replace(worst, call=call)


def unread(kept: Reduction) -> Iterator[Finding]:
    """Yield what is not known without ControllerRevisions: the pods below partitions, and rollbacks."""
    why = kept.revisions_unread
    concerned = [
        reduced.workload
        for (namespace, kind, _), reduced in kept.workloads.items()
        if why and kind in _REVISED_KINDS and kept.judged(namespace)
    ]
    for workload in concerned:
        if workload.held and not workload.dormant:
            owner = Owner(workload.kind, workload.name)
            yield from rows(
                kept.options.cluster,
                workload.namespace,
                owner,
                [Decision("", _held(kept, workload))],
            )
    if concerned:
        call = Call(
            FindingClass.C_UNREADABLE,
            Severity.WARNING,
            f"The list of controllerrevisions could not be read: {why}. Whether rollbacks of StatefulSets and"
            " DaemonSets bring back pods that are not covered is not known.",
            "let the worker list controllerrevisions",
            doubt=True,
        )
        yield from rows(
            kept.options.cluster, "", Owner("List", "controllerrevisions"), [Decision("", call)]
        )


def _held(kept: Reduction, workload: Workload) -> Call:
    end = fixes.end_partition(kept.options.cluster, workload.namespace, workload.name)
    return Call(
        FindingClass.W_UNKNOWN,
        Severity.BLOCKING,
        f"The pods below its partition are made from its revision {workload.held}, and controllerrevisions cannot be"
        " listed by the worker: what those pods use, and with which Secrets, is not known.",
        f"let the worker list controllerrevisions, or {end}",
        doubt=True,
    )
