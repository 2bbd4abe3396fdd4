"""What is said of objects that are being deleted: what is written to them now is lost with them.

An object with a `deletionTimestamp` stays readable until its last finalizer is removed, and then it is gone. A deletion
cannot be taken back.
"""

from collections.abc import Iterable, Sequence

from remediation.outcome import Error, ErrorCode
from remediation.state import Secret, ServiceAccount

_MOST_NAMES = 3


def terminating(finalizers: Sequence[str], object_: str) -> Error:
    """Return why nothing is written to a Secret that is being deleted; `object_` is kind/namespace/name."""
    return Error(
        ErrorCode.SECRET_TERMINATING,
        f"the Secret is being deleted{_kept_by(finalizers)}, so whatever is written to it is lost",
        "have what owns the finalizers finish the deletion, then retry",
        object=object_,
    )


def left_alone(accounts: Iterable[ServiceAccount]) -> str | None:
    """Return which of these ServiceAccounts are not written to because they are being deleted, None for none."""
    names = sorted(account.name for account in accounts if account.deleting)
    if not names:
        return None
    told = ", ".join(f"'{name}'" for name in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"left as they are, because they are being deleted: ServiceAccounts {told}{more}"


def going_already(secret: Secret) -> str:
    """Return why an undo does not delete a Secret that is being deleted already."""
    return f"the Secret is being deleted already{_kept_by(secret.finalizers)}"


def still_there(finalizers: Sequence[str]) -> str:
    """Return what is said of a Secret that was deleted and is still there."""
    return f"the Secret is marked for deletion, and goes once its finalizers are removed: {_listed(finalizers)}"


def _kept_by(finalizers: Sequence[str]) -> str:
    return f" (finalizers: {_listed(finalizers)})" if finalizers else ""


def _listed(finalizers: Sequence[str]) -> str:
    return ", ".join(finalizers[:_MOST_NAMES])
