"""Waiting for a second person: nothing begins, nobody else waits, and it ends in time."""

import pytest

from remediation.approval import Approval, ApprovalState, Refusal, Verdict
from remediation.status import RemediationStatus
from store import clock, keys
from store.records import Terms
from store.recovery import end_unbegun, recover
from store.store import Store
from tests.store.values import ID, REQUEST, a_claim, a_remediation

DIGEST = "sha256:" + 64 * "a"
OTHER = "rem_01JD0000000000000000000002"
YES = Verdict(ApprovalState.APPROVED, "bob", DIGEST)
NO = Verdict(ApprovalState.REJECTED, "bob", DIGEST, "not today")


def held(store: Store, seconds: float = 600) -> str:
    """Record a remediation that needs a second person; return the id of its run."""
    approval = Approval(DIGEST, "alice", clock.later(clock.now(), seconds))
    terms = Terms(approval=approval)
    (run,) = store.intake.remediation(ID, REQUEST, "alice", [("eu-1", "main")], terms=terms)
    return run.id


def turn(store: Store) -> list[str]:
    """Look for runs that nobody works on, whoever looked a moment ago."""
    store.redis.delete(keys.REAPER, keys.wake(f"{ID}-0"), keys.wake(f"{OTHER}-0"))
    return [run.id for run in recover(store)]


def state_of(store: Store) -> tuple[RemediationStatus, ApprovalState]:
    found = store.remediations.get(ID)
    assert found
    assert found.approval
    return found.status, found.approval.state


def test_nothing_begins_before_somebody_approves(store: Store) -> None:
    run_id = held(store)

    assert store.claims.take(run_id) is None
    assert turn(store) == []
    assert state_of(store) == (RemediationStatus.QUEUED, ApprovalState.PENDING)

    _, changed = store.approvals.decide(ID, YES)

    assert changed
    assert turn(store) == [run_id]
    assert a_claim(store, run_id)


def test_its_deadline_counts_from_the_approval(store: Store) -> None:
    run_id = held(store)
    store.redis.hset(keys.run(run_id), "deadline", clock.later(clock.now(), -1))
    turn(store)

    store.approvals.decide(ID, YES)

    run = store.runs.get(run_id)
    assert run
    assert run.deadline > clock.later(clock.now(), REQUEST.timeout_seconds - 60)
    assert turn(store) == [run_id]


def test_who_waits_for_a_second_person_makes_nobody_wait(store: Store) -> None:
    run_id = held(store)
    (other,) = a_remediation(store, OTHER)

    claim = a_claim(store, other)
    store.approvals.decide(ID, YES)

    assert store.claims.take(run_id) is None  # one cluster, one writer
    store.claims.finish(claim)
    assert a_claim(store, run_id)


def test_what_is_rejected_ends_without_having_begun(store: Store) -> None:
    run_id = held(store)

    store.approvals.decide(ID, NO)

    assert store.claims.take(run_id) is None
    end_unbegun(store, store.runs.without_lease(store.runs.active()))
    assert state_of(store) == (RemediationStatus.CANCELLED, ApprovalState.REJECTED)


def test_what_nobody_decides_on_ends_in_time(store: Store) -> None:
    run_id = held(store, seconds=-1)

    turn(store)

    assert state_of(store) == (RemediationStatus.CANCELLED, ApprovalState.EXPIRED)
    assert store.claims.take(run_id) is None
    assert store.approvals.decide(ID, YES) == (Refusal.EXPIRED, False)
    assert store.redis.exists(keys.APPROVALS) == 0
    kinds = [event.type for event in store.events.after(ID)]
    assert "remediation.approval_expired" in kinds


def test_a_decision_counts_once(store: Store) -> None:
    held(store)

    first, changed = store.approvals.decide(ID, YES)
    again = store.approvals.decide(ID, YES)

    assert changed
    assert again == (first, False)
    assert store.approvals.decide(ID, NO) == (Refusal.DECIDED, False)
    line = store.runs.get(f"{ID}-0")
    assert line
    assert line.line
    assert store.redis.lrange(line.line, 0, -1) == [f"{ID}-0"]


@pytest.mark.parametrize(
    ("verdict", "refusal"),
    [
        (Verdict(ApprovalState.APPROVED, "alice", DIGEST), Refusal.SELF),
        (Verdict(ApprovalState.APPROVED, "bob", "sha256:" + 64 * "b"), Refusal.STALE),
    ],
)
def test_what_does_not_count_changes_nothing(
    store: Store, verdict: Verdict, refusal: Refusal
) -> None:
    run_id = held(store)

    assert store.approvals.decide(ID, verdict) == (refusal, False)
    assert store.claims.take(run_id) is None
    assert state_of(store) == (RemediationStatus.QUEUED, ApprovalState.PENDING)


def test_what_was_cancelled_waits_for_nobody(store: Store) -> None:
    run_id = held(store)
    store.remediations.cancel(ID)

    assert store.claims.take(run_id) is None
    assert store.approvals.decide(ID, YES) == (Refusal.ENDED, False)
    turn(store)
    found = store.remediations.get(ID)
    assert found
    assert found.status is RemediationStatus.CANCELLED
    assert store.redis.exists(keys.APPROVALS) == 0


def test_what_would_be_done_otherwise_has_to_be_looked_at_again(store: Store) -> None:
    held(store)
    fresh = "sha256:" + 64 * "c"

    store.approvals.renew(ID, fresh)

    assert store.approvals.decide(ID, YES) == (Refusal.STALE, False)
    after, changed = store.approvals.decide(ID, Verdict(ApprovalState.APPROVED, "bob", fresh))
    assert changed
    assert not isinstance(after, Refusal)
    store.approvals.renew(ID, DIGEST)  # what is decided stays
    found = store.remediations.get(ID)
    assert found
    assert found.approval == after


def test_one_that_needs_nobody_cannot_be_approved(store: Store) -> None:
    a_remediation(store)

    assert store.approvals.decide(ID, YES) == (Refusal.NOT_NEEDED, False)


def test_not_even_the_first_in_line_begins_before_somebody_approves(store: Store) -> None:
    run_id = held(store)
    run = store.runs.get(run_id)
    assert run
    assert run.line
    store.redis.rpush(run.line, run_id)

    assert store.claims.take(run_id) is None
    store.remediations.cancel(ID)
    assert store.claims.take(run_id) is None
