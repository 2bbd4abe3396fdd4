"""The findings of a readiness check, by page or as a stream."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import orjson
from flask import Response
from marshmallow import fields

from api import parameters
from api.access import Permission, caller, permission
from api.answers import json_answer
from api.checks import ID_PARAMETER, find_check
from api.formats import Format, offers, wanted
from api.paging import bad_cursor, decode_cursor, encode_cursor, filters_of, next_link
from api.result_formats import batches, cell, csv_lines
from api.schemas import NEXT_CURSOR, Answer, Strict, flag, number, one_of, text, texts
from api.services import services
from api.spec import Blueprint
from api.table import Table
from api.visibility import sight
from remediation.patterns import matcher
from remediation.readiness.finding import Coverage, FindingClass, Severity
from remediation.readiness.proof import Level

blueprint = Blueprint("findings")

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
_FORMATS = (Format.JSON, Format.NDJSON, Format.CSV, Format.TABLE)
_COLUMNS = (
    *("severity", "class", "cluster", "namespace", "kind", "name", "image", "coverage", "count"),
    *("examples", "doubt", "evidence", "waiver_owner", "waiver_reason", "waiver_expires_at"),
    *("explanation", "fix"),
)
_TITLES = ("SEVERITY", "CLASS", "CLUSTER", "NAMESPACE", "OBJECT", "IMAGE", "EXPLANATION")

Finding = Mapping[str, Any]
Placed = tuple[tuple[int, int], Finding]


class WaiverSchema(Answer):
    """Somebody's word that a finding is accepted."""

    owner = text()
    reason = text()
    expires_at = text(format="date-time")


class FindingRowSchema(Answer):
    """What would break, or what is in order, and why."""

    cluster = text()
    namespace = text("Empty for what belongs to no namespace.")
    kind = text("Of the object, or of the controller of the pods.")
    name = text()
    image = text("Empty for what is not about an image.")
    class_ = fields.String(
        required=True, data_key="class", metadata={"enum": [str(word) for word in FindingClass]}
    )
    severity = one_of(Severity)
    coverage = one_of(Coverage, "What the Secrets that are named give for the image.")
    explanation = text("For people.")
    fix = text("What to do; may be empty.")
    count = number("How many pods are alike.")
    examples = texts("Some of them.")
    evidence = fields.List(
        fields.String(metadata={"enum": [str(word) for word in Level]}),
        required=True,
        metadata={"description": "What it rests on."},
    )
    doubt = flag("Something is not known, rather than known to be wrong.")
    waiver = fields.Nested(WaiverSchema, required=True, allow_none=True)


class FindingPageSchema(Answer):
    """One page of findings."""

    items = fields.List(fields.Nested(FindingRowSchema), required=True)
    next_cursor = fields.String(metadata={"description": NEXT_CURSOR})


class _FindingQuery(Strict):
    cluster = parameters.any_of("On any of these: names or globs.")
    namespace = parameters.any_of("In any of these: names or globs.")
    class_ = parameters.any_of("Any of these.", *FindingClass)
    class_.data_key = "class"
    severity = parameters.any_of("Any of these.", *Severity)
    limit = parameters.limit(DEFAULT_LIMIT, MAX_LIMIT)
    cursor = parameters.cursor()
    format = parameters.format_of(*_FORMATS)


_TEXT = {"schema": {"type": "string"}}


@blueprint.operation(
    "GET",
    "/readiness-checks/<check_id>/findings",
    "listFindings",
    parameters=[ID_PARAMETER],
    responses={200: {"content": {known.media_type: _TEXT for known in _FORMATS[1:]}}},
)
@offers(*_FORMATS)
@permission(Permission.READ_READINESS_CHECKS)
@blueprint.query(_FindingQuery)
@blueprint.answers(
    200,
    FindingPageSchema,
    headers={"Link": {"schema": {"type": "string"}, "description": 'rel="next"'}},
)
@blueprint.problems(401, 403, 404, 406, 422, 503)
def findings(query: dict[str, Any], check_id: str) -> Response:
    """Read findings, cluster by cluster, the blocking ones first.

    Those of a cluster are there when the check has ended on it. JSON comes in pages; the other formats hold all that
    match, from the cursor on, unless `limit` is given.
    """
    check = find_check(check_id)
    filters = filters_of({**query, "check": check_id, "sight": sight().mark})
    after = _position(query["cursor"], filters) if "cursor" in query else None
    clusters = matcher(tuple(query.get("cluster", ("*",))))
    runs = [run for run in check.runs if clusters(run.cluster)]
    rows = visible(_matching(services().store.findings.rows(runs, after), query))
    chosen = wanted()
    if chosen is not Format.JSON and "limit" not in query:
        return _streamed(chosen, (row for _, row in rows))
    taken, cursor = _page(rows, query.get("limit", DEFAULT_LIMIT), filters)
    headers = next_link(cursor) if cursor else {}
    if chosen is Format.JSON:
        body: dict[str, Any] = {"items": taken}
        return json_answer({**body, "next_cursor": cursor} if cursor else body, headers=headers)
    answer = _streamed(chosen, iter(taken))
    answer.headers.update(headers)
    return answer


