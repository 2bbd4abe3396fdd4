"""The end of a run, and what follows: its remediation is closed if it was the last one, and who waited begins."""

from remediation.outcome import Error
from remediation.status import RunStatus
from store.claims import Claim
from store.records import Run
from store.store import Store


def end(
    store: Store, claim: Claim, error: Error | None = None, status: RunStatus | None = None
) -> None:
    """End a run, with the status that its rows say unless one is given. Raises LeaseLost."""
    run = claim.run
    if store.claims.finish(claim, error, status) == 0:
        store.closing.close(run.remediation_id)
    wake_next(store, run)


def wake_next(store: Store, ended: Run) -> None:
    """Have the run begin that waited for `ended`, if there is one."""
    if (follower := store.runs.next_in_line(ended)) is not None:
        store.queue.wake(follower.pool, follower.id)
