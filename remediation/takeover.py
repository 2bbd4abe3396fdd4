"""Which of our entries an undo leaves: those in ServiceAccounts that another writer made, or whose list it took over.

`imagePullSecrets` is an atomic list: who owns it wrote all of it, our entry included.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from remediation.caution import Caution, CautionCode
from remediation.footprint import AccountMark
from remediation.state import ServiceAccount

# Its controller carries the entries of others along.
_CARRIES_ALONG = "openshift.io/image-registry-pull-secrets"
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Left:
    """Our entry stays in a ServiceAccount; `reason` says why."""

    reason: str


def taken_over(account: ServiceAccount, mark: AccountMark | None) -> Left | None:
    """Tell whether the entry is another writer's now; `mark` is the ServiceAccount that we wrote to, if known."""
    if mark and mark.uid and mark.uid != account.uid:
        return Left("it was created again since, with the entry")
    for holder in account.holders:
        if not holder.ours and not holder.manager.startswith(_CARRIES_ALONG):
            return Left(f"'{holder.manager}' owns the list now, and the entry is in it")
    return None


def tell_left(left: Iterable[tuple[str, Left]]) -> str | None:
    """Return one sentence about the ServiceAccounts whose entry stays, None if there are none."""
    names: dict[str, list[str]] = {}
    for name, why in left:
        names.setdefault(why.reason, []).append(name)
    parts = [f"the entry stays in {_named(those)}: {reason}" for reason, those in names.items()]
    return "; ".join(parts[:_MOST_NAMES]) or None


def warn_left(namespace: str, left: Iterable[tuple[str, Left]]) -> tuple[Caution, ...]:
    """Return a warning for each of these ServiceAccounts."""
    return tuple(
        Caution(
            CautionCode.ENTRY_KEPT,
            "",
            f"serviceaccounts/{namespace}/{name}",
            f"the entry stays: {why.reason}",
            "remove the entry there if it is not wanted, then delete the Secret",
        )
        for name, why in left
    )


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f"ServiceAccount{'s' if len(names) > 1 else ''} {shown}"
