"""Asking for the end of a remediation."""

import logging

from flask import Response

from api.access import Permission, caller, permission
from api.audit import audited, decided
from api.authorization import check_cancel
from api.body import read_optional_body
from api.entity import ENTITY_HEADERS
from api.follow_up import body_of
from api.idempotency import KEY_HEADER, replay, request_key
from api.problems import Problem, invalid
from api.remediation_schemas import RemediationSchema
from api.remediations import ID_PARAMETER, answer_of, find, gone
from api.schemas import Strict
from api.services import services
from api.spec import Blueprint
from remediation.audit import Action
from remediation.status import RemediationStatus
from store.idempotency import KeyTaken, RequestKey
from store.records import Remediation
from store.recovery import end_unbegun

_ALREADY = (RemediationStatus.CANCELLED, RemediationStatus.CANCELLING)

log = logging.getLogger(__name__)
blueprint = Blueprint("cancellation")


class CancelSchema(Strict):
    """Nothing is to be said."""


@blueprint.operation(
    "POST",
    "/remediations/<remediation_id>/cancel",
    "cancelRemediation",
    parameters=[ID_PARAMETER, KEY_HEADER],
    requestBody=body_of(CancelSchema()),
)
@audited(Action.CANCEL)
@permission(Permission.CANCEL_REMEDIATIONS)
@blueprint.answers(202, RemediationSchema, headers=ENTITY_HEADERS)
@blueprint.answers(200, description="It is cancelled already.", schema=RemediationSchema)
@blueprint.problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 503)
def cancel(remediation_id: str) -> Response:
    """Cancel a remediation.

    Within a second no write is begun any more. What was done stays and is reported; the namespaces that are left become
    `cancelled`.
    """
    body = read_optional_body(CancelSchema())
    key = request_key(f"POST /remediations/{remediation_id}/cancel", body.digest)
    if key and (known := services().store.idempotency.known(key)):
        return _answer(*replay(known, find))
    if body.findings:
        raise invalid(body.findings)
    before = find(remediation_id)
    check_cancel(before)
    try:
        return _cancel(before, key)
    except KeyTaken as taken:  # by the same request, a moment ago
        return _answer(*replay(taken.known, find))


def _cancel(before: Remediation, key: RequestKey | None) -> Response:
    """Cancel a remediation and return the answer. Raises Problem and KeyTaken."""
    store = services().store
    status = store.remediations.cancel(before.id, key)
    if status is None:
        raise gone(before.id)
    if status.terminal and status not in _ALREADY:
        raise Problem("invalid-state", f"It has already ended: it is {status}.")
    if before.status not in _ALREADY:
        log.info("cancelling %s", before.id, extra={"fields": {"subject": caller().subject}})
        decided(remediation_id=before.id, kind=before.kind)
    end_unbegun(store, store.runs.without_lease(before.runs))
    answer = _answer(find(before.id), {})
    if status is RemediationStatus.CANCELLED:
        answer.status_code = 200
    return answer


def _answer(remediation: Remediation, headers: dict[str, str]) -> Response:
    answer = answer_of(remediation, headers)
    answer.status_code = 202
    return answer
