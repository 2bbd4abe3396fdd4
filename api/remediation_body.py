"""A remediation as callers see it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from remediation.approval import Approval, ApprovalState
from remediation.caution import CautionCode
from remediation.outcome import Error, Summary
from remediation.registry.check import CheckResult
from remediation.status import RunStatus
from remediation.unmatched import Part, unmatched_everywhere
from store.records import Remediation, Run

Link = Callable[[str], str]
BASE = "/api/v1/remediations"
CHECKS = "/api/v1/readiness-checks"
_CAUTIONS = {
    CautionCode.DRIFT: "{by} writes its own value again and removes the Secret's name or login from {objects}",
    CautionCode.DRIFT_POSSIBLE: "{by} may write its own value again and remove the Secret's name or login from"
    " {objects}",
    CautionCode.ACCOUNT_MISSING: "ServiceAccounts that the request means do not exist yet in {namespaces}: their first"
    " pods get no pull Secret",
    CautionCode.ENTRY_KEPT: "the entry stays in {objects} that another writer made or took over",
    CautionCode.HELM_OWNED: "Helm releases own {objects}: an upgrade can refuse the Secret or write the chart's"
    " content again, and an uninstall deletes it although ServiceAccounts name it",
    CautionCode.LOGIN_LOST: "logins in {objects} are replaced and kept nowhere: an undo does not bring them back",
    CautionCode.LOGIN_WITHOUT_EFFECT: "nodes take another login, or none, for images of a registry of the credential:"
    " {objects}",
    CautionCode.OPERATOR_DRIFT: "pods of {by} use ServiceAccounts that get the new entry ({objects}): its operator may"
    " take that for drift and recreate the pods",
    CautionCode.SECRET_IN_USE: "pods, templates or ServiceAccounts name {objects} that the undo deletes",
    CautionCode.USE_UNKNOWN: "the worker could not list {by}, so it is not known what else names {objects} that an"
    " undo deletes",
}


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
        "warnings": list(_warnings(remediation)),
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
        return f"waits for somebody else than {approval.asked_by} to approve it, until {approval.expires_at}"
    if approval and approval.state is ApprovalState.REJECTED:
        why = f": {approval.comment}" if approval.comment else ""
        return f"{approval.decided_by} rejected it{why}"
    if approval and approval.state is ApprovalState.EXPIRED:
        return f"nobody approved it until {approval.expires_at}"
    if paused and run.status is RunStatus.QUEUED:
        return f"the service is paused since {paused.since} by {paused.by}: {paused.reason}"
    if run.behind:
        return f"waits for {run.behind}, which writes the same Secret there"
    return None


_SLIPS = {
    Part.NAMESPACES: (
        "namespace_not_found",
        "no namespace of any selected cluster matches '{pattern}'{unseen}",
    ),
    Part.IGNORE: (
        "namespace_not_found",
        "no namespace of any selected cluster matches '{pattern}', which `ignore` names{unseen}",
    ),
    Part.SELECTOR: (
        "namespace_selector_not_matched",
        "no namespace that the request names has labels that match '{pattern}'{unseen}",
    ),
    Part.ACCOUNTS: (
        "service_account_not_found",
        "no ServiceAccount in the selected namespaces matches '{pattern}'{unseen}: the Secret is written all the same,"
        " and no pod gets it through '{pattern}'",
    ),
    Part.IGNORED_ACCOUNTS: (
        "service_account_not_found",
        "no ServiceAccount in the selected namespaces matches '{pattern}', which `ignore_service_accounts` names"
        "{unseen}",
    ),
}


def _warnings(remediation: Remediation) -> Iterable[dict[str, str]]:
    """Yield what is probably not meant."""
    yield from _clusters(remediation)
    yield from _kept_secrets(remediation)
    yield from _nowhere(remediation)
    yield from _short_lived(remediation)
    yield from _cautions(remediation)


def _clusters(remediation: Remediation) -> Iterable[dict[str, str]]:
    """Yield which clusters are not verified, and which names were left out for being another one's API server."""
    for run in remediation.runs:
        if run.insecure:
            yield {
                "code": "insecure_cluster",
                "name": run.cluster,
                "detail": f"the certificate of the API server of {run.cluster} is not verified: whoever sits in "
                "between can read the worker's token and the Secret, and answer in its place",
            }
        if run.stands_for:
            yield {
                "code": "same_api_server",
                "name": run.cluster,
                "detail": f"{', '.join(run.stands_for)} is the same API server as {run.cluster} and gets no run of its "
                "own; name it to have one",
            }


def _kept_secrets(remediation: Remediation) -> Iterable[dict[str, str]]:
    number = remediation.kept_secrets
    if number and remediation.undo_of:
        secrets = "1 Secret" if number == 1 else f"{number} Secrets"
        yield {
            "code": "secrets_kept",
            "name": remediation.undo_of,
            "detail": f"{secrets} that it updated cannot be undone: what was there before is kept nowhere, so "
            f"{'it stays as it is' if number == 1 else 'they stay as they are'}",
        }


def _nowhere(remediation: Remediation) -> Iterable[dict[str, str]]:
    """Yield what was asked for and is nowhere, once every cluster was looked at or has ended."""
    observed = [run for run in remediation.runs if run.missing is not None]
    others = [run for run in remediation.runs if run.missing is None]
    if not observed or not all(run.status.terminal for run in others):
        return
    unseen = f" (not looked at: {', '.join(run.cluster for run in others)})" if others else ""
    slips = unmatched_everywhere([run.unmatched for run in observed])
    suggested = {slip.pattern: _meant(slip.nearest) for slip in slips}
    nowhere = set.intersection(*(set(run.missing or ()) for run in observed))
    for name in sorted(nowhere):
        yield {
            "code": "namespace_not_found",
            "name": name,
            "detail": f"no selected cluster has a namespace '{name}'{unseen}{suggested.get(name, '')}",
        }
    for slip in slips:
        if slip.pattern not in nowhere:
            code, detail = _SLIPS[slip.part]
            told = detail.format(pattern=slip.pattern, unseen=unseen)
            yield {"code": code, "name": slip.pattern, "detail": told + _meant(slip.nearest)}


def _short_lived(remediation: Remediation) -> Iterable[dict[str, str]]:
    """Yield which logins end by themselves, and with them what the pods can pull."""
    request = remediation.request
    inline = request.inline_credential
    name = request.credential or (inline.name if inline else "")
    for ending in dict.fromkeys(ending for run in remediation.runs for ending in run.endings):
        yield {
            "code": "credential_short_lived",
            "name": name,
            "detail": f"{ending}; after that, no pod can pull with the Secrets that hold it",
        }


def _meant(name: str | None) -> str:
    return f"; did you mean '{name}'?" if name else ""


def _cautions(remediation: Remediation) -> Iterable[dict[str, str]]:
    """Yield what the rows warn of, summed up: the rows name the objects."""
    numbers: Counter[tuple[CautionCode, str]] = Counter()
    for run in remediation.runs:
        for caution in run.cautions:
            numbers[caution.code, caution.by] += caution.number
    for (code, by), number in sorted(numbers.items()):
        rows = "1 object" if number == 1 else f"{number} objects"
        spaces = "1 namespace" if number == 1 else f"{number} namespaces"
        detail = _CAUTIONS[code].format(by=by, objects=rows, namespaces=spaces)
        yield {"code": code, "name": by, "detail": f"{detail} (see `warnings` of the rows)"}
