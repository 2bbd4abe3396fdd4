"""What came of the writes to one object, and of all those in a namespace."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from remediation.footprint import OUR_MANAGER, AccountMark, SecretMark
from remediation.outcome import (
    AccountCounts,
    Error,
    ErrorCode,
    NamespaceResult,
    Outcome,
    SecretAction,
)
from remediation.plan import NamespacePlan
from remediation.takeover import Left, tell_left, warn_left
from worker.faults import Fault, Retry

FIELD_MANAGER = OUR_MANAGER
MUST_READ = (Retry.READ_FIRST, Retry.CONFLICT)


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one object: `changed` None where the object is gone; `stopped` before it was done.

    `doubtful` tells, where it failed or was stopped, that a write was sent whose outcome is not known. `version` is
    that of a Secret that was created; `reason` says why one was left as it is, `left` why our entry stays. `account`
    and `secret` are what stood there before the write.
    """

    name: str = ""
    changed: bool | None = False
    action: SecretAction = SecretAction.UNCHANGED
    attempts: int = 0
    error: Error | None = None
    stopped: bool = False
    doubtful: bool = False
    version: tuple[str, str] | None = None
    reason: str | None = None
    account: AccountMark | None = None
    secret: SecretMark | None = None
    left: Left | None = None


def result_of(
    plan: NamespacePlan, secret: Step, accounts: Sequence[Step], started: float
) -> NamespaceResult:
    """Return the row of a plan that was carried out; `started` is a reading of the monotonic clock."""
    steps = (secret, *accounts)
    errors = [step.error for step in steps if step.error]
    for error in errors:
        if error.code is ErrorCode.NAMESPACE_TERMINATING:
            return skipped(plan, error.detail, started)
    changed = tuple(step.name for step in accounts if step.changed and not step.error)
    failed = sum(1 for step in accounts if step.error)
    stopped = sum(1 for step in accounts if step.stopped and not step.changed)
    gone = sum(1 for step in accounts if step.changed is None)
    before = plan.before
    action = secret.action if plan.secret else before.secret_action
    done = before.accounts + changed
    touched = bool(done) or action is not SecretAction.UNCHANGED
    counts = AccountCounts(
        changed=len(done),
        unchanged=plan.unchanged + len(accounts) - len(changed) - failed - gone - stopped,
        ignored=plan.ignored + gone,
        failed=len(plan.accounts) - len(accounts) + failed if secret.error else failed,
    )
    unwritten = secret.error or (secret.stopped and action is SecretAction.UNCHANGED)
    stays = [(step.name, step.left) for step in accounts if step.left]
    left = tell_left(stays)
    reason = "; ".join(part for part in (plan.reason, left, secret.reason) if part) or None
    created = action is SecretAction.CREATED
    in_doubt = tuple(step.name for step in accounts if step.doubtful)
    doubtful = bool(in_doubt) or secret.doubtful
    return NamespaceResult(
        plan.namespace,
        _outcome(bool(errors), bool(stopped or secret.stopped), touched),
        reason,
        secret_action=SecretAction.NONE if unwritten else action,
        accounts=counts,
        changed_accounts=done,
        attempts=max(step.attempts for step in steps),
        duration_ms=_since(started),
        error=errors[0] if errors else None,
        secret_version=(secret.version or plan.version) if created else None,
        doubtful=doubtful,
        doubtful_accounts=in_doubt if doubtful else None,
        account_marks=before.account_marks
        + tuple(step.account for step in accounts if step.account and step.name in changed),
        secret_mark=None if unwritten else secret.secret or before.secret_mark,
        cautions=plan.cautions + warn_left(plan.namespace, stays),
    )


def skipped(plan: NamespacePlan, reason: str, started: float) -> NamespaceResult:
    """Return the row of a namespace that went away meanwhile."""
    return NamespaceResult(plan.namespace, Outcome.SKIPPED, reason, duration_ms=_since(started))


def guard(uid: str, resource_version: str) -> dict[str, str]:
    """Return the metadata that makes a write fail if the object has changed; an empty value would switch that off."""
    if not uid or not resource_version or resource_version == "0":
        raise Fault(
            Error(ErrorCode.INTERNAL, "the object was read without uid or resourceVersion"),
            Retry.NO,
        )
    return {"uid": uid, "resourceVersion": resource_version}


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _outcome(failed: bool, stopped: bool, touched: bool) -> Outcome:
    if failed:
        return Outcome.FAILED
    if stopped:
        return Outcome.CANCELLED
    return Outcome.CHANGED if touched else Outcome.UNCHANGED
