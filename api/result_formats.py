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
from store.records import Row

_Row = TypeVar("_Row")
Writer = Callable[[Iterable[Row], str], Iterator[bytes]]

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


def _ndjson(rows: Iterable[Row], secret_name: str) -> Iterator[bytes]:
    for some in batches(rows):
        yield b"".join(
            orjson.dumps(row_body(row, secret_name), option=orjson.OPT_APPEND_NEWLINE)
            for row in some
        )


def _csv(rows: Iterable[Row], secret_name: str) -> Iterator[bytes]:
    yield csv_lines([_COLUMNS])
    for some in batches(rows):
        yield csv_lines([_cells(row_body(row, secret_name)) for row in some])


def _table(rows: Iterable[Row], secret_name: str) -> Iterator[bytes]:
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
    )
    return [cell(value) for value in cells]


def cell(value: Any) -> Any:
    """Return a value for CSV; a text that a spreadsheet would take for a formula is none any more."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _line(row: Row) -> tuple[str, ...]:
    result = row.result
    error = result.error
    return (
        row.cluster,
        result.namespace,
        result.outcome,
        "-" if result.secret_action == "none" else result.secret_action,
        f"{result.accounts.changed}/{result.accounts.total}",
        f"{result.duration_ms / 1000:.1f}s",
        f"{error.code}: {error.detail}" if error else result.reason or _warned(row),
    )


def _warned(row: Row) -> str:
    cautions = row.result.cautions
    more = f" (and {len(cautions) - 1} more)" if cautions[1:] else ""
    return f"warning: {cautions[0].detail}{more}" if cautions else ""
