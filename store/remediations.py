"""Remediations: made whole in one step, read with their runs, closed by the run that ends last."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from redis import Redis

from remediation.approval import ApprovalState
from remediation.permission import Permission, Requester, Warrant
from remediation.readiness.request import overall
from remediation.readiness.verdict import Verdict
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus, RunStatus, remediation_status
from store import clock, codec, events, keys
from store.checks import check_after
from store.idempotency import LIFE_SECONDS, KeyTaken, RequestKey, decode, encode
from store.lines import in_line, place
from store.lua import script
from store.records import FREE, NEW, Orders, Origin, Paused, Remediation, Run, Terms
from store.sealed import life

_LIST_CHUNK = 50
_FORGOTTEN_AT_ONCE = 10
WAKE_MS = 2000


class AlreadyUndone(Exception):
    """Somebody undid the remediation a moment ago."""


class TooManyActive(Exception):
    """The caller has as many open remediations as may be."""

    def __init__(self, active: int) -> None:
        super().__init__(active)
        self.active = active


class Remediations:
    """The records of all remediations."""

    def __init__(self, redis: Redis, retention_seconds: int) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._retention = retention_seconds
        self._close = script(redis, "close")
        self._cancel = script(redis, "cancel")

    def create(
        self,
        remediation_id: str,
        request: RemediationRequest,
        requested_by: str,
        clusters: Sequence[tuple[str, str]],
        key: RequestKey | None = None,
        origin: Origin = NEW,
        groups: Sequence[str] = (),
        needs: Permission = Permission.CREATE_REMEDIATIONS,
        terms: Terms = FREE,
        sealed: str | None = None,
    ) -> list[Run]:
        """Record a remediation and one queued run for each (cluster, pool), all or nothing; return the runs.

        `groups` are those of who asked, `needs` is the permission for it: the worker looks at both again. `sealed` is
        the sealed login that came in the request; it is gone when the remediation ends.
        What is there already stays: the client sends again what got no answer, and work may have begun by then.
        Having recorded nothing, raises KeyTaken if something was made of the idempotency key before, AlreadyUndone if a
        run that is to be taken back has been since, and TooManyActive beyond the terms.
        """
        now = clock.text(clock.common(self._redis))
        deadline = clock.later(now, request.timeout_seconds)
        run_ids = [run_id(remediation_id, index) for index in range(len(clusters))]
        head = keys.remediation(remediation_id)
        callers = keys.open_of(caller_digest(requested_by))
        lines = {
            cluster: "" if request.dry_run else keys.line(place(cluster, request.secret_name))
            for cluster, _ in clusters
        }

        kinship = {
            "retry_of": origin.retry_of,
            "undo_of": origin.undo_of,
            "kept_secrets": origin.kept_secrets,
        }
        undone = [] if request.dry_run else list(map(keys.run, origin.undoes.values()))

        def record(pipe: Any) -> None:
            if pipe.exists(head):
                return
            already = not origin.retry_of and any(
                pipe.hexists(each, "undone_by") for each in undone
            )
            # The key is read last: it may be the same request that has undone it, a moment ago.
            if key and (text := pipe.get(key.record)):
                raise KeyTaken(decode(key, text))
            if already:
                raise AlreadyUndone
            if terms.most_active is not None:
                active = len(pipe.sinter(callers, keys.OPEN))
                if active >= terms.most_active:
                    raise TooManyActive(active)
            paused = bool(pipe.exists(keys.PAUSE))  # nobody knows for how long
            pipe.multi()
            if key:
                pipe.set(key.record, encode(key, remediation_id), ex=LIFE_SECONDS)
            if sealed:
                needed = life(request.timeout_seconds, deadline, terms.approval)
                pipe.set(keys.sealed(remediation_id), sealed, ex=None if paused else needed)
            pipe.hset(
                head,
                mapping={
                    "status": RemediationStatus.QUEUED,
                    "request": codec.encode_request(request),
                    "requested_by": requested_by,
                    "groups": codec.dumps(list(groups)),
                    "needs": needs,
                    "created_at": now,
                    "open": len(clusters),
                    "runs": codec.dumps(run_ids),
                    "readiness": int(_is_followed(request, origin)),
                    **{name: value for name, value in kinship.items() if value},
                    **_terms(terms),
                },
            )
            if terms.approval:
                until = clock.parse(terms.approval.expires_at).timestamp()
                pipe.zadd(keys.APPROVALS, {remediation_id: until})
            for identity, (cluster, pool) in zip(run_ids, clusters, strict=True):
                pipe.set(keys.wake(identity), 1, px=WAKE_MS)  # the caller sends the first wake-up
                pipe.hset(
                    keys.run(identity),
                    mapping={
                        "remediation": remediation_id,
                        "cluster": cluster,
                        "pool": pool,
                        "status": RunStatus.QUEUED,
                        "attempt": 0,
                        "deadline": deadline,
                        "line": lines[cluster],
                        **_kinship(origin, cluster),
                    },
                )
                # What waits for a second person does not make others wait: it takes its place when it is approved.
                if lines[cluster] and not terms.approval:
                    pipe.rpush(lines[cluster], identity)
                if undone and (taken_back := origin.undoes.get(cluster)):
                    pipe.hset(keys.run(taken_back), "undone_by", identity)
            for known in origin.runs:
                for each in _keys_of_run(known):
                    pipe.expire(each, self._retention)
            pipe.zadd(keys.REMEDIATIONS, {remediation_id: 0})
            pipe.sadd(keys.OPEN, remediation_id)
            pipe.sadd(callers, remediation_id)
            pipe.sadd(keys.ACTIVE, *run_ids)
            pipe.xadd(
                keys.events(remediation_id),
                {
                    "type": "remediation.accepted",
                    "data": events.change(clusters=[c for c, _ in clusters]),
                },
            )
            if terms.approval:
                pipe.xadd(
                    keys.events(remediation_id),
                    {
                        "type": "remediation.approval_requested",
                        "data": events.change(
                            digest=terms.approval.digest, expires_at=terms.approval.expires_at
                        ),
                    },
                )

        counted = [callers] if terms.most_active is not None else []
        # A pause that begins or ends at this moment has to find what is recorded here, or be seen.
        paused_or_not = [keys.PAUSE] if sealed else []
        watched = [head, *undone, *counted, *paused_or_not, *([key.record] if key else [])]
        self._redis.transaction(record, *watched)
        return self._runs(run_ids)

    def get(self, remediation_id: str) -> Remediation | None:
        """Return a remediation with its runs, None if it is not there (or no longer)."""
        return next(iter(self.get_many([remediation_id])), None)

    def request(self, remediation_id: str) -> tuple[RemediationRequest, str] | None:
        """Return what was asked and when (RFC 3339), None if the remediation is not there."""
        text, created_at = self._redis.hmget(
            keys.remediation(remediation_id), "request", "created_at"
        )
        return (codec.decode_request(text), created_at) if text else None

    def orders(self, remediation_id: str) -> Orders:
        """Return what a worker has to keep to, and on whose behalf it works."""
        requested_by, request_id, most = self._redis.hmget(
            keys.remediation(remediation_id), "requested_by", "request_id", "most_namespaces"
        )
        return Orders(requested_by or "", request_id or "", int(most) if most else None)

    def warrant(self, remediation_id: str) -> Warrant | None:
        """Return on whose behalf it is done, None if the remediation is not there."""
        subject, groups, needs = self._redis.hmget(
            keys.remediation(remediation_id), "requested_by", "groups", "needs"
        )
        if not subject or not needs:
            return None
        return Warrant(Requester(subject, tuple(codec.loads(groups))), Permission(needs))

    def get_many(self, remediation_ids: Sequence[str]) -> list[Remediation]:
        """Return those of the remediations that are there, in the same order, in two round trips."""
        with self._redis.pipeline(transaction=False) as pipe:
            for remediation_id in remediation_ids:
                # The revision comes first: a change between the two reads is seen again, never missed.
                pipe.xrevrange(keys.events(remediation_id), count=1)
                pipe.hgetall(keys.remediation(remediation_id))
            pipe.hgetall(keys.PAUSE)
            *answers, pause = pipe.execute()
        paused = codec.decode_pause(pause)
        heads = [
            (remediation_id, last, raw)
            for remediation_id, last, raw in zip(
                remediation_ids, answers[::2], answers[1::2], strict=True
            )
            if raw and last
        ]
        lists = [codec.loads(raw["runs"]) for _, _, raw in heads]
        every = self._runs([identity for listed in lists for identity in listed])
        runs = {run.id: run for run in every}
        return [
            _remediation(
                remediation_id, last[0][0], raw, [runs[identity] for identity in listed], paused
            )
            for (remediation_id, last, raw), listed in zip(heads, lists, strict=True)
            if runs.keys() >= set(listed)  # its keys run out one after the other
        ]

    def newest_first(self, before: str | None = None) -> Iterator[Remediation]:
        """Yield remediations from the newest on, or from the one after `before` (an id, itself left out)."""
        limit = f"({before}" if before else "+"
        while ids := self._redis.zrevrangebylex(
            keys.REMEDIATIONS, limit, "-", start=0, num=_LIST_CHUNK
        ):
            found = self.get_many(ids)
            yield from found
            if expired := set(ids) - {remediation.id for remediation in found}:
                self._redis.zrem(keys.REMEDIATIONS, *expired)
            limit = f"({ids[-1]}"

    def open_ids(self) -> list[str]:
        """Return the remediations that have not ended."""
        return sorted(self._redis.smembers(keys.OPEN))

    def to_close(self) -> list[str]:
        """Return those of them whose runs have all ended, or whose records are gone."""
        ids = self.open_ids()
        with self._redis.pipeline(transaction=False) as pipe:
            for remediation_id in ids:
                pipe.hget(keys.remediation(remediation_id), "open")
            return [
                remediation_id
                for remediation_id, left in zip(ids, pipe.execute(), strict=True)
                if left in (None, "0")
            ]

    def cancel(
        self, remediation_id: str, key: RequestKey | None = None
    ) -> RemediationStatus | None:
        """Ask for the end of a remediation; return its status after this, None if it is not there.

        Workers see it within a second. What they have not begun is left for `recovery.end_unbegun`. Having changed
        nothing, raises KeyTaken if something was made of the idempotency key before.
        """
        head = keys.remediation(remediation_id)
        kept = encode(key, remediation_id) if key else ""
        answer, *more = self._cancel(
            keys=[head, keys.events(remediation_id), key.record if key else head],
            args=[events.change(), kept, LIFE_SECONDS],
        )
        if answer == "known" and key:
            raise KeyTaken(decode(key, more[0]))
        return RemediationStatus(more[0]) if more else None

    def cancelling(self, remediation_ids: Iterable[str]) -> set[str]:
        """Return those of the remediations that are to end."""
        ids = list(dict.fromkeys(remediation_ids))
        with self._redis.pipeline(transaction=False) as pipe:
            for remediation_id in ids:
                pipe.hget(keys.remediation(remediation_id), "status")
            statuses = pipe.execute()
        return {
            remediation_id
            for remediation_id, status in zip(ids, statuses, strict=True)
            if status == RemediationStatus.CANCELLING
        }

    def unapproved(self, remediation_ids: Iterable[str]) -> set[str]:
        """Return those of the remediations that no second person has agreed to, as they need it."""
        ids = list(dict.fromkeys(remediation_ids))
        with self._redis.pipeline(transaction=False) as pipe:
            for remediation_id in ids:
                pipe.hget(keys.remediation(remediation_id), "approval_state")
            states = pipe.execute()
        return {
            remediation_id
            for remediation_id, state in zip(ids, states, strict=True)
            if state and state != ApprovalState.APPROVED
        }

    def close(self, remediation_id: str) -> bool:
        """End a remediation, or a readiness check, if all its runs have ended; return whether this call did it.

        From here on its records live for the retention time.
        """
        raw = self._redis.hgetall(keys.remediation(remediation_id))
        run_ids = codec.loads(raw["runs"]) if raw else []
        runs = self._runs(run_ids)
        if not raw or len(runs) < len(run_ids):
            self._redis.srem(keys.OPEN, remediation_id)
            self._redis.delete(keys.sealed(remediation_id))
            return False
        statuses = [run.status for run in runs]
        if not all(status.terminal for status in statuses):
            return False
        status = remediation_status(statuses)
        followed = raw.get("remediation", remediation_id)
        verdict = overall(run.verdict for run in runs)
        with self._redis.pipeline(transaction=True) as pipe:
            self._close(
                keys=[
                    keys.remediation(remediation_id),
                    keys.events(remediation_id),
                    keys.OPEN,
                    keys.open_of(caller_digest(raw["requested_by"])),
                    keys.APPROVALS,
                    keys.sealed(remediation_id),
                    keys.CHECKS_DUE,
                    keys.remediation(followed),
                    keys.events(followed),
                ],
                args=[
                    remediation_id,
                    status,
                    clock.now(),
                    events.change(status=status),
                    check_after(remediation_id),
                    verdict,
                    events.change(verdict=verdict),
                ],
                client=pipe,
            )
            for key in _keys_of(remediation_id, run_ids):
                pipe.expire(key, self._retention)
            ended = bool(pipe.execute()[0])
        if ended:
            self._forget_oldest()
        return ended

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

    def _runs(self, run_ids: Sequence[str]) -> list[Run]:
        with self._redis.pipeline(transaction=False) as pipe:
            for identity in run_ids:
                pipe.hgetall(keys.run(identity))
            runs = [
                codec.decode_run(identity, raw)
                for identity, raw in zip(run_ids, pipe.execute(), strict=True)
                if raw
            ]
        return in_line(self._redis, runs)


def run_id(remediation_id: str, index: int) -> str:
    """Return the id of the run at `index`: letters, digits, '_' and '-' only, as RQ wants it."""
    return f"{remediation_id}-{index}"


def caller_digest(subject: str) -> str:
    """Return what stands for a caller in a key: nothing of the caller's text is in it."""
    return hashlib.sha256(subject.encode()).hexdigest()[:32]


