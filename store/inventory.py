"""Which workers live, and what they announce. A worker that stops announcing is gone within LIFE_SECONDS."""

import time
from dataclasses import dataclass
from typing import Any

from redis import Redis

from remediation.inventory import AnnouncedCluster, AnnouncedCredential, Announcement
from store import codec, keys

BEAT_SECONDS = 2.0
LIFE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class KnownCluster:
    """A cluster and the pools whose workers serve it."""

    cluster: AnnouncedCluster
    pools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownCredential:
    """A credential and the pools whose workers hold it."""

    credential: AnnouncedCredential
    pools: tuple[str, ...]


class Inventory:
    """The announcements of live workers."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def announce(self, announcement: Announcement) -> None:
        """Say that a worker lives, and with what."""
        worker_id = announcement.worker_id
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(
                keys.worker(worker_id), codec.encode_announcement(announcement), ex=LIFE_SECONDS
            )
            pipe.zadd(keys.WORKERS, {worker_id: time.time()})
            pipe.execute()

    def leave(self, worker_id: str) -> None:
        """Say that a worker is gone."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(keys.worker(worker_id))
            pipe.zrem(keys.WORKERS, worker_id)
            pipe.execute()

    def workers(self) -> list[Announcement]:
        """Return the live workers in order of id."""
        ids = sorted(self._redis.zrange(keys.WORKERS, 0, -1))
        texts = self._redis.mget([keys.worker(worker_id) for worker_id in ids]) if ids else []
        if gone := [worker_id for worker_id, text in zip(ids, texts, strict=True) if text is None]:
            self._redis.zrem(keys.WORKERS, *gone)
        return [codec.decode_announcement(text) for text in texts if text is not None]


def known_clusters(workers: list[Announcement]) -> dict[str, KnownCluster]:
    """Return the clusters by name in order; one that some worker can serve counts as served, whatever others say."""
    found: dict[str, KnownCluster] = {}
    for worker in workers:
        for cluster in worker.clusters:
            known = found.get(cluster.name)
            if known is None or (known.cluster.problem and not cluster.problem):
                found[cluster.name] = KnownCluster(cluster, (worker.pool,))
            elif bool(known.cluster.problem) == bool(cluster.problem):
                pools = tuple(sorted({*known.pools, worker.pool}))
                found[cluster.name] = KnownCluster(known.cluster, pools)
    return dict(sorted(found.items()))


def known_credentials(workers: list[Announcement]) -> dict[str, KnownCredential]:
    """Return the credentials by name in order, a usable one before an unusable one of the same name."""
    found: dict[str, KnownCredential] = {}
    for worker in workers:
        for credential in worker.credentials:
            known = found.get(credential.name)
            if known is None or (known.credential.problem and not credential.problem):
                found[credential.name] = KnownCredential(credential, (worker.pool,))
            elif bool(known.credential.problem) == bool(credential.problem):
                pools = tuple(sorted({*known.pools, worker.pool}))
                found[credential.name] = KnownCredential(known.credential, pools)
    return dict(sorted(found.items()))
