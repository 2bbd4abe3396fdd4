"""Carrying out the plan of a namespace: the Secret first, then the ServiceAccounts.

Every write may be repeated: the Secret is applied server-side, a ServiceAccount is patched with the uid and the
resourceVersion it was read with, so that another writer's entry is never lost.
"""

import asyncio
import base64
import time
from dataclasses import dataclass

import orjson

from remediation.credential import SECRET_KEY, SECRET_TYPE
from remediation.outcome import (
    AccountCounts,
    Error,
    ErrorCode,
    NamespaceResult,
    Outcome,
    SecretAction,
)
from remediation.plan import NamespacePlan, SecretWrite, Task, needs_name, plan_secret
from remediation.request import OnConflict
from remediation.state import MANAGED_BY, MANAGED_BY_LABEL, ServiceAccount
from worker.faults import Call, Fault, Gone, Retry
from worker.kube import APPLY_PATCH, MERGE_PATCH, Session
from worker.observe import read_account, read_secret
from worker.pace import Stopped
from worker.wire import references

FIELD_MANAGER = "remediator"
REMEDIATION_ANNOTATION = "remediator.dev/remediation"
CREDENTIAL_ANNOTATION = "remediator.dev/credential"
_MUST_READ = (Retry.READ_FIRST, Retry.CONFLICT)
_VANISHED = Error(
    ErrorCode.CONFLICT_EXHAUSTED, "the Secret went away at the same time", "retry later"
)
_NAMESPACE_GONE = Error(ErrorCode.NAMESPACE_TERMINATING, "the namespace is gone")


@dataclass(frozen=True, slots=True)
class _Step:
    """What came of one object: `changed` None where the object is gone; `stopped` before it was done."""

    name: str = ""
    changed: bool | None = False
    action: SecretAction = SecretAction.UNCHANGED
    attempts: int = 0
    error: Error | None = None
    stopped: bool = False


async def apply_plan(session: Session, task: Task, plan: NamespacePlan) -> NamespaceResult:
    """Write what the plan says; return the row. A failure of one object leaves the others their chance."""
    started = time.monotonic()
    try:
        secret = await _put_secret(session, task, plan.namespace, plan.secret)
        accounts: list[_Step] = []
        if not secret.error and not secret.stopped:
            accounts = await _attach_all(session, task, plan)
    except Gone:
        return _skipped(plan, "the namespace is gone", started)
    errors = [step.error for step in (secret, *accounts) if step.error]
    for error in errors:
        if error.code is ErrorCode.NAMESPACE_TERMINATING:
            return _skipped(plan, error.detail, started)

    changed = tuple(step.name for step in accounts if step.changed and not step.error)
    failed = sum(1 for step in accounts if step.error)
    stopped = sum(1 for step in accounts if step.stopped and not step.changed)
    gone = sum(1 for step in accounts if step.changed is None)
    action = secret.action if plan.secret else plan.secret_action
    done = plan.before.accounts + changed
    touched = bool(done) or action is not SecretAction.UNCHANGED
    counts = AccountCounts(
        changed=len(done),
        unchanged=plan.unchanged + len(accounts) - len(changed) - failed - gone - stopped,
        ignored=plan.ignored + gone,
        failed=len(plan.attach) if secret.error else failed,
    )
    unwritten = secret.error or (secret.stopped and action is SecretAction.UNCHANGED)
    return NamespaceResult(
        plan.namespace,
        _outcome(bool(errors), stopped or secret.stopped, touched),
        secret_action=SecretAction.NONE if unwritten else action,
        accounts=counts,
        changed_accounts=done,
        attempts=max((step.attempts for step in (secret, *accounts)), default=0),
        duration_ms=_since(started),
        error=errors[0] if errors else None,
    )


def _outcome(failed: bool, stopped: int | bool, touched: bool) -> Outcome:
    if failed:
        return Outcome.FAILED
    if stopped:
        return Outcome.CANCELLED
    return Outcome.CHANGED if touched else Outcome.UNCHANGED


def cancelled_result(plan: NamespacePlan) -> NamespaceResult:
    """Return the row of a plan that was not begun; what an earlier attempt did of it stays reported."""
    before = plan.before
    touched = before.secret_action is not SecretAction.UNCHANGED
    return NamespaceResult(
        plan.namespace,
        Outcome.CANCELLED,
        secret_action=before.secret_action if touched else SecretAction.NONE,
        accounts=AccountCounts(len(before.accounts), plan.unchanged, plan.ignored),
        changed_accounts=before.accounts,
    )


def failed_result(plan: NamespacePlan, error: Error) -> NamespaceResult:
    """Return the row of a plan that was not carried out to its end; what was done of it is not known."""
    before = plan.before.accounts
    counts = AccountCounts(len(before), plan.unchanged, plan.ignored, failed=len(plan.attach))
    return NamespaceResult(
        plan.namespace, Outcome.FAILED, accounts=counts, changed_accounts=before, error=error
    )


async def _put_secret(
    session: Session, task: Task, namespace: str, write: SecretWrite | None
) -> _Step:
    attempt = 0
    doubtful = None  # the action of a write whose answer was lost
    while write:
        attempt += 1
        try:
            await _write_secret(session, task, namespace, write)
        except Stopped:
            return _Step(attempts=attempt - 1, stopped=True)
        except Fault as fault:
            if fault.retry is Retry.READ_FIRST:
                doubtful = write.action
            try:
                if not await session.pace.before_retry(fault, attempt):
                    return _Step(attempts=attempt, error=fault.error)
            except Stopped:
                done = doubtful and await _plan_again(session, task, namespace) is None
                action = doubtful if done and doubtful else SecretAction.UNCHANGED
                return _Step(action=action, attempts=attempt, stopped=True)
            if fault.retry in _MUST_READ:
                again = await _plan_again(session, task, namespace)
                if isinstance(again, Error):
                    return _Step(attempts=attempt, error=again)
                if fault.retry is Retry.CONFLICT and _same(write, again):
                    return _Step(attempts=attempt, error=fault.error)
                write = again
        else:
            return _Step(action=write.action, attempts=attempt)
    return _Step(action=doubtful or SecretAction.UNCHANGED, attempts=attempt)


