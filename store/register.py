"""A register: remediations, or readiness checks, read whole with their runs, and listed from the newest on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from redis import Redis

from store import codec, keys, run_hash
from store.lines import in_line
from store.records import Paused, Run

_LIST_CHUNK = 50

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Entry:
    """All that is recorded of one: the fields of its hash, its runs, and why nothing begins at present."""

    id: str
    revision: str
    fields: dict[str, str]
    runs: tuple[Run, ...]
    paused: Paused | None


class Register(Generic[Record]):
    """Records that one index (a zset of ids) lists; `decode` makes a record of an entry."""

    def __init__(self, redis: Redis, index: str, decode: Callable[[Entry], Record]) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._index = index
        self._decode = decode

    def get(self, identity: str) -> Record | None:
        """Return a record with its runs, None if it is not there (or no longer)."""
        return next(iter(self.get_many([identity])), None)

    def get_many(self, identities: Sequence[str]) -> list[Record]:
        """Return those of the records that are there, in the same order, in a fixed number of round trips."""
        return [self._decode(entry) for entry in self._entries(identities)]

    def newest_first(self, before: str | None = None) -> Iterator[Record]:
        """Yield the listed records from the newest on, or from the one after `before` (an id, itself left out)."""
        limit = f"({before}" if before else "+"
        while ids := self._redis.zrevrangebylex(self._index, limit, "-", start=0, num=_LIST_CHUNK):
            found = self._entries(ids)
            yield from map(self._decode, found)
            if expired := set(ids) - {entry.id for entry in found}:
                self._redis.zrem(self._index, *expired)
            limit = f"({ids[-1]}"

    def _entries(self, identities: Sequence[str]) -> list[Entry]:
        with self._redis.pipeline(transaction=False) as pipe:
            for identity in identities:
                # The revision comes first: a change between the two reads is seen again, never missed.
                pipe.xrevrange(keys.events(identity), count=1)
                pipe.hgetall(keys.remediation(identity))
            pipe.hgetall(keys.PAUSE)
            *answers, pause = pipe.execute()
        paused = codec.decode_pause(pause)
        heads = [
            (identity, last[0][0], fields, codec.loads(fields["runs"]))
            for identity, last, fields in zip(identities, answers[::2], answers[1::2], strict=True)
            if fields and last
        ]
        every = run_hash.read(self._redis, [each for head in heads for each in head[-1]])
        runs = {run.id: run for run in in_line(self._redis, every)}
        return [
            Entry(identity, revision, fields, tuple(runs[each] for each in listed), paused)
            for identity, revision, fields, listed in heads
            if runs.keys() >= set(listed)  # its keys run out one after the other
        ]
