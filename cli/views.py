"""Which columns remediations, their clusters and their result rows have."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cli.render import Column, View
from cli.request import JsonObject
from cli.text import clean


def count(item: Mapping[str, Any], group: str, name: str) -> int:
    """Return one number of a summary, 0 if the service does not say it."""
    summary = item.get("summary") or {}
    return int((summary.get(group) or {}).get(name) or 0)


def changed(item: Mapping[str, Any]) -> int:
    """Return the namespaces that were, or in a dry run would be, changed."""
    return count(item, "namespaces", "changed") + count(item, "namespaces", "would_change")


def changed_word(item: Mapping[str, Any]) -> str:
    """Return what is counted by `changed`: an undo takes back, a dry run does nothing."""
    word = "taken back" if item.get("undo_of") else "changed"
    return f"would be {word}" if item.get("dry_run") else word


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


_WOULD = {
    "created": "would create",
    "updated": "would update",
    "merged": "would merge",
    "replaced": "would replace",
    "deleted": "would delete",
    "failed": "would fail",
}


def _secrets(*, dry_run: bool) -> Callable[[JsonObject], str]:
    """Return how to say what was, or in a dry run would be, done with Secrets."""

    def told(item: JsonObject) -> str:
        counts = dict((item.get("summary") or {}).get("secrets") or {})
        # Those that were merged or replaced are among the updated ones.
        special = sum(int(counts.get(name) or 0) for name in ("merged", "replaced"))
        counts["updated"] = max(0, int(counts.get("updated") or 0) - special)
        parts = [(number, name) for name, number in counts.items() if number]
        words = [
            f"{_WOULD[name]} {number}" if dry_run and name in _WOULD else f"{number} {name}"
            for number, name in parts
        ]
        return ", ".join(words) or "-"

    return told


def secret_action(item: JsonObject) -> str:
    """Return what was, or would be, done with the Secret of a result row."""
    action = clean((item.get("secret") or {}).get("action"))
    if item.get("outcome") == "would_change":
        return _WOULD.get(action, action)
    return "-" if action == "none" else action


def cluster_view(*, dry_run: bool) -> View:
    """Return the columns of a remediation's clusters."""
    return View(
        (
            Column("CLUSTER", lambda item: item.get("name")),
            Column("STATUS", lambda item: item.get("status")),
            Column("NAMESPACES", lambda item: count(item, "namespaces", "total")),
            Column("WOULD CHANGE" if dry_run else "CHANGED", changed),
            *map(_number, ("unchanged", "ignored", "skipped")),
            Column(
                "WOULD FAIL" if dry_run else "FAILED",
                lambda item: count(item, "namespaces", "failed"),
            ),
            _number("cancelled"),
            Column("ACCOUNTS", _accounts),
            Column("SECRETS", _secrets(dry_run=dry_run)),
            Column("WHY", lambda item: error_text(item) or item.get("reason")),
        ),
        name=lambda item: str(item.get("name")),
    )


def kind(item: JsonObject) -> str:
    """Return what a remediation does, and of which other one it is the undo or the retry."""
    told = [
        f"{words} {original}"
        for member, words in (("undo_of", "undo of"), ("retry_of", "retry of"))
        if (original := clean(item.get(member)))
    ]
    return ", ".join(told) or "run"


REMEDIATION_VIEW = View(
    (
        Column("ID", lambda item: item.get("id")),
        Column("KIND", kind),
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
        Column("SECRET", secret_action),
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
RESULT_FIELDS = View(
    (*_FIELDS.columns, Column("WARNINGS", _warnings), *View.of_fields("kind").columns), name=str
)
