"""One run from its claim to its end: observe, plan, apply."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

import remediation
from remediation.outcome import Error, ErrorCode, Outcome
from remediation.plan import (
    NamespacePlan,
    Task,
    carry_over,
    gone_result,
    unfinished_result,
    would_result,
)
from remediation.registry.check import CheckResult, refusal
from remediation.registry.rules import Registries
from remediation.request import RegistryCheck
from remediation.selection import missing_names
from remediation.status import RunStatus
from remediation.undo import UndoTask
from store import clock
from store.records import Orders
from store.runs import Claim
from store.store import Store
from worker.apply import carry_out_plan
from worker.faults import Fault
from worker.kube import Session, open_session
from worker.kubeconfigs import Context, Unusable
from worker.observe import observe
from worker.registry_check import check
from worker.reporter import Reporter
from worker.vigil import Vigil
from worker.witness import Witness

REACH_SECONDS = 8.0
_LAST_WRITES_SECONDS = 5.0
_LEFT_ALONE = (Outcome.IGNORED, Outcome.SKIPPED)
_NO_ANSWER = (ErrorCode.UNREACHABLE, ErrorCode.TIMEOUT)

log = logging.getLogger(__name__)


class RunFailed(Exception):
    """The run cannot go on; `error` says why, for the whole cluster."""

    def __init__(self, error: Error, status: RunStatus = RunStatus.FAILED) -> None:
        super().__init__(str(error.code))
        self.error = error
        self.status = status


@dataclass(frozen=True, slots=True)
class Execution:
    """A claimed run with all that is needed to carry it out."""

    store: Store
    claim: Claim
    task: Task | UndoTask
    context: Context
    deadline: datetime
    concurrency: int
    cancelled: asyncio.Event
    witness: Witness
    vigil: Vigil
    most_namespaces: int | None = None
    registries: Registries = field(default_factory=Registries)

    @classmethod
    def of(
        cls,
        store: Store,
        claim: Claim,
        task: Task | UndoTask,
        context: Context,
        orders: Orders,
        concurrency: int,
        registries: Registries,
        vigil: Vigil,
    ) -> "Execution":
        """Wire an execution on somebody's orders."""
        ahead = datetime.now(UTC) - clock.common(store.redis)
        deadline = clock.parse(claim.run.deadline) + ahead  # as this machine's clock will show it
        return cls(
            store,
            claim,
            task,
            context,
            deadline,
            concurrency,
            asyncio.Event(),
            Witness(store.audit, claim.run, orders, claim.attempt),
            vigil,
            orders.most_namespaces,
            registries,
        )

    @property
    def user_agent(self) -> str:
        """How clusters and registries see this run."""
        return f"remediator/{remediation.__version__} (remediation={self.task.remediation_id})"


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
        raise RunFailed(Error(ErrorCode.UNREACHABLE, detail), RunStatus.UNREACHABLE) from None


async def _in_session(execution: Execution, session: Session) -> None:
    plans = await _plans(execution, session)
    current = asyncio.current_task()
    assert current  # noqa: S101 -- this is a coroutine
    reporter = Reporter(
        execution.store.runs, execution.claim, current.cancel, execution.witness.publish
    )
    try:
        if not execution.task.request.dry_run:
            await asyncio.to_thread(execution.witness.began)
        await _carry_out_all(execution, session, plans, reporter)
    finally:
        try:
            await reporter.close()
        finally:
            execution.witness.publish_rest()


async def _plans(execution: Execution, session: Session) -> list[NamespacePlan]:
    """Observe the cluster, decide, have the credential proven, and note what is intended."""
    claim, task, store = execution.claim, execution.task, execution.store
    try:
        async with asyncio.timeout(_remaining(execution)):
            await session.reach(REACH_SECONDS)
            observation = await observe(session, task.to_observe)
    except TimeoutError:
        _timed_out(execution)
    except Fault as fault:
        raise RunFailed(fault.error, _status_of(execution, fault.error)) from None
    plans = [plan for state in observation.states if (plan := task.plan(state))]
    missing: tuple[str, ...] = ()
    if task.exactly is None:
        missing = missing_names(task.request, observation.present)
    else:
        gone = sorted(task.exactly - observation.present)
        plans += [NamespacePlan(name, gone_result(name)) for name in gone]
    _check_number(execution, plans)
    names = {plan.namespace for plan in plans}
    run_id = claim.run.id
    if claim.attempt > 1:
        done = await asyncio.to_thread(store.results.namespaces, run_id)
        intents = await asyncio.to_thread(store.journal.intents, run_id)
        plans = [
            carry_over(plan, intents[plan.namespace]) if plan.namespace in intents else plan
            for plan in plans
            if plan.namespace not in done
        ]
        names |= done
    # Before the journal, which tells what may have been written.
    await _prove(execution, session, [plan for plan in plans if not plan.settled])
    await asyncio.to_thread(store.runs.observed, claim, len(names), missing)
    if not task.request.dry_run:
        intents_now = [(plan.namespace, plan.intent) for plan in plans if not plan.settled]
        await asyncio.to_thread(store.journal.note, claim, intents_now)
    return plans


