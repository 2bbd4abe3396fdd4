"""What a check makes of the memory of its cluster: what is gone is forgotten, what lost our entry is noted."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from remediation.drift.certainty import Certainty
from remediation.drift.past import Memory, Past, Place, found_in_place, taken_out
from remediation.drift.prediction import predict
from remediation.readiness.observation import Account
from remediation.readiness.reduction import Reduction

# An operator that takes our entry for drift answers within this time.
SETTLED_AFTER = timedelta(seconds=5)


def news(
    kept: Reduction, memory: Memory, now: datetime, *, undoing: bool
) -> Mapping[Place, Past | None]:
    """Return what has changed of the remembered ServiceAccounts, None for those that are not there any more.

    Nothing is said unless all were read. While an undo is `undoing`, an entry that is gone may be its work.
    """
    if not kept.was_read("serviceaccounts"):
        return {}
    found: dict[Place, Past | None] = {}
    for place, past in memory.items():
        namespace, name, secret = place
        if not name:
            continue
        account = kept.accounts.get((namespace, name))
        if account is None or account.uid != past.uid:
            found[place] = None
        elif past.placed and _lost(account, secret, undoing=undoing):
            found[place] = taken_out(past, account.signals.owners, now)
        elif not (past.placed or undoing) and _ours(account, secret):
            found[place] = found_in_place(past)
    return found


def unsettled(kept: Reduction, memory: Memory, now: datetime) -> dict[tuple[str, str], datetime]:
    """Return the ServiceAccounts that got our entry just now and that another tool may write, each with when."""
    found = {}
    secret = kept.options.wanted.secret_name
    for (namespace, name, wanted), past in memory.items():
        account = kept.accounts.get((namespace, name))
        if wanted != secret or account is None or account.uid != past.uid:
            continue
        at = account.signals.written_at
        if at is None or now - at >= SETTLED_AFTER or secret not in account.pull_secrets:
            continue
        if predict(secret, account.signals, past, now).certainty is not Certainty.NONE:
            found[namespace, name] = at
    return found


def _ours(account: Account, secret: str) -> bool:
    return secret in account.pull_secrets and any(each.ours for each in account.signals.owners)


def _lost(account: Account, secret: str, *, undoing: bool) -> bool:
    owners = account.signals.owners
    if secret in account.pull_secrets or account.going.deleting:
        return False
    return not undoing if not owners else not all(holder.ours for holder in owners)
