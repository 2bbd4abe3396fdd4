"""Taking back what a remediation did."""

from collections.abc import Iterator, Sequence
from itertools import islice
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
from api.problems import Problem
from api.remediation_schemas import RemediationSchema
from api.remediations import ID_PARAMETER
from api.schemas import StrictBoolean
from api.services import services
from api.spec import Blueprint
from remediation.audit import Action
from store.ids import owner_of
from store.intake import AlreadyUndone
from store.lineage import standing_on, wrote
from store.records import Origin, Remediation, Run, meant_for

_MOST_REASONS = 5

blueprint = Blueprint("undo")


class UndoSchema(FollowUpSchema):
    """How to undo; nothing has to be said."""

    dry_run = StrictBoolean(
        load_default=False, metadata={"description": "Say what would be done; write nothing."}
    )


@blueprint.operation(
    "POST",
    "/remediations/<remediation_id>/undo",
    "undoRemediation",
    parameters=[ID_PARAMETER, KEY_HEADER],
    requestBody=body_of(UndoSchema()),
)
@audited(Action.UNDO)
@permission(Permission.CREATE_REMEDIATIONS)
@blueprint.query(WaitQuery)
@blueprint.answers(202, RemediationSchema, headers=ACCEPTED_HEADERS)
@blueprint.problems(400, 401, 403, 404, 406, 409, 413, 415, 422, 429, 503)
def undo(query: dict[str, Any], remediation_id: str) -> Response:
    """Undo a remediation.

    A new remediation that takes back what this one wrote, and nothing else: the name leaves the lists that it was added
    to, a Secret that was created is deleted if it was not changed since. A Secret that was updated stays as it is: what
    it held before was not kept. The answer's `warnings` and the rows' `reason` say so.
    """
    body = read_optional_body(UndoSchema())
    route = f"POST /remediations/{remediation_id}/undo"
    try:
        return accept(route, body, query, lambda: _admitted(remediation_id, body))
    except AlreadyUndone:
        raise Problem("invalid-state", "Somebody else undid it a moment ago.") from None


def _admitted(remediation_id: str, body: Body) -> Plan:
    original = followed(remediation_id, body)
    runs = _undoable(original)
    # Why something was done is not why it is taken back.
    wanted = request_for(original, runs, {"reason": f"undo of {remediation_id}", **body.fields})
    needs = check_follow_up(original, wanted, undo=True)
    if refusals := list(islice(_refusals(runs), _MOST_REASONS + 1)):
        more = "; and there are more" if len(refusals) > _MOST_REASONS else ""
        raise Problem("later-remediation", f"{'; '.join(refusals[:_MOST_REASONS])}{more}.")
    origin = Origin(
        undo_of=remediation_id,
        kept_secrets=sum(run.summary.secrets_updated for run in runs),
        undoes={run.cluster: run.id for run in runs},
        uids=meant_for(runs),
    )
    return Plan(wanted, places_of(runs, fleet_now()), origin, needs)


def _undoable(original: Remediation) -> list[Run]:
    """Return the runs that wrote something. Raises Problem if this remediation cannot be undone at all."""
    if original.undo_of:
        raise Problem(
            "invalid-state",
            f"It is an undo itself: start a remediation like {original.undo_of} again instead.",
        )
    for run in original.runs:
        if run.undone_by:
            undo_id = owner_of(run.undone_by)
            raise Problem(
                "invalid-state",
                f"It was undone by {undo_id}. If that undo left something, retry {undo_id}.",
            )
    store = services().store
    runs = [run for run in original.runs if not original.request.dry_run and wrote(store, run)]
    if not runs:
        raise Problem(
            "nothing-to-undo",
            f"{original.id} is {original.status} and wrote nothing"
            f"{' (dry run)' if original.request.dry_run else ''}.",
        )
    return runs


def _refusals(runs: Sequence[Run]) -> Iterator[str]:
    """Yield why these runs cannot be taken back now."""
    store = services().store
    for run in runs:
        for other in store.runs.others_in_line(run):
            if not other.undoes:
                name = other.remediation_id
                yield f"{name} is to write the same Secret on {run.cluster}: wait for its end, or cancel it"
        for later, number in standing_on(store, run):
            spaces = "a namespace" if number == 1 else f"{number} namespaces"
            yield f"{later.remediation_id} has since written in {spaces} of {run.cluster}: undo it first"
