"""Asking for a remediation."""

from typing import Any

from flask import Response

from api import remediation_request, scope
from api.acceptance import Plan, accept
from api.access import Permission, permission
from api.audit import audited
from api.authorization import check_new
from api.body import Body, read_body
from api.entity import ACCEPTED_HEADERS, WaitQuery
from api.idempotency import KEY_HEADER
from api.inline import login_of, sealer, sealing_key
from api.problems import invalid
from api.remediation_request import RemediationRequestSchema, to_request
from api.remediation_schemas import RemediationSchema
from api.services import services
from api.spec import Blueprint
from remediation.audit import Action

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
@audited(Action.CREATE)
@permission(Permission.CREATE_REMEDIATIONS)
@blueprint.query(WaitQuery)
@blueprint.answers(
    202,
    RemediationSchema,
    headers=ACCEPTED_HEADERS,
)
@blueprint.problems(400, 401, 403, 406, 413, 415, 422, 429, 503)
def create(query: dict[str, Any]) -> Response:
    """Start a remediation.

    Accepted means recorded: every step is idempotent, a step may run twice, nothing is silently dropped.
    """
    body = read_body(RemediationRequestSchema())
    return accept("POST /remediations", body, query, lambda: _admitted(body))


def _admitted(body: Body) -> Plan:
    """Return the request of the body and where to carry it out. Raises Problem with everything that is wrong."""
    check_new(body.fields, inline="inline_credential" in body.given)
    fleet = scope.Fleet.of(services().store.inventory.workers()).seen()
    findings = [*body.findings, *scope.findings(body.fields, fleet)]
    key = sealing_key() if "inline_credential" in body.given else None
    findings += scope.credential_choice(body.given, fleet, key.id if key else None)
    if findings:
        raise invalid(findings)
    wanted = to_request(body.fields)
    holders = fleet.holders(wanted, key.id if key else None)
    return Plan(
        wanted,
        scope.placements(wanted.clusters, holders, fleet),
        seal=sealer(key, login_of(body.fields)),
    )
