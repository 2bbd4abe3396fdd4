"""A remediation as callers see it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from api.warnings import warnings_of
from remediation.approval import Approval, ApprovalState
from remediation.outcome import Error, Summary
from remediation.registry.check import CheckResult
from remediation.status import RunStatus
from store.records import Remediation, Run

Link = Callable[[str], str]
BASE = "/api/v1/remediations"
CHECKS = "/api/v1/readiness-checks"


def remediation_body(remediation: Remediation, link: Link) -> dict[str, Any]:
    """Return the members of a remediation; `link` makes an address of a path."""
    request = asdict(remediation.request)
    path = f"{BASE}/{remediation.id}"
    return {
        "id": remediation.id,
        "kind": remediation.kind,
        "status": remediation.status,
        "terminal": remediation.status.terminal,
        "dry_run": remediation.request.dry_run,
        "created_at": remediation.created_at,
        "started_at": remediation.started_at,
        "finished_at": remediation.finished_at,
        "requested_by": remediation.requested_by,
        "reason": remediation.request.reason,
        "labels": request["labels"],
        "request": request,
        "summary": summary_body(remediation.summary),
        "clusters": [_run_body(run, remediation) for run in remediation.runs],
        "approval": approval_body(remediation.approval),
        "readiness": _readiness(remediation),
        "warnings": warnings_of(remediation),
        "retry_of": remediation.retry_of,
        "undo_of": remediation.undo_of,
        "links": {
            "self": link(path),
            "results": link(f"{path}/results"),
            **(
                {"readiness": link(f"{CHECKS}/{remediation.check_id}")}
                if remediation.check_id
                else {}
            ),
        },
    }


def _readiness(remediation: Remediation) -> dict[str, str | None] | None:
    if remediation.check_id is None:
        return None
    return {"check_id": remediation.check_id, "verdict": remediation.verdict}


def summary_body(summary: Summary) -> dict[str, Mapping[str, int]]:
    """Return the sums, by what they count."""
    return {
        "namespaces": {
            "total": summary.total,
            "done": summary.done,
            "changed": summary.changed,
            "unchanged": summary.unchanged,
            "would_change": summary.would_change,
            "ignored": summary.ignored,
            "skipped": summary.skipped,
            "failed": summary.failed,
            "cancelled": summary.cancelled,
        },
        "service_accounts": {
            "total": summary.accounts_total,
            "changed": summary.accounts_changed,
            "unchanged": summary.accounts_unchanged,
            "failed": summary.accounts_failed,
        },
        "secrets": {
            "created": summary.secrets_created,
            "updated": summary.secrets_updated,
            "merged": summary.secrets_merged,
            "replaced": summary.secrets_replaced,
            "unchanged": summary.secrets_unchanged,
            "failed": summary.secrets_failed,
            "deleted": summary.secrets_deleted,
        },
    }


def error_body(error: Error | None) -> dict[str, Any] | None:
    """Return why something failed."""
    if error is None:
        return None
    return {
        "code": error.code,
        "detail": error.detail,
        "hint": error.hint,
        "retryable": error.retryable,
        "http_status": error.http_status,
        "object": error.object,
    }


def approval_body(approval: Approval | None) -> dict[str, Any] | None:
    """Return the second person's part, None where none is needed."""
    if approval is None:
        return None
    return {
        "required": True,
        "state": approval.state,
        "digest": approval.digest,
        "expires_at": approval.expires_at,
        "requested_by": approval.asked_by,
        "decided_by": approval.decided_by,
        "decided_at": approval.decided_at,
        "comment": approval.comment,
    }


def _run_body(run: Run, remediation: Remediation) -> dict[str, Any]:
    return {
        "name": run.cluster,
        "status": run.status,
        "attempt": run.attempt,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "summary": summary_body(run.summary),
        "error": error_body(run.error),
        "reason": _reason(run, remediation),
        "registry_check": _check_body(run.registry_check),
        "credential_fingerprint": run.credential_fingerprint,
    }


def _check_body(result: CheckResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    reports = [asdict(report) for report in result.reports]
    return {**reports[0], "checked_at": result.checked_at, "registries": reports}


def _reason(run: Run, remediation: Remediation) -> str | None:
    """Return why a run waits, or why it never began."""
    approval, paused = remediation.approval, remediation.paused
    if approval and approval.state is ApprovalState.PENDING and not remediation.status.terminal:
        return f"waits for approval by someone other than {approval.asked_by}, until {approval.expires_at}"
    if approval and approval.state is ApprovalState.REJECTED:
        why = f": {approval.comment}" if approval.comment else ""
        return f"{approval.decided_by} rejected it{why}"
    if approval and approval.state is ApprovalState.EXPIRED:
        return f"it was not approved by {approval.expires_at}"
    if paused and run.status is RunStatus.QUEUED:
        return f"the service is paused since {paused.since} by {paused.by}: {paused.reason}"
    if run.behind == remediation.id:
        return f"waits for its run on {_first_there(run, remediation)}, the same API server"
    if run.behind:
        return f"waits for {run.behind}, which writes the same Secret there"
    return None


def _first_there(run: Run, remediation: Remediation) -> str:
    others = (
        each.cluster
        for each in remediation.runs
        if each.line == run.line and not each.status.terminal
    )
    return next(others, run.known_as)