async def _plan_again(session: Session, task: Task, namespace: str) -> SecretWrite | Error | None:
    """Decide on the Secret as it is now. Raises Gone."""
    try:
        existing = await read_secret(session, namespace, task.request.secret_name)
    except Fault as unread:
        return unread.error
    return plan_secret(task, namespace, existing)


def _same(before: SecretWrite, after: SecretWrite | None) -> bool:
    """Tell whether nobody changed the Secret: then the conflict is with who owns its fields, and stays."""
    return bool(after and after.existing) and before == after


async def _write_secret(session: Session, task: Task, namespace: str, write: SecretWrite) -> None:
    """Send one write. Raises Fault, and Gone if the namespace is not there any more."""
    name = task.request.secret_name
    call = Call("patch", f"secrets/{namespace}/{name}")
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    data = {SECRET_KEY: base64.b64encode(write.content).decode()}
    guard = _guard(write.existing.uid, write.existing.resource_version) if write.existing else {}
    if write.action is SecretAction.MERGED:
        # It stays somebody else's: no labels of ours, and their other data is not mentioned.
        body = orjson.dumps({"metadata": guard, "data": data})
        try:
            await session.patch(path, call, body, MERGE_PATCH, fieldManager=FIELD_MANAGER)
        except Gone as gone:
            if gone.namespace:
                raise
            raise Fault(_VANISHED, Retry.CONFLICT) from None
        return
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": guard
        | {
            "name": name,
            "namespace": namespace,
            "labels": {MANAGED_BY_LABEL: MANAGED_BY},
            "annotations": {
                REMEDIATION_ANNOTATION: task.remediation_id,
                CREDENTIAL_ANNOTATION: task.credential.name,
            },
        },
        "type": SECRET_TYPE,
        "data": data,
    }
    # A Secret with our label may have content that another tool owns; only 'replace' takes it over.
    replaces = task.request.on_conflict is OnConflict.REPLACE and write.existing
    force = "true" if replaces else "false"
    await session.patch(
        path, call, orjson.dumps(document), APPLY_PATCH, fieldManager=FIELD_MANAGER, force=force
    )


async def _attach_all(session: Session, task: Task, plan: NamespacePlan) -> list[_Step]:
    """Attach to all ServiceAccounts side by side; the session caps the writes in flight."""
    secret = task.request.secret_name
    return await asyncio.gather(
        *(_attach(session, plan.namespace, account, secret) for account in plan.attach)
    )


async def _attach(session: Session, namespace: str, account: ServiceAccount, secret: str) -> _Step:
    attempt = 0
    doubtful = False
    while needs_name(account, secret):
        attempt += 1
        try:
            await _append(session, namespace, account, secret)
        except Gone as gone:
            # Raised from here it would leave the writes to the other ServiceAccounts running.
            error = _NAMESPACE_GONE if gone.namespace else None
            return _Step(account.name, changed=None, attempts=attempt, error=error)
        except Stopped:
            return _Step(account.name, attempts=attempt - 1, stopped=True)
        except Fault as fault:
            doubtful = doubtful or fault.retry is Retry.READ_FIRST
            stopped = False
            try:
                if not await session.pace.before_retry(fault, attempt):
                    return _Step(account.name, attempts=attempt, error=fault.error)
            except Stopped:
                stopped = True
            if fault.retry in _MUST_READ:
                try:
                    account = await read_account(session, namespace, account.name)
                except Gone:
                    return _Step(account.name, changed=None, attempts=attempt)
                except Fault as unread:
                    return _Step(account.name, attempts=attempt, error=unread.error)
            if stopped and needs_name(account, secret):
                return _Step(account.name, attempts=attempt, stopped=True)
        else:
            return _Step(account.name, changed=True, attempts=attempt)
    # It carries the name now: by our own write whose answer was lost, or by somebody else's.
    return _Step(account.name, changed=doubtful, attempts=attempt)


async def _append(session: Session, namespace: str, account: ServiceAccount, secret: str) -> None:
    """Append the name last, keeping every entry and its order. The list is atomic: only a full, guarded one is safe."""
    body = {
        "metadata": _guard(account.uid, account.resource_version),
        "imagePullSecrets": references((*account.pull_secrets, secret)),
    }
    await session.patch(
        f"/api/v1/namespaces/{namespace}/serviceaccounts/{account.name}",
        Call("patch", f"serviceaccounts/{namespace}/{account.name}"),
        orjson.dumps(body),
        MERGE_PATCH,
        fieldManager=FIELD_MANAGER,
    )


def _guard(uid: str, resource_version: str) -> dict[str, str]:
    """Return the metadata that makes a write fail if the object has changed; an empty value would switch that off."""
    if not uid or not resource_version or resource_version == "0":
        raise Fault(
            Error(ErrorCode.INTERNAL, "the object was read without uid or resourceVersion"),
            Retry.NO,
        )
    return {"uid": uid, "resourceVersion": resource_version}


def _skipped(plan: NamespacePlan, reason: str, started: float) -> NamespaceResult:
    return NamespaceResult(plan.namespace, Outcome.SKIPPED, reason, duration_ms=_since(started))


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
