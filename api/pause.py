"""The switch that has everything wait: requests are taken in and queued, and no run begins."""

import logging
from typing import Any

from flask import Response
from marshmallow import fields

from api.access import Permission, caller, permission
from api.answers import json_answer
from api.audit import audited, decided
from api.authorization import check_everywhere
from api.body import Body, read_body, read_optional_body
from api.follow_up import body_of
from api.idempotency import KEY_HEADER, once, request_key
from api.problems import Problem, invalid
from api.remediation_request import reason_field
from api.schemas import Answer, Strict, text
from api.services import services
from api.spec import Blueprint
from remediation.audit import Action
from store.records import Paused

log = logging.getLogger(__name__)
blueprint = Blueprint("pause")


class PausedSchema(Answer):
    """Why no run begins at present."""

    reason = text()
    by = text("On whose word.")
    since = text(format="date-time")


class PauseAnswerSchema(Answer):
    """Whether the service is paused."""

    paused = fields.Nested(
        PausedSchema,
        required=True,
        allow_none=True,
        metadata={"description": "null while it works."},
    )


class PauseSchema(Strict):
    """Why nothing is to begin."""

    reason = reason_field(required=True)


@blueprint.operation(
    "POST",
    "/system/pause",
    "pauseService",
    parameters=[KEY_HEADER],
    requestBody={"required": True, "content": {"application/json": {"schema": PauseSchema}}},
)
@audited(Action.PAUSE)
@permission(Permission.PAUSE_SERVICE)
@blueprint.answers(200, PauseAnswerSchema)
@blueprint.problems(400, 401, 403, 406, 413, 415, 422, 503)
def pause() -> Response:
    """Pause the service.

    Requests are taken in and queued, runs that are at work go on, and no run begins on any cluster. A service that is
    paused already stays so for the first reason.
    """
    check_everywhere(Permission.PAUSE_SERVICE)
    body = read_body(PauseSchema())
    key = request_key("POST /system/pause", body.digest)
    return once(key, "the pause", lambda: _pause(body), _now)


def _pause(body: Body) -> Response:
    if body.findings:
        raise invalid(body.findings)
    held, changed = services().store.pause.begin(body.fields["reason"], caller().subject)
    if changed:
        log.warning("paused: %s", held.reason, extra={"fields": {"subject": held.by}})
        decided(reason=held.reason)
    return json_answer({"paused": paused_body(held)})


class ResumeSchema(Strict):
    """Nothing is to be said."""


@blueprint.operation(
    "POST",
    "/system/resume",
    "resumeService",
    parameters=[KEY_HEADER],
    requestBody=body_of(ResumeSchema()),
)
@audited(Action.RESUME)
@permission(Permission.PAUSE_SERVICE)
@blueprint.answers(200, PauseAnswerSchema)
@blueprint.problems(400, 401, 403, 406, 409, 413, 415, 422, 503)
def resume() -> Response:
    """Have runs begin again.

    What was queued meanwhile goes on within seconds; deadlines move by as long as it was paused.
    """
    check_everywhere(Permission.PAUSE_SERVICE)
    body = read_optional_body(ResumeSchema())
    key = request_key("POST /system/resume", body.digest)
    return once(key, "the pause", lambda: _resume(body), _now)


def _resume(body: Body) -> Response:
    if body.findings:
        raise invalid(body.findings)
    if services().store.pause.end(caller().subject) is None:
        raise Problem("invalid-state", "The service is not paused.")
    decided()
    log.warning("resumed", extra={"fields": {"subject": caller().subject}})
    return json_answer({"paused": None})


def _now() -> Response:
    return json_answer({"paused": paused_body(services().store.pause.current())})


def paused_body(paused: Paused | None) -> dict[str, Any] | None:
    """Return why the service is paused, None while it works."""
    return {"reason": paused.reason, "by": paused.by, "since": paused.since} if paused else None
