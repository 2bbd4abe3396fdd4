"""Looking for a password in all the forms in which it could have got somewhere."""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

# What is shorter is found by chance.
_SHORTEST = 8
_COMPRESSED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
_MOST_DECOMPRESSED = 1 << 24


def forms_of(password: str, username: str) -> list[bytes]:
    """Return what must be nowhere: the password as it is written in JSON, URLs and Python, and the `auth` value.

    Also the base64 of each wherever in a text it begins: a `.dockerconfigjson` in a Secret is full of them.
    """
    texts = [
        password,
        json.dumps(password)[1:-1],
        json.dumps(password, ensure_ascii=False)[1:-1],
        quote(password, safe=""),
        quote_plus(password),
        repr(password)[1:-1],
        password.encode().hex(),
        base64.b64encode(f"{username}:{password}".encode()).decode().rstrip("=")[:-1],
    ]
    raws = [text.encode() for text in texts]
    forms = [*raws, *(form for raw in raws for form in _in_base64(raw))]
    return [form for form in dict.fromkeys(forms) if len(form) >= _SHORTEST]


def leaks(sources: Iterable[bytes], forms: Iterable[bytes]) -> int:
    """Count the values that hold one of the forms, as they are or when they are decompressed."""
    marks = list(forms)
    return sum(any(mark in text for text in texts_in(value) for mark in marks) for value in sources)


def texts_in(value: bytes) -> Iterator[bytes]:
    """Yield a value, and all that is compressed in it wherever it begins."""
    yield value
    for found in _COMPRESSED.finditer(value):
        with suppress(zlib.error):
            inner = zlib.decompressobj(_ZLIB_OR_GZIP)
            yield inner.decompress(memoryview(value)[found.start() :], _MOST_DECOMPRESSED)


def values_in(redis: Any) -> Iterator[bytes]:
    """Yield every key of a Redis (a client that replies with bytes) and all that it holds."""
    for _, value in typed_values_in(redis):
        yield value


def typed_values_in(redis: Any) -> Iterator[tuple[str, bytes]]:
    """Yield the same, each with the type of the key."""
    for name in redis.scan_iter("*", count=1000):
        kind = redis.type(name).decode()
        yield kind, name
        for value in _held(redis, name, kind):
            yield kind, value


def _held(redis: Any, name: bytes, kind: str) -> Iterator[bytes]:
    match kind:
        case "string":
            yield redis.get(name) or b""
        case "hash":
            yield from (part for pair in redis.hgetall(name).items() for part in pair)
        case "list":
            yield from redis.lrange(name, 0, -1)
        case "set":
            yield from redis.smembers(name)
        case "zset":
            yield from redis.zrange(name, 0, -1)
        case "stream":
            entries = redis.xrange(name)
            yield from (part for _, entry in entries for pair in entry.items() for part in pair)
        case "none":  # it ran out this moment
            return
        case other:
            raise AssertionError(f"{name!r} is a {other!r}, which this search cannot read")


def files_in(directory: Path) -> list[tuple[Path, bytes]]:
    """Return what lies in a directory."""
    found = []
    for path in sorted(directory.rglob("*")):
        with suppress(OSError):  # a socket, or gone this moment
            if path.is_file():
                found.append((path, path.read_bytes()))
    return found


def processes_of(directory: Path) -> list[tuple[bytes, bytes]]:
    """Return arguments and environment of every process whose environment names a directory."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (folder / "environ").read_bytes()
            if str(directory).encode() in environment:
                found.append(((folder / "cmdline").read_bytes(), environment))
    return found


def _in_base64(raw: bytes) -> list[bytes]:
    """Return the part of the base64 that does not depend on what stands around it, for each place to begin at."""
    return [base64.b64encode(b"x" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
