"""What a run goes back to."""

from dataclasses import replace

import pytest

from remediation.outcome import Error, ErrorCode, NamespaceResult, Outcome, SecretAction
from remediation.plan import Intent
from remediation.scope import Scope
from remediation.status import RunStatus
from store import keys, lineage, recovery
from store.claims import MAX_ATTEMPTS
from store.intake import AlreadyUndone
from store.records import NEW, Origin, Run
from store.store import DEFAULT_RETENTION_SECONDS, Store
from tests.store.values import (
    ID,
    REQUEST,
    a_claim,
    a_later_claim,
    a_remediation,
    a_row,
    let_go,
)

LATER = "rem_01JD0000000000000000000002"
LAST = "rem_01JD0000000000000000000003"
LOST = Error(ErrorCode.WORKER_LOST, "x")


def carried_out(
    store: Store,
    run_id: str,
    rows: list[NamespaceResult],
    *,
    error: Error | None = None,
    note: bool = True,
) -> Run:
    """Carry a run out to its end."""
    claim = a_claim(store, run_id)
    if not error:
        store.claims.observed(claim, len(rows), ())
    if note:
        intents = [(row.namespace, Intent(SecretAction.CREATED, ("default",))) for row in rows]
        store.journal.note(claim, intents)
    store.claims.report(claim, rows)
    store.claims.finish(claim, error, RunStatus.FAILED if error else None)
    run = store.runs.get(run_id)
    assert run
    return run


def follow(store: Store, remediation_id: str, origin: Origin) -> Run:
    """Record a remediation that follows on another; return its run."""
    (run,) = store.intake.remediation(
        remediation_id, REQUEST, "alice", [("eu-1", "main")], origin=origin
    )
    return run


def test_a_retry_is_about_what_failed_or_was_cancelled(store: Store) -> None:
    a_remediation(store)
    rows = [a_row(outcome.value, outcome) for outcome in Outcome]
    first = carried_out(store, f"{ID}-0", rows)

    parents = {"eu-1": lineage.parents_for_retry(first)}
    run = follow(store, LATER, Origin(retry_of=ID, parents=parents))

    assert lineage.leaves_something(first)
    assert lineage.scope_of(store, run) == Scope(only=frozenset({"failed", "cancelled"}))
    found = store.remediations.get(LATER)
    assert found
    assert found.retry_of == ID


def test_of_a_lost_run_all_is_retried_that_was_not_finished(store: Store) -> None:
    a_remediation(store)
    rows = [a_row("done"), a_row("bad", Outcome.FAILED)]
    first = carried_out(store, f"{ID}-0", rows, error=LOST)

    run = follow(store, LATER, Origin(retry_of=ID, parents={"eu-1": (first.id,)}))

    assert lineage.scope_of(store, run) == Scope(without=frozenset({"done"}))


def test_a_parent_that_came_to_nothing_is_passed_over(store: Store) -> None:
    a_remediation(store)
    first = carried_out(store, f"{ID}-0", [], error=LOST)

    assert lineage.leaves_something(first)
    assert lineage.parents_for_retry(first) == ()


def test_a_dry_run_that_failed_is_done_again_as_a_whole(store: Store) -> None:
    store.intake.remediation(ID, replace(REQUEST, dry_run=True), "alice", [("eu-1", "main")])
    first = carried_out(store, f"{ID}-0", [a_row("a", Outcome.WOULD_CHANGE)], error=LOST)

    assert lineage.leaves_something(first)
    assert lineage.parents_for_retry(first) == ()


def test_a_run_without_failures_leaves_nothing(store: Store) -> None:
    a_remediation(store)

    first = carried_out(store, f"{ID}-0", [a_row("a")])

    assert not lineage.leaves_something(first)


def test_a_later_run_stands_where_it_wrote_the_same_namespaces(store: Store) -> None:
    for remediation_id in (ID, LATER, LAST):
        a_remediation(store, remediation_id)
    first = carried_out(store, f"{ID}-0", [a_row("a"), a_row("b")])
    second = carried_out(store, f"{LATER}-0", [a_row("b"), a_row("c")])
    carried_out(store, f"{LAST}-0", [a_row("c"), a_row("b", Outcome.UNCHANGED)])

    standing = [(run.id, number) for run, number in lineage.standing_on(store, first)]

    assert standing == [(second.id, 1)]
    assert lineage.wrote(store, second)


def test_what_was_undone_stands_no_more(store: Store) -> None:
    a_remediation(store)
    a_remediation(store, LATER)
    first = carried_out(store, f"{ID}-0", [a_row("a")])
    second = carried_out(store, f"{LATER}-0", [a_row("a")])
    undo = follow(store, LAST, Origin(undo_of=LATER, undoes={"eu-1": second.id}))
    assert list(lineage.standing_on(store, first))

    carried_out(store, undo.id, [a_row("a")])

    assert list(lineage.standing_on(store, first)) == []


