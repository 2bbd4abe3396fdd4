"""The pause: requests are taken in and queued, runs that are at work go on, and no run begins."""

from typing import Any

from redis import Redis

from store import clock, codec, events, keys
from store.ids import owner_of
from store.records import Paused
from store.sealed import life


class Pause:
    """The switch for the whole service; claims look at it."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def current(self) -> Paused | None:
        """Return why the service is paused, None while it works."""
        return codec.decode_pause(self._redis.hgetall(keys.PAUSE))

    def begin(self, reason: str, by: str) -> tuple[Paused, bool]:
        """Pause the service; return the pause that holds now, and whether this call began it."""
        fresh = Paused(reason, by, clock.text(clock.common(self._redis)))

        def step(pipe: Any) -> tuple[Paused, bool]:
            known = codec.decode_pause(pipe.hgetall(keys.PAUSE))
            pending = [] if known else pipe.smembers(keys.OPEN)
            pipe.multi()
            if known:
                return known, False
            pipe.hset(keys.PAUSE, mapping={"reason": reason, "by": by, "since": fresh.since})
            for remediation_id in pending:
                pipe.persist(keys.sealed(remediation_id))  # a login that came along is needed later
                events.tell(pipe, remediation_id, "remediation.paused", reason=reason, by=by)
            return fresh, True

        # What is recorded at this moment either is among the pending or sees the pause.
        return self._redis.transaction(step, keys.PAUSE, keys.OPEN, value_from_callable=True)  # type: ignore[no-any-return]

    def end(self, by: str) -> Paused | None:
        """Have runs begin again; return the pause that has ended, None if there was none.

        The deadlines of what has not ended move by as long as it was paused.
        """

        def step(pipe: Any) -> Paused | None:
            known = codec.decode_pause(pipe.hgetall(keys.PAUSE))
            later = _later_deadlines(pipe, known) if known else {}
            pending = pipe.smembers(keys.OPEN) if known else []
            lives = _lives(pipe, pending, later)
            pipe.multi()
            if known is None:
                return None
            pipe.delete(keys.PAUSE)
            for run_id, deadline in later.items():
                pipe.hset(keys.run(run_id), "deadline", deadline)
            for remediation_id, seconds in lives.items():
                pipe.expire(keys.sealed(remediation_id), seconds)
            for remediation_id in pending:
                events.tell(pipe, remediation_id, "remediation.resumed", by=by)
            return known

        return self._redis.transaction(step, keys.PAUSE, value_from_callable=True)  # type: ignore[no-any-return]


def _later_deadlines(pipe: Any, pause: Paused) -> dict[str, str]:
    """Return the new deadlines of the runs that have not ended, by the part of their time that was paused."""
    now = clock.text(clock.common(pipe))
    found = {}
    for run_id in pipe.smembers(keys.ACTIVE):
        deadline, owner = pipe.hmget(keys.run(run_id), "deadline", "remediation")
        if deadline is None:
            continue
        # It had all of its time when it came, and again when it was approved.
        raw = pipe.hgetall(keys.remediation(owner))
        approval = codec.decode_approval(raw)
        decided = approval and approval.decided_at
        began = max(pause.since, raw.get("created_at", now), decided or "")
        lost = max(0.0, (clock.parse(now) - clock.parse(began)).total_seconds())
        found[run_id] = clock.later(deadline, lost)
    return found


def _lives(pipe: Any, remediation_ids: Any, deadlines: dict[str, str]) -> dict[str, int]:
    """Return for how many seconds the sealed login of each remediation may be needed."""
    latest: dict[str, str] = {}
    for run_id, deadline in deadlines.items():
        owner = owner_of(run_id)
        latest[owner] = max(deadline, latest.get(owner, ""))
    found = {}
    for remediation_id in latest.keys() & set(remediation_ids):
        if pipe.exists(keys.sealed(remediation_id)):
            raw = pipe.hgetall(keys.remediation(remediation_id))
            timeout = codec.decode_request(raw["request"]).timeout_seconds
            approval = codec.decode_approval(raw)
            found[remediation_id] = life(timeout, latest[remediation_id], approval)
    return found
