"""Readiness checks: recorded like remediations, with the same runs, leases and recovery, but in a list of their own."""

from redis import Redis

from remediation.readiness.request import CheckRequest
from remediation.status import RemediationStatus
from store import codec, keys
from store.elsewhere import settled
from store.records import Check
from store.register import Entry, Register


class Checks(Register[Check]):
    """The records of all readiness checks."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, keys.CHECKS, _check)

    def request(self, check_id: str) -> tuple[CheckRequest, str] | None:
        """Return what was asked and when (RFC 3339), None if the check is not there."""
        text, created_at = self._redis.hmget(keys.remediation(check_id), "request", "created_at")
        return (codec.decode_check_request(text), created_at) if text else None

    def confirmation(self, check_id: str) -> Check | None:
        """Return the newest check that a gate asked for in order to confirm this one."""
        found = self._redis.hget(keys.remediation(check_id), "confirmation")
        return self.get(found) if found else None

    def due(self) -> list[str]:
        """Return the remediations that have ended and are to be followed by a check."""
        return sorted(self._redis.smembers(keys.CHECKS_DUE))

    def no_longer_due(self, remediation_id: str) -> None:
        """Note that the check is recorded, or that there can be none."""
        self._redis.srem(keys.CHECKS_DUE, remediation_id)


def _check(entry: Entry) -> Check:
    raw = entry.fields
    return Check(
        id=entry.id,
        status=RemediationStatus(raw["status"]),
        request=codec.decode_check_request(raw["request"]),
        requested_by=raw["requested_by"],
        created_at=raw["created_at"],
        revision=entry.revision,
        runs=settled(entry.runs),
        started_at=raw.get("started_at"),
        finished_at=raw.get("finished_at"),
        remediation_id=raw.get("remediation"),
        confirms=raw.get("confirms"),
    )
