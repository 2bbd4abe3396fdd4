"""The lease of a run at work: renewed every second, looked at more often."""

import threading

import pytest

from store import keys
from store.claims import Claim
from store.store import Store
from tests.store.values import ID, a_claim, a_later_claim, a_remediation
from worker import lease
from worker.lease import Lease

PATIENCE_SECONDS = 30


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.04)


def nothing() -> None:
    """Hear of it, and do nothing."""


def test_it_is_renewed_for_as_long_as_it_is_held(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.redis.delete(keys.lease(claim.run.id))

    with Lease(store.claims, claim, nothing, nothing):
        for _ in range(3):
            while not store.redis.exists(keys.lease(claim.run.id)):
                pass
            store.redis.delete(keys.lease(claim.run.id))


def test_whether_to_cancel_is_asked_between_two_renewals(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 3600.0)
    a_remediation(store)
    heard = threading.Event()
    looked = threading.Event()
    look = store.claims.look

    def look_and_tell(claim: Claim) -> object:
        looked.set()
        return look(claim)

    monkeypatch.setattr(type(store.claims), "look", lambda _, claim: look_and_tell(claim))
    with Lease(store.claims, a_claim(store), nothing, heard.set):
        assert looked.wait(PATIENCE_SECONDS)
        store.remediations.cancel(ID)

        assert heard.wait(PATIENCE_SECONDS)


def test_it_ends_when_somebody_else_has_the_run(store: Store) -> None:
    a_remediation(store)
    first = a_claim(store)
    other = a_later_claim(store)
    lost = threading.Event()

    with Lease(store.claims, first, lost.set, nothing):
        assert lost.wait(PATIENCE_SECONDS)

    assert store.redis.get(keys.lease(other.run.id)) == str(other.attempt)
