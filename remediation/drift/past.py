"""What we remember of the objects that we wrote to, beyond the records of single remediations.

A record holds for one object, by its uid: what is created again under the same name is another.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from remediation.footprint import Holder
from remediation.outcome import NamespaceResult, SecretAction
from remediation.state import NamespaceState


@dataclass(frozen=True, slots=True)
class Past:
    """An object that got our entry, or our login: `displaced` owned the list or the content before.

    `taken_by` is who took it out since, "" where nothing tells who; None while that was not seen. `taken_at` is when
    it was seen last. `placed` tells that our entry is meant to be there: it was written for certain, and we have not
    taken it back.
    """

    uid: str
    displaced: tuple[Holder, ...] = ()
    taken_by: str | None = None
    taken_at: datetime | None = None
    placed: bool = True

    @property
    def unknown(self) -> bool:
        """Tell whether we wrote the list before, with nothing recorded of it: for another Secret, or elsewhere."""
        return any(holder.ours for holder in self.displaced)


Place = tuple[str, str, str]
"""Namespace, ServiceAccount ("" for the Secret itself), name of the Secret."""


class Memory(dict[Place, Past]):
    """All that is remembered of one cluster."""

    @cached_property
    def secret_names(self) -> tuple[str, ...]:
        """The Secrets that ServiceAccounts were written for; there are few."""
        return tuple(sorted({secret for _, _, secret in self}))


Changes = tuple[tuple[str, Past | None], ...]
"""By ServiceAccount: what is remembered now, None to forget it."""


def remembered(
    memory: Memory, row: NamespaceResult, secret_name: str, now: datetime, *, undo: bool
) -> Changes:
    """Return what a finished namespace changes in our memory."""
    if undo:
        return _taken_back(memory, row, secret_name)
    found: list[tuple[str, Past | None]] = [
        (mark.name, written(memory, (row.namespace, mark.name, secret_name), new, now))
        for mark in row.account_marks
        if (new := Past(mark.uid, mark.displaced, placed=mark.name in row.changed_accounts))
    ]
    if row.secret_mark:
        new = Past(row.secret_mark.uid, row.secret_mark.displaced)
        found.append(("", written(memory, (row.namespace, "", secret_name), new, now)))
    return tuple(found)


def outlived(
    memory: Memory, namespaces: Collection[str] | None, states: Iterable[NamespaceState]
) -> dict[Place, None]:
    """Return what is remembered of objects that are gone: in the `states`, and in all that none of `namespaces` is.

    None: it is not known which namespaces there are.
    """
    seen = {
        state.namespace.name: {account.name: account.uid for account in state.service_accounts}
        for state in states
        if not state.unread
    }
    return {
        place: None
        for place, past in memory.items()
        if (namespaces is not None and place[0] not in namespaces)
        or (place[1] and place[0] in seen and seen[place[0]].get(place[1]) != past.uid)
    }


def _taken_back(memory: Memory, row: NamespaceResult, secret_name: str) -> Changes:
    """Return what an undo changes. Who owned the list is kept: the undo wrote it, which hides that for good."""
    names = dict.fromkeys((*row.changed_accounts, *(row.doubtful_accounts or ())))
    gone = [""] if row.secret_action is SecretAction.DELETED else []
    found = []
    for name in (*names, *gone):
        past = memory.get((row.namespace, name, secret_name))
        kept = past and any(not holder.ours for holder in past.displaced) and name
        found.append(
            (name, replace(past, taken_by=None, taken_at=None, placed=False))
            if past and kept
            else (name, None)
        )
    return tuple(found)


def written(memory: Memory, place: Place, new: Past, now: datetime) -> Past:
    """Return a record of a write, with what earlier ones of the same object knew.

    Had we written to it before, it was taken out since: by who owned it at our write.
    """
    before = memory.get(place)
    earlier = [past for past in _records(memory, place) if past.uid == new.uid]
    inherited = (holder for past in earlier for holder in past.displaced if not holder.ours)
    displaced = dict.fromkeys((*new.displaced, *inherited))
    if any(not past.unknown for past in earlier):  # then what we displaced was our own
        displaced = dict.fromkeys(holder for holder in displaced if not holder.ours)
    found = replace(new, displaced=tuple(displaced))
    if before is None or before.uid != new.uid or not before.placed:
        return found
    return taken_out(found, new.displaced, now)


def found_in_place(past: Past) -> Past:
    """Return the record of an entry that is ours and there, though its write, or its undo, was in doubt."""
    return replace(past, placed=True)


def taken_out(past: Past, owners: tuple[Holder, ...], now: datetime) -> Past:
    """Return the record of an entry that is found gone while `owners` own the list."""
    others = [holder.manager for holder in owners if not holder.ours]
    return replace(past, taken_by=others[-1] if others else "", taken_at=now)


def _records(memory: Memory, place: Place) -> Iterator[Past]:
    """Yield what is remembered of an object, for whatever Secret a ServiceAccount was written."""
    namespace, account, secret_name = place
    for name in memory.secret_names if account else (secret_name,):
        if past := memory.get((namespace, account, name)):
            yield past
