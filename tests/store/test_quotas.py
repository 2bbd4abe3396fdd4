"""Quotas: a moving minute for each caller, and a number of open remediations."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from remediation.request import RemediationRequest
from store import codec, keys
from store.connection import PROMPT
from store.intake import TooManyActive
from store.quotas import REMEDIATIONS
from store.records import Orders, Terms
from store.store import Store
from tests.conftest import STORE_DATABASE
from tests.store.values import ID, REQUEST, a_claim, all_keys


def ask(store: Store, number: int, most: int | None = 2, caller: str = "alice") -> None:
    identity = f"{ID[:-2]}{number:02}"
    places = [(f"cluster-{number}", "main")]
    store.intake.remediation(identity, REQUEST, caller, places, terms=Terms(most_active=most))


def test_a_minute_holds_so_many_requests_of_each_caller(store: Store) -> None:
    granted = [store.quotas.take("alice", 3, REMEDIATIONS) for _ in range(5)]

    assert [quota.granted for quota in granted] == [True, True, True, False, False]
    assert [quota.left for quota in granted] == [2, 1, 0, 0, 0]
    assert all(1 <= quota.reset_seconds <= 60 for quota in granted)
    assert store.quotas.take("bob", 3, REMEDIATIONS).granted


def test_the_count_goes_by_itself_and_names_nobody(store: Store) -> None:
    store.quotas.take("alice", 3, REMEDIATIONS)

    kept = {key: seconds for key, seconds in all_keys(store).items() if "quotas" in key}
    assert kept
    assert all(0 < seconds <= 120 for seconds in kept.values())
    assert not any("alice" in key for key in kept)
    assert all(key.startswith(keys.QUOTAS) for key in kept)


def test_a_caller_has_so_many_open_remediations(store: Store) -> None:
    ask(store, 1)
    ask(store, 2)

    with pytest.raises(TooManyActive) as refused:
        ask(store, 3)

    assert refused.value.active == 2
    assert len(store.remediations.open_ids()) == 2
    ask(store, 4, caller="bob")
    ask(store, 5, most=None)


def test_one_that_has_ended_makes_room(store: Store) -> None:
    ask(store, 1)
    ask(store, 2)
    identity = f"{ID[:-2]}01"
    store.claims.finish(a_claim(store, f"{identity}-0"))
    assert store.closing.close(identity)

    ask(store, 3)


def test_requests_at_the_same_moment_do_not_pass_together(store: Store) -> None:
    def one(number: int) -> bool:
        try:
            ask(store, number, most=3)
        except TooManyActive:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        taken = list(pool.map(one, range(20)))

    assert sum(taken) == 3


def test_what_a_worker_has_to_keep_to_is_recorded(store: Store) -> None:
    request = RemediationRequest(clusters=("*",), credential="reg")
    terms = Terms(request_id="req-1", most_namespaces=7)

    store.intake.remediation(ID, request, "alice", [("eu-1", "main")], terms=terms)

    assert store.remediations.orders(ID) == Orders("alice", "req-1", 7)


def test_a_request_that_comes_in_between_counts(
    store: Store, redis_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Store.open(f"{redis_server}?db={STORE_DATABASE}", retries=PROMPT)
    real = codec.encode_request
    calls = iter([True])

    def meanwhile(request: RemediationRequest) -> str:
        """Called after the number was read, before anything is recorded."""
        if next(calls, False):
            ask(other, 2, most=None)
        return real(request)

    monkeypatch.setattr(codec, "encode_request", meanwhile)

    with pytest.raises(TooManyActive):
        ask(store, 1, most=1)

    assert len(store.remediations.open_ids()) == 1
    other.close()
