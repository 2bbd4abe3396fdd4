"""Asking for a remediation."""

from typing import Any

from flask import Response

from api import remediation_request, scope
from api.acceptance import ACCEPTED_HEADERS, Plan, accept
from api.access import Permission, permission
from api.authorization import check_new
from api.body import Body, read_body
from api.idempotency import KEY_HEADER
from api.problems import invalid
from api.remediation_request import RemediationRequestSchema, to_request
from api.remediation_schemas import RemediationSchema
from api.remediations import WaitQuery
from api.services import services
from api.spec import Blueprint

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
    headers=ACCEPTED_HEADERS,
)
@blueprint.problems(400, 401, 403, 406, 413, 415, 422, 503)
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
    findings += scope.credential_choice(body.given, fleet)
    if findings:
        raise invalid(findings)
    wanted = to_request(body.fields)
    return Plan(wanted, scope.placements(wanted.clusters, wanted.credential, fleet))
