"""A process that stood still does not write before it knows that the run is still its own."""

import asyncio
import threading
import time

import pytest

from remediation.request import RemediationRequest
from store.store import Store
from tests.store.values import ID
from worker.lease import Lease
from worker.vigil import STILL_SECONDS, Vigil


def stand_still() -> None:
    """Do what a stopped process does: nothing, with the event loop in the middle of something."""
    time.sleep(STILL_SECONDS + 0.1)


async def is_certain(vigil: Vigil) -> bool:
    """Tell whether the vigil lets a write begin, given some time."""
    try:
        await asyncio.wait_for(vigil.certain(), 0.3)
    except TimeoutError:
        return False
    return True


def test_at_work_nothing_is_asked() -> None:
    async def story() -> bool:
        vigil = Vigil(lambda: float("-inf"))
        for _ in range(20):
            await vigil.certain()
            await asyncio.sleep(0.01)
        return await is_certain(vigil)

    assert asyncio.run(story())


def test_after_standing_still_what_was_said_before_does_not_count() -> None:
    async def story() -> tuple[bool, bool]:
        said = [time.monotonic()]
        vigil = Vigil(lambda: said[0])
        stand_still()
        before = await is_certain(vigil)
        said[0] = time.monotonic()
        return before, await is_certain(vigil)

    assert asyncio.run(story()) == (False, True)


def test_a_read_does_not_hide_that_it_stood_still() -> None:
    async def story() -> bool:
        said = time.monotonic()
        vigil = Vigil(lambda: said)
        stand_still()
        vigil.look()
        return await is_certain(vigil)

    assert not asyncio.run(story())


@pytest.mark.parametrize("taken", [False, True])
def test_a_lease_says_whose_the_run_is(store: Store, taken: bool) -> None:
    request = RemediationRequest(clusters=("eu",), credential="reg")
    (run,) = store.intake.remediation(ID, request, "alice", [("eu", "main")])
    claim = store.claims.take(run.id)
    assert claim
    lost = threading.Event()
    lease = Lease(store.claims, claim, lost.set, lambda: None)

    async def story() -> bool:
        vigil = Vigil(lambda: lease.confirmed_at)
        stand_still()
        if taken:
            store.claims.hand_back(claim)
            assert store.claims.take(run.id)
        with lease:
            try:
                await asyncio.wait_for(vigil.certain(), 2)
            except TimeoutError:
                return False
            return True

    assert asyncio.run(story()) is not taken
    assert lost.is_set() is taken
