"""Values to compact JSON and back. Fields are named one by one: a record outlives the code that wrote it."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import orjson

from remediation.approval import Approval, ApprovalState
from remediation.inventory import AnnouncedCluster, AnnouncedCredential, Announcement
from remediation.outcome import (
    AccountCounts,
    Error,
    ErrorCode,
    NamespaceResult,
    Outcome,
    SecretAction,
    Summary,
)
from remediation.readiness.proof import Level
from remediation.readiness.request import CheckRequest
from remediation.readiness.verdict import Verdict as Readiness
from remediation.registry.check import CheckResult, RegistryReport
from remediation.registry.verdict import LoginAnswer, Verdict
from remediation.request import (
    InlineCredential,
    OnConflict,
    RegistryCheck,
    RemediationRequest,
)
from remediation.status import RunStatus
from store.records import Judged, Paused, Run

_NUL = "\0"
COUNT_PREFIX = "n."


def dumps(value: Any) -> str:
    """Return compact JSON."""
    return orjson.dumps(value).decode()


def loads(text: str | bytes) -> Any:
    """Read JSON."""
    return orjson.loads(text)


def encode_request(request: RemediationRequest) -> str:
    """Return a request as JSON."""
    return dumps(asdict(request))


def decode_request(text: str) -> RemediationRequest:
    """Read a request; fields that this version does not know are left out."""
    known = {item.name for item in fields(RemediationRequest)}
    raw: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in loads(text).items()
        if name in known
    }
    raw["on_conflict"] = OnConflict(raw["on_conflict"])
    # A request that was accepted before there was a check asked for none.
    raw["registry_check"] = RegistryCheck(raw.get("registry_check", RegistryCheck.SKIP))
    if inline := raw.get("inline_credential"):
        raw["inline_credential"] = InlineCredential(inline["registry"], inline["username"])
    return RemediationRequest(**raw)


def encode_check_request(request: CheckRequest) -> str:
    """Return the request of a readiness check as JSON."""
    return dumps(asdict(request))


def decode_check_request(text: str) -> CheckRequest:
    """Read what `encode_check_request` wrote; fields that this version does not know are left out."""
    known = {item.name for item in fields(CheckRequest)}
    raw: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in loads(text).items()
        if name in known
    }
    evidence = raw.get("evidence")
    return CheckRequest(**{**raw, "evidence": Level(evidence) if evidence else None})


def encode_judged(judged: Judged) -> str:
    """Return what a check came to on a cluster as JSON."""
    return dumps(asdict(judged))


def decode_judged(text: str) -> Judged:
    """Read what `encode_judged` wrote."""
    raw = loads(text)
    return Judged(
        Readiness(raw["verdict"]),
        raw["classes"],
        raw["severities"],
        tuple(raw["registries"]),
        raw["certificate"],
    )


def encode_approval(approval: Approval) -> dict[str, str]:
    """Return the fields of a remediation's hash; the scripts look at the state alone."""
    return {"approval": dumps(asdict(approval)), "approval_state": approval.state}


def decode_approval(raw: Mapping[str, str]) -> Approval | None:
    """Read what `encode_approval` wrote, None if there is none."""
    if "approval" not in raw:
        return None
    known = {item.name for item in fields(Approval)}
    found = {name: value for name, value in loads(raw["approval"]).items() if name in known}
    return Approval(**{**found, "state": ApprovalState(found["state"])})


def decode_pause(raw: Mapping[str, str]) -> Paused | None:
    """Read the hash of the pause, None if there is none."""
    return Paused(raw["reason"], raw["by"], raw["since"]) if raw else None


def encode_error(error: Error | None) -> list[Any] | None:
    """Return an error as a short list."""
    return (
        [error.code, error.detail, error.hint, error.http_status, error.object] if error else None
    )


def decode_error(raw: list[Any] | None) -> Error | None:
    """Read what `encode_error` wrote."""
    return Error(ErrorCode(raw[0]), *raw[1:]) if raw else None


