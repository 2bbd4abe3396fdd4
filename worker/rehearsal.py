"""Asking the API server, in a dry run, whether it takes what would be written: `dryRun=All` stores nothing.

Roles, the provider's authorizer, admission webhooks, policies and quotas all answer such a request.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from remediation.plan import NamespacePlan, Task, gone_result
from remediation.rehearsal import foretold, to_ask, unasked
from remediation.undo import UndoTask
from worker import secrets, service_accounts
from worker.apply import rewrite_of
from worker.execution import Execution
from worker.faults import Fault, Gone, Retry
from worker.pace import Stopped
from worker.session import Session

_MOST_SECONDS = 30.0
_SHARE = 0.5  # of the time that is left
_FINAL = (Retry.NO, Retry.CONFLICT)


async def rehearse(
    execution: Execution, session: Session, plans: Sequence[NamespacePlan]
) -> list[NamespacePlan]:
    """Return the plans with what the API server says about their writes; those not asked about say so."""
    heard: dict[str, NamespacePlan] = {}
    asked = iter(to_ask(plans))

    async def lane() -> None:
        for plan in asked:
            if execution.cancelled.is_set():
                return
            with suppress(Stopped):
                heard[plan.namespace] = await _ask(session, execution.task, plan)

    with suppress(TimeoutError):
        async with asyncio.timeout(min(_MOST_SECONDS, execution.remaining * _SHARE)):
            async with asyncio.TaskGroup() as lanes:
                for _ in range(execution.concurrency):
                    lanes.create_task(lane())
    return [plan if plan.settled else heard.get(plan.namespace) or unasked(plan) for plan in plans]


async def _ask(session: Session, task: Task | UndoTask, plan: NamespacePlan) -> NamespacePlan:
    """Ask about the Secret, then about one ServiceAccount, which stands for the others. Raises Stopped."""
    try:
        if plan.secret and isinstance(task, Task):
            await secrets.rehearse(session, task, plan.namespace, plan.secret)
        if plan.accounts:
            account = plan.accounts[0]
            names = rewrite_of(task, plan.namespace)(account)
            if isinstance(names, tuple):
                await service_accounts.rehearse(session, plan.namespace, account, names)
    except Gone as gone:
        if not gone.namespace:
            return plan  # a ServiceAccount that is gone is one less to write
        return replace(plan, settled=gone_result(plan.namespace))
    except Fault as fault:
        return foretold(plan, fault.error, final=fault.retry in _FINAL)
    return plan
