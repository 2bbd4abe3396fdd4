"""Carrying out the plan of a namespace.

Every write may be repeated, and a failure of one object leaves the others their chance.
"""

import asyncio
import time

from remediation.outcome import NamespaceResult
from remediation.plan import NamespacePlan, Task, needs_name
from remediation.state import ServiceAccount
from remediation.undo import STILL_NAMED, UndoTask, without_name
from worker import secrets
from worker.faults import Gone
from worker.service_accounts import Rewrite, rewrite
from worker.session import Session
from worker.step import Step, result_of, skipped


async def carry_out_plan(
    session: Session, task: Task | UndoTask, plan: NamespacePlan
) -> NamespaceResult:
    """Write what the plan says; return the row."""
    started = time.monotonic()
    try:
        if isinstance(task, Task):
            secret, accounts = await _put_in_place(session, task, plan)
        else:
            secret, accounts = await _take_back(session, task, plan)
    except Gone:
        return skipped(plan, "the namespace is gone", started)
    return result_of(plan, secret, accounts, started)


def rewrite_of(task: Task | UndoTask, namespace: str) -> Rewrite:
    """Return what the names of the ServiceAccounts of a namespace are to be."""
    name = task.request.secret_name
    if isinstance(task, UndoTask):
        done = task.done[namespace]
        return lambda account: without_name(account, name, done)

    def with_name(account: ServiceAccount) -> tuple[str, ...] | None:
        return (*account.pull_secrets, name) if needs_name(account, name) else None

    return with_name


async def _put_in_place(
    session: Session, task: Task, plan: NamespacePlan
) -> tuple[Step, list[Step]]:
    """The Secret first: no ServiceAccount names a Secret that could not be put in place."""
    secret = await secrets.put(session, task, plan.namespace, plan.secret, plan.earlier)
    if secret.error or secret.stopped:
        return secret, []
    return secret, await _rewrite_all(session, plan, rewrite_of(task, plan.namespace))


async def _take_back(
    session: Session, task: UndoTask, plan: NamespacePlan
) -> tuple[Step, list[Step]]:
    """The name first: the Secret goes when none of these ServiceAccounts names it any more."""
    name = task.request.secret_name
    accounts = await _rewrite_all(session, plan, rewrite_of(task, plan.namespace))
    if plan.secret is None:
        return Step(), accounts
    if any(step.error or step.stopped or step.left for step in accounts):
        stopped = any(step.stopped for step in accounts)
        return Step(reason=STILL_NAMED, stopped=stopped), accounts
    step = await secrets.take_away(session, plan.namespace, name, plan.secret, plan.earlier)
    return step, accounts


async def _rewrite_all(session: Session, plan: NamespacePlan, wanted: Rewrite) -> list[Step]:
    """Write all ServiceAccounts side by side; the session caps the writes in flight."""
    earlier = {mark.name: mark for mark in plan.earlier.account_marks}
    return await asyncio.gather(
        *(
            rewrite(
                session,
                plan.namespace,
                account,
                wanted,
                doubtful=account.name in plan.earlier.accounts,
                earlier=earlier.get(account.name),
            )
            for account in plan.accounts
        )
    )
