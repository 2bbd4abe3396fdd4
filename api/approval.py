"""The second person's decision about a remediation of protected clusters."""

import logging
from collections.abc import Callable

from flask import Response
from marshmallow import fields, validate

from api.access import Permission, caller, permission
from api.audit import audited, decided
from api.authorization import check_decision
from api.body import Body, read_body
from api.entity import ENTITY_HEADERS
from api.idempotency import KEY_HEADER, once, request_key
from api.problems import Problem, invalid
from api.remediation_request import reason_field
from api.remediation_schemas import RemediationSchema
from api.remediations import ID_PARAMETER, answer_of, find
from api.schemas import Strict
from api.services import services
from api.spec import Blueprint
from api.terms import digest_now
from remediation.approval import Approval, ApprovalState, Refusal, Verdict
from remediation.audit import Action
from store.connection import StoreUnavailable
from store.records import Remediation
from store.recovery import end_unbegun

_DIGEST = r"^sha256:[0-9a-f]{64}$"

log = logging.getLogger(__name__)
blueprint = Blueprint("approval")


class DecisionSchema(Strict):
    """A decision about what was looked at."""

    digest = fields.String(
        required=True,
        validate=validate.Regexp(
            _DIGEST, error="must be the 'digest' of the remediation's 'approval'"
        ),
        metadata={
            "description": "The `digest` of the remediation's `approval`.",
            "pattern": _DIGEST,
        },
    )
    comment = reason_field()


_BODY = {"required": True, "content": {"application/json": {"schema": DecisionSchema}}}


@blueprint.operation(
    "POST",
    "/remediations/<remediation_id>/approve",
    "approveRemediation",
    parameters=[ID_PARAMETER, KEY_HEADER],
    requestBody=_BODY,
)
@audited(Action.APPROVE)
@permission(Permission.APPROVE_REMEDIATIONS)
@blueprint.answers(202, RemediationSchema, headers=ENTITY_HEADERS)
@blueprint.answers(200, description="You approved it already.", schema=RemediationSchema)
@blueprint.problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 503)
def approve(remediation_id: str) -> Response:
    """Approve a remediation of protected clusters.

    By somebody else than who asked for it, with the digest of exactly what will be done. It begins at once, and its
    deadline counts from now.
    """
    return _once(remediation_id, "approve", _approve)


@blueprint.operation(
    "POST",
    "/remediations/<remediation_id>/reject",
    "rejectRemediation",
    parameters=[ID_PARAMETER, KEY_HEADER],
    requestBody=_BODY,
)
@audited(Action.REJECT)
@permission(Permission.APPROVE_REMEDIATIONS)
@blueprint.answers(202, RemediationSchema, headers=ENTITY_HEADERS)
@blueprint.answers(200, description="You rejected it already.", schema=RemediationSchema)
@blueprint.problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 503)
def reject(remediation_id: str) -> Response:
    """Reject a remediation of protected clusters.

    It ends as `cancelled`, and nothing of it is begun.
    """
    return _once(remediation_id, "reject", _reject)


def _once(remediation_id: str, verb: str, decide: Callable[[str, Body], Response]) -> Response:
    body = read_body(DecisionSchema())
    key = request_key(f"POST /remediations/{remediation_id}/{verb}", body.digest)
    return once(
        key,
        remediation_id,
        lambda: decide(remediation_id, body),
        lambda: _answer(remediation_id, changed=True),
    )


def _approve(remediation_id: str, body: Body) -> Response:
    remediation, changed = _decided(remediation_id, body, ApprovalState.APPROVED)
    store = services().store
    try:
        for run in remediation.runs if changed else ():
            store.queue.wake(run.pool, run.id)
    except StoreUnavailable as error:
        log.warning("%s is approved; recovery will wake its workers: %s", remediation_id, error)
    return _answer(remediation_id, changed=changed)


def _reject(remediation_id: str, body: Body) -> Response:
    remediation, changed = _decided(remediation_id, body, ApprovalState.REJECTED)
    store = services().store
    end_unbegun(store, store.runs.without_lease(remediation.runs))
    return _answer(remediation_id, changed=changed)


def _decided(remediation_id: str, body: Body, state: ApprovalState) -> tuple[Remediation, bool]:
    """Record the decision of the present caller; return whether it changed anything. Raises Problem."""
    if body.findings:
        raise invalid(body.findings)
    remediation = find(remediation_id)
    check_decision(remediation)
    if state is ApprovalState.APPROVED and _pending(remediation):
        services().store.approvals.renew(remediation_id, digest_now(remediation))
    person = caller().identity.person
    verdict = Verdict(state, person, body.fields["digest"], body.fields.get("comment"))
    after, changed = services().store.approvals.decide(remediation_id, verdict)
    if isinstance(after, Refusal):
        raise _refused(after, find(remediation_id))
    if changed:
        log.info("%s %s", state, remediation_id, extra={"fields": {"subject": caller().subject}})
        decided(
            remediation_id=remediation_id,
            reason=verdict.comment,
            digest=verdict.digest,
            kind=remediation.kind,
        )
    return remediation, changed


def _pending(remediation: Remediation) -> bool:
    approval = remediation.approval
    return bool(approval and approval.state is ApprovalState.PENDING)


def _refused(refusal: Refusal, remediation: Remediation) -> Problem:
    approval = remediation.approval
    if refusal is Refusal.NOT_NEEDED or approval is None:
        return Problem("invalid-state", "It does not need approval: no protected cluster is in it.")
    if refusal is Refusal.SELF:
        return Problem(
            "self-approval",
            f"{approval.asked_by} asked for it, so somebody else has to decide. It waits until {approval.expires_at}.",
        )
    if refusal is Refusal.STALE:
        return Problem(
            "approval-stale",
            f"What would be done is not what was looked at: look again, its digest is {approval.digest}.",
        )
    return Problem("invalid-state", _state(refusal, approval, remediation))


def _state(refusal: Refusal, approval: Approval, remediation: Remediation) -> str:
    if refusal is Refusal.DECIDED:
        return f"It was {approval.state} by {approval.decided_by} already."
    if refusal is Refusal.EXPIRED:
        return f"Nobody decided on it until {approval.expires_at}; ask for it again."
    return f"It waits for nobody any more: it is {remediation.status}."


def _answer(remediation_id: str, *, changed: bool) -> Response:
    answer = answer_of(find(remediation_id), {})
    answer.status_code = 202 if changed else 200
    return answer
