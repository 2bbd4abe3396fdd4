"""Whether our entry in a ServiceAccount will be taken out again.

`ServiceAccount.imagePullSecrets` is atomic, and a Secret's content is one value: in server-side apply, who owns one of
them has applied exactly what stands there, and whose value was replaced does not own it any more. So what stands there
is judged by its content, and what stood there by what we recorded when we replaced it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from remediation.drift.certainty import NO_DRIFT, Certainty, Drift, surest
from remediation.drift.past import Past
from remediation.drift.signals import ARGO, Signals
from remediation.drift.writers import applied_since, by_hand, speaks_for

OPENSHIFT = "openshift.io/image-registry-pull-secrets"
# It answers each change at once (openshift-controller-manager, service_account_controller.go): what it leaves alone
# for so long, it keeps.
PROVEN_AFTER = timedelta(seconds=60)
# What took an entry out once, and did not for so long, may have been changed meanwhile.
FORGIVEN_AFTER = timedelta(hours=24)


def predict(name: str, signals: Signals, past: Past | None, now: datetime) -> Drift:
    """Say whether the entry `name` of a ServiceAccount, which is there, will be taken out; the surest sign decides."""
    return surest(_of_account(name, signals, past, now))


def _of_account(name: str, signals: Signals, past: Past | None, now: datetime) -> Iterator[Drift]:
    if past and past.taken_by is not None and not _healed(name, signals, past.taken_by):
        yield _taken(past, now)
    if signals.named is not None and name not in signals.named:
        tool = ARGO if signals.argo else "kubectl apply"
        if not applied_since(signals, tool):
            yield Drift(Certainty.CERTAIN, tool, "at the next apply: the manifest has another list")
    yield from _of_displaced(signals, past, now)
    if not signals.applied_by and not _nothing_before(signals, past):
        displaced = {holder.manager for holder in past.displaced} if past else set()
        for manager in signals.appliers:
            if manager not in displaced:
                yield _applier(manager, signals, now, Certainty.POSSIBLE)
    yield from _of_tools(name, signals)


def _of_displaced(signals: Signals, past: Past | None, now: datetime) -> Iterator[Drift]:
    owners = {holder.manager for holder in signals.owners}
    for holder in past.displaced if past else ():
        if holder.ours or holder.manager in owners:
            continue
        if holder.applies:
            yield _applier(holder.manager, signals, now, Certainty.CERTAIN)
        elif holder.manager != "kubectl-client-side-apply" and not by_hand(holder.manager):
            when = "the next time that it writes the object: it wrote it before"
            yield Drift(Certainty.POSSIBLE, holder.manager, when)


def _of_tools(name: str, signals: Signals) -> Iterator[Drift]:
    """Yield tools that the object itself names, and that did not write what stands there."""
    if any(not holder.ours and not by_hand(holder.manager) for holder in signals.owners):
        return
    in_manifest = signals.named is not None and name in signals.named
    if signals.argo_replaces and ARGO in signals.tools and not in_manifest:
        yield Drift(Certainty.CERTAIN, ARGO, "at the next sync: it replaces the object")
    for tool in signals.tools:
        if tool == ARGO and signals.annotated:
            continue  # its manifest was judged
        if not any(speaks_for(manager, tool) for manager in signals.appliers):
            yield Drift(
                Certainty.POSSIBLE,
                tool,
                "the next time that it writes the object, if it has a list of its own",
            )
    if signals.controller:
        yield Drift(
            Certainty.POSSIBLE, signals.controller, "whenever its operator writes the object again"
        )


def _applier(manager: str, signals: Signals, now: datetime, sure: Certainty) -> Drift:
    if manager.startswith(OPENSHIFT):
        at = signals.written_at
        if at and now - at >= PROVEN_AFTER:
            return NO_DRIFT
        return Drift(
            Certainty.DOUBTFUL,
            manager,
            "if it is of an affected release: that shows within a minute",
        )
    when = "the next time that it applies the object"
    return Drift(sure, manager, f"{when}: it owned the list" if sure is Certainty.CERTAIN else when)


def _taken(past: Past, now: datetime) -> Drift:
    by = past.taken_by or "another tool"
    if past.taken_by and by_hand(past.taken_by):
        return Drift(Certainty.POSSIBLE, by, "as it was done once")
    recent = past.taken_at is None or now - past.taken_at < FORGIVEN_AFTER
    sure = Certainty.CERTAIN if recent else Certainty.POSSIBLE
    return Drift(sure, by, "again: it has done so since we added it")


def _healed(name: str, signals: Signals, by: str) -> bool:
    """Tell whether who took the entry out has it in its own value by now."""
    if any(holder.manager == by or (not by and holder.applies) for holder in signals.owners):
        return True
    client_side = by in ("", "kubectl-client-side-apply") or by.startswith("argocd")
    return client_side and signals.named is not None and name in signals.named


def _nothing_before(signals: Signals, past: Past | None) -> bool:
    """Tell whether we know that no one owned the list before us, and it has been ours since."""
    return past is not None and not past.unknown and all(holder.ours for holder in signals.owners)
