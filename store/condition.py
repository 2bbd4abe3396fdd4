"""How Redis is set up: what it says of itself, what of that is a danger, and whether we may do all that we need."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError

from store import keys
from store.trouble import RIGHTS, StoreUnusable, trouble_of

NO_EVICTION = "noeviction"
NOT_DURABLE = (
    "Redis keeps no append-only file: a crash of it loses accepted requests; set 'appendonly yes'"
)
NOT_TOLD = (
    "Redis does not say how it is set up (the user in REDIS_URL may not use INFO): make sure of 'appendonly yes' and "
    "'maxmemory-policy noeviction', or give it the right +info"
)
_NOT_WRITTEN = (
    "Redis could not write its append-only file: a crash loses accepted requests; see its log"
)
_REPLICA = "Redis is a replica: what it is told is lost; REDIS_URL must lead to the primary"
_KEY, _OTHER, _QUEUE = keys.PROBE, f"{keys.PROBE}:other", "rq:probe"

# Each is queued and thrown away, never carried out. Lua scripts need the right to what they call as well.
_NEEDED: tuple[tuple[str, ...], ...] = (
    *((name, _KEY) for name in ("GET", "HGETALL", "SMEMBERS", "LLEN", "PTTL", "PERSIST", "EXISTS")),
    *((name, _KEY) for name in ("DEL", "MGET", "SINTER", "ZCARD")),
    ("SET", _KEY, "1"),
    *((name, _KEY, "60") for name in ("EXPIRE", "PEXPIRE", "LINDEX")),
    *((name, _KEY, "x") for name in ("HGET", "HMGET", "HEXISTS", "HDEL", "SADD", "SREM", "ZREM")),
    *((name, _KEY, "x") for name in ("RPUSH", "LPUSH")),
    *((name, _KEY, "0", "1") for name in ("LRANGE", "LTRIM", "LREM", "HSET", "HSETNX", "ZRANGE")),
    *((name, _KEY, "0", "1") for name in ("ZRANGEBYSCORE", "ZREMRANGEBYSCORE")),
    ("INCRBY", _KEY, "1"),
    ("HINCRBY", _KEY, "x", "1"),
    ("ZADD", _KEY, "0", "x"),
    ("ZRANGEBYLEX", _KEY, "-", "+"),
    ("ZREVRANGEBYLEX", _KEY, "+", "-"),
    ("HSCAN", _KEY, "0"),
    ("RENAME", _KEY, _OTHER),
    ("XADD", _KEY, "*", "x", "1"),
    ("XRANGE", _KEY, "-", "+"),
    ("XREVRANGE", _KEY, "+", "-"),
    ("XREAD", "STREAMS", _KEY, "0"),
    ("EVALSHA", "0" * 40, "1", _KEY),
    ("SCRIPT", "LOAD", "return 1"),
    ("TIME",),
    ("PING",),
    ("HINCRBYFLOAT", _QUEUE, "x", "1"),
    ("BLMOVE", _QUEUE, f"{_QUEUE}:other", "LEFT", "RIGHT", "1"),
    ("PUBLISH", "rq:pubsub:probe", "x"),
)


@dataclass(frozen=True, slots=True)
class Condition:
    """What Redis says of itself; None where it does not say."""

    version: str = ""
    durable: bool | None = None
    eviction_policy: str | None = None
    append_only_failed: bool = False
    replica: bool = False

    @property
    def evicts(self) -> bool | None:
        """Whether it may drop keys when its memory is full; None where it does not say."""
        return None if self.eviction_policy is None else self.eviction_policy != NO_EVICTION

    @property
    def persistence_warning(self) -> str | None:
        """What endangers records when Redis ends."""
        if self.durable is None:
            return NOT_TOLD
        return (
            NOT_DURABLE if not self.durable else _NOT_WRITTEN if self.append_only_failed else None
        )

    @property
    def eviction_warning(self) -> str | None:
        """What endangers records when its memory is full."""
        if self.evicts is None:
            return NOT_TOLD
        return (
            f"Redis may drop any key when its memory is full (maxmemory-policy {self.eviction_policy}): accepted "
            f"requests, leases and queues are lost in silence; set 'maxmemory-policy {NO_EVICTION}'"
            if self.evicts
            else None
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that endangers what was accepted, each once."""
        found = (
            self.persistence_warning,
            self.eviction_warning,
            _REPLICA if self.replica else None,
        )
        return tuple(dict.fromkeys(each for each in found if each))


def condition_of(info: Mapping[str, Any] | None) -> Condition:
    """Read the answer to INFO; None if it was refused. Raises StoreUnusable for cluster mode."""
    if info is None:
        return Condition()
    if info.get("cluster_enabled") == 1:
        raise StoreUnusable("runs in cluster mode, which is not supported: use one without it")
    durable = info.get("aof_enabled")
    policy = info.get("maxmemory_policy")
    return Condition(
        version=str(info.get("redis_version", "")),
        durable=None if durable is None else durable == 1,
        eviction_policy=None if policy is None else str(policy),
        append_only_failed=info.get("aof_last_write_status", "ok") != "ok",
        replica=info.get("role") == "slave",
    )


def read_condition(redis: Redis) -> Condition:
    """Ask Redis how it is. One that forbids INFO is tolerated. Raises StoreUnavailable."""
    try:
        return condition_of(redis.info())
    except NoPermissionError:
        return condition_of(None)
    except ResponseError as error:
        if not trouble_of(error).hopeless:
            raise
        return condition_of(None)  # a proxy, or a host that does not know it


def check_rights(redis: Redis) -> None:
    """See whether the user may do all that we do; nothing is changed. Raises StoreUnusable, StoreUnavailable."""
    missing = list(dict.fromkeys(_missing(redis)))
    if missing:
        raise StoreUnusable(
            f"does not give the user in REDIS_URL the right to {', '.join(missing)}; it needs {RIGHTS}"
        )


def _missing(redis: Redis) -> Iterator[str]:
    connection: Any = redis.connection_pool.get_connection()
    try:
        connection.send_command("MULTI")
        connection.read_response()
        connection.send_packed_command(connection.pack_commands(_NEEDED))
        for command in _NEEDED:
            try:
                connection.read_response()
            except NoPermissionError as error:
                yield _named(command, str(error))
            except ResponseError as error:
                if trouble_of(error).hopeless:
                    raise
    finally:
        connection.disconnect()  # what was queued is thrown away
        redis.connection_pool.release(connection)


def _named(command: tuple[str, ...], error: str) -> str:
    text = error.lower()
    if "channel" in text:
        return "the channels 'rq:*'"
    if "key" in text:
        return f"the keys '{'rq' if command[1].startswith('rq:') else 'rmd'}:*'"
    return f"'{command[0].lower()}'"
