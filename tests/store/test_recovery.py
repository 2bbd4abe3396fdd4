"""Runs that nobody works on are found, woken once, and given up in the end."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from remediation.outcome import ErrorCode
from remediation.status import RemediationStatus, RunStatus
from store import clock, keys
from store.claims import MAX_ATTEMPTS
from store.records import Run
from store.recovery import PERIOD_SECONDS, recover, until_next_turn
from store.store import Store
from tests.store.values import (
    ID,
    REQUEST,
    a_claim,
    a_later_claim,
    a_remediation,
    a_row,
    let_go,
    stored,
)

RUN = f"{ID}-0"


def later(store: Store) -> None:
    """Have the short-lived marks run out, as they do within seconds."""
    for key in store.redis.scan_iter(match="*:wake"):
        store.redis.delete(key)
    store.redis.delete(keys.REAPER)


def recovered(store: Store) -> list[str]:
    later(store)
    return [run.id for run in recover(store)]


@pytest.fixture
def _slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give whoever looks a turn of half an hour, so that it does not matter how fast a test is."""
    monkeypatch.setattr("store.recovery._TURN_MS", 1_800_000)


@pytest.mark.usefixtures("_slowly")
def test_the_next_look_is_when_a_lease_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.recovery.PERIOD_SECONDS", 1800.0)
    a_remediation(store)
    a_claim(store)
    later(store)
    store.redis.pexpire(keys.lease(RUN), 900_000)

    recover(store)

    assert store.redis.pttl(keys.REAPER) <= 900_000
    assert until_next_turn(store) <= 900.001


@pytest.mark.usefixtures("_slowly")
def test_leases_that_are_held_hurry_nobody(store: Store) -> None:
    a_remediation(store)
    a_claim(store)
    later(store)
    store.redis.pexpire(keys.lease(RUN), 3_600_000)

    recover(store)

    assert store.runs.next_lease_end(store.runs.active())
    assert store.redis.pttl(keys.REAPER) > 900_000
    store.redis.pexpire(keys.REAPER, 60_000)
    assert until_next_turn(store) == PERIOD_SECONDS  # whoever has the turn may die
    store.redis.delete(keys.REAPER)
    assert until_next_turn(store) < 0.01


def taken(store: Store, pool: str = "main") -> None:
    """Have a worker take the wake-ups that wait."""
    store.queue.of(pool).empty()


def test_a_run_whose_worker_died_is_woken(store: Store) -> None:
    a_remediation(store)
    a_claim(store)
    assert recovered(store) == []
    let_go(store)

    assert recovered(store) == [RUN]
    assert store.queue.waiting("main") == 1


def test_a_run_whose_first_wake_up_was_lost_is_woken(store: Store) -> None:
    a_remediation(store)

    assert recovered(store) == [RUN]
    assert store.queue.waiting("main") == 1


def test_the_caller_who_recorded_a_run_has_time_to_wake_it(store: Store) -> None:
    a_remediation(store)

    assert recover(store) == []
    assert 0 < store.redis.pttl(keys.wake(RUN)) <= 2000


def test_a_run_is_woken_once_within_the_time_a_worker_needs(store: Store) -> None:
    a_remediation(store)
    a_claim(store)
    let_go(store)
    recovered(store)
    taken(store)
    store.redis.delete(keys.REAPER)

    assert recover(store) == []
    assert store.queue.waiting("main") == 0


def test_one_at_a_time_looks_for_lost_runs(store: Store) -> None:
    a_remediation(store)
    later(store)
    store.redis.set(keys.REAPER, 1)

    assert recover(store) == []


@pytest.mark.parametrize("claimed", [False, True], ids=["queued", "running"])
def test_a_run_whose_wake_up_still_waits_gets_no_other(store: Store, claimed: bool) -> None:
    """A pool may be away for hours, with everybody looking twice a second."""
    a_remediation(store)
    if claimed:
        a_claim(store)
        let_go(store)
    recovered(store)

    for _ in range(5):
        assert recovered(store) == []

    assert store.queue.waiting("main") == 1


def test_a_lost_wake_up_is_sent_again_even_if_others_wait(store: Store) -> None:
    """A busy pool's queue may never be empty."""
    a_remediation(store, clusters=["eu-1", "us-1"])
    store.queue.wake("main", RUN)

    assert recovered(store) == [f"{ID}-1"]
    assert store.queue.waiting("main") == 2


def test_each_run_is_woken_in_its_own_pool(store: Store) -> None:
    a_remediation(store, pool="north")
    other = "rem_01JD0000000000000000000002"
    a_remediation(store, other, clusters=("eu-2",), pool="south")

    assert recovered(store) == [RUN, f"{other}-0"]
    assert store.queue.waiting("north") == store.queue.waiting("south") == 1


