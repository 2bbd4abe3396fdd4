"""What we remember of the objects of a cluster that we wrote to: a hash, one field a namespace, one line an object.

A line is `ServiceAccount/Secret uid`, and where there is more to tell ` json`: `/Secret` is the Secret itself. Names
hold no spaces. The scripts change single lines, so that a run and a check may both write.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from redis import Redis

from remediation.drift.past import Memory, Past, Place
from store import clock, codec, keys, marks
from store.lua import script

Remembered = Iterable[tuple[str, str, Past | None]]
"""ServiceAccount ("" for the Secret), Secret, and what is remembered now; None to forget it."""
_CHUNK = 500
_BLANK = frozenset(" \n")
_USUAL: list[Any] = [None, None, 1]  # it is in place, and was never taken out


class Memories:
    """The memory of all clusters. It lives for the retention after the last write, less what is found gone."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._amend = script(redis, "amend")

    def read(self, cluster: str) -> Memory:
        """Return all that is remembered of a cluster."""
        found = self._redis.hscan_iter(key_of(cluster), count=_CHUNK)
        return Memory(
            ((namespace, account, secret), past)
            for namespace, text in found
            for account, secret, past in _decode(text)
        )

    def amend(self, cluster: str, before: Memory, after: Mapping[Place, Past | None]) -> None:
        """Change records that are as they were read; what a run has changed meanwhile stays as that left it."""
        pairs = (
            (place[0], _line(place[1], place[2], before[place]), _line(place[1], place[2], past))
            for place, past in after.items()
        )
        while chunk := list(islice(pairs, _CHUNK)):
            self._amend(keys=[key_of(cluster)], args=[text for each in chunk for text in each])


def key_of(cluster: str) -> str:
    """Return the key of a cluster's memory: no key is built of a caller's text."""
    return keys.memory(hashlib.sha256(cluster.encode()).hexdigest()[:32])


def encode(remembered: Remembered) -> str:
    """Return lines for `report`; one without a uid forgets."""
    return "\n".join(_line(account, secret, past) for account, secret, past in remembered)


def _line(account: str, secret: str, past: Past | None) -> str:
    parts = [f"{account}/{secret}"]
    if past is not None and not _BLANK.intersection(past.uid):  # no API server gives such a uid
        parts.append(marks.encode_uid(past.uid))
        at = clock.text(past.taken_at) if past.taken_at else None
        more = [past.taken_by, at, int(past.placed)]
        if past.displaced or more != _USUAL:
            rest = [] if more == _USUAL else more
            parts.append(codec.dumps([marks.encode_holders(past.displaced), *rest]))
    return " ".join(parts)


def _decode(text: str) -> Iterator[tuple[str, str, Past]]:
    for line in text.split("\n"):
        name, uid, *more = line.split(" ", 2)
        account, _, secret = name.partition("/")
        displaced, *taken = codec.loads(more[0]) if more else [[]]
        by, at, placed = taken or _USUAL
        past = Past(
            marks.decode_uid(uid),
            marks.decode_holders(displaced),
            by,
            clock.parse(at) if at else None,
            bool(placed),
        )
        yield account, secret, past
