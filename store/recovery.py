"""Finding runs that nobody works on: a wake-up was lost, or a worker died.

Every worker and the API do it, one of them at a time.
"""

from collections.abc import Iterable

from remediation.audit import Action, Verdict
from remediation.outcome import Error, ErrorCode
from remediation.status import RunStatus
from store import clock, keys
from store.audit import entry
from store.claims import MAX_ATTEMPTS, LeaseLost
from store.due_checks import begin_due_checks
from store.ending import end
from store.records import Run
from store.run_hash import WAKE_MS
from store.store import Store

PERIOD_SECONDS = 0.5
_TURN_MS = 400


def recover(store: Store) -> list[Run]:
    """Wake runs without a lease, give up those tried too often, close what is left open; return the woken."""
    if not store.redis.set(keys.REAPER, 1, nx=True, px=_TURN_MS):
        return []
    woken = []
    for remediation_id in store.approvals.expire():
        done = entry(Action.EXPIRE, Verdict.DONE, remediation_id=remediation_id)
        store.audit.record(done)
    active = store.runs.active()
    ends = store.runs.next_lease_end(active)
    if ends is not None and ends < _TURN_MS:
        store.redis.pexpire(keys.REAPER, max(1, ends))  # a dead worker's, most likely
    idle = end_unbegun(store, store.runs.without_lease(active))
    waiting = {pool: store.queue.waiting_runs(pool) for pool in {run.pool for run in idle}}
    resting = _resting(store, idle)
    now = clock.text(clock.common(store.redis))
    for run in idle:
        if run.attempt - run.handed_back >= MAX_ATTEMPTS:
            _give_up(store, run, _lost(run))
        elif run.remediation_id in resting:
            continue  # and its time does not run meanwhile
        elif run.deadline < now:
            _give_up(store, run, _too_late(run))
        elif (
            not run.behind and run.id not in waiting[run.pool] and store.runs.may_wake(run, WAKE_MS)
        ):
            store.queue.wake(run.pool, run.id)
            woken.append(run)
    for remediation_id in store.closing.due():
        store.closing.close(remediation_id)
    begin_due_checks(store)
    return woken


def until_next_turn(store: Store) -> float:
    """Return for how many seconds nobody need look: until the next lease ends, at most PERIOD_SECONDS."""
    left = store.redis.pttl(keys.REAPER)
    return min(PERIOD_SECONDS, (max(0, left) + 1) / 1000)


def _resting(store: Store, idle: Iterable[Run]) -> set[str]:
    """Return the remediations of these runs that nobody may begin: not approved, or the service is paused."""
    ids = {run.remediation_id for run in idle}
    resting = store.remediations.unapproved(ids)
    if store.pause.current():
        resting |= ids - store.remediations.cancelling(ids)
    return resting


def end_unbegun(store: Store, idle: Iterable[Run]) -> list[Run]:
    """End the runs of cancelled remediations that no worker has begun; return the others.

    One that a worker had begun is ended by a worker: only that can tell which namespaces are left.
    """
    runs = list(idle)
    cancelled = store.remediations.cancelling(run.remediation_id for run in runs)
    left = []
    for run in runs:
        if run.remediation_id not in cancelled or run.attempt:
            left.append(run)
        elif claim := store.claims.take_to_end(run.id):
            try:
                end(store, claim, status=RunStatus.CANCELLED)
            except LeaseLost:
                continue
    return left


def _lost(run: Run) -> Error:
    deaths = run.attempt - run.handed_back
    return Error(
        ErrorCode.WORKER_LOST,
        f"the worker died {deaths} times in the middle of this run",
        "see the workers' logs for the reason, then start the remediation again: what was done is not done twice",
    )


def _too_late(run: Run) -> Error:
    if run.behind:
        return Error(
            ErrorCode.TIMEOUT,
            f"the deadline passed while it waited for {run.behind}, which writes the same Secret there",
            "start the remediation again when that one has ended",
        )
    return Error(
        ErrorCode.TIMEOUT,
        "the deadline passed while no worker was at work on this run",
        "see that workers of its pool are alive, then start the remediation again",
    )


def _give_up(store: Store, run: Run, error: Error) -> None:
    claim = store.claims.take_to_end(run.id)
    # Read under the claim: until then its last worker could report.
    current = store.runs.get(run.id)
    if claim is None or current is None:
        return
    try:
        # Namespaces without a row were not looked at; the total says so.
        store.claims.observed(claim, current.summary.done, current.missing or ())
        end(store, claim, error, RunStatus.FAILED)
    except LeaseLost:
        return
