"""Who may do what, as the API knows it: handed to the workers, which look again before they begin."""

from dataclasses import asdict
from typing import Any

from redis import Redis

from remediation.permission import Binding, Grant, Policy, Role
from store import codec, keys

_KNOWN = frozenset(Role)


class Policies:
    """The policy that counts for work that begins now."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def publish(self, policy: Policy) -> None:
        """Have this policy count from now on."""
        self._redis.set(keys.POLICY, _encode(policy))

    def restore(self, policy: Policy) -> None:
        """Have this policy count if there is none: Redis may have come back empty."""
        self._redis.set(keys.POLICY, _encode(policy), nx=True)

    def current(self) -> Policy | None:
        """Return the policy that counts, None if nobody has published one."""
        text = self._redis.get(keys.POLICY)
        return _decode(text) if text else None


def _encode(policy: Policy) -> str:
    return codec.dumps(asdict(policy))


def _decode(text: str) -> Policy:
    document = codec.loads(text)
    return Policy(
        tuple(
            Binding(
                tuple(raw["subjects"]),
                Grant(
                    role=Role(raw["grant"]["role"]),
                    clusters=tuple(raw["grant"]["clusters"]),
                    namespaces=tuple(raw["grant"]["namespaces"]),
                    credentials=tuple(raw["grant"]["credentials"]),
                ),
            )
            for raw in document["bindings"]
            if raw["grant"]["role"] in _KNOWN  # a newer API may have more; to us they give nothing
        ),
        tuple(document["protected"]),
    )