def test_a_run_that_meant_to_write_nothing_is_not_in_the_way(store: Store) -> None:
    a_remediation(store)
    a_remediation(store, LATER)
    first = carried_out(store, f"{ID}-0", [a_row("a")])
    carried_out(store, f"{LATER}-0", [a_row("a", Outcome.UNCHANGED)], note=False)

    assert store.runs.later(first) == []


def test_what_a_lost_run_was_about_to_write_counts_as_written(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.journal.note(claim, [("a", Intent(SecretAction.CREATED, ("default",)))])
    store.claims.finish(claim, LOST, RunStatus.FAILED)
    run = store.runs.get(f"{ID}-0")
    assert run

    assert lineage.wrote(store, run)
    assert lineage.done_by(store, run).keys() == {"a"}


def test_where_a_lost_run_says_that_it_wrote_nothing_nothing_is_taken_back(store: Store) -> None:
    a_remediation(store)
    mine = a_row("mine", Outcome.CHANGED)
    theirs = a_row("theirs", Outcome.UNCHANGED)  # they were faster, with the same name
    run = carried_out(store, f"{ID}-0", [mine, theirs], error=LOST)

    assert lineage.done_by(store, run).keys() == {"mine"}


def test_a_dry_run_wrote_nothing(store: Store) -> None:
    request = replace(REQUEST, dry_run=True)
    store.intake.remediation(ID, request, "alice", [("eu-1", "main")])
    run = carried_out(store, f"{ID}-0", [a_row("a", Outcome.WOULD_CHANGE)], note=False)

    assert not lineage.wrote(store, run)


def test_a_remediation_is_undone_once(store: Store) -> None:
    a_remediation(store)
    first = carried_out(store, f"{ID}-0", [a_row("a")])
    origin = Origin(undo_of=ID, undoes={"eu-1": first.id})
    follow(store, LATER, origin)

    with pytest.raises(AlreadyUndone):
        follow(store, LAST, origin)

    assert store.remediations.get(LAST) is None
    undone = store.runs.get(first.id)
    assert undone
    assert undone.undone_by == f"{LATER}-0"


def test_what_a_new_one_goes_on_from_is_kept_as_long(store: Store) -> None:
    a_remediation(store)
    first = carried_out(store, f"{ID}-0", [a_row("a", Outcome.FAILED)])
    store.closing.close(ID)
    kept = f"rmd:run:{first.id}:rows:failed"
    store.redis.expire(kept, 60)

    follow(store, LATER, Origin(retry_of=ID, parents={"eu-1": (first.id,)}))

    assert store.redis.ttl(kept) > 60


def test_the_past_of_a_line_is_kept_for_a_time_and_up_to_a_number(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.claims.MOST_PAST", 2)
    a_remediation(store)
    first = carried_out(store, f"{ID}-0", [a_row("a")])
    later = [follow(store, each, NEW) for each in (LATER, LAST)]

    for run in later:
        carried_out(store, run.id, [a_row("a")])

    assert first.line
    past = keys.past(first.line)
    assert store.redis.lrange(past, 0, -1) == [run.id for run in later]
    assert 0 < store.redis.ttl(past) <= DEFAULT_RETENTION_SECONDS
    # It has dropped out, so all that are there came after it.
    assert {run.id for run, _ in lineage.standing_on(store, first)} == {run.id for run in later}


def test_all_is_left_of_a_run_that_was_cancelled_before_it_began(store: Store) -> None:
    a_remediation(store)
    store.remediations.cancel(ID)
    recovery.end_unbegun(store, store.runs.active())

    run = store.runs.get(f"{ID}-0")

    assert run
    assert run.status is RunStatus.CANCELLED
    assert lineage.leaves_something(run)
    assert lineage.parents_for_retry(run) == ()


def test_what_is_left_of_a_run_that_was_given_up_is_not_known(store: Store) -> None:
    """Its total says how far it came, and so its rows add up: that does not make it complete."""
    a_remediation(store)
    claim = a_claim(store)
    store.claims.observed(claim, 3, ())
    store.claims.report(claim, [a_row("done")])
    for _ in range(MAX_ATTEMPTS - 1):
        a_later_claim(store)
    let_go(store)

    recovery.recover(store)

    run = store.runs.get(claim.run.id)
    assert run
    assert run.summary.total == run.summary.done == 1
    assert lineage.leaves_something(run)
    again = follow(store, LATER, Origin(retry_of=ID, parents={"eu-1": (run.id,)}))
    assert lineage.scope_of(store, again) == Scope(without=frozenset({"done"}))