def encode_row(row: NamespaceResult) -> str:
    """Return a row as `namespace NUL json`; its outcome is the key it is stored under."""
    counts = row.accounts
    packed = [
        row.reason,
        row.secret_action,
        [counts.changed, counts.unchanged, counts.ignored, counts.failed],
        row.changed_accounts,
        row.attempts,
        row.duration_ms,
        encode_error(row.error),
    ]
    if row.secret_version or row.doubtful or row.doubtful_accounts is not None:
        packed += [
            row.secret_version,
            int(row.doubtful),
            row.doubtful_accounts,
        ]  # in few rows: a million of them must be thinkable
    return f"{row.namespace}{_NUL}{dumps(packed)}"


def decode_row(outcome: Outcome, member: str) -> NamespaceResult:
    """Read what `encode_row` wrote."""
    namespace, _, packed = member.partition(_NUL)
    reason, action, counts, changed, attempts, duration_ms, error, *more = loads(packed)
    version, doubtful, accounts = more or (None, 0, None)
    return NamespaceResult(
        namespace,
        outcome,
        reason,
        SecretAction(action),
        AccountCounts(*counts),
        tuple(changed),
        attempts,
        duration_ms,
        decode_error(error),
        tuple(version) if version else None,
        bool(doubtful),
        None if accounts is None else tuple(accounts),
    )


def namespace_of(member: str) -> str:
    """Return the namespace of a stored row without reading the rest."""
    return member.partition(_NUL)[0]


def decode_run(run_id: str, raw: Mapping[str, str]) -> Run:
    """Read a run's hash."""
    counts = {
        name.removeprefix(COUNT_PREFIX): int(value)
        for name, value in raw.items()
        if name.startswith(COUNT_PREFIX)
    }
    return Run(
        id=run_id,
        remediation_id=raw["remediation"],
        cluster=raw["cluster"],
        pool=raw["pool"],
        status=RunStatus(raw["status"]),
        attempt=int(raw["attempt"]),
        handed_back=int(raw.get("handed_back", 0)),
        deadline=raw["deadline"],
        summary=Summary.from_counts(counts),
        started_at=raw.get("started_at"),
        finished_at=raw.get("finished_at"),
        error=decode_error(loads(raw["error"])) if "error" in raw else None,
        missing=tuple(loads(raw["missing"])) if "missing" in raw else None,
        line=raw.get("line") or None,
        parents=tuple(loads(raw["parents"])) if "parents" in raw else (),
        undoes=raw.get("undoes"),
        undone_by=raw.get("undone_by"),
        judged=decode_judged(raw["judged"]) if "judged" in raw else None,
        registry_check=decode_check(raw["registry_check"]) if "registry_check" in raw else None,
        credential_fingerprint=raw.get("credential_fingerprint"),
    )


def encode_check(result: CheckResult) -> str:
    """Return what the registries said as JSON."""
    return dumps(asdict(result))


def decode_check(text: str) -> CheckResult:
    """Read what `encode_check` wrote."""
    raw = loads(text)
    reports = tuple(
        RegistryReport(
            registry=report["registry"],
            verdict=Verdict(report["verdict"]),
            detail=report["detail"],
            hint=report["hint"],
            repository=report["repository"],
            repositories=report["repositories"],
            login=LoginAnswer(report["login"]),
            via_shadow=report["via_shadow"],
        )
        for report in raw["reports"]
    )
    return CheckResult(reports, raw["checked_at"])


def encode_announcement(announcement: Announcement) -> str:
    """Return what a worker announces as JSON."""
    return dumps(asdict(announcement))


def decode_announcement(text: str) -> Announcement:
    """Read what `encode_announcement` wrote."""
    raw = loads(text)
    return Announcement(
        worker_id=raw["worker_id"],
        pool=raw["pool"],
        version=raw["version"],
        host=raw["host"],
        pid=raw["pid"],
        started_at=raw["started_at"],
        processes=raw["processes"],
        clusters=tuple(
            AnnouncedCluster(cluster["name"], cluster["server"], cluster["problem"])
            for cluster in raw["clusters"]
        ),
        credentials=tuple(
            AnnouncedCredential(
                credential["name"],
                tuple(credential["registries"]),
                tuple(credential["usernames"]),
                credential["since"],
                credential["problem"],
                credential.get("fingerprint"),
            )
            for credential in raw["credentials"]
        ),
        problems=tuple(raw["problems"]),
        sealing_keys=tuple(raw.get("sealing_keys", ())),
    )
