"""Findings about what admission does to pods before they are stored, as far as it can be read.

Evidence L3 asks the API server, and so sees what comes out. Below it, a policy that can bring the registry into a pod
or replace its Secrets leaves the templates that it applies to in doubt.
"""

from collections.abc import Callable, Iterable, Iterator

from remediation.readiness.call import Call
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.futures import Maker
from remediation.readiness.observation import Owner
from remediation.readiness.proof import Level
from remediation.readiness.reduction import Reduction
from remediation.readiness.rewriter import WEBHOOKS, Rewriter
from remediation.readiness.rows import Decision, rows

_EXAMPLES = 3
_ASK = "judge with evidence L3, which asks the API server, or waive this with an owner and a date"


def rewriting(
    kept: Reduction, makers: Iterable[Maker], well: Callable[[Maker], bool]
) -> Iterator[Finding]:
    """Yield what leaves templates in doubt that were not asked about."""
    here = [maker for maker in makers if kept.judged(maker.future.namespace)]
    for rewriter in kept.rewriters:
        spaces = _spaces(kept, rewriter)
        if rewriter.kind == WEBHOOKS or not spaces:
            continue
        within = [one for one in here if one.future.namespace in spaces]
        if rewriter.unseen and rewriter.sets_secrets and within:
            yield from _of_engine(kept, rewriter, within)
        elif not rewriter.engine:
            yield from _of_policy(kept, rewriter, within)
    yield from _given_away(kept, [maker for maker in here if well(maker)])
    yield from _refused(kept)


def _of_engine(kept: Reduction, rewriter: Rewriter, makers: list[Maker]) -> Iterator[Finding]:
    why = (
        "It writes imagePullSecrets, or changes whose list pods get, and a dry run of a pod need not show it: which"
        f" Secrets the pods of {len(makers)} workloads will name cannot be seen."
    )
    fix = "see that what it writes has the login, then waive this with an owner and a date"
    yield from _doubt(kept, rewriter, why, fix, makers)


def _doubt(
    kept: Reduction, rewriter: Rewriter, why: str, fix: str, makers: Iterable[Maker]
) -> Iterator[Finding]:
    """Yield that it is not known what pods of these will name."""
    call = Call(FindingClass.W_OTHER, Severity.BLOCKING, why, fix, doubt=True)
    owner = Owner(rewriter.kind, rewriter.name)
    yield from _row(kept, owner, call, [_told(maker) for maker in makers], rewriter.namespace)


def _of_policy(kept: Reduction, rewriter: Rewriter, makers: list[Maker]) -> Iterator[Finding]:
    level = kept.options.evidence.includes(Level.ADMISSION)
    asked = level and not (kept.unasked or rewriter.unseen)
    unasked = [
        maker for maker in makers if maker.future.admitted is None and not maker.future.refusal
    ]
    if any(map(kept.options.target.mentioned_in, rewriter.named)):
        said = f"It names the registry ({kept.options.target}) in what it does to new objects"
    elif rewriter.takes_images:
        said = "It writes images that stand in other objects, which are not read"
    elif rewriter.sets_secrets and unasked:
        why = (
            f"It writes imagePullSecrets into new pods: which Secrets those of {len(unasked)} workloads will name"
            " cannot be seen from their templates and ServiceAccounts."
        )
        yield from _doubt(kept, rewriter, why, _ASK, unasked)
        return
    elif rewriter.sets_secrets and asked:
        said = "It writes imagePullSecrets into new pods"
    else:
        return
    rest = (
        "pods that no template makes were not asked about"
        if asked
        else "what comes out is not known"
    )
    call = Call(
        FindingClass.W_OTHER,
        Severity.WARNING if asked else Severity.BLOCKING,
        f"{said}: {rest}.",
        "look at pods that are made by hand or by custom controllers"
        if asked
        else "waive this with an owner and a date once you know what it does to pods"
        if level
        else _ASK,
        doubt=not asked,
    )
    yield from _row(kept, Owner(rewriter.kind, rewriter.name), call)


def _given_away(kept: Reduction, makers: Iterable[Maker]) -> Iterator[Finding]:
    """Yield the namespaces where a running pod has another list than Kubernetes gives."""
    by_namespace: dict[str, list[Maker]] = {}
    for maker in makers:
        future = maker.future
        if future.namespace in kept.rewritten and future.admitted is None:
            by_namespace.setdefault(future.namespace, []).append(maker)
    for namespace, alike in sorted(by_namespace.items()):
        call = Call(
            FindingClass.W_ADMISSION,
            Severity.BLOCKING,
            f"{kept.rewritten[namespace]}: something rewrites the lists of new pods, or the ServiceAccount admission"
            f" plugin is off. What new pods of {len(alike)} workloads here will name is not known.",
            f"{_ASK}; where the list was only changed after that pod, make the pod anew and judge again",
            doubt=True,
        )
        owner = Owner("Namespace", namespace)
        yield from _row(kept, owner, call, [_told(maker) for maker in alike], namespace)


def _refused(kept: Reduction) -> Iterator[Finding]:
    """Yield that admission says nothing of some templates, where something may write the registry into them."""
    if not any(rewriter.pods for rewriter in kept.rewriters):
        return
    refused = [
        "/".join(place)
        for place, proof in kept.admissions.items()
        if proof.refusal
        and kept.judged(place[0])
        and not any(
            one.images for one in (kept.workloads.get(place), kept.revisions.get(place)) if one
        )
    ]
    if refused:
        call = Call(
            FindingClass.W_ADMISSION,
            Severity.BLOCKING,
            f"The API server would not create pods of {len(refused)} workloads that do not name the registry, and there"
            " are webhooks or policies that change pods: whether these get an image of it is not known. The first"
            f" refusal: {next(p.refusal for p in kept.admissions.values() if '/'.join(p.place) == refused[0])}",
            "make room for such pods (quota, policies) and judge again, or waive this with an owner and a date",
            doubt=True,
        )
        yield from _row(kept, Owner("Cluster", kept.options.cluster), call, refused)


def _spaces(kept: Reduction, rewriter: Rewriter) -> set[str]:
    return {
        name
        for name, namespace in kept.namespaces.items()
        if kept.judged(name) and rewriter.applies(namespace.labels)
    }


def _told(maker: Maker) -> str:
    return f"{maker.future.namespace}/{maker.future.owner.kind}/{maker.future.owner.name}"


def _row(
    kept: Reduction, owner: Owner, call: Call, alike: list[str] | None = None, namespace: str = ""
) -> Iterator[Finding]:
    number = len(alike) if alike else 1
    examples = alike[:_EXAMPLES] if alike else ()
    yield from rows(
        kept.options.cluster,
        namespace,
        owner,
        [Decision("", call)],
        number=number,
        examples=examples,
    )
