"""Looking for a password in all the forms in which it could have got somewhere."""

import base64
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any


def forms_of(password: str, username: str) -> list[bytes]:
    """Return what must be nowhere: the password, and its base64 wherever in a text it begins."""
    raw = password.encode()
    aligned = [base64.b64encode(b"x" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    return [raw, *aligned, base64.b64encode(f"{username}:{password}".encode())]


def leaks(sources: Iterable[bytes], forms: Iterable[bytes]) -> int:
    """Count the values that hold one of the forms, as they are or when they are decompressed."""
    marks = list(forms)
    count = 0
    for value in sources:
        texts = [value]
        with suppress(zlib.error):
            texts.append(zlib.decompress(value))
        count += any(mark in text for text in texts for mark in marks)
    return count


def values_in(redis: Any) -> Iterator[bytes]:
    """Yield every key of a Redis (a client that replies with bytes) and all that it holds."""
    for name in redis.scan_iter("*", count=1000):
        yield name
        match redis.type(name):
            case b"string":
                yield redis.get(name) or b""
            case b"hash":
                yield from (part for pair in redis.hgetall(name).items() for part in pair)
            case b"list":
                yield from redis.lrange(name, 0, -1)
            case b"set":
                yield from redis.smembers(name)
            case b"zset":
                yield from redis.zrange(name, 0, -1)
            case b"stream":
                entries = redis.xrange(name)
                yield from (part for _, entry in entries for pair in entry.items() for part in pair)
            case b"none":  # it ran out this moment
                continue
            case other:
                raise AssertionError(f"{name!r} is a {other!r}, which this search cannot read")
