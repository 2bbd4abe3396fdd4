"""What remediations and readiness checks have in common over HTTP: they are accepted, waited for, and have an ETag."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from flask import Response, request

from api.access import caller
from api.parameters import seconds_to_wait, wait
from api.problems import Problem
from api.schemas import Strict
from api.services import services
from remediation.status import RemediationStatus
from store.connection import StoreUnavailable
from store.records import Run

ENTITY_HEADERS = {
    "ETag": {"schema": {"type": "string"}, "description": "Changes with every change."},
    "Retry-After": {
        "schema": {"type": "integer"},
        "description": "Seconds, as long as it has not ended.",
    },
}
ACCEPTED_HEADERS = {
    **ENTITY_HEADERS,
    "Location": {"schema": {"type": "string", "format": "uri-reference"}},
}

log = logging.getLogger(__name__)


class WaitQuery(Strict):
    """The parameter of answers that can be held back."""

    wait = wait()


class Entity(Protocol):
    """A record with a stream of changes; `revision` is the place of the last one."""

    @property
    def id(self) -> str: ...

    @property
    def revision(self) -> str: ...

    @property
    def status(self) -> RemediationStatus: ...


_Entity = TypeVar("_Entity", bound=Entity)
# Reads a record again by its id; None if it is gone.
_Read = Callable[[str], _Entity | None]


def ended(entity: Entity) -> bool:
    """Tell whether nothing will change any more."""
    return entity.status.terminal


def entity_headers(entity: Entity, pause: int) -> dict[str, str]:
    """Return the headers of an answer about it; `pause` is after how many seconds to look again."""
    headers = {"ETag": f'"{entity.revision}"', "Cache-Control": "private, no-cache"}
    if not ended(entity):
        headers["Retry-After"] = str(pause)
    return headers


def shown(
    entity: _Entity,
    query: dict[str, Any],
    read: _Read[_Entity],
    headers_of: Callable[[_Entity], dict[str, str]],
    answer_of: Callable[[_Entity, dict[str, str]], Response],
    gone: Callable[[str], Problem],
) -> Response:
    """Return the answer to a GET: when it has ended if that is waited for, or is another one than the caller knows.

    Raises Problem.
    """
    known = request.if_none_match
    seconds, applied = seconds_to_wait(query)

    def worth_an_answer(found: _Entity) -> bool:
        return ended(found) or (bool(known) and not known.contains_weak(found.revision))

    latest = services().waits.hold(services().store, entity, read, worth_an_answer, seconds)
    if latest is None:
        raise gone(entity.id)
    if known.contains_weak(latest.revision):
        return Response(status=304, headers={**headers_of(latest), **applied})
    return answer_of(latest, applied)


def held(entity: _Entity, read: _Read[_Entity], seconds: float) -> _Entity | None:
    """Return it when it has ended, or as far as it is known after `seconds`; None if it is gone."""
    try:
        return services().waits.hold(services().store, entity, read, ended, seconds)
    except StoreUnavailable as error:  # it is accepted all the same
        log.warning("cannot wait for %s: %s", entity.id, error)
        return entity


def begun(identity: str, runs: Sequence[Run], read: _Read[_Entity]) -> _Entity | None:
    """Wake the workers of what was recorded a moment ago; return it as it is now, None if Redis went away.

    From the record on nothing can go wrong: recovery wakes whom this does not.
    """
    log.info("accepted %s", identity, extra={"fields": {"subject": caller().subject}})
    try:
        for run in runs:
            services().store.queue.wake(run.pool, run.id)
        return read(identity)
    except StoreUnavailable as error:
        log.warning("%s is recorded; recovery will wake its workers: %s", identity, error)
        return None


def accepted(answer: Response, path: str, pause: int) -> Response:
    """Make the answer one that says: it is recorded, and `path` is where to look, after `pause` seconds."""
    answer.status_code = 202
    answer.headers["Location"] = services().settings.url(path)
    answer.headers["Retry-After"] = str(pause)
    return answer
