"""Readiness checks: asking for one, reading one."""

import re
from typing import Any

from flask import Response

from api import scope
from api.access import Permission, caller, permission
from api.answers import json_answer
from api.audit import audited, decided
from api.authorization import check_new
from api.body import Body, read_body
from api.check_body import CheckSchema, check_body
from api.check_logins import login_findings
from api.check_request import EXAMPLES, CheckRequestSchema, to_check
from api.entity import (
    ACCEPTED_HEADERS,
    ENTITY_HEADERS,
    WaitQuery,
    accepted,
    begun,
    entity_headers,
    held,
    shown,
)
from api.idempotency import KEY_HEADER, made_once, request_key
from api.parameters import seconds_to_wait
from api.problems import Problem, invalid
from api.remediation_body import CHECKS
from api.services import services
from api.spec import Blueprint
from api.terms import admitted_check
from remediation.audit import Action
from remediation.readiness.request import CheckRequest
from remediation.status import RemediationStatus
from store import clock
from store.due_checks import begin_due_checks
from store.idempotency import RequestKey
from store.ids import new_check_id
from store.records import Check

ID_PATTERN = r"chk_[0-7][0-9A-HJKMNP-TV-Z]{25}"
ID_PARAMETER = {
    "in": "path",
    "name": "check_id",
    "required": True,
    "description": "The id of a readiness check.",
    "schema": {"type": "string", "pattern": f"^{ID_PATTERN}$"},
}
PAUSE_SECONDS = 2

blueprint = Blueprint("checks")


@blueprint.operation(
    "POST",
    "/readiness-checks",
    "createReadinessCheck",
    parameters=[KEY_HEADER],
    requestBody={
        "required": True,
        "content": {"application/json": {"schema": CheckRequestSchema, "examples": dict(EXAMPLES)}},
    },
)
@audited(Action.CHECK)
@permission(Permission.CREATE_READINESS_CHECKS)
@blueprint.query(WaitQuery)
@blueprint.answers(202, CheckSchema, headers=ACCEPTED_HEADERS)
@blueprint.problems(400, 401, 403, 406, 413, 415, 422, 503)
def create_check(query: dict[str, Any]) -> Response:
    """Judge whether a registry can be flipped.

    Nothing is written: the clusters are read, and which pods would break is said in findings.
    """
    body = read_body(CheckRequestSchema())
    key = request_key("POST /readiness-checks", body.digest)
    check, headers = made_once(key, lambda: _made(key, body), find_check)
    seconds, applied = seconds_to_wait(query)
    latest = held(check, services().store.checks.get, seconds) or check
    answer = _answer_of(latest, applied | headers)
    return accepted(answer, f"{CHECKS}/{check.id}", PAUSE_SECONDS)


@blueprint.operation(
    "GET", "/readiness-checks/<check_id>", "getReadinessCheck", parameters=[ID_PARAMETER]
)
@permission(Permission.READ_READINESS_CHECKS)
@blueprint.query(WaitQuery)
@blueprint.answers(200, CheckSchema, headers=ENTITY_HEADERS)
@blueprint.answers(304, description="It is still as its ETag says.", headers=ENTITY_HEADERS)
@blueprint.problems(401, 403, 404, 406, 422, 503)
def show_check(query: dict[str, Any], check_id: str) -> Response:
    """Read a readiness check.

    With `wait` the answer comes when it has ended; with `If-None-Match` too, as soon as anything changes.
    """
    read = services().store.checks.get
    return shown(find_check(check_id), query, read, _headers, _answer_of, gone)


def find_check(check_id: str) -> Check:
    """Return a check. Raises Problem if there is none that the caller may see."""
    # No key is built of a text that is not of the form of our ids.
    known = re.fullmatch(ID_PATTERN, check_id)
    check = _stored(check_id) if known else None
    if check is None or not sees(check):
        raise gone(check_id)
    return check


def _stored(check_id: str) -> Check | None:
    store = services().store
    check = store.checks.get(check_id)
    # A remediation that has ended this moment names its check before anybody has recorded it.
    if check is None and store.checks.due():
        begin_due_checks(store)
        check = store.checks.get(check_id)
    return check


def sees(check: Check) -> bool:
    """Tell whether the caller may see the check: as a whole, for a verdict over a part would be another one."""
    clusters = [run.cluster for run in check.runs]
    needed = Permission.READ_READINESS_CHECKS
    return not caller().rights.uncovered(needed, clusters, check.request.namespaces)


def gone(check_id: str) -> Problem:
    """Return the problem of a check that is not there."""
    days = services().settings.retention_days
    return Problem(
        "not-found",
        f"There is no readiness check '{check_id}'; those that have ended are kept for {days} days.",
    )


def record(
    wanted: CheckRequest,
    places: list[tuple[str, str]],
    key: RequestKey | None = None,
    confirms: str | None = None,
) -> Check:
    """Record a check and wake its workers; from the record on nothing can go wrong. Raises KeyTaken."""
    store = services().store
    check_id = new_check_id()
    services().publication.refresh()  # the workers go by it
    needs = Permission.READ_READINESS_CHECKS if confirms else Permission.CREATE_READINESS_CHECKS
    runs = store.intake.check(
        check_id,
        wanted,
        caller().subject,
        places,
        key,
        groups=caller().requester.groups,
        needs=needs,
        confirms=confirms,
    )
    return begun(check_id, runs, store.checks.get) or Check(
        id=check_id,
        status=RemediationStatus.QUEUED,
        request=wanted,
        requested_by=caller().subject,
        created_at=clock.now(),
        revision="0-0",
        runs=tuple(runs),
        confirms=confirms,
    )


def _made(key: RequestKey | None, body: Body) -> tuple[Check, dict[str, str]]:
    """Make a check of the request. Raises Problem and KeyTaken."""
    check_new(body.fields, inline=False, needed=Permission.CREATE_READINESS_CHECKS)
    fleet = scope.Fleet.of(services().store.inventory.workers()).seen()
    findings = [*body.findings, *scope.findings(body.fields, fleet)]
    if findings:
        raise invalid(findings)
    wanted = to_check(body.fields)
    names = scope.selected(wanted.clusters, fleet).names
    places = scope.serving(names, wanted.credential, fleet)
    if findings := list(login_findings(wanted, places, fleet)):
        raise invalid(findings)
    headers = dict(admitted_check(names))
    check = record(wanted, places, key)
    decided(
        check_id=check.id,
        clusters=list(names),
        registries=list(wanted.registries),
        credential=wanted.credential,
    )
    return check, headers


def _answer_of(check: Check, headers: dict[str, str]) -> Response:
    body = check_body(check, services().settings.url)
    return json_answer(body, headers={**_headers(check), **headers})


def _headers(check: Check) -> dict[str, str]:
    return entity_headers(check, PAUSE_SECONDS)