def _check_number(execution: Execution, plans: Sequence[NamespacePlan]) -> None:
    """Raise RunFailed for more namespaces than the caller may have touched; nothing is written yet."""
    most = execution.most_namespaces
    touched = sum(
        1 for plan in plans if plan.settled is None or plan.settled.outcome not in _LEFT_ALONE
    )
    if most is not None and touched > most:
        raise RunFailed(
            Error(
                ErrorCode.TOO_MANY_NAMESPACES,
                f"the request is about {touched} namespaces here, and the caller's role allows {most} on a cluster",
                "name fewer with 'namespaces', leave some out with 'ignore', or ask somebody with another role",
            )
        )


async def _prove(
    execution: Execution, session: Session, open_plans: Sequence[NamespacePlan]
) -> None:
    """Have the credential proven before anything is written with it. Raises RunFailed if that is refused."""
    task, run = execution.task, execution.claim.run
    wanted = task.request.registry_check
    if not isinstance(task, Task) or wanted is RegistryCheck.SKIP or not open_plans:
        return
    # What an earlier attempt was told holds for the whole run: it may have begun to write.
    result = run.registry_check
    if result is None:
        namespaces = {plan.namespace for plan in open_plans}
        asking = check(
            session, task.credential, execution.registries, namespaces, execution.user_agent
        )
        try:
            async with asyncio.timeout(_remaining(execution)):
                result = await _unless_cancelled(asking, execution.cancelled)
        except TimeoutError:
            _timed_out(execution)
        except Fault as fault:
            raise RunFailed(fault.error, _status_of(execution, fault.error)) from None
        if result is None:
            return  # cancelled: what is left is reported as such
        await asyncio.to_thread(execution.store.runs.checked, execution.claim, result)
    if error := refusal(result, wanted):
        raise RunFailed(error)


async def _unless_cancelled(
    asking: Coroutine[Any, Any, CheckResult], cancelled: asyncio.Event
) -> CheckResult | None:
    """Return what was asked for, None once the run is cancelled."""
    question, watch = asyncio.create_task(asking), asyncio.create_task(cancelled.wait())
    try:
        await asyncio.wait((question, watch), return_when=asyncio.FIRST_COMPLETED)
        return question.result() if question.done() else None
    finally:
        watch.cancel()
        question.cancel()
        await asyncio.gather(question, watch, return_exceptions=True)


def _status_of(execution: Execution, error: Error) -> RunStatus:
    """Return how a run ends that could not be observed."""
    if execution.cancelled.is_set():
        return RunStatus.CANCELLED
    return RunStatus.UNREACHABLE if error.code in _NO_ANSWER else RunStatus.FAILED


async def _carry_out_all(
    execution: Execution, session: Session, plans: Sequence[NamespacePlan], reporter: Reporter
) -> None:
    open_plans = []
    for plan in plans:
        if plan.settled:
            reporter.add(plan.settled)
        elif execution.task.request.dry_run:
            reporter.add(would_result(plan))
        else:
            open_plans.append(plan)
    waiting = iter(open_plans)
    unfinished = {plan.namespace: plan for plan in open_plans}
    begun: set[str] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(_remaining(execution)) as limit:
            watch = asyncio.create_task(_hurry(execution.cancelled, limit))
            try:
                async with asyncio.TaskGroup() as lanes:
                    for _ in range(min(execution.concurrency, len(open_plans))):
                        lanes.create_task(
                            _lane(execution, session, waiting, reporter, unfinished, begun)
                        )
            finally:
                watch.cancel()
    cancelled = execution.cancelled.is_set()
    outcome = Outcome.CANCELLED if cancelled else Outcome.FAILED
    error = None if cancelled else _deadline(execution)
    for name, plan in sorted(unfinished.items()):
        reporter.add(unfinished_result(plan, outcome, error, begun=name in begun))


async def _hurry(cancelled: asyncio.Event, limit: asyncio.Timeout) -> None:
    """Once the run is cancelled, give the writes under way a moment to come to their end."""
    await cancelled.wait()
    limit.reschedule(asyncio.get_running_loop().time() + _LAST_WRITES_SECONDS)


async def _lane(
    execution: Execution,
    session: Session,
    waiting: Iterator[NamespacePlan],
    reporter: Reporter,
    unfinished: dict[str, NamespacePlan],
    begun: set[str],
) -> None:
    for plan in waiting:
        if execution.cancelled.is_set():
            return
        begun.add(plan.namespace)
        row = await carry_out_plan(session, execution.task, plan)
        del unfinished[plan.namespace]
        reporter.add(row)


def _remaining(execution: Execution) -> float:
    return max(0.0, (execution.deadline - datetime.now(UTC)).total_seconds())


def _timed_out(execution: Execution) -> NoReturn:
    raise RunFailed(_deadline(execution))


def _deadline(execution: Execution) -> Error:
    return Error(
        ErrorCode.TIMEOUT,
        f"the deadline of {execution.task.request.timeout_seconds} s passed before this was finished",
        "start it again with a larger timeout_seconds: what was done is not done twice",
    )