def _exhaust(store: Store) -> None:
    for _ in range(MAX_ATTEMPTS):
        a_later_claim(store)
    let_go(store)


def test_a_run_that_kills_its_workers_is_given_up(store: Store) -> None:
    a_remediation(store)
    for _ in range(MAX_ATTEMPTS - 1):
        a_later_claim(store)
    last = a_later_claim(store)
    store.claims.observed(last, 10, ["tpyo"])
    store.claims.report(last, [a_row("a"), a_row("b")])
    let_go(store)

    assert recovered(store) == []

    remediation = store.remediations.get(ID)
    assert remediation
    (run,) = remediation.runs
    assert run.status is RunStatus.FAILED
    assert run.error
    assert run.error.code is ErrorCode.WORKER_LOST
    assert run.summary.total == run.summary.done == len(stored(store)) == 2
    assert run.missing == ("tpyo",)
    assert remediation.status is RemediationStatus.FAILED
    assert store.runs.active() == []
    assert store.remediations.open_ids() == []
    assert keys.lease(RUN) not in set(store.redis.scan_iter())


def test_a_run_is_not_given_up_while_its_last_worker_lives(store: Store) -> None:
    a_remediation(store)
    for _ in range(MAX_ATTEMPTS):
        a_later_claim(store)

    recovered(store)

    run = store.runs.get(RUN)
    assert run
    assert run.status is RunStatus.RUNNING


def test_rows_that_come_while_a_run_is_being_given_up_are_in_the_total(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_remediation(store)
    for _ in range(MAX_ATTEMPTS):
        last = a_later_claim(store)
    store.claims.observed(last, 10, ())
    let_go(store)
    look = type(store.runs).without_lease

    def look_and_be_overtaken(runs: object, open_runs: Sequence[Run]) -> list[Run]:
        found = look(store.runs, open_runs)
        store.claims.report(last, [a_row("a")])
        return found

    monkeypatch.setattr(type(store.runs), "without_lease", look_and_be_overtaken)
    recovered(store)

    run = store.runs.get(RUN)
    assert run
    assert run.status is RunStatus.FAILED
    assert run.summary.total == run.summary.done == 1


def test_a_remediation_whose_last_worker_died_before_closing_it_is_closed(store: Store) -> None:
    a_remediation(store)
    store.claims.finish(a_claim(store))

    recovered(store)

    remediation = store.remediations.get(ID)
    assert remediation
    assert remediation.status is RemediationStatus.SUCCEEDED
    assert store.redis.ttl(keys.remediation(ID)) > 0


def test_with_nothing_to_do_nothing_is_done(store: Store) -> None:
    assert recovered(store) == []
    assert store.queue.waiting("main") == 0


def test_a_run_that_was_handed_back_often_is_not_given_up(store: Store) -> None:
    a_remediation(store)

    for _ in range(2 * MAX_ATTEMPTS):
        store.claims.hand_back(a_claim(store))
        taken(store)
        assert recovered(store) == [RUN]

    assert a_claim(store).attempt == 2 * MAX_ATTEMPTS + 1


def test_a_run_that_nobody_begins_ends_with_its_deadline(store: Store) -> None:
    request = replace(REQUEST, timeout_seconds=-1)
    store.intake.remediation(ID, request, "alice", [("eu-1", "main")])

    assert recovered(store) == []

    run = store.runs.get(RUN)
    assert run
    assert run.status is RunStatus.FAILED
    assert run.error
    assert run.error.code is ErrorCode.TIMEOUT
    assert _status(store) is RemediationStatus.FAILED


def test_a_run_at_work_is_left_to_its_worker_after_the_deadline(store: Store) -> None:
    request = replace(REQUEST, timeout_seconds=-1)
    store.intake.remediation(ID, request, "alice", [("eu-1", "main")])
    a_claim(store)

    recovered(store)

    assert _status(store) is RemediationStatus.RUNNING


def _status(store: Store) -> RemediationStatus:
    remediation = store.remediations.get(ID)
    assert remediation
    return remediation.status


def test_a_machine_whose_clock_is_wrong_ends_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end every run of the fleet that nobody has begun."""
    a_remediation(store)
    tomorrow = clock.later(clock.now(), 24 * 3600)
    monkeypatch.setattr("store.clock.now", lambda: tomorrow)

    recover(store)

    run = store.runs.get(f"{ID}-0")
    assert run
    assert run.status is RunStatus.QUEUED


def test_a_machine_whose_clock_is_wrong_sets_the_same_deadline(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = clock.later(clock.now(), -24 * 3600)
    monkeypatch.setattr("store.clock.now", lambda: yesterday)
    a_remediation(store)

    recover(store)

    run = store.runs.get(f"{ID}-0")
    assert run
    assert run.status is RunStatus.QUEUED
