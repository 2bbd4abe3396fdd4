"""A readiness check as callers see it."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import fields, validate

from api.remediation_body import CHECKS, Link, error_body
from api.remediation_schemas import ErrorSchema
from api.schemas import NEXT_CURSOR, Answer, flag, maybe_text, number, one_of, text, texts, time
from remediation.readiness.finding import FindingClass
from remediation.readiness.proof import Level
from remediation.readiness.verdict import Verdict
from remediation.status import RemediationStatus, RunStatus
from store import clock
from store.records import Check, Run

COUNTS = ("blocking", "warning", "info", "waived")


def check_body(check: Check, link: Link) -> dict[str, Any]:
    """Return the members of a check; `link` makes an address of a path."""
    path = f"{CHECKS}/{check.id}"
    request = check.request
    return {
        "id": check.id,
        "status": check.status,
        "terminal": check.status.terminal,
        "verdict": check.verdict,
        "created_at": check.created_at,
        "started_at": check.started_at,
        "finished_at": check.finished_at,
        "requested_by": check.requested_by,
        "request": {
            "clusters": list(request.clusters),
            "namespaces": list(request.namespaces),
            "ignore": list(request.ignore),
            "namespace_selector": request.namespace_selector,
            "registry": request.registries[0] if len(request.registries) == 1 else None,
            "credential": request.credential,
            "secret_name": request.secret_name,
            "evidence": request.evidence,
            "timeout_seconds": request.timeout_seconds,
        },
        "registries": _registries(check),
        "evidence": request.required,
        "summary": _summary(check.runs),
        "clusters": [_run_body(run) for run in check.runs],
        "valid_until": valid_until(check),
        "digest": digest(check),
        "remediation_id": check.remediation_id,
        "confirms": check.confirms,
        "links": {
            "self": link(path),
            "findings": link(f"{path}/findings"),
            "restart_plan": link(f"{path}/restart-plan"),
            "gate": link(f"{path}/gate"),
        },
    }


def valid_until(*checks: Check) -> str | None:
    """Return when a verdict that rests on all of these counts no more, None as long as there is none."""
    if not all(check.status.terminal for check in checks):
        return None
    runs = (run for check in checks for run in check.runs)
    judged = [run.judged.certificate["valid_until"] for run in runs if run.judged]
    return min(judged, key=clock.parse, default=None)


def unproven(check: Check) -> int:
    """Return for how many repositories, counted by cluster, nothing shows that the credential may pull them."""
    return sum(
        run.judged.classes.get(FindingClass.R_UNPROVEN, 0) for run in check.runs if run.judged
    )


def digest(check: Check) -> str | None:
    """Return what changes with every change of what the verdict stands on, None as long as there is none."""
    if not check.status.terminal:
        return None
    parts = sorted(
        f"{run.cluster}\0{run.judged.certificate['digest']}" for run in check.runs if run.judged
    )
    return "sha256:" + hashlib.sha256("\0\0".join(parts).encode()).hexdigest()


def _registries(check: Check) -> list[str]:
    judged = [name for run in check.runs if run.judged for name in run.judged.registries]
    return list(dict.fromkeys((*check.request.registries, *judged)))


def _summary(runs: Iterable[Run]) -> dict[str, Any]:
    severities: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    for run in runs:
        if run.judged:
            severities.update(run.judged.severities)
            classes.update(run.judged.classes)
    counts: Mapping[str, int] = {name: severities[name] for name in COUNTS}
    return {**counts, "classes": dict(sorted(classes.items()))}


def _run_body(run: Run) -> dict[str, Any]:
    return {
        "name": run.cluster,
        "status": run.status,
        "attempt": run.attempt,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "verdict": (run.verdict or Verdict.UNKNOWN) if run.status.terminal else None,
        "summary": _summary([run]),
        "certificate": dict(run.judged.certificate) if run.judged else None,
        "error": error_body(run.error),
    }


def _verdict(description: str) -> fields.String:
    return fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([str(word) for word in Verdict]),
        metadata={"description": description},
    )


class CheckCountsSchema(Answer):
    """Findings by what they mean, and by class."""

    blocking = number("Those that keep the verdict from being safe.")
    warning = number()
    info = number()
    waived = number("Blocking ones that somebody has waived; not among the blocking.")
    classes = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class CertificateSchema(Answer):
    """What the verdict on a cluster stands on."""

    cluster_uid = text("The uid of the namespace kube-system.")
    kubernetes_version = text()
    judged_at = text("When the last list was begun.", format="date-time")
    valid_until = text(format="date-time")
    resource_versions = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "By resource: the state of each list that was read."},
    )
    digest = text("Of verdict, findings and lists: it names this certificate.")
    basis = text(
        "Of accounts, Secrets, templates and uncovered pods: it changes when one of them does."
    )


class CheckedClusterSchema(Answer):
    """The check on one cluster."""

    name = text("The cluster.")
    status = one_of(RunStatus)
    attempt = number("How often a worker took it up.")
    started_at = time()
    finished_at = time()
    verdict = _verdict("Null as long as it has not ended; `unknown` if it could not be judged.")
    summary = fields.Nested(CheckCountsSchema, required=True)
    certificate = fields.Nested(CertificateSchema, required=True, allow_none=True)
    error = fields.Nested(ErrorSchema, required=True, allow_none=True)


class StoredCheckRequestSchema(Answer):
    """The request with its defaults."""

    clusters = texts()
    namespaces = texts()
    ignore = texts()
    namespace_selector = maybe_text()
    registry = maybe_text("Null for a check that followed a remediation: see `registries`.")
    credential = maybe_text()
    secret_name = text()
    evidence = maybe_text("Null if nothing was asked for.")
    timeout_seconds = number()


class CheckLinksSchema(Answer):
    """Where to go on."""

    self = text(format="uri-reference")
    findings = text(format="uri-reference")
    restart_plan = text(format="uri-reference")
    gate = text(format="uri-reference")


class CheckSchema(Answer):
    """A readiness check: can the registry be flipped?"""

    id = text("`chk_` and a ULID.")
    status = one_of(
        RemediationStatus, "Of the check itself: `succeeded` says nothing of the verdict."
    )
    terminal = flag("Whether it has ended for good.")
    verdict = _verdict("Null as long as it has not ended.")
    created_at = text(format="date-time")
    started_at = time()
    finished_at = time()
    requested_by = text("The subject of the API key.")
    request = fields.Nested(StoredCheckRequestSchema, required=True)
    registries = texts("Those that were judged.")
    evidence = one_of(
        Level,
        "The level that had to be reached; each finding says what it rests on. Below `L2` a `safe` verdict may take "
        "the credential for granted: findings `R_UNPROVEN` say where.",
    )
    summary = fields.Nested(CheckCountsSchema, required=True)
    clusters = fields.List(fields.Nested(CheckedClusterSchema), required=True)
    valid_until = time("When the verdict stops to count.")
    digest = maybe_text("Of what the verdict stands on, over all clusters.")
    remediation_id = maybe_text("The remediation that it followed by itself.")
    confirms = maybe_text("The check whose gate asked for this one.")
    links = fields.Nested(CheckLinksSchema, required=True)


class CheckPageSchema(Answer):
    """One page, newest first."""

    items = fields.List(fields.Nested(CheckSchema), required=True)
    next_cursor = fields.String(metadata={"description": NEXT_CURSOR})
