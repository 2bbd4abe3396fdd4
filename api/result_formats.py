"""Result rows for programs and terminals that take one line after the other; never all in memory."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

import orjson

from api.formats import Format
from api.result_row import row_body
from api.table import Table
from remediation.outcome import NamespaceResult, Outcome, SecretAction, would
from store.records import Remediation, Row

_Row = TypeVar("_Row")
Writer = Callable[[Iterable[Row], Remediation], Iterator[bytes]]

_ROWS_AT_ONCE = 200
# What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    "cluster",
    "namespace",
    "outcome",
    "reason",
    "secret_name",
    "secret_action",
    "service_accounts_total",
    "service_accounts_changed",
    "service_accounts_unchanged",
    "service_accounts_ignored",
    "service_accounts_failed",
    "changed_service_accounts",
    "attempts",
    "duration_ms",
    "error_code",
    "error_detail",
    "error_hint",
    "error_retryable",
    "error_http_status",
    "error_object",
    "warnings",
    "kind",
)
_TITLES = (
    "CLUSTER",
    "NAMESPACE",
    "OUTCOME",
    "SECRET",
    "ACCOUNTS(CHANGED/TOTAL)",
    "TIME",
    "ERROR/REASON",
)


def _ndjson(rows: Iterable[Row], remediation: Remediation) -> Iterator[bytes]:
    for some in batches(rows):
        yield b"".join(
            orjson.dumps(row_body(row, remediation), option=orjson.OPT_APPEND_NEWLINE)
            for row in some
        )


def _csv(rows: Iterable[Row], remediation: Remediation) -> Iterator[bytes]:
    yield csv_lines([_COLUMNS])
    for some in batches(rows):
        yield csv_lines([_cells(row_body(row, remediation)) for row in some])


def _table(rows: Iterable[Row], _: Remediation) -> Iterator[bytes]:
    some = batches(rows)
    first = next(some, [])
    # Wide enough for the first rows; a longer cell further down moves its own line only.
    table = Table.fitting(_TITLES, [_line(row) for row in first])
    yield table.head()
    for more in chain([first], some):
        yield table.lines(_line(row) for row in more)


WRITERS: Mapping[Format, Writer] = {
    Format.NDJSON: _ndjson,
    Format.CSV: _csv,
    Format.TABLE: _table,
}


def batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Yield the rows, some at once."""
    remaining = iter(rows)
    while some := list(islice(remaining, _ROWS_AT_ONCE)):
        yield some


def csv_lines(lines: Iterable[Sequence[Any]]) -> bytes:
    """Return lines of a CSV file (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue().encode()


def _cells(row: dict[str, Any]) -> list[Any]:
    error = row["error"] or {}
    cells = (
        *(row[name] for name in ("cluster", "namespace", "outcome", "reason")),
        *row["secret"].values(),
        *row["service_accounts"].values(),
        " ".join(row["changed_service_accounts"]),
        row["attempts"],
        row["duration_ms"],
        *(error.get(name.removeprefix("error_")) for name in _COLUMNS if "error_" in name),
        "; ".join(f"{each['code']} {each['object']}: {each['detail']}" for each in row["warnings"]),
        row["kind"],
    )
    return [cell(value) for value in cells]


def cell(value: Any) -> Any:
    """Return a value for CSV; a text that a spreadsheet would take for a formula is none any more."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _line(row: Row) -> tuple[str, ...]:
    result = row.result
    return (
        row.cluster,
        result.namespace,
        result.outcome,
        _secret(result),
        f"{result.accounts.changed}/{result.accounts.total}",
        f"{result.duration_ms / 1000:.1f}s",
        _why(result),
    )


def _secret(result: NamespaceResult) -> str:
    action = result.secret_action
    if action is SecretAction.NONE:
        return "-"
    return would(action) if result.outcome is Outcome.WOULD_CHANGE else action


def _why(result: NamespaceResult) -> str:
    """Return what stands in the way, the reason, and the first warning that this does not say already."""
    error, reason = result.error, result.reason or ""
    others = [each for each in result.cautions if each.detail not in reason]
    told = [f"{error.code}: {error.detail}" if error else "", reason]
    if others:
        more = f" (and {len(others) - 1} more)" if others[1:] else ""
        told.append(f"warning: {others[0].detail}{more}")
    return "; ".join(part for part in told if part)
