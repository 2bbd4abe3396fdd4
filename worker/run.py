"""One run from its claim to its end: plan, apply, a row for each namespace."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from remediation.caution import bounded
from remediation.outcome import Error, ErrorCode, Outcome
from remediation.plan import NamespacePlan, unfinished_result, would_result
from remediation.status import RunStatus
from worker.apply import carry_out_plan
from worker.execution import Execution, RunFailed
from worker.kubeconfig_rules import Unusable
from worker.planning import plans_for
from worker.recall import Recall
from worker.reporter import Reporter
from worker.session import Session, open_session

_LAST_WRITES_SECONDS = 5.0


async def carry_out(execution: Execution) -> None:
    """Do the work and store every row. Raises RunFailed, LeaseLost, and CancelledError when told to stop."""
    try:
        async with open_session(
            execution.context,
            execution.user_agent,
            execution.concurrency,
            execution.cancelled,
            execution.witness,
            execution.vigil,
        ) as session:
            await _in_session(execution, session)
    except Unusable as error:
        detail = f"the kubeconfig cannot be used: {error}"
        hint = "correct the worker's kubeconfig; `remediator clusters` shows what is wrong"
        raise RunFailed(Error(ErrorCode.UNREACHABLE, detail, hint), RunStatus.UNREACHABLE) from None


async def _in_session(execution: Execution, session: Session) -> None:
    recall = await Recall.of(execution)
    prepared = await plans_for(execution, session, recall)
    current = asyncio.current_task()
    assert current  # noqa: S101 -- this is a coroutine
    reporter = Reporter(
        execution.store.claims,
        execution.claim,
        current.cancel,
        execution.witness.publish,
        recall.changes,
    )
    try:
        if prepared.refusal:
            _report_refused(execution, prepared.plans, prepared.refusal, reporter, recall)
        else:
            if not execution.task.request.dry_run:
                await asyncio.to_thread(execution.witness.began)
            await _carry_out_all(execution, session, prepared.plans, reporter, recall)
    finally:
        try:
            await reporter.close()
        finally:
            execution.witness.publish_rest()
    if prepared.refusal:
        raise prepared.refusal


def _report_refused(
    execution: Execution,
    plans: Sequence[NamespacePlan],
    refusal: RunFailed,
    reporter: Reporter,
    recall: Recall,
) -> None:
    """Report what was seen of a cluster that nothing is written to; a dry run says what would be."""
    for plan in plans:
        if plan.settled or execution.task.request.dry_run:
            _report_known(plan, reporter, recall)
        else:
            row = unfinished_result(plan, Outcome.FAILED, refusal.error, begun=False)
            reporter.add(recall.warned(plan, row))


def _report_known(plan: NamespacePlan, reporter: Reporter, recall: Recall) -> None:
    """Report a plan that is settled, or what a dry run foretells."""
    if plan.settled:
        reporter.add(replace(plan.settled, cautions=bounded(plan.settled.cautions)))
    else:
        reporter.add(recall.warned(plan, would_result(plan)))


async def _carry_out_all(
    execution: Execution,
    session: Session,
    plans: Sequence[NamespacePlan],
    reporter: Reporter,
    recall: Recall,
) -> None:
    open_plans = []
    for plan in plans:
        if plan.settled or execution.task.request.dry_run:
            _report_known(plan, reporter, recall)
        else:
            open_plans.append(plan)
    waiting = iter(open_plans)
    unfinished = {plan.namespace: plan for plan in open_plans}
    begun: set[str] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(execution.remaining) as limit:
            watch = asyncio.create_task(_hurry(execution.cancelled, limit))
            try:
                async with asyncio.TaskGroup() as lanes:
                    for _ in range(min(execution.concurrency, len(open_plans))):
                        lanes.create_task(
                            _lane(execution, session, waiting, reporter, recall, unfinished, begun)
                        )
            finally:
                watch.cancel()
    cancelled = execution.cancelled.is_set()
    outcome = Outcome.CANCELLED if cancelled else Outcome.FAILED
    error = None if cancelled else execution.too_late
    for name, plan in sorted(unfinished.items()):
        row = unfinished_result(plan, outcome, error, begun=name in begun)
        reporter.add(recall.warned(plan, row))


async def _hurry(cancelled: asyncio.Event, limit: asyncio.Timeout) -> None:
    """Once the run is cancelled, give the writes under way a moment to come to their end."""
    await cancelled.wait()
    limit.reschedule(asyncio.get_running_loop().time() + _LAST_WRITES_SECONDS)


async def _lane(
    execution: Execution,
    session: Session,
    waiting: Iterator[NamespacePlan],
    reporter: Reporter,
    recall: Recall,
    unfinished: dict[str, NamespacePlan],
    begun: set[str],
) -> None:
    for plan in waiting:
        if execution.cancelled.is_set():
            return
        begun.add(plan.namespace)
        row = await carry_out_plan(session, execution.task, plan)
        del unfinished[plan.namespace]
        reporter.add(recall.warned(plan, row))
