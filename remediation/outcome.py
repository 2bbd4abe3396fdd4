"""What came of a namespace: outcomes, error codes, result rows and their sums."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from remediation.caution import Caution
from remediation.footprint import AccountMark, SecretMark


class Outcome(StrEnum):
    """What happened in one namespace."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WOULD_CHANGE = "would_change"  # dry run only
    IGNORED = "ignored"  # by the request or by the annotation
    SKIPPED = "skipped"  # it is going away
    FAILED = "failed"
    CANCELLED = "cancelled"


class ErrorCode(StrEnum):
    """Stable reasons that callers may act on."""

    FORBIDDEN = "forbidden"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CONFLICT_EXHAUSTED = "conflict_exhausted"
    QUOTA_EXCEEDED = "quota_exceeded"
    ADMISSION_DENIED = "admission_denied"
    NAMESPACE_TERMINATING = "namespace_terminating"
    SECRET_TERMINATING = "secret_terminating"
    SECRET_CONFLICT = "secret_conflict"
    SECRET_TYPE_MISMATCH = "secret_type_mismatch"
    CREDENTIAL_REJECTED = "credential_rejected"
    CREDENTIAL_UNAVAILABLE = "credential_unavailable"
    TOO_MANY_NAMESPACES = "too_many_namespaces"
    NOT_PERMITTED = "not_permitted"
    CLUSTER_CHANGED = "cluster_changed"
    WORKER_LOST = "worker_lost"
    INTERNAL = "internal"


class SecretAction(StrEnum):
    """What was (dry run: would be) done with the namespace's pull Secret."""

    CREATED = "created"
    UPDATED = "updated"
    MERGED = "merged"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    NONE = "none"


_WOULD = {
    SecretAction.CREATED: "would create",
    SecretAction.UPDATED: "would update",
    SecretAction.MERGED: "would merge",
    SecretAction.REPLACED: "would replace",
    SecretAction.DELETED: "would delete",
}


def would(action: SecretAction) -> str:
    """Return how a dry run says it."""
    return _WOULD.get(action, action.value)


_REWRITTEN = frozenset((SecretAction.UPDATED, SecretAction.MERGED, SecretAction.REPLACED))
_RETRYABLE = frozenset(
    {
        ErrorCode.UNREACHABLE,
        ErrorCode.TIMEOUT,
        ErrorCode.CONFLICT_EXHAUSTED,
        ErrorCode.QUOTA_EXCEEDED,
        ErrorCode.SECRET_TERMINATING,
        ErrorCode.WORKER_LOST,
        ErrorCode.INTERNAL,
    }
)


@dataclass(frozen=True, slots=True)
class Error:
    """Why something failed: `detail` says what, `hint` what to do next, `object` which object (kind/namespace/name)."""

    code: ErrorCode
    detail: str
    hint: str = ""
    http_status: int | None = None
    object: str | None = None

    @property
    def retryable(self) -> bool:
        """Tell whether the same request may succeed later without anyone changing anything by hand."""
        return self.code in _RETRYABLE


@dataclass(frozen=True, slots=True)
class AccountCounts:
    """ServiceAccounts of a namespace; `total` is the sum of the others."""

    changed: int = 0
    unchanged: int = 0
    ignored: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """All ServiceAccounts looked at."""
        return self.changed + self.unchanged + self.ignored + self.failed


