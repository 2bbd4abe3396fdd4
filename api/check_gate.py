"""The gate of a readiness check: open only for a verdict that is safe, in time, and found again at this moment."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Response
from marshmallow import fields

from api import gate_work, scope
from api.access import Permission, caller, permission
from api.answers import json_answer
from api.audit import audited, decided
from api.check_body import digest, unproven, valid_until
from api.check_findings import visible
from api.checks import ID_PARAMETER, find_check, record
from api.entity import held
from api.parameters import MAX_WAIT_SECONDS, Wait
from api.problems import Finding, Problem, pointer
from api.schemas import Answer, Strict, number, one_of, text, texts
from api.services import services
from api.spec import Blueprint
from api.terms import take_gate_quota
from remediation.audit import Action
from remediation.inventory import known_clusters
from remediation.readiness.proof import Level
from remediation.readiness.verdict import Verdict
from remediation.selection import select_clusters
from store import clock
from store.intake import AlreadyConfirming
from store.records import Check

blueprint = Blueprint("gate")

DEFAULT_WAIT_SECONDS = 30
_MOST_REASONS = 50
_NONE: Mapping[str, str] = {}


class _GateQuery(Strict):
    wait = Wait(
        load_default=DEFAULT_WAIT_SECONDS,
        metadata={
            "description": "Seconds that the second look may take.",
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_WAIT_SECONDS,
        },
    )


class GateSchema(Answer):
    """The registry may be flipped now."""

    id = text("The check.")
    verdict = one_of([Verdict.SAFE])
    registries = texts("What may be flipped.")
    valid_until = text("When the verdict stops to count.", format="date-time")
    evidence = one_of(
        Level, "The level that had to be reached. Below `L2` the credential may be unproven."
    )
    unproven = number(
        "Repositories for which nothing shows that the credential may pull them (`R_UNPROVEN`)."
    )
    digest = text("Of what the verdict stands on.")
    confirmed_by = text("The check that found the same a moment ago.")
    confirmed_at = text(format="date-time")


class RestartPlanSchema(Answer):
    """What to restart so that uncovered pods are made anew."""

    clusters = fields.List(fields.Dict(keys=fields.String()), required=True)


@blueprint.operation(
    "GET", "/readiness-checks/<check_id>/gate", "passGate", parameters=[ID_PARAMETER]
)
@audited(Action.GATE)
@permission(Permission.READ_READINESS_CHECKS)
@blueprint.query(_GateQuery)
@blueprint.answers(200, GateSchema)
@blueprint.problems(401, 403, 404, 406, 412, 422, 429, 503)
def gate(query: dict[str, Any], check_id: str) -> Response:
    """Ask whether the registry may be flipped now.

    200 only if the check is safe, has not run out, nothing that was accepted may still write on its clusters, and the
    clusters, read again for this answer, still say so; 412 with every reason otherwise. Nothing is ever taken from
    memory: without a worker that looks again the gate stays closed.
    Each call that has the clusters read again counts against a quota of the caller; callers of the same moment share
    one look.
    """
    check = find_check(check_id)
    if reasons := list(_standing(check)):
        raise _closed(check, reasons)
    before = gate_work.look(check)
    if before.reasons:
        raise _closed(check, before.reasons)
    headers = take_gate_quota()
    confirmation = _confirmed(check, query["wait"])
    changes = [*_changes(check, confirmation), *gate_work.since(before)]
    if reasons := [*_standing(check, confirmation), *changes]:
        raise _closed(check, reasons, headers)
    assert confirmation  # noqa: S101 -- or there would be a reason
    decided(check_id=check.id, digest=digest(check), confirmed_by=confirmation.id)
    return json_answer(
        {
            "id": check.id,
            "verdict": Verdict.SAFE,
            "registries": list(check.runs[0].judged.registries if check.runs[0].judged else ()),
            "valid_until": valid_until(check, confirmation),
            "evidence": check.request.required,
            "unproven": unproven(confirmation),
            "digest": digest(check),
            "confirmed_by": confirmation.id,
            "confirmed_at": confirmation.finished_at,
        },
        headers=dict(headers),
    )


@blueprint.operation(
    "GET",
    "/readiness-checks/<check_id>/restart-plan",
    "getRestartPlan",
    parameters=[ID_PARAMETER],
)
@permission(Permission.READ_READINESS_CHECKS)
@blueprint.answers(200, RestartPlanSchema)
@blueprint.problems(401, 403, 404, 406, 503)
def restart_plan(check_id: str) -> Response:
    """Read which controllers to restart, in which order, so that their pods get the Secret.

    As data and as `kubectl` lines. The service restarts nothing by itself.
    """
    check = find_check(check_id)
    findings = services().store.findings
    plans = [(run, findings.restarts(run)) for run in check.runs if run.judged]
    return json_answer(
        {"clusters": [{"cluster": run.cluster, **plan} for run, plan in plans if plan]}
    )


def _standing(check: Check, confirmation: Check | None = None) -> Iterator[Finding]:
    """Yield why the check, as it is recorded, cannot open the gate; nor what confirms it, if that has run out."""
    if not check.status.terminal:
        yield _reason("status", f"the check has not ended: it is {check.status}", "not_ended")
        return
    if check.verdict is not Verdict.SAFE:
        yield _reason("verdict", f"the verdict is {check.verdict}", str(check.verdict))
        yield from _found(check)
    for name in _passed_over(check):
        what = f"{name} is among the clusters that were asked for, and was not judged: no worker announced it then"
        yield _reason(
            "clusters",
            f"{what}. Start a new check with a worker for it, or without it",
            "not_judged",
        )
    until = valid_until(*(each for each in (check, confirmation) if each and each.status.terminal))
    if until is not None and clock.parse(until) <= clock.latest(services().store.redis):
        yield _reason("valid_until", f"the verdict counted until {until}", "expired")


def _passed_over(check: Check) -> Sequence[str]:
    """Return clusters that the check's globs mean and that it did not look at.

    They came since, or their workers were away at that moment: then they are not among those that a glob finds.
    """
    visible_to_caller = caller().rights.clusters(Permission.READ_INVENTORY)
    store = services().store
    judged = {run.cluster for run in check.runs}
    # Another name of an API server that was judged is no other cluster.
    uids = {run.judged.certificate["cluster_uid"] for run in check.runs if run.judged} - {None, ""}
    now = {name: known.uid for name, known in known_clusters(store.inventory.workers()).items()}
    others = [
        name
        for name in store.inventory.lately()
        if name not in judged and now.get(name) not in uids
    ]
    return select_clusters(check.request.clusters, list(filter(visible_to_caller, others)))[0]


def _found(check: Check) -> Iterator[Finding]:
    """Yield why a check that has ended is not safe."""
    for run in check.runs:
        if run.judged is None:
            why = f"{run.error.code}: {run.error.detail}" if run.error else str(run.status)
            yield _reason("clusters", f"{run.cluster} could not be judged ({why})", "not_judged")
    shown = 0
    for _, row in visible(services().store.findings.rows(check.runs)):
        if row["severity"] != "blocking":
            continue
        if row["waiver"] is None:
            where = "/".join(part for part in (row["cluster"], row["namespace"]) if part)
            what = f"{row['class']} {where} {row['kind']}/{row['name']}: {row['explanation']}"
            yield _reason("findings", what, row["class"])
            shown += 1
        if shown == _MOST_REASONS:
            return


def _confirmed(check: Check, seconds: int) -> Check | None:
    """Return a second look at the same, begun after this was asked for; None if nobody can take it."""
    store = services().store
    fleet = scope.Fleet.of(store.inventory.workers())
    names = [run.cluster for run in check.runs]
    credential = check.request.credential
    served = all(name in fleet.clusters for name in names)
    if not served or (credential is not None and credential not in fleet.credentials):
        return None
    try:
        latest = record(check.request, scope.serving(names, credential, fleet), confirms=check.id)
    except AlreadyConfirming as shared:
        # Nothing of it has begun, so it will see what is there now.
        found = store.checks.get(shared.check_id)
        if found is None:
            return None
        latest = found
    return held(latest, store.checks.get, seconds)


def _changes(check: Check, confirmation: Check | None) -> Iterator[Finding]:
    """Yield why the second look does not confirm the check."""
    if confirmation is None:
        yield _reason("clusters", "no live worker can look at the clusters again", "not_confirmed")
        return
    if not confirmation.status.terminal:
        slow = "the second look did not end in time; ask again, with a longer `wait`"
        yield _reason("valid_until", slow, "not_confirmed")
        return
    if confirmation.verdict is not Verdict.SAFE:
        yield _reason(
            "verdict", f"looked at again, the verdict is {confirmation.verdict}", "changed"
        )
        yield from _found(confirmation)
        return
    now = {run.cluster: run for run in confirmation.runs}
    for run in check.runs:
        again = now.get(run.cluster)
        then, later = run.judged, again.judged if again else None
        if then and later and then.certificate["cluster_uid"] != later.certificate["cluster_uid"]:
            other = f"{run.cluster} is another cluster than the one that was judged"
            yield _reason("clusters", other, "changed")
            continue
        prints = {run.credential_fingerprint, again.credential_fingerprint if again else None}
        if len(prints - {None}) > 1:
            other = (
                f"{run.cluster}: the credential has another content than the one that was judged"
            )
            yield _reason("credential", other, "changed")
            continue
        if not then or not later or then.certificate["basis"] != later.certificate["basis"]:
            yield _reason(
                "digest",
                f"{run.cluster}: a ServiceAccount, a Secret, a template or an uncovered pod changed since the check; "
                "start a new one",
                "changed",
            )


def _closed(
    check: Check, reasons: Sequence[Finding], headers: Mapping[str, str] = _NONE
) -> Problem:
    return Problem("gate-closed", f"{check.id}: {reasons[0].detail}.", reasons, headers=headers)


def _reason(member: str, detail: str, code: str) -> Finding:
    return Finding(pointer(member), detail, code)
