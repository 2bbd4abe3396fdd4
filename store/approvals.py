"""Remediations that wait for a second person: decided once, or ended when their time is over."""

from dataclasses import replace
from typing import Any

from redis import Redis

from remediation.approval import Approval, ApprovalState, Refusal, Verdict, decide
from remediation.status import RemediationStatus
from store import clock, codec, events, keys
from store.sealed import life

_EVENTS = {
    ApprovalState.APPROVED: "remediation.approved",
    ApprovalState.REJECTED: "remediation.rejected",
    ApprovalState.EXPIRED: "remediation.approval_expired",
}


class Approvals:
    """The decisions on all remediations that need one."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def decide(self, remediation_id: str, verdict: Verdict) -> tuple[Approval | Refusal, bool]:
        """Record a verdict; return the approval after it or why it does not count, and whether anything changed.

        What is approved takes its place in line and has all of its time from now on; what is rejected is to be ended.
        """
        head = keys.remediation(remediation_id)
        now = clock.text(clock.common(self._redis))

        def step(pipe: Any) -> tuple[Approval | Refusal, bool]:
            raw = pipe.hgetall(head)
            before = codec.decode_approval(raw)
            waiting = raw.get("status") == RemediationStatus.QUEUED
            after = decide(before, verdict, now, waiting=waiting)
            approved = not isinstance(after, Refusal) and after.state is ApprovalState.APPROVED
            runs = _runs(pipe, raw) if approved else {}
            paused = bool(pipe.exists(keys.PAUSE))
            pipe.multi()
            if isinstance(after, Refusal) or after == before:
                return after, False
            _store(pipe, remediation_id, after)
            timeout = codec.decode_request(raw["request"]).timeout_seconds
            deadline = clock.later(now, timeout)
            if not paused:  # else its time begins when the pause ends
                pipe.expire(keys.sealed(remediation_id), life(timeout, deadline, after))
            for run_id, line in runs.items():
                pipe.hset(keys.run(run_id), "deadline", deadline)
                if line:
                    pipe.rpush(line, run_id)
            return after, True

        return self._redis.transaction(step, head, keys.PAUSE, value_from_callable=True)  # type: ignore[no-any-return]

    def renew(self, remediation_id: str, digest: str) -> None:
        """Note that something else would be done now than what was shown: it has to be looked at again."""
        head = keys.remediation(remediation_id)

        def step(pipe: Any) -> None:
            before = codec.decode_approval(pipe.hgetall(head))
            pipe.multi()
            if before and before.state is ApprovalState.PENDING and before.digest != digest:
                pipe.hset(head, mapping=codec.encode_approval(replace(before, digest=digest)))
                events.tell(pipe, remediation_id, "remediation.approval_renewed", digest=digest)

        self._redis.transaction(step, head)

    def expire(self) -> list[str]:
        """Have those end that nobody decided on in time; return them."""
        due = self._redis.zrangebyscore(
            keys.APPROVALS, "-inf", clock.common(self._redis).timestamp()
        )
        return [remediation_id for remediation_id in due if self._expire(remediation_id)]

    def _expire(self, remediation_id: str) -> bool:
        head = keys.remediation(remediation_id)

        def step(pipe: Any) -> bool:
            raw = pipe.hgetall(head)
            before = codec.decode_approval(raw)
            open_still = raw.get("status") == RemediationStatus.QUEUED
            pipe.multi()
            if before is None or before.state is not ApprovalState.PENDING or not open_still:
                pipe.zrem(keys.APPROVALS, remediation_id)
                return False
            _store(pipe, remediation_id, replace(before, state=ApprovalState.EXPIRED))
            return True

        return bool(self._redis.transaction(step, head, value_from_callable=True))


def _store(pipe: Any, remediation_id: str, approval: Approval) -> None:
    """Write a decision and what follows from it."""
    fields = codec.encode_approval(approval)
    if approval.state is not ApprovalState.APPROVED:
        fields["status"] = RemediationStatus.CANCELLING
        pipe.delete(keys.sealed(remediation_id))  # nothing of it is begun any more
    pipe.hset(keys.remediation(remediation_id), mapping=fields)
    pipe.zrem(keys.APPROVALS, remediation_id)
    kind = _EVENTS[approval.state]
    events.tell(pipe, remediation_id, kind, by=approval.decided_by, comment=approval.comment)


def _runs(pipe: Any, raw: dict[str, str]) -> dict[str, str]:
    """Return the lines of a remediation's runs, '' for one that stands in none."""
    return {
        run_id: pipe.hget(keys.run(run_id), "line") or "" for run_id in codec.loads(raw["runs"])
    }
