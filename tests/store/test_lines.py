"""One cluster, one writer: runs that write the same Secret there go one after the other, in order."""

from dataclasses import replace

from store.claims import Claim
from store.ending import wake_next
from store.recovery import end_unbegun, recover
from store.store import Store
from tests.store.test_recovery import later
from tests.store.values import REQUEST

FIRST, SECOND, THIRD = (f"rem_01JD000000000000000000000{number}" for number in (1, 2, 3))


def asked(store: Store, remediation_id: str, cluster: str = "eu-1", **fields: object) -> str:
    """Record a remediation of one cluster; return its run."""
    request = replace(REQUEST, **fields)  # type: ignore[arg-type]
    return store.intake.remediation(remediation_id, request, "alice", [(cluster, "main")])[0].id


def claimed(store: Store, run_id: str) -> Claim:
    claim = store.claims.take(run_id)
    assert claim
    return claim


def behind(store: Store, remediation_id: str) -> str | None:
    remediation = store.remediations.get(remediation_id)
    assert remediation
    return remediation.runs[0].behind


def test_the_second_waits_until_the_first_has_ended(store: Store) -> None:
    first, second, third = (asked(store, each) for each in (FIRST, SECOND, THIRD))

    assert store.claims.take(second) is None
    waiting = store.runs.get(second)
    assert waiting
    assert [run.id for run in store.runs.others_in_line(waiting)] == [first, third]
    assert behind(store, SECOND) == behind(store, THIRD) == FIRST
    assert behind(store, FIRST) is None
    store.claims.finish(claimed(store, first))

    assert store.claims.take(third) is None
    assert behind(store, THIRD) == SECOND
    store.claims.finish(claimed(store, second))
    assert claimed(store, third)


def test_the_end_of_one_wakes_the_next(store: Store) -> None:
    first, second = asked(store, FIRST), asked(store, SECOND)
    claim = claimed(store, first)
    store.claims.finish(claim)

    wake_next(store, claim.run)

    assert store.queue.waiting_runs("main") == {second}


def test_recovery_wakes_none_that_waits_and_the_next_if_its_wake_up_was_lost(store: Store) -> None:
    first, second = asked(store, FIRST), asked(store, SECOND)
    claim = claimed(store, first)
    later(store)
    assert recover(store) == []

    store.claims.finish(claim)
    later(store)

    assert [run.id for run in recover(store)] == [second]


def test_other_clusters_other_names_and_dry_runs_go_side_by_side(store: Store) -> None:
    claimed(store, asked(store, FIRST))

    assert claimed(store, asked(store, SECOND, cluster="eu-2"))
    assert claimed(store, asked(store, THIRD, secret_name="other"))
    assert claimed(store, asked(store, f"{FIRST[:-1]}4", dry_run=True))


def test_one_that_waits_beyond_its_deadline_ends_and_leaves_the_line(store: Store) -> None:
    first = claimed(store, asked(store, FIRST))
    asked(store, SECOND, timeout_seconds=-1)
    third = asked(store, THIRD)

    later(store)
    recover(store)

    ended = store.remediations.get(SECOND)
    assert ended
    assert ended.status.terminal
    assert ended.runs[0].error
    assert FIRST in ended.runs[0].error.detail
    store.claims.finish(first)
    assert claimed(store, third)


def test_a_run_that_lost_its_worker_keeps_its_place(store: Store) -> None:
    first, second = asked(store, FIRST), asked(store, SECOND)
    store.claims.hand_back(claimed(store, first))

    assert store.claims.take(second) is None
    assert claimed(store, first)


def test_no_line_is_left_behind(store: Store) -> None:
    for each in (FIRST, SECOND):
        store.claims.finish(claimed(store, asked(store, each)))

    assert not list(store.redis.scan_iter(match="*line*"))


def test_who_waited_for_one_that_is_cancelled_unbegun_is_woken_at_once(store: Store) -> None:
    first, second = (asked(store, each) for each in (FIRST, SECOND))
    store.remediations.cancel(FIRST)
    assert second not in store.queue.waiting_runs("main")

    end_unbegun(store, store.runs.get_many([first]))

    assert second in store.queue.waiting_runs("main")
