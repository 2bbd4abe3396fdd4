"""Which workers live, and what they announce. A worker that stops announcing is gone within LIFE_SECONDS."""

import time
from dataclasses import asdict
from datetime import datetime
from typing import Any

from redis import Redis

from remediation.inventory import AnnouncedCluster, AnnouncedCredential, Announcement
from remediation.short_lived import ShortLived
from store import codec, keys

BEAT_SECONDS = 2.0
LIFE_SECONDS = 10
REMEMBERED_SECONDS = 24 * 3600.0


class Inventory:
    """The announcements of live workers."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def announce(self, announcement: Announcement) -> None:
        """Say that a worker lives, and with what."""
        worker_id, now = announcement.worker_id, time.time()
        served = {cluster.name: now for cluster in announcement.clusters}
        uids = {cluster.name: cluster.uid for cluster in announcement.clusters if cluster.uid}
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(keys.worker(worker_id), encode(announcement), ex=LIFE_SECONDS)
            pipe.zadd(keys.WORKERS, {worker_id: now})
            if served:
                pipe.zadd(keys.CLUSTERS, served)
            if uids:
                pipe.hset(keys.CLUSTER_UIDS, mapping=uids)
            pipe.zremrangebyscore(keys.CLUSTERS, "-inf", now - REMEMBERED_SECONDS)
            pipe.execute()

    def lately(self) -> list[str]:
        """Return the names of clusters that a worker announced within the last day, in order."""
        since = time.time() - REMEMBERED_SECONDS
        return sorted(self._redis.zrangebyscore(keys.CLUSTERS, since, "+inf"))

    def uids(self) -> dict[str, str]:
        """Return the uid of the API server, as read last, of clusters that were announced within the last day."""
        since = time.time() - REMEMBERED_SECONDS
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.CLUSTER_UIDS)
            pipe.zrangebyscore(keys.CLUSTERS, since, "+inf")
            found, names = pipe.execute()
        if gone := found.keys() - set(names):
            self._redis.hdel(keys.CLUSTER_UIDS, *gone)
            left = {uid for name, uid in found.items() if name not in gone}
            if unknown := {found[name] for name in gone} - left:
                self._redis.hdel(keys.SERVER_NAMES, *unknown)
        return {name: uid for name, uid in found.items() if name not in gone}

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
        return [decode(text) for text in texts if text is not None]


def encode(announcement: Announcement) -> str:
    """Return what a worker announces as JSON."""
    raw = asdict(announcement)
    for credential in raw["credentials"]:
        for ending in credential["endings"] or ():
            ending["ends_at"] = ending["ends_at"] and ending["ends_at"].isoformat()
    return codec.dumps(raw)


def decode(text: str) -> Announcement:
    """Read what `encode` wrote."""
    raw = codec.loads(text)
    return Announcement(
        worker_id=raw["worker_id"],
        pool=raw["pool"],
        version=raw["version"],
        host=raw["host"],
        pid=raw["pid"],
        started_at=raw["started_at"],
        processes=raw["processes"],
        clusters=tuple(
            AnnouncedCluster(
                cluster["name"],
                cluster["server"],
                cluster["problem"],
                insecure=cluster.get("insecure", False),
                uid=cluster.get("uid"),
                trouble=cluster.get("trouble"),
            )
            for cluster in raw["clusters"]
        ),
        credentials=tuple(
            AnnouncedCredential(
                credential["name"],
                tuple(credential["registries"]),
                tuple(credential["usernames"]),
                credential["since"],
                credential["problem"],
                credential.get("fingerprint"),
                _endings(credential.get("endings")),
            )
            for credential in raw["credentials"]
        ),
        problems=tuple(raw["problems"]),
        sealing_keys=tuple(raw.get("sealing_keys", ())),
    )


def _endings(raw: Any) -> tuple[ShortLived, ...] | None:
    if raw is None:
        return None
    return tuple(
        ShortLived(
            each["key"],
            each["username"],
            each["ending"],
            each["ends_at"] and datetime.fromisoformat(each["ends_at"]),
        )
        for each in raw
    )
