"""The write of the Secret in a namespace, or why there is none, and what it does besides."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from remediation.caution import Caution
from remediation.credential import Credential
from remediation.deletion import terminating
from remediation.docker_config import (
    SECRET_TYPE,
    DockerConfig,
    InvalidCredential,
    holds,
    merge,
    parse_docker_config,
)
from remediation.outcome import Error, ErrorCode, SecretAction
from remediation.ownership import opponent
from remediation.request import OnConflict, RemediationRequest
from remediation.side_effects import warn_of_dead_keys, warn_of_secret
from remediation.state import Secret


class Order(Protocol):
    """What is asked for: the request, and the credential that a worker holds."""

    @property
    def request(self) -> RemediationRequest:
        """The request."""

    @property
    def credential(self) -> Credential:
        """The credential."""


@dataclass(frozen=True, slots=True)
class SecretWrite:
    """One write of the Secret; `existing` is the Secret the decision was made on, None to create it.

    To delete it the content is empty.
    """

    action: SecretAction
    content: bytes = field(repr=False)
    existing: Secret | None = None


def plan_secret(task: Order, namespace: str, existing: Secret | None) -> SecretWrite | Error | None:
    """Return the write of the Secret, None if it serves as it is, or why it cannot be put in place."""
    wanted = task.credential
    if existing is None:
        return SecretWrite(SecretAction.CREATED, wanted.content)
    if existing.deleting:
        return terminating(existing.finalizers, _secret_object(task, namespace))
    if existing.type != SECRET_TYPE:
        return Error(
            ErrorCode.SECRET_TYPE_MISMATCH,
            f"a Secret of that name exists with type '{existing.type}', and a type cannot be changed",
            "choose another secret_name, or have its owner remove it",
            object=_secret_object(task, namespace),
        )
    config = _readable(existing)
    if config and holds(config, wanted.config):
        return None
    if existing.immutable:
        return _conflict(task, namespace, "it is immutable", "choose another secret_name")
    replaces = task.request.on_conflict is OnConflict.REPLACE
    if existing.ours and not replaces and (owner := opponent(existing, wanted.name)):
        return _conflict(
            task,
            namespace,
            f"field manager '{owner.manager}' owns what would change in it",
            "use on_conflict 'replace', or another secret_name",
        )
    if existing.ours:
        return SecretWrite(SecretAction.UPDATED, wanted.content, existing)
    match task.request.on_conflict:
        case OnConflict.REPLACE:
            return SecretWrite(SecretAction.REPLACED, wanted.content, existing)
        case OnConflict.MERGE if config:
            return SecretWrite(SecretAction.MERGED, merge(config, wanted.config), existing)
        case OnConflict.MERGE:
            return _conflict(
                task,
                namespace,
                "its content is malformed, so nothing can be merged into it (no pod that names it can pull)",
                "use on_conflict 'replace', or have its owner mend it",
            )
    return _conflict(
        task,
        namespace,
        "it belongs to somebody else and holds another credential",
        "use on_conflict 'merge' or 'replace', or another secret_name",
    )


def side_effects(
    task: Order, namespace: str, existing: Secret | None, write: SecretWrite | None
) -> Iterator[Caution]:
    """Yield what the write of the Secret does besides, also where the Secret serves as it is."""
    object_ = _secret_object(task, namespace)
    yield from warn_of_dead_keys(object_, task.credential.config)
    if existing:
        action = write.action if write else SecretAction.UNCHANGED
        yield from warn_of_secret(object_, existing, action, write.content if write else b"")


def _readable(secret: Secret) -> DockerConfig | None:
    try:
        return parse_docker_config(secret.content)
    except InvalidCredential:
        return None


def _conflict(task: Order, namespace: str, why: str, hint: str) -> Error:
    return Error(
        ErrorCode.SECRET_CONFLICT,
        f"a Secret of that name exists: {why}",
        hint,
        object=_secret_object(task, namespace),
    )


def _secret_object(task: Order, namespace: str) -> str:
    return f"secrets/{namespace}/{task.request.secret_name}"
