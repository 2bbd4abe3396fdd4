"""What comes in: a remediation or a readiness check that is about to be recorded, as far as both are recorded alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediation.permission import Permission
from remediation.status import RemediationStatus
from store import clock, codec, events, keys, run_hash
from store.idempotency import LIFE_SECONDS, KeyTaken, RequestKey, decode, encode
from store.ids import run_id


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who asked for it, when (RFC 3339), what for: `clusters` are (cluster, pool), one run is made for each.

    `groups` are those of who asked, `needs` is the permission for it: the worker looks at both again.
    """

    id: str
    requested_by: str
    groups: Sequence[str]
    needs: Permission
    clusters: Sequence[tuple[str, str]]
    key: RequestKey | None
    at: str
    timeout_seconds: int

    @property
    def run_ids(self) -> list[str]:
        """The runs, in the order of the clusters."""
        return [run_id(self.id, index) for index in range(len(self.clusters))]

    @property
    def deadline(self) -> str:
        """After this nobody begins a run of it any more."""
        return clock.later(self.at, self.timeout_seconds)

    @property
    def watched(self) -> list[str]:
        """The keys that must not change between what is read of them and what is recorded."""
        return [keys.remediation(self.id), *([self.key.record] if self.key else [])]

    def is_there(self, pipe: Any) -> bool:
        """Tell whether it is recorded: the client sends again what got no answer, and work may have begun by then."""
        return bool(pipe.exists(keys.remediation(self.id)))

    def check_key(self, pipe: Any) -> None:
        """Raise KeyTaken if something was made of the idempotency key before."""
        if self.key and (text := pipe.get(self.key.record)):
            raise KeyTaken(decode(self.key, text))

    def record(
        self,
        pipe: Any,
        event: str,
        head: Mapping[str, str | int],
        by_cluster: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Record it with its runs; `head` and `by_cluster` are the fields that it, and its runs, have besides."""
        if self.key:
            pipe.set(self.key.record, encode(self.key, self.id), ex=LIFE_SECONDS)
        pipe.hset(
            keys.remediation(self.id),
            mapping={
                "status": RemediationStatus.QUEUED,
                "requested_by": self.requested_by,
                "groups": codec.dumps(list(self.groups)),
                "needs": self.needs,
                "created_at": self.at,
                "open": len(self.clusters),
                "runs": codec.dumps(self.run_ids),
                **head,
            },
        )
        for identity, (cluster, pool) in zip(self.run_ids, self.clusters, strict=True):
            more = by_cluster.get(cluster, {})
            run_hash.queue(pipe, identity, cluster, pool, self.deadline, more)
        pipe.sadd(keys.OPEN, self.id)
        pipe.sadd(keys.ACTIVE, *self.run_ids)
        names = [cluster for cluster, _ in self.clusters]
        events.tell(pipe, self.id, event, clusters=names)
