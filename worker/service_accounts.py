"""Writing the list of a ServiceAccount: patched with the uid and the resourceVersion it was read with, so that another
writer's entry is never lost.
"""

from collections.abc import Callable

import orjson

from remediation.footprint import AccountMark
from remediation.outcome import Error, ErrorCode
from remediation.state import ServiceAccount
from remediation.takeover import Left
from worker.faults import Call, Fault, Gone, Retry
from worker.observe import read_account
from worker.pace import Stopped
from worker.session import MERGE_PATCH, Session
from worker.step import FIELD_MANAGER, MUST_READ, Step, guard
from worker.wire import references

Rewrite = Callable[[ServiceAccount], tuple[str, ...] | Left | None]
"""What the names of a ServiceAccount are to be; None where they are right, Left where they are another writer's."""

_NAMESPACE_GONE = Error(ErrorCode.NAMESPACE_TERMINATING, "the namespace is gone")


async def rewrite(
    session: Session,
    namespace: str,
    account: ServiceAccount,
    wanted: Rewrite,
    *,
    doubtful: bool,
    earlier: AccountMark | None = None,
) -> Step:
    """Bring the list of one ServiceAccount in line, however often it changes meanwhile. Raises nothing.

    `doubtful` tells that a write of this run may be under way already: an earlier attempt's, which found the
    ServiceAccount as `earlier` says.
    """
    attempt = 0
    found = earlier
    while isinstance(names := wanted(account), tuple):
        attempt += 1
        found = account.mark
        try:
            await _write(session, namespace, account, names)
        except Gone as gone:
            # Raised from here it would leave the writes to the other ServiceAccounts running.
            error = _NAMESPACE_GONE if gone.namespace else None
            return Step(account.name, changed=None, attempts=attempt, error=error)
        except Stopped:
            return Step(account.name, attempts=attempt - 1, stopped=True, doubtful=doubtful)
        except Fault as fault:
            doubtful = doubtful or fault.retry is Retry.READ_FIRST
            stopped = False
            try:
                if not await session.pace.before_retry(fault, attempt):
                    return Step(
                        account.name, attempts=attempt, error=fault.error, doubtful=doubtful
                    )
            except Stopped:
                stopped = True
            if fault.retry in MUST_READ:
                try:
                    account = await read_account(session, namespace, account.name)
                except Gone:
                    return Step(account.name, changed=None, attempts=attempt)
                except Fault as unread:
                    return Step(
                        account.name, attempts=attempt, error=unread.error, doubtful=doubtful
                    )
                if (
                    account.deleting
                ):  # as when it is gone: what it lists makes no difference any more
                    return Step(account.name, changed=None, attempts=attempt)
            if stopped and isinstance(wanted(account), tuple):
                return Step(account.name, attempts=attempt, stopped=True, doubtful=doubtful)
        else:
            return Step(account.name, changed=True, attempts=attempt, account=found)
    if isinstance(names, Left):
        return Step(account.name, attempts=attempt, left=names)
    # It is as it should be: by our own write whose answer was lost, or by somebody else's.
    return Step(account.name, changed=doubtful, attempts=attempt, account=found)


async def rehearse(
    session: Session, namespace: str, account: ServiceAccount, names: tuple[str, ...]
) -> None:
    """Ask whether the list would be taken. Raises Fault, Gone and Stopped."""
    path, call, body = _request(namespace, account, names)
    await session.rehearse(path, call, body, MERGE_PATCH, fieldManager=FIELD_MANAGER)


async def _write(
    session: Session, namespace: str, account: ServiceAccount, names: tuple[str, ...]
) -> None:
    path, call, body = _request(namespace, account, names)
    await session.patch(path, call, body, MERGE_PATCH, fieldManager=FIELD_MANAGER)


def _request(
    namespace: str, account: ServiceAccount, names: tuple[str, ...]
) -> tuple[str, Call, bytes]:
    """Return the write of the full list. It is atomic: only a full, guarded one is safe."""
    body = {
        "metadata": guard(account.uid, account.resource_version),
        "imagePullSecrets": references(names)
        or None,  # null removes the field: as it was before the first entry
    }
    return (
        f"/api/v1/namespaces/{namespace}/serviceaccounts/{account.name}",
        Call("patch", f"serviceaccounts/{namespace}/{account.name}"),
        orjson.dumps(body),
    )
