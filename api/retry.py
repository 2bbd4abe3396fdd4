"""Doing again what failed or was cancelled."""

from typing import Any

from flask import Response

from api.acceptance import ACCEPTED_HEADERS, Plan, accept
from api.access import Permission, permission
from api.authorization import check_follow_up
from api.body import Body, read_optional_body
from api.follow_up import FollowUpSchema, body_of, followed, places_of, request_for
from api.idempotency import KEY_HEADER
from api.problems import Problem
from api.remediation_schemas import RemediationSchema
from api.remediations import ID_PARAMETER, WaitQuery
from api.spec import Blueprint
from store.lineage import leaves_something, parents_for_retry
from store.records import Origin

blueprint = Blueprint("retry")


@blueprint.operation(
    "POST",
    "/remediations/<remediation_id>/retry",
    "retryRemediation",
    parameters=[ID_PARAMETER, KEY_HEADER],
    requestBody=body_of(FollowUpSchema()),
)
@permission(Permission.CREATE_REMEDIATIONS)
@blueprint.query(WaitQuery)
@blueprint.answers(202, RemediationSchema, headers=ACCEPTED_HEADERS)
@blueprint.problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 503)
def retry(query: dict[str, Any], remediation_id: str) -> Response:
    """Retry what failed or was cancelled.

    A new remediation of the same request, over exactly the namespaces that failed or were cancelled: the patterns are
    not matched again. Of a cluster that could not be looked at, or whose run was lost, all is retried that has no other
    row.
    """
    body = read_optional_body(FollowUpSchema())
    route = f"POST /remediations/{remediation_id}/retry"
    return accept(route, body, query, lambda: _admitted(remediation_id, body))


def _admitted(remediation_id: str, body: Body) -> Plan:
    original = followed(remediation_id, body)
    runs = [run for run in original.runs if leaves_something(run)]
    if not runs:
        raise Problem(
            "nothing-to-retry",
            f"{remediation_id} is {original.status}: nothing failed or was cancelled.",
        )
    wanted = request_for(original, runs, body.fields)
    needs = check_follow_up(original, wanted, undo=bool(original.undo_of))
    credential = None if original.undo_of else wanted.credential
    origin = Origin(
        retry_of=remediation_id,
        undo_of=original.undo_of,
        kept_secrets=original.kept_secrets,
        parents={run.cluster: parents_for_retry(run) for run in runs},
        undoes={run.cluster: run.undoes for run in runs if run.undoes},
    )
    return Plan(wanted, places_of(runs, credential=credential), origin, needs)
