"""The record rules under any order of events, on a real Redis."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from store.store import Store
from tests.store.machine import Records

FOR_EVER_MS = 3_600_000


@pytest.mark.timeout(
    1200
)  # that it is told in few steps what broke takes far longer than to find it
def test_the_records_hold_under_any_order_of_events(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.claims.LEASE_MS", FOR_EVER_MS)  # steps end leases, no clock does
    machine = type("OnThisStore", (Records,), {"store": store})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
