"""Which columns remediations, their clusters and their result rows have."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cli.render import Column, View
from cli.request import JsonObject


def count(item: Mapping[str, Any], group: str, name: str) -> int:
    """Return one number of a summary, 0 if the service does not say it."""
    summary = item.get("summary") or {}
    return int((summary.get(group) or {}).get(name) or 0)


def changed(item: Mapping[str, Any]) -> int:
    """Return the namespaces that were, or in a dry run would be, changed."""
    return count(item, "namespaces", "changed") + count(item, "namespaces", "would_change")


def duration(item: Mapping[str, Any]) -> str:
    """Return how long a remediation ran, '' if it has not ended."""
    started = item.get("started_at") or item.get("created_at")
    finished = item.get("finished_at")
    if not started or not finished:
        return ""
    try:
        spent = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    except (TypeError, ValueError):
        return ""
    return seconds(spent.total_seconds())


def seconds(spent: float) -> str:
    """Return a duration as people say it: 0.4s, 75s, 12m 5s."""
    if spent < 10:
        return f"{spent:.1f}s"
    if spent < 120:
        return f"{spent:.0f}s"
    return f"{int(spent // 60)}m {int(spent % 60)}s"


def error_text(item: Mapping[str, Any]) -> str:
    """Return code and detail of an item's error, '' if there is none."""
    error = item.get("error")
    if not isinstance(error, Mapping):
        return str(error or "")
    return ": ".join(str(part) for part in (error.get("code"), error.get("detail")) if part)


def _number(name: str) -> Column:
    return Column(name.upper(), lambda item: count(item, "namespaces", name))


def _accounts(item: JsonObject) -> str:
    return (
        f"{count(item, 'service_accounts', 'changed')}/{count(item, 'service_accounts', 'total')}"
    )


def _secrets(item: JsonObject) -> str:
    counts = (item.get("summary") or {}).get("secrets") or {}
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "-"


def cluster_view(*, dry_run: bool) -> View:
    """Return the columns of a remediation's clusters."""
    return View(
        (
            Column("CLUSTER", lambda item: item.get("name")),
            Column("STATUS", lambda item: item.get("status")),
            Column("NAMESPACES", lambda item: count(item, "namespaces", "total")),
            Column("WOULD CHANGE" if dry_run else "CHANGED", changed),
            *map(_number, ("unchanged", "ignored", "skipped", "failed", "cancelled")),
            Column("ACCOUNTS", _accounts),
            Column("SECRETS", _secrets),
            Column("ERROR", lambda item: error_text(item) or item.get("reason")),
        ),
        name=lambda item: str(item.get("name")),
    )


REMEDIATION_VIEW = View(
    (
        Column("ID", lambda item: item.get("id")),
        Column("STATUS", lambda item: item.get("status")),
        Column("CLUSTERS", lambda item: len(item.get("clusters") or ())),
        Column("NAMESPACES", lambda item: count(item, "namespaces", "total")),
        Column("CHANGED", changed),
        Column("FAILED", lambda item: count(item, "namespaces", "failed")),
        Column("DRY RUN", lambda item: "yes" if item.get("dry_run") else ""),
        Column("CREATED", lambda item: item.get("created_at")),
        Column("TOOK", duration),
        Column("BY", lambda item: item.get("requested_by")),
        Column("REASON", lambda item: item.get("reason")),
    ),
    name=lambda item: str(item.get("id")),
)


def _row_accounts(item: JsonObject) -> str:
    accounts = item.get("service_accounts") or {}
    return f"{accounts.get('changed', 0)}/{accounts.get('total', 0)}"


def _why(item: JsonObject) -> str:
    """Return what stands in the way, or the reason, and the first warning that this does not say already."""
    reason = str(item.get("reason") or "")
    warnings = item.get("warnings") or []
    others = [each for each in warnings if each.get("detail") not in reason]
    told = [part for part in (error_text(item), reason) if part]
    if others:
        more = f" (and {len(others) - 1} more)" if others[1:] else ""
        told.append(f"warning: {others[0].get('detail')}{more}")
    return "; ".join(told)


def _warnings(item: JsonObject) -> str:
    return "; ".join(
        f"{each.get('code')} {each.get('object')}: {each.get('detail')}"
        for each in item.get("warnings") or ()
    )


RESULT_VIEW = View(
    (
        Column("CLUSTER", lambda item: item.get("cluster")),
        Column("NAMESPACE", lambda item: item.get("namespace")),
        Column("OUTCOME", lambda item: item.get("outcome")),
        Column("SECRET", lambda item: (item.get("secret") or {}).get("action")),
        Column("ACCOUNTS", _row_accounts),
        Column("TIME", lambda item: seconds((item.get("duration_ms") or 0) / 1000)),
        Column("WHY", _why),
    ),
    name=lambda item: f"{item.get('cluster')}/{item.get('namespace')}",
)

# As GET …/results?format=csv has them: whoever reads the file need not know which of the two made it.
_FIELDS = View.of_fields(
    "cluster",
    "namespace",
    "outcome",
    "reason",
    "secret.name",
    "secret.action",
    "service_accounts.total",
    "service_accounts.changed",
    "service_accounts.unchanged",
    "service_accounts.ignored",
    "service_accounts.failed",
    "changed_service_accounts",
    "attempts",
    "duration_ms",
    "error.code",
    "error.detail",
    "error.hint",
    "error.retryable",
    "error.http_status",
    "error.object",
)
RESULT_FIELDS = View((*_FIELDS.columns, Column("WARNINGS", _warnings)), name=str)
