"""What a run goes back to: the runs whose leftovers it retries, the run that it takes back."""

from collections.abc import Iterator

from remediation.outcome import Outcome
from remediation.scope import EVERYTHING, Scope
from remediation.status import RunStatus
from remediation.undo import Done, what_was_done
from store.records import Run
from store.store import Store

_LEFT_OVER = (Outcome.FAILED, Outcome.CANCELLED)
_FINISHED = tuple(outcome for outcome in Outcome if outcome not in _LEFT_OVER)
_MAY_HAVE_WRITTEN = (Outcome.CHANGED, Outcome.FAILED, Outcome.CANCELLED)
_WROTE_NOTHING = tuple(outcome for outcome in Outcome if outcome not in _MAY_HAVE_WRITTEN)


def complete(run: Run) -> bool:
    """Tell whether the run, which has ended, gave every namespace a row."""
    return run.error is None and run.missing is not None


def leaves_something(run: Run) -> bool:
    """Tell whether the run, which has ended, left something to retry."""
    if complete(run):
        return bool(run.summary.failed or run.summary.cancelled)
    return run.status is not RunStatus.SUCCEEDED


def parents_for_retry(run: Run) -> tuple[str, ...]:
    """Return the parents of a run that retries this one: without those that left all as they found it.

    What a dry run foretold is not done: one that failed is done again as a whole.
    """
    idle = not complete(run) and (run.line is None or not run.summary.done)
    return run.parents if idle else (*run.parents, run.id)


def wrote(store: Store, run: Run) -> bool:
    """Tell whether the run, which has ended, may have written anything."""
    if run.line is None:  # a dry run
        return False
    summary = run.summary
    if summary.accounts_changed or summary.secrets_created or summary.secrets_updated:
        return True
    certain = complete(run) and not summary.failed and not summary.cancelled
    return not certain and bool(done_by(store, run))


def scope_of(store: Store, run: Run) -> Scope | None:
    """Return what the run is about: what its parents left over, or all that the request means.

    None: the records of a parent are gone, and nobody knows what it left over.
    """
    scope = EVERYTHING
    parents = store.runs.get_many(run.parents)
    if len(parents) < len(run.parents):
        return None
    for parent in parents:
        scope = scope.after(
            store.results.namespaces(parent.id, _FINISHED),
            store.results.namespaces(parent.id, _LEFT_OVER),
            complete=complete(parent),
        )
    return scope


def done_by(store: Store, run: Run) -> dict[str, Done]:
    """Return what the run, which has ended, wrote, by namespace."""
    rows = [row.result for row in store.results.rows([run], outcomes=_MAY_HAVE_WRITTEN)]
    unreported = not complete(run)
    doubt = unreported or any(row.doubtful for row in rows)
    intents = dict(store.journal.intents(run.id)) if doubt else {}
    if unreported:
        # Where a row says that nothing was written, what is in line now is somebody else's, whatever was intended.
        for namespace in store.results.namespaces(run.id, _WROTE_NOTHING):
            intents.pop(namespace, None)
    return what_was_done(rows, intents, unreported=unreported)


def standing_on(store: Store, run: Run) -> Iterator[tuple[Run, int]]:
    """Yield the later runs that wrote where this one did and still stand, each with the number of such namespaces."""
    # The same remediation may have had a run by another name of the API server: both are undone together.
    later = [
        each
        for each in store.runs.later(run)
        if not each.undoes and each.remediation_id != run.remediation_id
    ]
    undoing = [each.undone_by for each in later if each.undone_by]
    ended = {each.id: each.status for each in store.runs.get_many(undoing)}
    standing = [
        each for each in later if ended.get(each.undone_by or "") is not RunStatus.SUCCEEDED
    ]
    if not standing:
        return
    own = done_by(store, run).keys()
    for each in standing:
        if common := own & done_by(store, each).keys():
            yield each, len(common)
