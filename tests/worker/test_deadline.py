"""A run's deadline counts by the clock of Redis, whatever the machine's own says."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from remediation.registry.rules import Registries
from remediation.undo import UndoTask
from store.records import Orders
from store.store import Store
from tests.store.values import ID, REQUEST, a_claim, a_remediation
from worker.execution import Execution
from worker.kubeconfigs import Context
from worker.readiness.check import moment_of
from worker.vigil import Vigil


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_run_has_all_of_its_time_where_the_clock_is_wrong(
    store: Store, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    def clock_of_redis(redis: object) -> datetime:
        return datetime.now(UTC) - timedelta(hours=hours)

    monkeypatch.setattr("store.clock.common", clock_of_redis)
    a_remediation(store)

    execution = Execution.of(
        store,
        a_claim(store),
        UndoTask(ID, REQUEST),
        Context("eu-1", "https://127.0.0.1:1"),
        Orders("client:ci"),
        1,
        Registries(),
        Vigil(time.monotonic),
    )

    assert REQUEST.timeout_seconds - 600 < execution.remaining <= REQUEST.timeout_seconds


class _Redis:
    """A Redis whose clock is an hour behind this machine's."""

    def time(self) -> tuple[int, int]:
        return int(datetime.now(UTC).timestamp()) - 3600, 0


def test_a_verdict_counts_by_the_clock_of_redis() -> None:
    """Else it would count for an hour longer where the worker's clock is ahead."""
    pods_at = datetime.now(UTC) - timedelta(minutes=1)

    by_redis = moment_of(_Redis(), pods_at)

    assert abs(pods_at - timedelta(hours=1) - by_redis) < timedelta(seconds=5)