def visible(rows: Iterable[Placed]) -> Iterator[Placed]:
    """Yield the findings that the caller may see: those about left-out namespaces may be others' business."""
    rights, needed = caller().rights, Permission.READ_READINESS_CHECKS
    tests: dict[str, Callable[[str], bool]] = {}
    for place, row in rows:
        cluster, namespace = row["cluster"], row["namespace"]
        if cluster not in tests:
            tests[cluster] = matcher(rights.namespaces(needed, cluster))
        if not namespace or tests[cluster](namespace):
            yield place, row


def _matching(rows: Iterator[Placed], query: dict[str, Any]) -> Iterator[Placed]:
    namespaces = matcher(tuple(query.get("namespace", ("*",))))
    classes = query.get("class_", list(FindingClass))
    severities = query.get("severity", list(Severity))
    return (
        (place, row)
        for place, row in rows
        if row["severity"] in severities
        and row["class"] in classes
        and namespaces(row["namespace"])
    )


def _page(rows: Iterator[Placed], limit: int, filters: str) -> tuple[list[Finding], str | None]:
    """Return some rows, and the cursor for those after them, if there are any."""
    taken = list(islice(rows, limit + 1))
    found = [row for _, row in taken[:limit]]
    if len(taken) <= limit:
        return found, None
    return found, encode_cursor(list(taken[limit - 1][0]), filters)


def _position(cursor: str, filters: str) -> tuple[int, int]:
    match decode_cursor(cursor, filters):
        case [int(run), int(row)] if run >= 0 and row >= 0:
            return run, row
        case _:
            raise bad_cursor("is no cursor of this service")


def _streamed(chosen: Format, rows: Iterator[Finding]) -> Response:
    # The first row is read before anything is sent: if Redis is away, the answer is still a problem.
    first = list(islice(rows, 1))
    lines = _WRITERS[chosen](chain(first, rows))
    return Response(lines, content_type=f"{chosen.media_type}; charset=utf-8")


def _ndjson(rows: Iterable[Finding]) -> Iterator[bytes]:
    for some in batches(rows):
        yield b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in some)


def _csv(rows: Iterable[Finding]) -> Iterator[bytes]:
    yield csv_lines([_COLUMNS])
    for some in batches(rows):
        yield csv_lines([_cells(row) for row in some])


def _table(rows: Iterable[Finding]) -> Iterator[bytes]:
    some = batches(rows)
    first = next(some, [])
    # Wide enough for the first rows; a longer cell further down moves its own line only.
    table = Table.fitting(_TITLES, [_line(row) for row in first])
    yield table.head()
    for more in chain([first], some):
        yield table.lines(_line(row) for row in more)


_WRITERS = {Format.NDJSON: _ndjson, Format.CSV: _csv, Format.TABLE: _table}


def _cells(row: Finding) -> list[Any]:
    waiver = row["waiver"] or {}
    flat = {
        **row,
        "examples": " ".join(row["examples"]),
        "evidence": " ".join(row["evidence"]),
        **{f"waiver_{name}": waiver.get(name) for name in ("owner", "reason", "expires_at")},
    }
    return [cell(flat[name]) for name in _COLUMNS]


def _line(row: Finding) -> Sequence[str]:
    many = f" (x{row['count']})" if row["count"] > 1 else ""
    severity = "waived" if row["waiver"] else row["severity"]
    return (
        severity,
        row["class"],
        row["cluster"],
        row["namespace"],
        f"{row['kind']}/{row['name']}{many}",
        row["image"],
        row["explanation"],
    )
