"""Result rows as they are stored: `namespace NUL json`, so that a zset keeps them in order of namespace."""

from remediation.outcome import AccountCounts, NamespaceResult, Outcome, SecretAction
from store import codec

_NUL = "\0"


def encode(row: NamespaceResult) -> str:
    """Return a row as `namespace NUL json`; its outcome is the key it is stored under."""
    counts = row.accounts
    packed = [
        row.reason,
        row.secret_action,
        [counts.changed, counts.unchanged, counts.ignored, counts.failed],
        row.changed_accounts,
        row.attempts,
        row.duration_ms,
        codec.encode_error(row.error),
    ]
    if row.secret_version or row.doubtful or row.doubtful_accounts is not None:
        packed += [
            row.secret_version,
            int(row.doubtful),
            row.doubtful_accounts,
        ]  # in few rows: a million of them must be thinkable
    return f"{row.namespace}{_NUL}{codec.dumps(packed)}"


def decode(outcome: Outcome, member: str) -> NamespaceResult:
    """Read what `encode` wrote."""
    namespace, _, packed = member.partition(_NUL)
    reason, action, counts, changed, attempts, duration_ms, error, *more = codec.loads(packed)
    version, doubtful, accounts = more or (None, 0, None)
    return NamespaceResult(
        namespace,
        outcome,
        reason,
        SecretAction(action),
        AccountCounts(*counts),
        tuple(changed),
        attempts,
        duration_ms,
        codec.decode_error(error),
        tuple(version) if version else None,
        bool(doubtful),
        None if accounts is None else tuple(accounts),
    )


def namespace_of(member: str) -> str:
    """Return the namespace of a stored row without reading the rest."""
    return member.partition(_NUL)[0]
