"""Answers of the API, filled in as far as a test cares."""

from typing import Any

ID = "rem_01J8ZQ4W7N3T5V9XBCDEFGHJKM"


def summary(**namespaces: int) -> dict[str, Any]:
    """Return a summary with these numbers of namespaces."""
    done = sum(number for name, number in namespaces.items() if name != "total")
    return {
        "namespaces": {"total": done, "done": done, **namespaces},
        "service_accounts": {"total": 5, "changed": 4, "unchanged": 1, "failed": 0},
        "secrets": {"created": 2, "updated": 0, "unchanged": 1, "failed": 0},
    }


def cluster(name: str = "eu-1", status: str = "succeeded", **namespaces: int) -> dict[str, Any]:
    """Return a cluster of a remediation."""
    counts = namespaces or {"changed": 2, "unchanged": 1}
    return {
        "name": name,
        "status": status,
        "attempt": 1,
        "summary": summary(**counts),
        "error": None,
    }


def remediation(status: str = "succeeded", **fields: Any) -> dict[str, Any]:
    """Return a remediation in this status."""
    running = status in ("queued", "running", "cancelling")
    return {
        "id": ID,
        "kind": "run",
        "status": status,
        "terminal": not running,
        "dry_run": False,
        "created_at": "2026-08-01T10:00:00.000Z",
        "started_at": "2026-08-01T10:00:00.100Z",
        "finished_at": None if running else "2026-08-01T10:00:02.500Z",
        "requested_by": "client:local",
        "reason": None,
        "labels": {},
        "summary": summary(changed=2, unchanged=1),
        "clusters": [cluster(status="running" if running else "succeeded")],
        "links": {"self": f"http://127.0.0.1/api/v1/remediations/{ID}"},
        **fields,
    }


def row(namespace: str = "payments", outcome: str = "changed", **fields: Any) -> dict[str, Any]:
    """Return a result row."""
    return {
        "kind": "run",
        "cluster": "eu-1",
        "namespace": namespace,
        "outcome": outcome,
        "reason": None,
        "secret": {"name": "docker", "action": "created"},
        "service_accounts": {"total": 3, "changed": 2, "unchanged": 1, "ignored": 0, "failed": 0},
        "changed_service_accounts": ["default", "api"],
        "attempts": 1,
        "duration_ms": 412,
        "error": None,
        "warnings": [],
        **fields,
    }


def warning(name: str, detail: str) -> dict[str, Any]:
    """Return a warning of a row."""
    thing = f"serviceaccounts/payments/{name}"
    return {"code": "drift", "object": thing, "detail": detail, "hint": "set:\nx"}


def failed_row(namespace: str) -> dict[str, Any]:
    """Return the row of a namespace that failed."""
    error = {
        "code": "forbidden",
        "detail": f"may not create Secrets in {namespace}",
        "hint": "grant create on secrets",
        "retryable": False,
        "http_status": 403,
        "object": f"Secret/{namespace}/docker",
    }
    return row(namespace, "failed", secret={"name": "docker", "action": "none"}, error=error)
