"""Whether our login in a Secret will be taken out again: its content is one value, and who owns it applied it."""

from collections.abc import Iterator

from remediation.drift.certainty import Certainty, Drift, surest
from remediation.drift.past import Past
from remediation.drift.signals import ARGO, Signals
from remediation.drift.writers import applied_since, by_hand
from remediation.footprint import Holder


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
    if any(not holder.ours and not by_hand(holder.manager) for holder in signals.owners):
        return  # what stands there is its own
    displaced = tuple(
        holder
        for holder in (past.displaced if past else ())
        if not holder.ours and not by_hand(holder.manager)
    )
    if _confirmed(signals, displaced):
        return
    ours = any(holder.ours for holder in signals.owners)
    if signals.keeper:
        sure = Certainty.CERTAIN if ours else Certainty.POSSIBLE
        yield Drift(sure, signals.keeper, "the next time that it writes the Secret")
    for holder in displaced:
        applies = holder.applies
        if holder.manager != "kubectl-client-side-apply":
            sure = Certainty.CERTAIN if applies else Certainty.POSSIBLE
            yield Drift(sure, holder.manager, "the next time that it writes the Secret")
    if ours and (past is None or past.unknown):
        for manager in signals.appliers:
            yield Drift(Certainty.POSSIBLE, manager, "the next time that it applies the Secret")
    for tool in signals.tools if ours and manifest_holds is None else ():
        yield Drift(Certainty.POSSIBLE, tool, "the next time that it writes the Secret")


def _confirmed(signals: Signals, displaced: tuple[Holder, ...]) -> bool:
    """Tell whether who wrote the content before has written the Secret after us, and left the content as it is."""
    names = {holder.manager for holder in displaced if not holder.applies}
    return signals.written_at is not None and any(
        at > signals.written_at for manager, at in signals.others_at if manager in names
    )
