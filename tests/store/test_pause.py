"""The pause: nothing begins while it lasts, and all goes on after it."""

from remediation.approval import Approval, ApprovalState, Verdict
from remediation.status import RemediationStatus, RunStatus
from store import clock, keys
from store.records import Terms
from store.recovery import recover
from store.store import Store
from tests.store.values import ID, REQUEST, a_claim, a_remediation, let_go


def turn(store: Store) -> list[str]:
    """Look for runs that nobody works on, whoever looked a moment ago."""
    store.redis.delete(keys.REAPER)
    for key in store.redis.scan_iter("rmd:run:*:wake"):
        store.redis.delete(key)
    return [run.id for run in recover(store)]


def test_no_run_begins_while_the_service_is_paused(store: Store) -> None:
    (run_id,) = a_remediation(store)
    held, began = store.pause.begin("storm", "alice")

    assert began
    assert store.pause.current() == held
    assert store.claims.take(run_id) is None
    assert turn(store) == []


def test_a_second_pause_changes_nothing(store: Store) -> None:
    first, _ = store.pause.begin("storm", "alice")

    assert store.pause.begin("another", "bob") == (first, False)


def test_a_run_at_work_goes_on(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.pause.begin("storm", "alice")

    store.claims.observed(claim, 0, ())
    store.claims.finish(claim)

    assert store.closing.close(ID)


def test_a_run_lost_meanwhile_waits_and_goes_on_afterwards(store: Store) -> None:
    (run_id,) = a_remediation(store)
    a_claim(store)
    store.pause.begin("storm", "alice")
    let_go(store)
    assert turn(store) == []
    assert store.claims.take(run_id) is None

    assert store.pause.end("bob")

    assert turn(store) == [run_id]
    assert a_claim(store).attempt == 2


def test_time_does_not_run_while_the_service_is_paused(store: Store) -> None:
    (run_id,) = a_remediation(store)
    before = store.runs.get(run_id)
    assert before
    store.pause.begin("storm", "alice")
    an_hour_ago = clock.later(clock.now(), -3600)
    store.redis.hset(keys.PAUSE, "since", an_hour_ago)
    store.redis.hset(keys.remediation(ID), "created_at", an_hour_ago)
    store.redis.hset(keys.run(run_id), "deadline", clock.later(clock.now(), -1))

    turn(store)
    waiting = store.runs.get(run_id)
    assert waiting
    assert waiting.status is RunStatus.QUEUED
    store.pause.end("alice")

    after = store.runs.get(run_id)
    assert after
    assert after.deadline > clock.later(clock.now(), 3500)
    assert turn(store) == [run_id]


def test_a_pause_before_the_request_gives_it_no_more_time_than_it_lost(store: Store) -> None:
    store.pause.begin("storm", "alice")
    store.redis.hset(keys.PAUSE, "since", clock.later(clock.now(), -3600))
    (run_id,) = a_remediation(store)
    before = store.runs.get(run_id)

    store.pause.end("alice")

    after = store.runs.get(run_id)
    assert before
    assert after
    assert after.deadline < clock.later(before.deadline, 600)


def test_an_approval_in_a_pause_gives_no_more_time_than_was_lost_after_it(store: Store) -> None:
    approval = Approval("sha256:" + 64 * "a", "alice", clock.later(clock.now(), 600))
    terms = Terms(approval=approval)
    (run,) = store.intake.remediation(ID, REQUEST, "alice", [("eu-1", "main")], terms=terms)
    store.pause.begin("storm", "alice")
    an_hour_ago = clock.later(clock.now(), -3600)
    store.redis.hset(keys.PAUSE, "since", an_hour_ago)
    store.redis.hset(keys.remediation(ID), "created_at", an_hour_ago)
    store.approvals.decide(ID, Verdict(ApprovalState.APPROVED, "bob", approval.digest))
    before = store.runs.get(run.id)

    store.pause.end("alice")

    after = store.runs.get(run.id)
    assert before
    assert after
    assert after.deadline < clock.later(before.deadline, 600)


def test_what_is_cancelled_ends_while_the_service_is_paused(store: Store) -> None:
    fresh = "rem_01JD0000000000000000000002"
    a_remediation(store)
    a_claim(store)
    let_go(store)
    a_remediation(store, fresh, clusters=("us-1",))
    store.pause.begin("storm", "alice")

    store.remediations.cancel(ID)
    store.remediations.cancel(fresh)

    # What a worker had begun only a worker can end.
    assert turn(store) == [f"{ID}-0"]
    assert a_claim(store).attempt == 2
    ended = store.remediations.get(fresh)
    assert ended
    assert ended.status is RemediationStatus.CANCELLED


def test_what_is_open_shows_the_pause_and_changes_its_revision(store: Store) -> None:
    a_remediation(store)
    before = store.remediations.get(ID)
    store.pause.begin("storm", "alice")
    during = store.remediations.get(ID)
    store.pause.end("bob")
    after = store.remediations.get(ID)

    assert before and during and after  # noqa: PT018 -- one thing: it is there
    assert (before.paused, after.paused) == (None, None)
    assert during.paused
    assert during.paused.reason == "storm"
    assert len({before.revision, during.revision, after.revision}) == 3
    kinds = [event.type for event in store.events.after(ID)]
    assert kinds == ["remediation.accepted", "remediation.paused", "remediation.resumed"]


def test_there_is_nothing_to_resume_in_a_service_that_works(store: Store) -> None:
    assert store.pause.end("alice") is None
