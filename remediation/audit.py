"""The audit trail: who decided what, and what was written; each entry carries the hash of the one before it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

BEGINNING = ""  # what stands for the hash before the first entry


class Trail(StrEnum):
    """Two trails, so that a large run does not push out who asked for it."""

    DECISIONS = "decisions"
    WRITES = "writes"


class Action(StrEnum):
    """What was decided or done."""

    CREATE = "remediation.create"
    RETRY = "remediation.retry"
    UNDO = "remediation.undo"
    CANCEL = "remediation.cancel"
    APPROVE = "remediation.approve"
    REJECT = "remediation.reject"
    EXPIRE = "remediation.expire"  # nobody approved it in time
    CHECK = "readiness.check"
    GATE = "readiness.gate"  # done: somebody was told that the registry may be flipped
    PAUSE = "service.pause"
    RESUME = "service.resume"
    AUTHENTICATE = "access.authenticate"  # failures only
    AUTHORIZE = "access.authorize"  # refusals only
    LOAD_ACCESS = "access.load"  # the access file was read
    RUN = "run.begin"  # a worker took up a run
    WRITE = "cluster.write"  # on standard output: one write to one object
    NAMESPACE = "cluster.namespace"  # in the stream: all writes to one namespace


class Verdict(StrEnum):
    """How it ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"  # a fault of the service, or the answer says so
    UNKNOWN = "unknown"  # the answer was lost: it may have been done


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One decision or write; never a value of anything secret.

    `id` is unique, `at` an RFC 3339 time, `subject` and `key_id` say who, `address` from where; `code` is that of a
    problem or error; `details` are JSON values whose names depend on the action.
    """

    id: str
    at: str
    action: Action
    outcome: Verdict
    subject: str | None = None
    key_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    remediation_id: str | None = None
    cluster: str | None = None
    namespace: str | None = None
    code: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """Return what it says, without what it does not say."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in found.items() if value not in (None, {})}

    def text(self) -> str:
        """Return it as one line of JSON; a caller's text in it cannot look like another line."""
        return json.dumps(self.members(), ensure_ascii=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Link:
    """An entry in its place: `hash` is made of the place, the hash before it and the text."""

    sequence: int
    previous: str
    text: str
    hash: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a trail is whole: `entries` were looked at, `first` and `last` are their places (0: none).

    `broken` says what is wrong, in words, None if nothing is; `head` is the hash of the last entry.
    """

    entries: int
    first: int
    last: int
    head: str
    broken: str | None = None


def link(sequence: int, previous: str, text: str) -> Link:
    """Return a text as the entry after `previous`."""
    return Link(sequence, previous, text, _hash(sequence, previous, text))


def verify(links: Iterable[Link], head: str, count: int, kept: int) -> Verification:
    """Judge a trail from its oldest entry on: no entry was altered, left out or put in.

    `head` and `count` are the hash and the place of the newest entry, kept apart; of more than `kept` entries the
    oldest go, so fewer of them than that must begin with the first.
    """
    number = first = last = 0
    before: Link | None = None
    for each in links:
        number += 1
        first = first or each.sequence
        last = each.sequence
        if each.hash != _hash(each.sequence, each.previous, each.text):
            return Verification(number, first, last, head, f"entry {each.sequence} was altered")
        if before and (each.previous, each.sequence) != (before.hash, before.sequence + 1):
            what = f"entry {each.sequence} does not follow on entry {before.sequence}"
            return Verification(number, first, last, head, what)
        before = each
    newest = (before.hash, before.sequence) if before else (BEGINNING, 0)
    broken = None
    if newest != (head, count):
        broken = f"the newest entry is {newest[1]}, and {count} were made"
    elif first > 1 and number < kept:
        broken = f"the first entry is {first}, and so few entries have all been kept"
    return Verification(number, first, last, head, broken)


def _hash(sequence: int, previous: str, text: str) -> str:
    return hashlib.sha256(f"{sequence}\n{previous}\n{text}".encode()).hexdigest()
