"""Whether our login in a Secret will be taken out again: its content is one value, and who owns it applied it."""

from collections.abc import Iterator

from remediation.drift.certainty import Certainty, Drift, surest
from remediation.drift.past import Past
from remediation.drift.signals import ARGO, Signals
from remediation.drift.writers import applied_since, by_hand
from remediation.footprint import Holder

_CLIENT_SIDE = "kubectl-client-side-apply"
_NEXT = "the next time that it writes the Secret"


def predict_secret(signals: Signals, past: Past | None, *, manifest_holds: bool | None) -> Drift:
    """Say whether the login in a Secret, which is there, will be taken out.

    `manifest_holds` tells whether the manifest of client-side apply has it, None where there is no such manifest.
    """
    return surest(_of_secret(signals, past, manifest_holds))


def _of_secret(signals: Signals, past: Past | None, manifest_holds: bool | None) -> Iterator[Drift]:
    if manifest_holds is False:
        tool = ARGO if signals.argo else "kubectl apply"
        if not applied_since(signals, tool):
            yield Drift(
                Certainty.CERTAIN, tool, "at the next apply: the manifest has other content"
            )
    if any(not holder.ours and not _edits(holder.manager) for holder in signals.owners):
        return  # what stands there is its own
    displaced = tuple(
        holder
        for holder in (past.displaced if past else ())
        if not holder.ours and not by_hand(holder.manager)
    )
    if _confirmed(signals, displaced):
        return
    ours = any(holder.ours for holder in signals.owners)
    edited = bool(signals.owners) and not ours
    if signals.keeper:
        sure = Certainty.CERTAIN if ours else _at_least(edited=edited)
        yield Drift(sure, signals.keeper, _NEXT)
    for holder in displaced:
        if holder.manager != _CLIENT_SIDE:
            sure = Certainty.CERTAIN if holder.applies else Certainty.DOUBTFUL
            yield Drift(sure, holder.manager, _NEXT)
    if edited and manifest_holds is None:
        yield from (Drift(Certainty.DOUBTFUL, manager, _NEXT) for manager in _makers(signals))
    if ours and (past is None or past.unknown):
        for manager in signals.appliers:
            yield Drift(Certainty.POSSIBLE, manager, "the next time that it applies the Secret")
    for tool in signals.tools if (ours or edited) and manifest_holds is None else ():
        yield Drift(_at_least(edited=edited), tool, _NEXT)


def _at_least(*, edited: bool) -> Certainty:
    return Certainty.DOUBTFUL if edited else Certainty.POSSIBLE


def _makers(signals: Signals) -> Iterator[str]:
    """Yield the tools that wrote the Secret and have not written it since a person changed its content."""
    owners = {holder.manager for holder in signals.owners}
    edited_at = max((at for name, at in signals.others_at if name in owners), default=None)
    for manager, at in signals.others_at:
        if not _edits(manager) and (edited_at is None or at <= edited_at):
            yield manager


def _edits(manager: str) -> bool:
    """Tell whether a manager is a person who changes a Secret, by `kubectl apply` as well: its manifest is asked."""
    return manager == _CLIENT_SIDE or by_hand(manager)


def _confirmed(signals: Signals, displaced: tuple[Holder, ...]) -> bool:
    """Tell whether who wrote the content before has written the Secret after us, and left the content as it is."""
    names = {holder.manager for holder in displaced if not holder.applies}
    return signals.written_at is not None and any(
        at > signals.written_at for manager, at in signals.others_at if manager in names
    )
