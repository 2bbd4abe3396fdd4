"""Cancelling: what is at work hears of it, what was not begun ends at once, what has ended stays as it is."""

import pytest

from remediation.outcome import Outcome
from remediation.status import RemediationStatus, RunStatus
from store.claims import Hold
from store.idempotency import KeyTaken, Known, RequestKey
from store.recovery import end_unbegun, recover
from store.store import Store
from tests.store.test_recovery import later
from tests.store.values import ID, a_claim, a_remediation, a_row, let_go


def status(store: Store) -> RemediationStatus:
    remediation = store.remediations.get(ID)
    assert remediation
    return remediation.status


def runs(store: Store) -> list[RunStatus]:
    remediation = store.remediations.get(ID)
    assert remediation
    return [run.status for run in remediation.runs]


def test_the_worker_hears_of_it_when_it_renews_its_lease(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    assert store.claims.renew(claim) is Hold.HELD

    assert store.remediations.cancel(ID) is RemediationStatus.CANCELLING

    assert store.claims.renew(claim) is Hold.CANCELLED
    assert status(store) is RemediationStatus.CANCELLING


def test_the_rows_of_a_cancelled_run_make_the_remediation_cancelled(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.remediations.cancel(ID)
    store.claims.report(claim, [a_row("a"), a_row("b", Outcome.CANCELLED)])

    store.claims.finish(claim)
    store.closing.close(ID)

    assert status(store) is RemediationStatus.CANCELLED


def test_runs_that_no_worker_has_begun_end_at_once(store: Store) -> None:
    a_remediation(store, clusters=("eu-1", "eu-2"))
    claim = a_claim(store)
    store.remediations.cancel(ID)

    assert end_unbegun(store, store.runs.without_lease(store.runs.active())) == []

    assert runs(store) == [RunStatus.RUNNING, RunStatus.CANCELLED]
    store.claims.finish(claim)
    store.closing.close(ID)
    assert status(store) is RemediationStatus.CANCELLED


def test_recovery_ends_them_too(store: Store) -> None:
    a_remediation(store)
    store.remediations.cancel(ID)

    later(store)
    assert recover(store) == []

    assert status(store) is RemediationStatus.CANCELLED


def test_a_run_that_lost_its_worker_is_ended_by_another_worker(store: Store) -> None:
    """Only a worker can tell which namespaces are left."""
    (run_id,) = a_remediation(store)
    a_claim(store)
    let_go(store)
    store.remediations.cancel(ID)

    later(store)

    assert [run.id for run in recover(store)] == [run_id]
    assert store.claims.renew(a_claim(store)) is Hold.CANCELLED


def test_what_has_ended_stays_as_it_is(store: Store) -> None:
    a_remediation(store)
    store.claims.finish(a_claim(store))
    store.closing.close(ID)

    assert store.remediations.cancel(ID) is RemediationStatus.SUCCEEDED
    assert status(store) is RemediationStatus.SUCCEEDED


def test_twice_is_once_and_unknown_is_none(store: Store) -> None:
    a_remediation(store)

    assert store.remediations.cancel(ID) is RemediationStatus.CANCELLING
    assert store.remediations.cancel(ID) is RemediationStatus.CANCELLING
    assert store.remediations.cancel("rem_01JD0000000000000000000009") is None


def a_key(fingerprint: str = "f") -> RequestKey:
    return RequestKey("alice", f"POST /remediations/{ID}/cancel", "incident-17", fingerprint)


@pytest.mark.parametrize("same", [True, False])
def test_under_one_key_it_is_cancelled_once(store: Store, same: bool) -> None:
    a_remediation(store)
    store.remediations.cancel(ID, a_key())
    before = store.remediations.get(ID)

    with pytest.raises(KeyTaken) as taken:
        store.remediations.cancel(ID, a_key("f" if same else "g"))

    assert taken.value.known == Known(ID, same)
    assert store.remediations.get(ID) == before
    assert 0 < store.redis.ttl(a_key().record) <= 24 * 3600


def test_what_had_ended_leaves_the_key_free(store: Store) -> None:
    a_remediation(store)
    store.claims.finish(a_claim(store))
    store.closing.close(ID)

    assert store.remediations.cancel(ID, a_key()) is RemediationStatus.SUCCEEDED
    assert store.idempotency.known(a_key()) is None


def test_what_is_not_there_leaves_the_key_free(store: Store) -> None:
    assert store.remediations.cancel(ID, a_key()) is None
    assert store.idempotency.known(a_key()) is None
