"""Politeness: who has to wait for what, and how often something is tried."""

import asyncio

import pytest

from remediation.outcome import Error, ErrorCode
from worker.faults import Fault, Retry
from worker.pace import MOST_ATTEMPTS, Pace


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("worker.pace._BACKOFF_SECONDS", 0.0)


def a_fault(code, retry, status=None, retry_after=None) -> Fault:
    return Fault(Error(code, "x", http_status=status, object="secrets/a/b"), retry, retry_after)


def attempts(fault: Fault) -> int:
    async def main() -> int:
        pace, attempt = Pace(1), 1
        while await pace.before_retry(fault, attempt):
            attempt += 1
        return attempt

    return asyncio.run(main())


def test_a_refusal_by_a_webhook_does_not_make_the_whole_cluster_wait():
    """The webhook of one namespace may answer 429 with a minute's Retry-After."""

    async def main() -> None:
        pace = Pace(1)
        pace.failed(a_fault(ErrorCode.ADMISSION_DENIED, Retry.NO, 429, retry_after=60))
        async with asyncio.timeout(60):
            await pace.clearance()

    asyncio.run(main())


def test_an_overloaded_server_makes_everybody_wait():
    async def main() -> None:
        pace = Pace(1)
        pace.failed(a_fault(ErrorCode.UNREACHABLE, Retry.SAFE, 429, retry_after=60))
        async with asyncio.timeout(0.1):
            await pace.clearance()

    with pytest.raises(TimeoutError):
        asyncio.run(main())


def test_what_is_hardly_going_to_change_is_tried_three_times():
    """A webhook that is down costs its timeout (10 s) at each attempt, in every namespace."""
    assert attempts(a_fault(ErrorCode.INTERNAL, Retry.READ_FIRST, 500)) == 3
    assert attempts(a_fault(ErrorCode.UNREACHABLE, Retry.SAFE, 503)) == MOST_ATTEMPTS
    assert attempts(a_fault(ErrorCode.TIMEOUT, Retry.READ_FIRST)) == MOST_ATTEMPTS
    assert attempts(a_fault(ErrorCode.FORBIDDEN, Retry.NO, 403)) == 1
