"""Asking for the end of a remediation."""

import logging

from flask import Response

from api.access import Permission, caller, permission
from api.audit import audited, decided
from api.authorization import check_cancel
from api.problems import Problem
from api.remediation_schemas import RemediationSchema
from api.remediations import ENTITY_HEADERS, ID_PARAMETER, answer_of, find, gone
from api.services import services
from api.spec import Blueprint
from remediation.audit import Action
from remediation.status import RemediationStatus
from store.recovery import end_unbegun

_ALREADY = (RemediationStatus.CANCELLED, RemediationStatus.CANCELLING)

log = logging.getLogger(__name__)
blueprint = Blueprint("cancellation")


@blueprint.operation(
    "POST",
    "/remediations/<remediation_id>/cancel",
    "cancelRemediation",
    parameters=[ID_PARAMETER],
)
@audited(Action.CANCEL)
@permission(Permission.CANCEL_REMEDIATIONS)
@blueprint.answers(202, RemediationSchema, headers=ENTITY_HEADERS)
@blueprint.answers(200, description="It is cancelled already.", schema=RemediationSchema)
@blueprint.problems(401, 403, 404, 406, 409, 503)
def cancel(remediation_id: str) -> Response:
    """Cancel a remediation.

    Within a second no write is begun any more. What was done stays and is reported; the namespaces that are left become
    `cancelled`.
    """
    before = find(remediation_id)
    check_cancel(before)
    store = services().store
    status = store.remediations.cancel(remediation_id)
    if status is None:
        raise gone(remediation_id)
    if status.terminal and status not in _ALREADY:
        raise Problem("invalid-state", f"It has ended already: it is {status}.")
    if before.status not in _ALREADY:
        log.info("cancelling %s", remediation_id, extra={"fields": {"subject": caller().subject}})
        decided(remediation_id=remediation_id)
    end_unbegun(store, store.runs.without_lease(before.runs))
    answer = answer_of(find(remediation_id), {})
    answer.status_code = 200 if status is RemediationStatus.CANCELLED else 202
    return answer
