"""Doing again what failed or was cancelled."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from flask import Response

from api.acceptance import Plan, accept
from api.access import Permission, permission
from api.audit import audited
from api.authorization import check_follow_up
from api.body import Body, read_optional_body
from api.entity import ACCEPTED_HEADERS, WaitQuery
from api.follow_up import FollowUpSchema, body_of, fleet_now, followed, places_of, request_for
from api.idempotency import KEY_HEADER
from api.inline import inline_field, login_of, sealer, sealing_key
from api.problems import Finding, Problem, invalid, pointer
from api.remediation_schemas import RemediationSchema
from api.remediations import ID_PARAMETER
from api.scope import Fleet, inline_refusal
from api.sealing import SealingKey
from api.spec import Blueprint
from remediation.audit import Action
from remediation.request import RemediationRequest
from remediation.sealing import InlineLogin
from store.lineage import leaves_something, parents_for_retry
from store.records import Origin, Remediation, meant_for

blueprint = Blueprint("retry")


class RetrySchema(FollowUpSchema):
    """How to retry; nothing has to be said, unless the login came in the request."""

    inline_credential = inline_field(
        "The login again, where the remediation that is retried had one of its own: it was deleted at the end. For the "
        "same registry."
    )


@blueprint.operation(
    "POST",
    "/remediations/<remediation_id>/retry",
    "retryRemediation",
    parameters=[ID_PARAMETER, KEY_HEADER],
    requestBody=body_of(RetrySchema()),
)
@audited(Action.RETRY)
@permission(Permission.CREATE_REMEDIATIONS)
@blueprint.query(WaitQuery)
@blueprint.answers(202, RemediationSchema, headers=ACCEPTED_HEADERS)
@blueprint.problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 429, 503)
def retry(query: dict[str, Any], remediation_id: str) -> Response:
    """Retry what failed or was cancelled.

    A new remediation of the same request, over exactly the namespaces that failed or were cancelled: the patterns are
    not matched again. Of a cluster that could not be looked at, or whose run was lost, all is retried that has no other
    row. A named credential is read again by the workers; a login that came in the request has to come again.
    """
    body = read_optional_body(RetrySchema())
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
    login = login_of(body.fields)
    said = {name: value for name, value in body.fields.items() if name != "inline_credential"}
    wanted = request_for(original, runs, said)
    if login:
        wanted = replace(wanted, inline_credential=login.recorded)
    needs = check_follow_up(original, wanted, undo=bool(original.undo_of))
    origin = Origin(
        retry_of=remediation_id,
        undo_of=original.undo_of,
        kept_secrets=original.kept_secrets,
        parents={run.cluster: parents_for_retry(run) for run in runs},
        undoes={run.cluster: run.undoes for run in runs if run.undoes},
        uids=meant_for(runs),
    )
    fleet = fleet_now()
    key = sealing_key() if login else None
    if findings := list(_login_findings(original, login, fleet, key)):
        raise invalid(findings)
    holders = None if original.undo_of else _holders(wanted, fleet, key)
    return Plan(wanted, places_of(runs, fleet, holders), origin, needs, sealer(key, login))


def _holders(wanted: RemediationRequest, fleet: Fleet, key: SealingKey | None) -> Sequence[str]:
    """Return the pools that have the credential. Raises Problem if it is known no more."""
    if wanted.credential is not None and wanted.credential not in fleet.credentials:
        raise Problem(
            "cluster-unavailable",
            f"No live worker holds the credential '{wanted.credential}' at present.",
        )
    return fleet.holders(wanted, key.id if key else None)


def _login_findings(
    original: Remediation, login: InlineLogin | None, fleet: Fleet, key: SealingKey | None
) -> Iterator[Finding]:
    """Yield what is wrong with the login: whether there has to be one, and which."""
    recorded = None if original.undo_of else original.request.inline_credential
    place = pointer("inline_credential")
    if recorded is None:
        if login:
            by_name = f"it uses the credential '{original.request.credential}'"
            why = "an undo needs no login" if original.undo_of else by_name
            yield Finding(place, f"{original.id} had no login of its own: {why}", "not_allowed")
    elif login is None:
        yield Finding(
            place,
            f"is required: the login of {original.id} was deleted when it ended; send one for "
            f"'{recorded.registry}' again",
            "required",
        )
    elif login.registry != recorded.registry:
        yield Finding(
            pointer("inline_credential", "registry"),
            f"must be '{recorded.registry}', as in {original.id}; for another one start a new remediation",
        )
    elif refusal := inline_refusal(fleet, key.id if key else None):
        yield Finding(place, refusal, "not_supported")
