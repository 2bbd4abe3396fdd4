"""Asking for a remediation."""

import logging
from collections.abc import Sequence
from typing import Any

from flask import Response
from ulid import ULID

from api import remediation_request, scope
from api.access import Permission, caller, permission
from api.body import Body, read_body
from api.idempotency import KEY_HEADER, REPLAYED, replay, request_key
from api.parameters import seconds_to_wait
from api.problems import invalid
from api.remediation_body import BASE
from api.remediation_request import RemediationRequestSchema, to_request
from api.remediation_schemas import RemediationSchema
from api.remediations import ENTITY_HEADERS, WaitQuery, answer_of, ended, pause
from api.services import services
from api.spec import Blueprint
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus
from store import clock
from store.connection import StoreUnavailable
from store.idempotency import RequestKey
from store.records import Remediation, Run
from store.remediations import KeyTaken

log = logging.getLogger(__name__)
blueprint = Blueprint("create")


@blueprint.operation(
    "POST",
    "/remediations",
    "createRemediation",
    parameters=[KEY_HEADER],
    requestBody={
        "required": True,
        "content": {
            "application/json": {
                "schema": RemediationRequestSchema,
                "examples": dict(remediation_request.EXAMPLES),
            }
        },
    },
)
@permission(Permission.CREATE_REMEDIATIONS)
@blueprint.query(WaitQuery)
@blueprint.answers(
    202,
    RemediationSchema,
    headers={
        **ENTITY_HEADERS,
        "Location": {"schema": {"type": "string", "format": "uri-reference"}},
    },
)
@blueprint.problems(400, 401, 406, 413, 415, 422, 503)
def create(query: dict[str, Any]) -> Response:
    """Start a remediation.

    Accepted means recorded: every step is idempotent, a step may run twice, nothing is silently dropped.
    """
    body = read_body(RemediationRequestSchema())
    key = request_key("POST /remediations", body.digest)
    remediation, replayed = _once(body, key)
    seconds, applied = seconds_to_wait(query)
    applied |= replayed
    latest = _held(remediation, seconds)
    answer = answer_of(latest, applied)
    answer.status_code = 202
    answer.headers["Location"] = services().settings.url(f"{BASE}/{remediation.id}")
    answer.headers["Retry-After"] = str(pause(latest))
    return answer


def _once(body: Body, key: RequestKey | None) -> tuple[Remediation, dict[str, str]]:
    """Return the remediation of the request, made now unless its key is known, and headers that say so."""
    if key and (known := services().store.idempotency.known(key)):
        return replay(known), REPLAYED
    wanted, places = _admitted(body)
    try:
        return _accepted(wanted, places, key), {}
    except KeyTaken as taken:  # by the same request, a moment ago
        return replay(taken.known), REPLAYED


def _admitted(body: Body) -> tuple[RemediationRequest, list[tuple[str, str]]]:
    """Return the request of the body and where to carry it out. Raises Problem with everything that is wrong."""
    fleet = scope.Fleet.of(services().store.inventory.workers())
    findings = [*body.findings, *scope.findings(body.fields, fleet)]
    findings += scope.credential_choice(body.given, fleet)
    if findings:
        raise invalid(findings)
    wanted = to_request(body.fields)
    return wanted, scope.placements(wanted.clusters, wanted.credential, fleet)


def _accepted(
    wanted: RemediationRequest, places: Sequence[tuple[str, str]], key: RequestKey | None
) -> Remediation:
    """Record the remediation and wake its workers; from the record on nothing can go wrong. Raises KeyTaken."""
    store = services().store
    remediation_id = f"rem_{ULID()}"
    runs = store.remediations.create(remediation_id, wanted, caller().subject, places, key)
    log.info("accepted %s", remediation_id, extra={"fields": {"subject": caller().subject}})
    try:
        for run in runs:
            store.queue.wake(run.pool, run.id)
        stored = store.remediations.get(remediation_id)
    except StoreUnavailable as error:
        log.warning("%s is recorded; recovery will wake its workers: %s", remediation_id, error)
        stored = None
    return stored or _as_recorded(remediation_id, wanted, runs)


def _held(remediation: Remediation, seconds: int) -> Remediation:
    """Return the remediation when it has ended, or as far as it is known after `seconds`."""
    try:
        held = services().waits.until(services().store, remediation, ended, seconds)
    except StoreUnavailable as error:  # it is accepted all the same
        log.warning("cannot wait for %s: %s", remediation.id, error)
        return remediation
    return held or remediation


def _as_recorded(
    remediation_id: str, wanted: RemediationRequest, runs: Sequence[Run]
) -> Remediation:
    """Return what was recorded a moment ago, for when it cannot be read back."""
    return Remediation(
        id=remediation_id,
        status=RemediationStatus.QUEUED,
        request=wanted,
        requested_by=caller().subject,
        created_at=clock.now(),
        revision="0-0",
        runs=tuple(runs),
    )
