"""Taking a remediation in: recorded once for each idempotency key, then its workers are woken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response

from api.access import Permission, caller
from api.audit import decided, summary
from api.body import Body
from api.entity import accepted, begun, held
from api.idempotency import made_once, request_key
from api.inline import Seal
from api.parameters import seconds_to_wait
from api.remediation_body import BASE
from api.remediations import answer_of, find, pause
from api.services import services
from api.terms import Admission, admitted, too_many_active
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus
from store import clock
from store.idempotency import RequestKey
from store.ids import new_remediation_id
from store.intake import TooManyActive
from store.records import NEW, ClusterFacts, Origin, Remediation, Run


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that is right, where to carry it out (cluster, pool), what it goes back to, and what it needs.

    `seal` returns the login that came in the request, sealed for the remediation of an id.
    """

    request: RemediationRequest
    places: Sequence[tuple[str, str]]
    origin: Origin = NEW
    needs: Permission = Permission.CREATE_REMEDIATIONS
    seal: Seal | None = None


def accept(route: str, body: Body, query: dict[str, Any], admit: Callable[[], Plan]) -> Response:
    """Return the answer to a POST that makes a remediation; `admit` checks it, unless its key is known already.

    Raises Problem.
    """
    key = request_key(route, body.digest)
    remediation, headers = made_once(key, lambda: _made(key, admit), find)
    seconds, applied = seconds_to_wait(query)
    latest = held(remediation, services().store.remediations.get, seconds) or remediation
    answer = answer_of(latest, applied | headers)
    return accepted(answer, f"{BASE}/{remediation.id}", pause(latest))


def _made(key: RequestKey | None, admit: Callable[[], Plan]) -> tuple[Remediation, dict[str, str]]:
    """Make a remediation of the request. Raises Problem, KeyTaken and AlreadyUndone."""
    plan = admit()
    admission = admitted(plan.request, [cluster for cluster, _ in plan.places], plan.origin)
    try:
        return _recorded(plan, admission, key), dict(admission.headers)
    except TooManyActive as refused:
        raise too_many_active(refused) from None


def _recorded(plan: Plan, admission: Admission, key: RequestKey | None) -> Remediation:
    """Record the remediation and wake its workers; from the record on nothing can go wrong.

    Raises KeyTaken, AlreadyUndone and TooManyActive.
    """
    store = services().store
    services().publication.refresh()  # the workers go by it
    remediation_id = new_remediation_id()
    runs = store.intake.remediation(
        remediation_id,
        plan.request,
        caller().subject,
        plan.places,
        key,
        plan.origin,
        terms=admission.terms,
        groups=caller().requester.groups,
        needs=plan.needs,
        sealed=plan.seal(remediation_id) if plan.seal else None,
    )
    _note(remediation_id, plan, admission)
    waiting = () if admission.terms.approval else runs
    stored = begun(remediation_id, waiting, store.remediations.get)
    return stored or _as_recorded(remediation_id, plan, admission, runs)


def _note(remediation_id: str, plan: Plan, admission: Admission) -> None:
    """Note in the audit trail what was taken in."""
    approval = admission.terms.approval
    decided(
        remediation_id=remediation_id,
        reason=plan.request.reason,
        **summary(plan.request),
        kind=plan.origin.kind,
        resolved_clusters=len(plan.places),
        **_told(admission.terms.facts),
        **({"retry_of": plan.origin.retry_of} if plan.origin.retry_of else {}),
        **({"undo_of": plan.origin.undo_of} if plan.origin.undo_of else {}),
        **({"needs_approval": approval.digest} if approval else {}),
    )


def _told(facts: Mapping[str, ClusterFacts]) -> dict[str, Any]:
    """Return what the audit trail says of the clusters."""
    insecure = sorted(name for name, fact in facts.items() if fact.insecure)
    stands_for = {name: list(fact.stands_for) for name, fact in facts.items() if fact.stands_for}
    return {
        **({"insecure_clusters": insecure} if insecure else {}),
        **({"same_api_server": stands_for} if stands_for else {}),
    }


def _as_recorded(
    remediation_id: str, plan: Plan, admission: Admission, runs: Sequence[Run]
) -> Remediation:
    """Return what was recorded a moment ago, for when it cannot be read back."""
    return Remediation(
        id=remediation_id,
        status=RemediationStatus.QUEUED,
        request=plan.request,
        requested_by=caller().subject,
        created_at=clock.now(),
        revision="0-0",
        runs=tuple(runs),
        retry_of=plan.origin.retry_of,
        undo_of=plan.origin.undo_of,
        kept_secrets=plan.origin.kept_secrets,
        request_id=admission.terms.request_id,
        approval=admission.terms.approval,
    )
