"""What a run is about to do: the cluster is observed, plans are made, the credential is proven, intents are noted."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from remediation.outcome import Error, ErrorCode, Outcome, SecretAction
from remediation.plan import NamespacePlan, Task, carry_over, gone_result
from remediation.registry.check import refusal
from remediation.request import RegistryCheck
from remediation.selection import NamespaceSelection, missing_names
from remediation.short_lived import short_lived
from remediation.status import RunStatus
from remediation.undo import UndoTask
from remediation.unlisted import tell_unlisted
from remediation.unmatched import Part, Unmatched, unmatched_accounts, unmatched_namespaces
from remediation.usage import Usage, warned
from worker.execution import REACH_SECONDS, Execution, RunFailed
from worker.faults import Fault
from worker.observe import Observation, observe
from worker.recall import Recall
from worker.registry_check import check
from worker.rehearsal import rehearse
from worker.same_cluster import check_same
from worker.session import Session
from worker.usage import read_usage

_Answer = TypeVar("_Answer")
_LEFT_ALONE = (Outcome.IGNORED, Outcome.SKIPPED)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is about to be done; `refusal` says why nothing of it is written, though the cluster was read."""

    plans: list[NamespacePlan]
    refusal: RunFailed | None = None


async def plans_for(execution: Execution, session: Session, recall: Recall) -> Prepared:
    """Observe the cluster, decide, have the credential proven, and note what is intended.

    Raises LeaseLost, and RunFailed where the cluster cannot be read or is another one than is meant.
    """
    claim, task, store = execution.claim, execution.task, execution.store
    try:
        async with asyncio.timeout(execution.remaining):
            await session.reach(REACH_SECONDS)
            await check_same(session, claim.run.cluster, claim.run.uid)
            observation = await observe(session, task.to_observe)
    except TimeoutError:
        raise RunFailed(execution.too_late) from None
    except Fault as fault:
        raise execution.failed(fault.error) from None
    plans = [plan for state in observation.states if (plan := task.plan(state))]
    missing: tuple[str, ...] = ()
    if task.exactly is None:
        missing = missing_names(task.request, observation.present)
    else:
        gone = sorted(task.exactly - observation.present)
        plans += [NamespacePlan(name, gone_result(name)) for name in gone]
    plans = list(tell_unlisted(plans, observation.unlisted))
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
    unmatched = _unmatched(task, observation)
    now = datetime.now(UTC)
    endings = (
        [each.told(now) for each in short_lived(task.credential.config.logins)]
        if isinstance(task, Task)
        else []
    )
    await asyncio.to_thread(store.claims.observed, claim, len(names), missing, unmatched, endings)
    plans, refusal = await _proven(execution, session, plans)
    if refusal is None and task.request.dry_run:
        plans = await rehearse(execution, session, plans)
    if refusal is None and not task.request.dry_run:
        intents_now = [
            (plan.namespace, recall.foretold(plan)) for plan in plans if not plan.settled
        ]
        await asyncio.to_thread(store.journal.note, claim, intents_now)
        await recall.forget(session, observation)
    return Prepared(plans, refusal)


async def _proven(
    execution: Execution, session: Session, plans: Sequence[NamespacePlan]
) -> tuple[list[NamespacePlan], RunFailed | None]:
    """Return the plans with what uses their objects, and why nothing of them may be written, if so.

    It comes before the journal, which tells what may have been written. A dry run keeps what it knows also where the
    pods cannot be listed. Raises RunFailed and LeaseLost.
    """
    open_plans = [plan for plan in plans if not plan.settled]
    usage, refusal = Usage(), None
    try:
        usage = await look(execution, session, open_plans)
    except RunFailed as failed:
        if not execution.task.request.dry_run or failed.status is RunStatus.CANCELLED:
            raise
        refusal = failed
    try:
        await prove(execution, open_plans, usage)
    except RunFailed as failed:
        refusal = refusal or failed
    name = execution.task.request.secret_name
    return [plan if plan.settled else warned(plan, usage, name) for plan in plans], refusal


def _unmatched(task: Task | UndoTask, observation: Observation) -> tuple[Unmatched, ...]:
    """Return what of the request matches nothing here; a retry or an undo goes by what came before, not by it."""
    if not isinstance(task, Task) or task.exactly is not None:
        return ()
    request, selection = task.request, NamespaceSelection.of(task.request)
    accounts = [
        (state.namespace.name, account.name)
        for state in observation.states
        if (treated := selection.judge(state.namespace)) and treated.outcome is None
        for account in state.service_accounts
    ]
    selected = [
        state.namespace.name
        for state in observation.states
        if selection.selector.matches(state.namespace.labels)
    ]
    found = unmatched_namespaces(request, observation.known, selected)
    told = [each for each in found if each.part is not Part.IGNORE or observation.complete]
    told += observation.slips
    if any(state.unread for state in observation.states):
        return tuple(told)  # they may have the ServiceAccounts that are not found elsewhere
    return (*told, *unmatched_accounts(request, accounts))


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


async def look(
    execution: Execution, session: Session, open_plans: Sequence[NamespacePlan]
) -> Usage:
    """Return what uses the objects of these plans, as far as anything depends on it. Raises RunFailed."""
    task = execution.task
    undoes = isinstance(task, UndoTask)
    proves = not undoes and task.request.registry_check is not RegistryCheck.SKIP
    # Where a Secret goes, or new pods get an entry that they did not have.
    namespaces = {
        plan.namespace
        for plan in open_plans
        if proves or (plan.secret_action is SecretAction.DELETED if undoes else plan.accounts)
    }
    if not namespaces:
        return Usage()
    reading = read_usage(
        session, namespaces, task.request.secret_name, templates=undoes, needed=proves
    )
    # Cancelled: nothing is written any more, so that nothing depends on it.
    return await _in_time(execution, reading) or Usage()


async def prove(execution: Execution, open_plans: Sequence[NamespacePlan], usage: Usage) -> None:
    """Have the credential proven before anything is written with it. Raises RunFailed if that is refused."""
    task, run = execution.task, execution.claim.run
    wanted = task.request.registry_check
    if not isinstance(task, Task) or wanted is RegistryCheck.SKIP or not open_plans:
        return
    # What an earlier attempt was told holds for the whole run: it may have begun to write.
    result = run.registry_check
    if result is None:
        asking = check(task.credential, execution.registries, usage, execution.user_agent)
        result = await _in_time(execution, asking)
        if result is None:
            return  # cancelled: what is left is reported as such
        await asyncio.to_thread(execution.store.claims.checked, execution.claim, result)
    if error := refusal(result, wanted):
        raise RunFailed(error)


async def _in_time(execution: Execution, asking: Coroutine[Any, Any, _Answer]) -> _Answer | None:
    """Return what was asked for, None once the run is cancelled. Raises RunFailed."""
    try:
        async with asyncio.timeout(execution.remaining):
            return await _unless_cancelled(asking, execution.cancelled)
    except TimeoutError:
        raise RunFailed(execution.too_late) from None
    except Fault as fault:
        raise execution.failed(fault.error) from None


async def _unless_cancelled(
    asking: Coroutine[Any, Any, _Answer], cancelled: asyncio.Event
) -> _Answer | None:
    """Return what was asked for, None once the run is cancelled."""
    question, watch = asyncio.create_task(asking), asyncio.create_task(cancelled.wait())
    try:
        await asyncio.wait((question, watch), return_when=asyncio.FIRST_COMPLETED)
        return question.result() if question.done() else None
    finally:
        watch.cancel()
        question.cancel()
        await asyncio.gather(question, watch, return_exceptions=True)
