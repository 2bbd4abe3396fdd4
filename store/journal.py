"""What a run was about to write, noted first: how a resumed run knows its predecessor's work from a stranger's."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from redis import Redis

from remediation.outcome import SecretAction
from remediation.plan import Intent
from store import codec, keys, marks
from store.claims import Claim, LeaseLost
from store.lua import script

_CHUNK = 500
_ABSENT: list[Any] = [None, []]


class Journal:
    """The journals of all runs."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._note = script(redis, "note")

    def note(self, claim: Claim, intents: Iterable[tuple[str, Intent]]) -> None:
        """Note what will be written, by namespace. Raises LeaseLost.

        An intent replaces that of an earlier attempt, and so must hold what was taken over from it.
        """
        remaining = iter(intents)
        more = True
        while more:
            chunk = list(islice(remaining, _CHUNK))
            more = len(chunk) == _CHUNK
            arguments = [
                text for namespace, intent in chunk for text in (namespace, _encode(intent))
            ]
            if not self._note(
                keys=[keys.run(claim.run.id), keys.journal(claim.run.id)],
                args=[claim.attempt, *arguments],
            ):
                raise LeaseLost

    def intents(self, run_id: str) -> Mapping[str, Intent]:
        """Return what earlier attempts were about to write, by namespace."""
        return {
            namespace: _decode(packed)
            for namespace, packed in self._redis.hscan_iter(keys.journal(run_id), count=_CHUNK)
        }


def _encode(intent: Intent) -> str:
    accounts = marks.encode_accounts(intent.accounts, intent.account_marks)
    more: list[Any] = []
    if intent.secret_mark or intent.cautions:
        more.append(marks.encode_secret(intent.secret_mark))
    if intent.cautions:
        more.append(marks.encode_cautions(intent.cautions))
    return codec.dumps([intent.secret_action, accounts, *more])


def _decode(packed: str) -> Intent:
    action, accounts, *more = codec.loads(packed)
    names, account_marks = marks.decode_accounts(accounts)
    secret, cautions = more + _ABSENT[len(more) :]
    return Intent(
        SecretAction(action),
        names,
        account_marks,
        marks.decode_secret(secret),
        marks.decode_cautions(cautions),
    )
