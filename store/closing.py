"""Closing: the run that ends last ends its remediation, or its readiness check, and retention begins."""

from typing import Any

from redis import Redis

from remediation.readiness.request import overall
from remediation.status import remediation_status
from store import clock, codec, events, keys, run_hash
from store.elsewhere import settled
from store.ids import caller_digest, check_after
from store.lua import script

_FORGOTTEN_AT_ONCE = 10


class Closing:
    """How remediations and checks end. From then on their records live for the retention time."""

    def __init__(self, redis: Redis, retention_seconds: int) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._retention = retention_seconds
        self._close = script(redis, "close")

    def close(self, identity: str) -> bool:
        """End a remediation, or a readiness check, if all its runs have ended; return whether this call did it."""
        raw = self._redis.hgetall(keys.remediation(identity))
        run_ids = codec.loads(raw["runs"]) if raw else []
        runs = run_hash.read(self._redis, run_ids)
        if not raw or len(runs) < len(run_ids):
            self._redis.srem(keys.OPEN, identity)
            self._redis.delete(keys.sealed(identity))
            return False
        statuses = [run.status for run in runs]
        if not all(status.terminal for status in statuses):
            return False
        status = remediation_status(statuses)
        followed = raw.get("remediation", identity)
        verdict = overall(run.verdict for run in settled(runs))
        with self._redis.pipeline(transaction=True) as pipe:
            self._close(
                keys=[
                    keys.remediation(identity),
                    keys.events(identity),
                    keys.OPEN,
                    keys.open_of(caller_digest(raw["requested_by"])),
                    keys.APPROVALS,
                    keys.sealed(identity),
                    keys.CHECKS_DUE,
                    keys.remediation(followed),
                    keys.events(followed),
                ],
                args=[
                    identity,
                    status,
                    clock.now(),
                    events.change(status=status),
                    check_after(identity),
                    verdict,
                    events.change(verdict=verdict),
                ],
                client=pipe,
            )
            kept = [keys.remediation(identity), keys.events(identity)]
            for key in (*kept, *(each for run_id in run_ids for each in keys.of_run(run_id))):
                pipe.expire(key, self._retention)
            ended = bool(pipe.execute()[0])
        if ended:
            self._forget_oldest()
        return ended

    def due(self) -> list[str]:
        """Return those that are open though all their runs have ended, or their records are gone."""
        ids = sorted(self._redis.smembers(keys.OPEN))
        with self._redis.pipeline(transaction=False) as pipe:
            for identity in ids:
                pipe.hget(keys.remediation(identity), "open")
            return [
                identity
                for identity, left in zip(ids, pipe.execute(), strict=True)
                if left in (None, "0")
            ]

    def _forget_oldest(self) -> None:
        """Take some of those off the lists whose records have run out: nobody may ever read on to them."""
        for listed in (keys.REMEDIATIONS, keys.CHECKS):
            oldest = self._redis.zrangebylex(listed, "-", "+", start=0, num=_FORGOTTEN_AT_ONCE)
            with self._redis.pipeline(transaction=False) as pipe:
                for each in oldest:
                    pipe.exists(keys.remediation(each))
                there = pipe.execute()
            if gone := [each for each, is_there in zip(oldest, there, strict=True) if not is_there]:
                self._redis.zrem(listed, *gone)
