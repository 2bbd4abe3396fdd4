"""A process writes only for as long as nobody else can have its run."""

import asyncio
import math
import time

import pytest

from remediation.request import RemediationRequest
from store.claims import LEASE_MS, Claim, Hold
from store.connection import PROMPT
from store.store import Store
from tests.store.values import ID
from worker.lease import Lease
from worker.vigil import MARGIN_SECONDS, Vigil

FOR_EVER_MS = 3_600_000


def a_claim(store: Store) -> Claim:
    request = RemediationRequest(clusters=("eu",), credential="reg")
    (run,) = store.intake.remediation(ID, request, "alice", [("eu", "main")])
    claim = store.claims.take(run.id)
    assert claim
    return claim


def a_lease(store: Store, claim: Claim) -> Lease:
    return Lease(store.claims, claim, lambda: None, lambda: None)


def is_certain(held_until: float, seconds: float = 0.3) -> bool:
    """Tell whether a write may begin, given some time."""

    async def main() -> None:
        await asyncio.wait_for(Vigil(lambda: held_until).certain(), seconds)

    try:
        asyncio.run(main())
    except TimeoutError:
        return False
    return True


def test_a_write_begins_while_the_lease_lasts_for_long_enough() -> None:
    now = time.monotonic()

    assert is_certain(now + FOR_EVER_MS)
    assert not is_certain(now + MARGIN_SECONDS - 0.01)
    assert not is_certain(-math.inf)


def test_what_waits_goes_on_when_the_lease_was_renewed() -> None:
    async def story() -> None:
        held = [-math.inf]
        waiting = asyncio.create_task(Vigil(lambda: held[0]).certain())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        held[0] = math.inf
        await asyncio.wait_for(waiting, 10)

    asyncio.run(story())


@pytest.mark.parametrize("taken", [False, True])
def test_a_lease_says_for_how_long_nobody_else_can_have_the_run(
    store: Store, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.lease.LEASE_MS", FOR_EVER_MS)
    claim = a_claim(store)
    lease = a_lease(store, claim)
    assert not is_certain(lease.held_until)
    if taken:
        store.claims.hand_back(claim)
        assert store.claims.take(claim.run.id)

    with lease:
        time.sleep(0.5)

    assert is_certain(lease.held_until) is not taken


def test_a_look_at_the_lease_does_not_make_it_longer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.lease.RENEW_SECONDS", FOR_EVER_MS)
    monkeypatch.setattr("worker.lease.LOOK_SECONDS", 0.05)
    looks: list[Claim] = []
    renewals: list[float] = []
    look, renew = store.claims.look, store.claims.renew

    def looked(claim: Claim) -> Hold:
        looks.append(claim)
        return look(claim)

    def renewed(claim: Claim) -> Hold:
        renewals.append(time.monotonic())
        return renew(claim)

    monkeypatch.setattr(store.claims, "look", looked)
    monkeypatch.setattr(store.claims, "renew", renewed)
    lease = a_lease(store, a_claim(store))

    with lease:
        while len(looks) < 3:
            time.sleep(0.02)

    (at,) = renewals
    assert lease.held_until <= at + LEASE_MS / 1000


def test_without_redis_nothing_is_certain(redis_server: str) -> None:
    away = Store.open("redis://127.0.0.1:1", retries=PROMPT)
    there = Store.open(f"{redis_server}?db=1", retries=PROMPT)
    there.redis.flushdb()
    lease = a_lease(away, a_claim(there))

    with lease:
        assert not is_certain(lease.held_until)
    there.close()
    away.close()
