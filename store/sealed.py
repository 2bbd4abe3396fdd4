"""Logins that came in requests, sealed: ciphertext that only workers can open, gone when their remediation ends."""

from typing import Any

from redis import Redis

from remediation.approval import Approval, ApprovalState
from store import clock, keys

# On top of the deadline: a run that began in time may be resumed for a while after it.
MARGIN_SECONDS = 3600


def life(timeout_seconds: int, deadline: str, approval: Approval | None) -> int:
    """Return for how many seconds a sealed login may be needed: all of the time that its remediation may get.

    `deadline` is that of its runs. Where a second person has yet to agree, it will count from that.
    """
    if approval and approval.state is ApprovalState.PENDING:
        return clock.seconds_until(approval.expires_at) + timeout_seconds + MARGIN_SECONDS
    return clock.seconds_until(deadline) + MARGIN_SECONDS


class Sealed:
    """The sealed logins of all remediations; made with the remediation, and deleted by what closes it."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def get(self, remediation_id: str) -> str | None:
        """Return the sealed login of a remediation that has not ended, None if there is none."""
        text: str | None = self._redis.get(keys.sealed(remediation_id))
        return text
