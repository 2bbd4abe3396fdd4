"""Remediations: read whole or in part, and asked to end."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Any

from redis import Redis

from remediation.approval import ApprovalState
from remediation.kind import kind_of
from remediation.permission import Permission, Requester, Warrant
from remediation.readiness.verdict import Verdict
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus
from store import clock, codec, events, keys
from store.idempotency import LIFE_SECONDS, KeyTaken, RequestKey, decode, encode
from store.lua import script
from store.records import Orders, Remediation
from store.register import Entry, Register

_MOST_LOOKED_AT = 200


class Remediations(Register[Remediation]):
    """The records of all remediations."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, keys.REMEDIATIONS, _remediation)
        self._cancel = script(redis, "cancel")

    def request(self, remediation_id: str) -> tuple[RemediationRequest, str] | None:
        """Return what was asked and when (RFC 3339), None if the remediation is not there."""
        text, created_at = self._redis.hmget(
            keys.remediation(remediation_id), "request", "created_at"
        )
        return (codec.decode_request(text), created_at) if text else None

    def orders(self, remediation_id: str) -> Orders:
        """Return what a worker has to keep to, and on whose behalf it works."""
        requested_by, request_id, most, retry_of, undo_of = self._redis.hmget(
            keys.remediation(remediation_id),
            *("requested_by", "request_id", "most_namespaces", "retry_of", "undo_of"),
        )
        return Orders(
            requested_by or "",
            request_id or "",
            int(most) if most else None,
            kind_of(retry_of=retry_of, undo_of=undo_of),
        )

    def warrant(self, remediation_id: str) -> Warrant | None:
        """Return on whose behalf it is done, None if the remediation is not there."""
        subject, groups, needs, approval = self._redis.hmget(
            keys.remediation(remediation_id), "requested_by", "groups", "needs", "approval_state"
        )
        if not subject or not needs:
            return None
        requester = Requester(subject, tuple(codec.loads(groups)))
        return Warrant(requester, Permission(needs), approved=approval == ApprovalState.APPROVED)

    def last_written(self, known_as: str) -> datetime | None:
        """Return when the last remediation that may have written on an API server ended, among the newest ones.

        `known_as` as in `Run`.
        """
        for remediation in islice(self.newest_first(), _MOST_LOOKED_AT):
            if remediation.request.dry_run:
                continue
            for run in remediation.runs:
                if run.known_as == known_as and run.finished_at:
                    return clock.parse(run.finished_at)
        return None

    def open_ids(self) -> list[str]:
        """Return the remediations, and checks, that have not ended."""
        return sorted(self._redis.smembers(keys.OPEN))

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
        return self._those(
            remediation_ids, "status", lambda status: status == RemediationStatus.CANCELLING
        )

    def unapproved(self, remediation_ids: Iterable[str]) -> set[str]:
        """Return those of the remediations that no second person has agreed to, as they need it."""
        return self._those(
            remediation_ids,
            "approval_state",
            lambda state: bool(state) and state != ApprovalState.APPROVED,
        )

    def _those(
        self, remediation_ids: Iterable[str], field: str, are: Callable[[str | None], bool]
    ) -> set[str]:
        ids = list(dict.fromkeys(remediation_ids))
        with self._redis.pipeline(transaction=False) as pipe:
            for remediation_id in ids:
                pipe.hget(keys.remediation(remediation_id), field)
            values: list[Any] = pipe.execute()
        return {each for each, value in zip(ids, values, strict=True) if are(value)}


def _remediation(entry: Entry) -> Remediation:
    raw = entry.fields
    return Remediation(
        id=entry.id,
        status=RemediationStatus(raw["status"]),
        request=codec.decode_request(raw["request"]),
        requested_by=raw["requested_by"],
        created_at=raw["created_at"],
        revision=entry.revision,
        runs=entry.runs,
        started_at=raw.get("started_at"),
        finished_at=raw.get("finished_at"),
        retry_of=raw.get("retry_of"),
        undo_of=raw.get("undo_of"),
        kept_secrets=int(raw.get("kept_secrets", 0)),
        request_id=raw.get("request_id", ""),
        approval=codec.decode_approval(raw),
        paused=entry.paused,
        check_id=raw.get("check"),
        verdict=Verdict(raw["verdict"]) if "verdict" in raw else None,
    )
