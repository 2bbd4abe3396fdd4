"""A process that stood still does not write before it knows that the run is still its own."""

import asyncio
import threading

import pytest

from remediation.request import RemediationRequest
from store.store import Store
from tests.store.values import ID
from worker.lease import Lease
from worker.vigil import STILL_SECONDS, Vigil

PATIENCE_SECONDS = 90


class _Clock:
    """The time as the vigil and the lease see it; a machine that stalls does not move it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def stand_still(self) -> None:
        """Do what a stopped process does: nothing, with the event loop in the middle of something."""
        self.now += STILL_SECONDS + 0.1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """Return the clock that counts."""
    clock = _Clock()
    for module in ("worker.vigil", "worker.lease"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


async def is_certain(vigil: Vigil) -> bool:
    """Tell whether the vigil lets a write begin, given some time."""
    try:
        await asyncio.wait_for(vigil.certain(), 0.3)
    except TimeoutError:
        return False
    return True


@pytest.mark.usefixtures("clock")
def test_at_work_nothing_is_asked() -> None:
    async def story() -> bool:
        vigil = Vigil(lambda: float("-inf"))
        for _ in range(20):
            await vigil.certain()
            await asyncio.sleep(0.01)
        return await is_certain(vigil)

    assert asyncio.run(story())


def test_after_standing_still_what_was_said_before_does_not_count(clock: _Clock) -> None:
    async def story() -> tuple[bool, bool]:
        said = [clock.now]
        vigil = Vigil(lambda: said[0])
        clock.stand_still()
        before = await is_certain(vigil)
        said[0] = clock.now
        return before, await is_certain(vigil)

    assert asyncio.run(story()) == (False, True)


def test_a_read_does_not_hide_that_it_stood_still(clock: _Clock) -> None:
    async def story() -> bool:
        said = clock.now
        vigil = Vigil(lambda: said)
        clock.stand_still()
        vigil.look()
        return await is_certain(vigil)

    assert not asyncio.run(story())


@pytest.mark.parametrize("taken", [False, True])
def test_a_lease_says_whose_the_run_is(store: Store, clock: _Clock, taken: bool) -> None:
    request = RemediationRequest(clusters=("eu",), credential="reg")
    (run,) = store.intake.remediation(ID, request, "alice", [("eu", "main")])
    claim = store.claims.take(run.id)
    assert claim
    lost = threading.Event()
    lease = Lease(store.claims, claim, lost.set, lambda: None)

    async def story() -> bool:
        vigil = Vigil(lambda: lease.confirmed_at)
        clock.stand_still()
        if taken:
            store.claims.hand_back(claim)
            assert store.claims.take(run.id)
        with lease:
            if taken:
                assert lost.wait(PATIENCE_SECONDS)
                return await is_certain(vigil)
            await asyncio.wait_for(vigil.certain(), PATIENCE_SECONDS)
            return True

    assert asyncio.run(story()) is not taken
    assert lost.is_set() is taken
