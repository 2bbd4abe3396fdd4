"""Writing the pull Secret: applied server-side, so that it may be repeated; deleted only as it was created."""

import base64
from dataclasses import dataclass, replace

import orjson

from remediation.deletion import going_already, still_there, terminating
from remediation.docker_config import SECRET_KEY, SECRET_TYPE
from remediation.outcome import Error, ErrorCode, SecretAction
from remediation.plan import Intent, Task
from remediation.plan_secret import SecretWrite, plan_secret
from remediation.request import OnConflict
from remediation.state import (
    CREDENTIAL_ANNOTATION,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    REMEDIATION_ANNOTATION,
    Secret,
)
from worker.faults import Call, Fault, Gone, Retry
from worker.observe import read_secret
from worker.pace import Stopped
from worker.session import APPLY_PATCH, MERGE_PATCH, Session
from worker.step import FIELD_MANAGER, MUST_READ, Step, guard
from worker.wire import deletion_of, version_of

_WRITTEN = (
    SecretAction.CREATED,
    SecretAction.UPDATED,
    SecretAction.MERGED,
    SecretAction.REPLACED,
)
_VANISHED = Error(
    ErrorCode.CONFLICT_EXHAUSTED, "the Secret went away at the same time", "retry later"
)
CHANGED_SINCE = "the Secret stays: it was changed at the same time"


async def put(
    session: Session, task: Task, namespace: str, write: SecretWrite | None, earlier: Intent
) -> Step:
    """Put the Secret in place. Raises Gone if the namespace is not there any more.

    `earlier` is what an earlier attempt was about to write: it may be under way still.
    """
    attempt = 0
    # The action of a write whose answer is not known.
    doubtful = earlier.secret_action if earlier.secret_action in _WRITTEN else None
    mark = earlier.secret_mark
    existing: Secret | None = None
    while write:
        attempt += 1
        mark = (write.existing.mark or mark) if write.existing else None
        try:
            done = await _write(session, task, namespace, write, attempt)
        except Stopped:
            return Step(attempts=attempt - 1, stopped=True, doubtful=bool(doubtful))
        except Fault as fault:
            if fault.retry is Retry.READ_FIRST:
                doubtful = write.action
            try:
                if not await session.pace.before_retry(fault, attempt):
                    return Step(attempts=attempt, error=fault.error, doubtful=bool(doubtful))
            except Stopped:
                stopped = await _stopped(session, task, namespace, doubtful, attempt)
                return replace(stopped, secret=mark)
            if fault.retry in MUST_READ:
                existing, again = await _look(session, task, namespace)
                if isinstance(again, Error):
                    return Step(attempts=attempt, error=again, doubtful=bool(doubtful))
                if fault.retry is Retry.CONFLICT and _same(write, again):
                    return Step(attempts=attempt, error=fault.error, doubtful=bool(doubtful))
                write = again
        else:
            # One that was there after all was created by the write whose answer is not known.
            late = write.action is doubtful is SecretAction.CREATED
            return replace(done, action=doubtful if doubtful and late else done.action, secret=mark)
    return replace(_found(task, existing, doubtful, attempt), secret=mark)


async def take_away(
    session: Session, namespace: str, name: str, write: SecretWrite, earlier: Intent
) -> Step:
    """Delete the Secret if it still is as it was read. Raises Gone if the namespace is not there any more.

    `earlier` as in `put`.
    """
    attempt = 0
    doubtful = earlier.secret_action is SecretAction.DELETED
    existing = write.existing
    while existing and existing == write.existing:
        attempt += 1
        try:
            kept = await _delete(session, namespace, name, existing)
        except Gone as gone:
            if gone.namespace:
                raise
            existing = None
        except Stopped:
            return Step(attempts=attempt - 1, stopped=True)
        except Fault as fault:
            doubtful = doubtful or fault.retry is Retry.READ_FIRST
            stopped = False
            try:
                if not await session.pace.before_retry(fault, attempt):
                    return Step(attempts=attempt, error=fault.error)
            except Stopped:
                stopped = True
            if fault.retry in MUST_READ:
                try:
                    existing = await read_secret(session, namespace, name)
                except Fault as unread:
                    return Step(attempts=attempt, error=unread.error)
                if fault.retry is Retry.CONFLICT and existing == write.existing:
                    return Step(attempts=attempt, error=fault.error)
            if stopped and existing:
                return Step(attempts=attempt, stopped=True)
        else:
            reason = None if kept is None else still_there(kept)
            return Step(action=SecretAction.DELETED, attempts=attempt, reason=reason)
    if existing and existing.deleting:
        reason = still_there(existing.finalizers) if doubtful else going_already(existing)
        action = SecretAction.DELETED if doubtful else SecretAction.UNCHANGED
        return Step(action=action, attempts=attempt, reason=reason)
    if existing:
        return Step(attempts=attempt, reason=CHANGED_SINCE)
    # It is gone: by our own request whose answer was lost, or by somebody else's.
    action = SecretAction.DELETED if doubtful else SecretAction.UNCHANGED
    return Step(action=action, attempts=attempt)


