"""What retry and undo have in common: the remediation they follow, and where its clusters are served now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from api import scope
from api.authorization import check_owner
from api.body import Body
from api.entity import ended
from api.problems import Problem, invalid
from api.remediation_request import reason_field, timeout_field
from api.remediations import find
from api.schemas import Strict
from api.services import services
from remediation.request import RemediationRequest
from store.records import Remediation, Run


class FollowUpSchema(Strict):
    """What may be said otherwise than in the remediation that is followed; nothing has to be."""

    timeout_seconds = timeout_field()
    reason = reason_field()


def body_of(schema: Strict) -> Mapping[str, Any]:
    """Document a body that may be left out."""
    return {"required": False, "content": {"application/json": {"schema": schema}}}


def followed(remediation_id: str, body: Body) -> Remediation:
    """Return the remediation that is followed, which has ended. Raises Problem."""
    if body.findings:
        raise invalid(body.findings)
    original = find(remediation_id)
    check_owner(original)
    if not ended(original):
        raise Problem(
            "invalid-state",
            f"It has not ended yet: it is {original.status}. Wait for its end, or cancel it first.",
        )
    return original


def request_for(
    original: Remediation, runs: Sequence[Run], fields: Mapping[str, Any]
) -> RemediationRequest:
    """Return the request of the remediation that follows on these runs."""
    clusters = tuple(run.cluster for run in runs)
    return replace(original.request, clusters=clusters, **fields)


def fleet_now() -> scope.Fleet:
    """Return what live workers announce."""
    return scope.Fleet.of(services().store.inventory.workers())


def places_of(
    runs: Sequence[Run], fleet: scope.Fleet, holders: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """Return the clusters of the runs, each with a pool that serves it now. Raises Problem if one is not served.

    It is one of `holders`, if there is one; None if no credential is needed.
    """
    unserved = [run.cluster for run in runs if run.cluster not in fleet.clusters]
    if unserved:
        raise Problem(
            "cluster-unavailable",
            f"No live worker serves {', '.join(map(repr, sorted(unserved)))} at present.",
        )
    return scope.places([run.cluster for run in runs], holders or (), fleet)
