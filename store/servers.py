"""One API server, one writer, whatever names it has: each goes by one of its names, which then stays.

What belongs to an API server rather than to a name is kept under it: the lines of runs that write, and the memory.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from store import keys


def known_as(redis: Any, clusters: Iterable[str]) -> dict[str, str]:
    """Return the name that the API server of each cluster goes by: its own until its uid was read."""
    with redis.pipeline(transaction=False) as pipe:
        pipe.hgetall(keys.CLUSTER_UIDS)
        pipe.hgetall(keys.SERVER_NAMES)
        uids, names = pipe.execute()
    found = {}
    for cluster in clusters:
        uid = uids.get(cluster)
        name = names.get(uid) if uid else cluster
        if uid and (name is None or uids.get(name) != uid):
            # Nothing is known yet, or the name means another API server by now.
            name = names[uid] = _chosen(redis, uid, cluster, before=name)
        found[cluster] = name
    return found


def uids_of(redis: Any, clusters: Sequence[str]) -> dict[str, str]:
    """Return the uid of the API server that each cluster's name means now, of those whose uid was read."""
    uids = redis.hmget(keys.CLUSTER_UIDS, clusters) if clusters else []
    return {cluster: uid for cluster, uid in zip(clusters, uids, strict=True) if uid}


def _chosen(redis: Any, uid: str, cluster: str, before: str | None) -> str:
    if before is None:
        redis.hsetnx(keys.SERVER_NAMES, uid, cluster)
        return str(redis.hget(keys.SERVER_NAMES, uid))
    redis.hset(keys.SERVER_NAMES, uid, cluster)
    return cluster
