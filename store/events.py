"""The changes of a remediation in order, and waiting for the next one."""

from collections.abc import Sequence
from typing import Any

from redis import Redis

from store import keys
from store.codec import dumps, loads
from store.records import Event

# Progress is also in the counters, so old entries may go; the beginning and the end are in the records.
KEPT = 10_000
BLOCK_SECONDS = 5.0
BEGINNING = "0-0"


class Events:
    """The event streams."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def after(self, remediation_id: str, last_id: str = BEGINNING, limit: int = 100) -> list[Event]:
        """Return up to `limit` events that came after `last_id`."""
        entries = self._redis.xrange(
            keys.events(remediation_id), min=f"({last_id}", max="+", count=limit
        )
        return [Event(entry, raw["type"], loads(raw["data"])) for entry, raw in entries]

    def wait(self, remediation_id: str, last_id: str, seconds: float) -> bool:
        """Wait until something comes after `last_id`, at most `seconds` and BLOCK_SECONDS; return whether it did."""
        milliseconds = max(1, int(min(seconds, BLOCK_SECONDS) * 1000))
        answer = self._redis.xread(
            {keys.events(remediation_id): last_id}, count=1, block=milliseconds
        )
        return bool(answer)


def progress(cluster: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return the data of a progress event: the (namespace, outcome) pairs of one batch."""
    return dumps({"cluster": cluster, "namespaces": rows})


def change(**data: Any) -> str:
    """Return the data of any other event."""
    return dumps(data)


def tell(pipe: Any, remediation_id: str, kind: str, /, **data: Any) -> None:
    """Append an event of this type to what the pipe does."""
    pipe.xadd(keys.events(remediation_id), {"type": kind, "data": change(**data)})
