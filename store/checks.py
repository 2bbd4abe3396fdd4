"""Readiness checks: recorded like remediations, with the same runs, leases and recovery, but in a list of their own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from redis import Redis

from remediation.permission import Permission
from remediation.readiness.request import CheckRequest
from remediation.status import RemediationStatus, RunStatus
from store import clock, codec, events, keys
from store.idempotency import LIFE_SECONDS, KeyTaken, RequestKey, decode, encode
from store.lua import script
from store.records import Check, Judged, Run
from store.runs import Claim, LeaseLost

PREFIX = "chk_"
WAKE_MS = 2000
_LIST_CHUNK = 50
_ROWS_CHUNK = 500


class Checks:
    """The records of all readiness checks."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._judged = script(redis, "judged")

    def create(
        self,
        check_id: str,
        request: CheckRequest,
        requested_by: str,
        clusters: Sequence[tuple[str, str]],
        key: RequestKey | None = None,
        *,
        groups: Sequence[str] = (),
        needs: Permission = Permission.CREATE_READINESS_CHECKS,
        remediation_id: str | None = None,
        confirms: str | None = None,
    ) -> list[Run]:
        """Record a check and one queued run for each (cluster, pool), all or nothing; return the runs.

        `groups` are those of who asked, `needs` is the permission for it: the worker looks at both again. What is there
        already stays. One that only `confirms` another is in no list. Having recorded nothing, raises
        KeyTaken if something was made of the idempotency key before.
        """
        now = clock.text(clock.common(self._redis))
        head = keys.remediation(check_id)
        run_ids = [f"{check_id}-{index}" for index in range(len(clusters))]
        kinship = {"remediation": remediation_id, "confirms": confirms}

        def record(pipe: Any) -> None:
            if pipe.exists(head):
                return
            if key and (text := pipe.get(key.record)):
                raise KeyTaken(decode(key, text))
            pipe.multi()
            if key:
                pipe.set(key.record, encode(key, check_id), ex=LIFE_SECONDS)
            pipe.hset(
                head,
                mapping={
                    "status": RemediationStatus.QUEUED,
                    "request": codec.encode_check_request(request),
                    "requested_by": requested_by,
                    "groups": codec.dumps(list(groups)),
                    "needs": needs,
                    "created_at": now,
                    "open": len(clusters),
                    "runs": codec.dumps(run_ids),
                    **{name: value for name, value in kinship.items() if value},
                },
            )
            for identity, (cluster, pool) in zip(run_ids, clusters, strict=True):
                pipe.set(keys.wake(identity), 1, px=WAKE_MS)  # the caller sends the first wake-up
                pipe.hset(
                    keys.run(identity),
                    mapping={
                        "remediation": check_id,
                        "cluster": cluster,
                        "pool": pool,
                        "status": RunStatus.QUEUED,
                        "attempt": 0,
                        "deadline": clock.later(now, request.timeout_seconds),
                        "line": "",  # it writes nothing, so it waits for nobody
                    },
                )
            if not confirms:
                pipe.zadd(keys.CHECKS, {check_id: 0})
            if remediation_id:
                pipe.hset(keys.remediation(remediation_id), "check", check_id)
                pipe.xadd(
                    keys.events(remediation_id),
                    {"type": "readiness.started", "data": events.change(check_id=check_id)},
                )
            if confirms:
                pipe.hset(keys.remediation(confirms), "confirmation", check_id)
            pipe.sadd(keys.OPEN, check_id)
            pipe.sadd(keys.ACTIVE, *run_ids)
            pipe.xadd(
                keys.events(check_id),
                {
                    "type": "check.accepted",
                    "data": events.change(clusters=[cluster for cluster, _ in clusters]),
                },
            )

        self._redis.transaction(record, head, *([key.record] if key else []))
        return self._runs(run_ids)

    def get(self, check_id: str) -> Check | None:
        """Return a check with its runs, None if it is not there (or no longer)."""
        return next(iter(self.get_many([check_id])), None)

    def request(self, check_id: str) -> tuple[CheckRequest, str] | None:
        """Return what was asked and when (RFC 3339), None if the check is not there."""
        text, created_at = self._redis.hmget(keys.remediation(check_id), "request", "created_at")
        return (codec.decode_check_request(text), created_at) if text else None

    def confirmation(self, check_id: str) -> Check | None:
        """Return the newest check that a gate asked for in order to confirm this one."""
        found = self._redis.hget(keys.remediation(check_id), "confirmation")
        return self.get(found) if found else None

    def get_many(self, check_ids: Sequence[str]) -> list[Check]:
        """Return those of the checks that are there, in the same order, in two round trips."""
        with self._redis.pipeline(transaction=False) as pipe:
            for check_id in check_ids:
                # The revision comes first: a change between the two reads is seen again, never missed.
                pipe.xrevrange(keys.events(check_id), count=1)
                pipe.hgetall(keys.remediation(check_id))
            answers: list[Any] = pipe.execute()
        heads = [
            (check_id, last, raw)
            for check_id, last, raw in zip(check_ids, answers[::2], answers[1::2], strict=True)
            if raw and last
        ]
        lists = [codec.loads(raw["runs"]) for _, _, raw in heads]
        runs = {run.id: run for run in self._runs([each for listed in lists for each in listed])}
        return [
            _check(check_id, last[0][0], raw, [runs[identity] for identity in listed])
            for (check_id, last, raw), listed in zip(heads, lists, strict=True)
            if runs.keys() >= set(listed)  # its keys run out one after the other
        ]

    def newest_first(self, before: str | None = None) -> Iterator[Check]:
        """Yield checks from the newest on, or from the one after `before` (an id, itself left out)."""
        limit = f"({before}" if before else "+"
        while ids := self._redis.zrevrangebylex(keys.CHECKS, limit, "-", start=0, num=_LIST_CHUNK):
            found = self.get_many(ids)
            yield from found
            if expired := set(ids) - {check.id for check in found}:
                self._redis.zrem(keys.CHECKS, *expired)
            limit = f"({ids[-1]}"

    def report(
        self,
        claim: Claim,
        findings: Iterable[Mapping[str, Any]],
        restarts: Mapping[str, Any],
        judged: Judged,
    ) -> None:
        """Store what a run found: rows, and the restart plan. Nothing of it shows before the run ends.

        Raises LeaseLost.
        """
        run_id = claim.run.id
        stored = [keys.run(run_id), keys.findings(run_id), keys.restarts(run_id)]
        which = "first"
        texts = map(codec.dumps, findings)
        while chunk := list(islice(texts, _ROWS_CHUNK)):
            if not self._judged(keys=stored, args=[claim.attempt, which, "", "", *chunk]):
                raise LeaseLost
            which = "more"
        outcome = codec.encode_judged(judged)
        if not self._judged(
            keys=stored, args=[claim.attempt, which, outcome, codec.dumps(restarts)]
        ):
            raise LeaseLost

    def findings(
        self, runs: Sequence[Run], after: tuple[int, int] | None = None
    ) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
        """Yield the findings of the runs that were judged, each with its place, which `after` goes on from.

        A place is (index of the run, index of the finding).
        """
        first, seen = after or (0, -1)
        for index, run in enumerate(runs):
            if index < first or run.judged is None or not run.status.terminal:
                continue
            at = seen + 1 if index == first else 0
            while texts := self._redis.lrange(keys.findings(run.id), at, at + _ROWS_CHUNK - 1):
                for offset, text in enumerate(texts):
                    yield (index, at + offset), codec.loads(text)
                at += len(texts)

    def restarts(self, run: Run) -> Any:
        """Return the restart plan of a run as it was stored, None if there is none."""
        text = self._redis.get(keys.restarts(run.id))
        return codec.loads(text) if text else None

    def due(self) -> list[str]:
        """Return the remediations that have ended and are to be followed by a check."""
        return sorted(self._redis.smembers(keys.CHECKS_DUE))

    def no_longer_due(self, remediation_id: str) -> None:
        """Note that the check is recorded, or that there can be none."""
        self._redis.srem(keys.CHECKS_DUE, remediation_id)

    def _runs(self, run_ids: Sequence[str]) -> list[Run]:
        with self._redis.pipeline(transaction=False) as pipe:
            for identity in run_ids:
                pipe.hgetall(keys.run(identity))
            return [
                codec.decode_run(identity, raw)
                for identity, raw in zip(run_ids, pipe.execute(), strict=True)
                if raw
            ]


def is_check(identity: str) -> bool:
    """Tell whether an id, of a run too, is that of a readiness check."""
    return identity.startswith(PREFIX)


def check_after(remediation_id: str) -> str:
    """Return the id of the check that follows a remediation: always the same, so that there is only one."""
    return PREFIX + remediation_id.removeprefix("rem_")


def _check(check_id: str, revision: str, raw: dict[str, str], runs: Sequence[Run]) -> Check:
    return Check(
        id=check_id,
        status=RemediationStatus(raw["status"]),
        request=codec.decode_check_request(raw["request"]),
        requested_by=raw["requested_by"],
        created_at=raw["created_at"],
        revision=revision,
        runs=tuple(runs),
        started_at=raw.get("started_at"),
        finished_at=raw.get("finished_at"),
        remediation_id=raw.get("remediation"),
        confirms=raw.get("confirms"),
    )