@dataclass(frozen=True, slots=True)
class NamespaceResult:
    """The result row of one namespace on one cluster.

    `attempts` counts requests of the hardest write (1 = at the first try), `duration_ms` the time spent here.
    `secret_version` are uid and resourceVersion of a Secret that was created, as it was created. `doubtful` tells that
    writes were sent whose outcome is not known: the journal says which, and `doubtful_accounts` to which of its
    ServiceAccounts (None: to any). `account_marks` say what the changed ServiceAccounts were before the write (until
    the row is stored, those in doubt as well), and `secret_mark` what a Secret was whose content belonged to another
    tool: None where there is nothing to tell.
    `cautions` are warnings about what was, or in a dry run would be, written.
    """

    namespace: str
    outcome: Outcome
    reason: str | None = None
    secret_action: SecretAction = SecretAction.NONE
    accounts: AccountCounts = field(default_factory=AccountCounts)
    changed_accounts: tuple[str, ...] = ()
    attempts: int = 0
    duration_ms: int = 0
    error: Error | None = None
    secret_version: tuple[str, str] | None = None
    doubtful: bool = False
    doubtful_accounts: tuple[str, ...] | None = None
    account_marks: tuple[AccountMark, ...] = ()
    secret_mark: SecretMark | None = None
    cautions: tuple[Caution, ...] = ()

    @property
    def secret_failed(self) -> bool:
        """Tell whether the Secret could not be put in place."""
        return self.outcome is Outcome.FAILED and self.secret_action is SecretAction.NONE

    @property
    def may_have_rewritten_secret(self) -> bool:
        """Tell whether a Secret that was there was, may have been, or in a dry run would be, written."""
        unknown = self.doubtful and self.secret_action is SecretAction.NONE
        return unknown or self.secret_action in _REWRITTEN

    def may_have_written(self, account: str) -> bool:
        """Tell whether a ServiceAccount was, may have been, or in a dry run would be, written."""
        unknown = self.doubtful_accounts
        in_doubt = self.doubtful and (unknown is None or account in unknown)
        return in_doubt or account in self.changed_accounts


@dataclass(frozen=True, slots=True)
class Summary:
    """Sums over result rows. `total` namespaces are known after the observation, `done` have a row."""

    total: int = 0
    changed: int = 0
    unchanged: int = 0
    would_change: int = 0
    ignored: int = 0
    skipped: int = 0
    failed: int = 0
    cancelled: int = 0
    accounts_total: int = 0
    accounts_changed: int = 0
    accounts_unchanged: int = 0
    accounts_failed: int = 0
    secrets_created: int = 0
    secrets_updated: int = 0
    secrets_merged: int = 0
    secrets_replaced: int = 0
    secrets_unchanged: int = 0
    secrets_failed: int = 0
    secrets_deleted: int = 0

    @property
    def done(self) -> int:
        """Namespaces that have a result row."""
        return sum(getattr(self, outcome) for outcome in Outcome)

    @property
    def in_line(self) -> int:
        """Namespaces where something was done or nothing needed doing."""
        return self.changed + self.unchanged + self.would_change

    def __add__(self, other: "Summary") -> "Summary":
        return Summary(
            **{name: getattr(self, name) + getattr(other, name) for name in SUMMARY_FIELDS}
        )

    def to_counts(self) -> dict[str, int]:
        """Return the fields that are not zero."""
        return {name: value for name in SUMMARY_FIELDS if (value := getattr(self, name))}

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> "Summary":
        """Build a summary of stored counts; missing ones are 0, unknown ones are left out."""
        return cls(**{name: counts[name] for name in SUMMARY_FIELDS if name in counts})


SUMMARY_FIELDS = tuple(item.name for item in fields(Summary))

# What was merged or replaced was updated, and counts as such too.
_SECRET_COUNTS = {
    SecretAction.CREATED: ("secrets_created",),
    SecretAction.UPDATED: ("secrets_updated",),
    SecretAction.MERGED: ("secrets_updated", "secrets_merged"),
    SecretAction.REPLACED: ("secrets_updated", "secrets_replaced"),
    SecretAction.UNCHANGED: ("secrets_unchanged",),
    SecretAction.DELETED: ("secrets_deleted",),
}


def summarise_row(row: NamespaceResult) -> Summary:
    """Return what one row adds to the sums; `total` is counted by the observation, not by rows."""
    summary = Summary(
        accounts_total=row.accounts.total,
        accounts_changed=row.accounts.changed,
        accounts_unchanged=row.accounts.unchanged,
        accounts_failed=row.accounts.failed,
    )
    counts = {row.outcome.value: 1}
    if row.secret_failed:
        counts["secrets_failed"] = 1
    else:
        counts |= dict.fromkeys(_SECRET_COUNTS.get(row.secret_action, ()), 1)
    return replace(summary, **counts)
