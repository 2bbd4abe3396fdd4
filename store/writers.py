"""What may still write on an API server: each accepted run that writes, from its acceptance to its end.

Besides, the remediation that was accepted last: who looks twice sees by it what came and went in between.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from remediation.approval import ApprovalState
from remediation.kind import Kind, kind_of
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus
from store import codec, keys
from store.ids import owner_of
from store.records import Run
from store.servers import known_as

MOST = 500

Latest = Mapping[str, str | None]
"""Name of an API server -> the remediation that was accepted last to write there."""


@dataclass(frozen=True, slots=True)
class OpenWork:
    """A remediation that was accepted and may still write; `clusters` are those of its open runs that were asked about.

    `unapproved`: it waits for a second person.
    """

    id: str
    clusters: tuple[str, ...]
    request: RemediationRequest
    status: RemediationStatus
    kind: Kind
    unapproved: bool


@dataclass(frozen=True, slots=True)
class Writing:
    """What may still write at one moment, the oldest first; `more` tells that only the MOST oldest were read."""

    work: tuple[OpenWork, ...]
    latest: Latest
    more: bool


class Writers:
    """What may still write on each API server, by the name that it goes by (see `servers`)."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def servers(self, clusters: Collection[str]) -> tuple[str, ...]:
        """Return the names under which work on these clusters may have been recorded."""
        return tuple(dict.fromkeys((*clusters, *known_as(self._redis, clusters).values())))

    def read(self, servers: Collection[str]) -> Writing:
        """Return what may still write on the API servers: one round trip, and a second if there is something."""
        names = tuple(servers)
        with self._redis.pipeline(transaction=True) as pipe:
            _latest(pipe, names)
            for name in names:
                pipe.zrange(key_of(name), 0, MOST)
            latest, *listed = pipe.execute()
        run_ids = sorted({run_id for several in listed for run_id in several})
        found = run_ids[:MOST]
        work, gone = self._open(found) if found else ([], [])
        if gone:  # their records were lost, so nothing ever ends them
            self._forget(names, gone)
        return Writing(tuple(work), dict(zip(names, latest, strict=True)), len(run_ids) > MOST)

    def latest(self, servers: Iterable[str]) -> Latest:
        """Return what was accepted last on the API servers."""
        names = tuple(servers)
        with self._redis.pipeline(transaction=False) as pipe:
            _latest(pipe, names)
            (found,) = pipe.execute()
        return dict(zip(names, found, strict=True))

    def _forget(self, names: Iterable[str], run_ids: Iterable[str]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.zrem(key_of(name), *run_ids)
            pipe.execute()

    def _open(self, run_ids: Collection[str]) -> tuple[list[OpenWork], list[str]]:
        """Return what the runs belong to, and the runs of which nothing is recorded any more."""
        owners = tuple(dict.fromkeys(map(owner_of, run_ids)))
        with self._redis.pipeline(transaction=False) as pipe:
            for run_id in run_ids:
                pipe.hget(keys.run(run_id), "cluster")
            for owner in owners:
                pipe.hgetall(keys.remediation(owner))
            found = pipe.execute()
        heads = dict(zip(owners, found[len(run_ids) :], strict=True))
        clusters: dict[str, list[str]] = {}
        gone = []
        for run_id, cluster in zip(run_ids, found, strict=False):
            owner = owner_of(run_id)
            if cluster and heads[owner]:
                clusters.setdefault(owner, []).append(cluster)
            else:
                gone.append(run_id)
        return [_work(owner, several, heads[owner]) for owner, several in clusters.items()], gone


def key_of(server: str) -> str:
    """Return the key of an API server's open runs that write: no key is built of a caller's text."""
    return keys.writers(hashlib.sha256(server.encode()).hexdigest()[:32])


def key_of_run(run: Run) -> str | None:
    """Return the key of the open runs that `run` is among, None if it writes nothing."""
    return key_of(run.known_as) if run.line else None


def accept(pipe: Any, owner: str, runs: Mapping[str, str]) -> None:
    """Record runs that write; `runs` are the names of their API servers, by run."""
    for run_id, server in runs.items():
        pipe.zadd(key_of(server), {run_id: 0})
        pipe.hset(keys.ACCEPTED, server, owner)


def _latest(pipe: Any, servers: tuple[str, ...]) -> None:
    pipe.hmget(keys.ACCEPTED, servers)


def _work(identity: str, clusters: Iterable[str], raw: Mapping[str, str]) -> OpenWork:
    return OpenWork(
        identity,
        tuple(clusters),
        codec.decode_request(raw["request"]),
        RemediationStatus(raw["status"]),
        kind_of(retry_of=raw.get("retry_of"), undo_of=raw.get("undo_of")),
        raw.get("approval_state") == ApprovalState.PENDING,
    )
