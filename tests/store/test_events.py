"""The changes of a remediation in order, and waiting for the next."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from store import keys
from store.events import BEGINNING
from store.store import Store
from tests.store.values import ID, a_claim, a_remediation, a_row


def test_events_are_read_in_order_and_from_any_place_on(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.claims.observed(claim, 1, ())
    store.claims.report(claim, [a_row("a")])
    store.claims.finish(claim)
    store.closing.close(ID)

    events = store.events.after(ID)

    assert [event.type for event in events] == [
        "remediation.accepted",
        "run.started",
        "run.observed",
        "run.progress",
        "run.finished",
        "remediation.finished",
    ]
    assert store.events.after(ID, events[2].id) == events[3:]
    assert store.events.after(ID, BEGINNING, limit=2) == events[:2]
    assert store.events.after(ID, events[-1].id) == []


def test_of_much_progress_the_oldest_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.events.KEPT", 100)
    a_remediation(store)
    claim = a_claim(store)

    for number in range(500):
        store.claims.report(claim, [a_row(f"a-{number}")])

    assert store.redis.xlen(keys.events(ID)) < 400  # Redis lets go of whole blocks


def test_waiting_ends_with_the_next_event(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.events.BLOCK_SECONDS", 3600.0)
    a_remediation(store)
    last = store.events.after(ID)[-1].id
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(store.events.wait, ID, last, 3600)
        while not store.redis.info("clients")["blocked_clients"]:
            time.sleep(0.02)

        a_claim(store)

        assert waiting.result()


def test_waiting_ends_with_the_time(store: Store) -> None:
    a_remediation(store)
    last = store.events.after(ID)[-1].id

    assert not store.events.wait(ID, last, 0.2)


def test_what_has_happened_already_is_not_waited_for(store: Store) -> None:
    a_remediation(store)

    assert store.events.wait(ID, BEGINNING, 5)
