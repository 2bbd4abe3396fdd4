"""Idempotency keys: a request that is sent again makes no second remediation.

Draft: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ (-07). A key belongs to its caller.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from redis import Redis

from store import codec, keys

LIFE_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A caller's key for one request; `fingerprint` tells whether another request came under the same key."""

    caller: str
    route: str
    key: str
    fingerprint: str

    @property
    def record(self) -> str:
        """The Redis key; nothing of the caller's text is in it."""
        named = "\0".join((self.caller, self.route, self.key))
        return keys.idempotency(hashlib.sha256(named.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Known:
    """What was made of a key before; `same` is False if the request was another one."""

    remediation_id: str
    same: bool


class KeyTaken(Exception):
    """Something was made of the idempotency key before."""

    def __init__(self, known: Known) -> None:
        super().__init__(known.remediation_id)
        self.known = known


def encode(key: RequestKey, remediation_id: str) -> str:
    """Return what is stored under a key."""
    return codec.dumps([key.fingerprint, remediation_id])


def decode(key: RequestKey, text: str) -> Known:
    """Read what `encode` wrote."""
    fingerprint, remediation_id = codec.loads(text)
    return Known(remediation_id, fingerprint == key.fingerprint)


class Idempotency:
    """The keys of all callers."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def known(self, key: RequestKey) -> Known | None:
        """Return what was made of the key before, None if it is new."""
        text = self._redis.get(key.record)
        return decode(key, text) if text else None

    def keep(self, key: RequestKey, about: str) -> None:
        """Note that the request of a key was carried out, and what it was about; the first note stays."""
        self._redis.set(key.record, encode(key, about), nx=True, ex=LIFE_SECONDS)
