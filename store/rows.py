"""Result rows as they are stored: `namespace NUL json`, so that a zset keeps them in order of namespace."""

from typing import Any

from remediation.outcome import AccountCounts, NamespaceResult, Outcome, SecretAction
from store import codec, marks

_NUL = "\0"
_USUAL = 7  # parts that every row has
_ABSENT: list[Any] = [None, 0, None, None, []]


def encode(row: NamespaceResult) -> str:
    """Return a row as `namespace NUL json`; its outcome is the key it is stored under."""
    counts = row.accounts
    packed: list[Any] = [
        row.reason,
        row.secret_action,
        [counts.changed, counts.unchanged, counts.ignored, counts.failed],
        marks.encode_accounts(row.changed_accounts, row.account_marks),
        row.attempts,
        row.duration_ms,
        codec.encode_error(row.error),
    ]
    more: list[Any] = [row.secret_version, int(row.doubtful), row.doubtful_accounts]
    if row.secret_mark or row.cautions:
        more.append(marks.encode_secret(row.secret_mark))
    if row.cautions:
        more.append(marks.encode_cautions(row.cautions))
    if any(each not in (None, 0) for each in more):  # in few rows: a million must be thinkable
        packed += more
    return f"{row.namespace}{_NUL}{codec.dumps(packed)}"


def decode(outcome: Outcome, member: str) -> NamespaceResult:
    """Read what `encode` wrote."""
    namespace, _, packed = member.partition(_NUL)
    parts = codec.loads(packed)
    reason, action, counts, changed, attempts, duration_ms, error = parts[:_USUAL]
    version, doubtful, accounts, secret, cautions = parts[_USUAL:] + _ABSENT[len(parts) - _USUAL :]
    names, account_marks = marks.decode_accounts(changed)
    return NamespaceResult(
        namespace,
        outcome,
        reason,
        SecretAction(action),
        AccountCounts(*counts),
        names,
        attempts,
        duration_ms,
        codec.decode_error(error),
        tuple(version) if version else None,
        bool(doubtful),
        None if accounts is None else tuple(accounts),
        account_marks,
        marks.decode_secret(secret),
        marks.decode_cautions(cautions),
    )


def namespace_of(member: str) -> str:
    """Return the namespace of a stored row without reading the rest."""
    return member.partition(_NUL)[0]
