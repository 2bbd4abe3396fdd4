"""The second person: what is approved, by whom, and until when."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from remediation.patterns import matcher
from remediation.request import RemediationRequest


class ApprovalState(StrEnum):
    """How far the second person's decision is."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"  # nobody decided in time


class Refusal(StrEnum):
    """Why a decision does not count."""

    NOT_NEEDED = "not_needed"
    SELF = "self"  # the decider is who asked
    ENDED = "ended"  # the remediation has ended, or is about to
    DECIDED = "decided"  # somebody decided otherwise before
    EXPIRED = "expired"
    STALE = "stale"  # it is not what would be done now


@dataclass(frozen=True, slots=True)
class Approval:
    """The approval that a remediation waits for or got; times are RFC 3339 UTC, which sort as text.

    `digest` names exactly what would be done (`digest_of`); `asked_by` is who asked and may therefore not decide.
    """

    digest: str
    asked_by: str
    expires_at: str
    state: ApprovalState = ApprovalState.PENDING
    decided_by: str | None = None
    decided_at: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody decides about what they saw: `digest` is that of what was shown to them."""

    state: ApprovalState
    by: str
    digest: str
    comment: str | None = None


def protected(clusters: Iterable[str], patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the clusters that nobody may change alone."""
    matches = matcher(patterns)
    return tuple(cluster for cluster in clusters if matches(cluster))


def digest_of(
    request: RemediationRequest,
    clusters: Sequence[str],
    login: Sequence[str],
    *,
    retry_of: str | None = None,
    undo_of: str | None = None,
) -> str:
    """Return `sha256:…` of all that decides what is written, whatever the order of names in it.

    `clusters` are the resolved ones, `login` is what is known of the credential's content: it changes with it.
    """
    what = asdict(request)
    for name in ("namespaces", "ignore", "service_accounts", "ignore_service_accounts"):
        what[name] = sorted(what[name])
    what |= {
        "clusters": sorted(clusters),
        "login": sorted(login),
        "retry_of": retry_of,
        "undo_of": undo_of,
    }
    text = json.dumps(what, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def decide(
    approval: Approval | None, verdict: Verdict, now: str, *, waiting: bool
) -> Approval | Refusal:
    """Return the approval after a verdict, or why the verdict does not count.

    `waiting` tells that the remediation has neither begun nor ended. The same verdict of the same person again changes
    nothing and is no error.
    """
    if approval is None:
        return Refusal.NOT_NEEDED
    if verdict.by == approval.asked_by:
        return Refusal.SELF
    if approval.state is verdict.state and approval.decided_by == verdict.by:
        return approval
    if approval.state is ApprovalState.EXPIRED:
        return Refusal.EXPIRED
    if approval.state is not ApprovalState.PENDING:
        return Refusal.DECIDED
    if not waiting:
        return Refusal.ENDED
    if approval.expires_at <= now:
        return Refusal.EXPIRED
    if verdict.digest != approval.digest:
        return Refusal.STALE
    return replace(
        approval,
        state=verdict.state,
        decided_by=verdict.by,
        decided_at=now,
        comment=verdict.comment,
    )
