"""Values to compact JSON and back. Fields are named one by one: a record outlives the code that wrote it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from typing import Any

import orjson

from remediation.approval import Approval, ApprovalState
from remediation.outcome import (
    Error,
    ErrorCode,
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
from remediation.unmatched import Part, Unmatched
from store.records import Judged, Paused, Slip


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
    kept = asdict(judged)
    del kept["elsewhere"]  # it comes of all runs of the check
    return dumps(kept | {"slips": [[*astuple(slip)] for slip in judged.slips]})


def decode_judged(text: str) -> Judged:
    """Read what `encode_judged` wrote."""
    raw = loads(text)
    return Judged(
        Readiness(raw["verdict"]),
        raw["classes"],
        raw["severities"],
        tuple(raw["registries"]),
        raw["certificate"],
        tuple(Slip(*slip) for slip in raw.get("slips", ())),
    )


def encode_unmatched(unmatched: Sequence[Unmatched]) -> str:
    """Return what of a request matches nothing as JSON."""
    return dumps([[each.part, each.pattern, each.nearest] for each in unmatched])


def decode_unmatched(text: str) -> tuple[Unmatched, ...]:
    """Read what `encode_unmatched` wrote."""
    return tuple(Unmatched(Part(part), pattern, near) for part, pattern, near in loads(text))


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
            not_asked=report.get("not_asked", 0),
        )
        for report in raw["reports"]
    )
    return CheckResult(reports, raw["checked_at"])