def owner_of(identity: str) -> str:
    """Return the id of the remediation that a run belongs to."""
    return identity.rpartition("-")[0]


def _is_followed(request: RemediationRequest, origin: Origin) -> bool:
    """Tell whether a readiness check comes after it: not where nothing was written, or taken back."""
    return request.readiness and not request.dry_run and not origin.undo_of


def _keys_of(remediation_id: str, run_ids: Sequence[str]) -> Iterator[str]:
    yield keys.remediation(remediation_id)
    yield keys.events(remediation_id)
    for identity in run_ids:
        yield from _keys_of_run(identity)


def _keys_of_run(identity: str) -> Iterator[str]:
    yield keys.run(identity)
    yield keys.journal(identity)
    yield keys.findings(identity)
    yield keys.restarts(identity)
    yield from keys.all_rows(identity)


def _terms(terms: Terms) -> dict[str, str | int]:
    """Return the fields of a remediation's hash."""
    found: dict[str, str | int] = {"request_id": terms.request_id} if terms.request_id else {}
    if terms.most_namespaces is not None:
        found["most_namespaces"] = terms.most_namespaces
    return {**found, **(codec.encode_approval(terms.approval) if terms.approval else {})}


def _kinship(origin: Origin, cluster: str) -> dict[str, str]:
    """Return the fields of a run that goes on from others."""
    found = {}
    if parents := origin.parents.get(cluster):
        found["parents"] = codec.dumps(parents)
    if undoes := origin.undoes.get(cluster):
        found["undoes"] = undoes
    return found


def _remediation(
    remediation_id: str,
    revision: str,
    raw: dict[str, str],
    runs: Sequence[Run],
    paused: Paused | None,
) -> Remediation:
    return Remediation(
        id=remediation_id,
        status=RemediationStatus(raw["status"]),
        request=codec.decode_request(raw["request"]),
        requested_by=raw["requested_by"],
        created_at=raw["created_at"],
        revision=revision,
        runs=tuple(runs),
        started_at=raw.get("started_at"),
        finished_at=raw.get("finished_at"),
        retry_of=raw.get("retry_of"),
        undo_of=raw.get("undo_of"),
        kept_secrets=int(raw.get("kept_secrets", 0)),
        request_id=raw.get("request_id", ""),
        approval=codec.decode_approval(raw),
        paused=paused,
        check_id=raw.get("check"),
        verdict=Verdict(raw["verdict"]) if "verdict" in raw else None,
    )
