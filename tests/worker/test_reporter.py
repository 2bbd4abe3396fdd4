"""Rows on their way to Redis: none is lost, whatever Redis does meanwhile."""

import asyncio
from typing import Any

import pytest

from remediation.outcome import NamespaceResult, Outcome
from store.claims import LeaseLost
from store.connection import StoreUnavailable
from worker.reporter import Reporter


class FakeRuns:
    """Raises what it is told to, one for each call, and keeps the rows otherwise."""

    def __init__(self, *raises: Exception | None) -> None:
        self.raises = list(raises)
        self.stored: list[str] = []

    def report(self, claim: object, rows: list[NamespaceResult], changes: object = None) -> int:
        if self.raises and (error := self.raises.pop(0)):
            raise error
        self.stored += [row.namespace for row in rows]
        return len(rows)


def reporter(runs: Any, on_lost: Any = lambda: None) -> Reporter:
    claim: Any = None
    return Reporter(runs, claim, on_lost, lambda namespaces: None)


def a_row(name: str) -> NamespaceResult:
    return NamespaceResult(name, Outcome.CHANGED)


def test_an_outage_of_redis_is_a_pause_not_the_end_of_reporting():
    async def main() -> FakeRuns:
        runs = FakeRuns(StoreUnavailable("away"), StoreUnavailable("away"))
        sink = reporter(runs)
        sink.add(a_row("a"))
        async with asyncio.timeout(60):  # or nobody follows the run any more
            while runs.stored != ["a"]:
                await asyncio.sleep(0.01)
        sink.add(a_row("b"))
        await sink.close()
        return runs

    assert asyncio.run(main()).stored == ["a", "b"]


def test_what_is_left_is_stored_at_the_end_or_the_outage_is_told():
    async def main(*raises: Exception | None) -> FakeRuns:
        runs = FakeRuns(*raises)
        sink = reporter(runs)
        for number in range(1200):
            sink.add(a_row(f"n{number}"))
        await sink.close()
        return runs

    assert len(asyncio.run(main()).stored) == 1200
    with pytest.raises(StoreUnavailable):
        asyncio.run(main(StoreUnavailable("away"), StoreUnavailable("away")))


def test_a_lost_lease_is_told_at_once():
    async def main() -> list[str]:
        told: list[str] = []
        sink = reporter(FakeRuns(LeaseLost(), LeaseLost()), lambda: told.append("lost"))
        sink.add(a_row("a"))
        async with asyncio.timeout(60):
            while not told:
                await asyncio.sleep(0.01)
        with pytest.raises(LeaseLost):
            await sink.close()
        return told

    assert asyncio.run(main()) == ["lost"]