async def _look(
    session: Session, task: Task, namespace: str
) -> tuple[Secret | None, SecretWrite | Error | None]:
    """Decide on the Secret as it is now. Raises Gone."""
    try:
        existing = await read_secret(session, namespace, task.request.secret_name)
    except Fault as unread:
        return None, unread.error
    return existing, plan_secret(task, namespace, existing)


async def _stopped(
    session: Session, task: Task, namespace: str, doubtful: SecretAction | None, attempts: int
) -> Step:
    """Return what came of a write that is not repeated: where its answer was lost it may have been done."""
    if doubtful:
        existing, again = await _look(session, task, namespace)
        if again is None:
            return replace(_found(task, existing, doubtful, attempts), stopped=True)
    return Step(attempts=attempts, stopped=True, doubtful=bool(doubtful))


def _found(
    task: Task, existing: Secret | None, doubtful: SecretAction | None, attempts: int
) -> Step:
    """Return what came of a Secret that is in place: by a write whose answer was lost, or by somebody else's."""
    own = existing and existing.remediation == task.remediation_id
    version = existing.version if existing and own else None
    return Step(action=doubtful or SecretAction.UNCHANGED, attempts=attempts, version=version)


def _same(before: SecretWrite, after: SecretWrite | None) -> bool:
    """Tell whether nobody changed the Secret: then the conflict is with who owns its fields, and stays."""
    return bool(after and after.existing) and before == after


async def rehearse(session: Session, task: Task, namespace: str, write: SecretWrite) -> None:
    """Ask whether the write would be taken. Raises Fault, Gone and Stopped."""
    request = _request(task, namespace, write)
    await session.rehearse(
        request.path, request.call, request.body, request.content_type, **request.params
    )


async def _write(
    session: Session, task: Task, namespace: str, write: SecretWrite, attempt: int
) -> Step:
    """Send one write and say what it did. Raises Fault, and Gone if the namespace is not there any more.

    A Secret whose deletion began at the same moment takes the write and is gone with it: that is a failure.
    """
    request = _request(task, namespace, write)
    call = request.call
    try:
        written = await session.patch(
            request.path, call, request.body, request.content_type, **request.params
        )
    except Gone as gone:
        if gone.namespace or write.action is not SecretAction.MERGED:
            raise
        raise Fault(_VANISHED, Retry.CONFLICT) from None
    _check_stays(written.body, call)
    if write.action is SecretAction.MERGED:
        return Step(action=write.action, attempts=attempt)
    version = version_of(written.body)
    if write.action is SecretAction.CREATED and not written.created:
        # Somebody else created it a moment ago, with the same content: it is not ours to delete again.
        return Step(action=SecretAction.UPDATED, attempts=attempt, version=version)
    return Step(action=write.action, attempts=attempt, version=version)


@dataclass(frozen=True, slots=True)
class _Patch:
    """A write as it is sent."""

    path: str
    call: Call
    body: bytes
    content_type: str
    params: dict[str, str]


def _request(task: Task, namespace: str, write: SecretWrite) -> _Patch:
    name = task.request.secret_name
    call = Call("patch", f"secrets/{namespace}/{name}")
    path = _path(namespace, name)
    params = {"fieldManager": FIELD_MANAGER}
    data = {SECRET_KEY: base64.b64encode(write.content).decode()}
    own = guard(write.existing.uid, write.existing.resource_version) if write.existing else {}
    if write.action is SecretAction.MERGED:
        # It stays somebody else's: no labels of ours, and their other data is not mentioned.
        body = orjson.dumps({"metadata": own, "data": data})
        return _Patch(path, call, body, MERGE_PATCH, params)
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": own
        | {
            "name": name,
            "namespace": namespace,
            "labels": {MANAGED_BY_LABEL: MANAGED_BY},
            "annotations": {
                REMEDIATION_ANNOTATION: task.remediation_id,
                CREDENTIAL_ANNOTATION: task.credential.name,
            },
        },
        "type": SECRET_TYPE,
        "data": data,
    }
    # A Secret with our label may have content that another tool owns; only 'replace' takes it over.
    replaces = task.request.on_conflict is OnConflict.REPLACE and write.existing
    params["force"] = "true" if replaces else "false"
    return _Patch(path, call, orjson.dumps(document), APPLY_PATCH, params)


def _check_stays(body: bytes, call: Call) -> None:
    """Raise Fault if the Secret that was written is being deleted."""
    finalizers = deletion_of(body)
    if finalizers is not None:
        raise Fault(terminating(finalizers, call.object), Retry.NO)


async def _delete(
    session: Session, namespace: str, name: str, existing: Secret
) -> tuple[str, ...] | None:
    """Delete exactly this version; return the finalizers that keep it, None if it is gone. Raises Fault and Gone."""
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": guard(existing.uid, existing.resource_version),
    }
    call = Call("delete", f"secrets/{namespace}/{name}")
    return deletion_of(await session.delete(_path(namespace, name), call, orjson.dumps(options)))


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"
