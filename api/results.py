"""The result rows of a remediation, by page or as a stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from flask import Response

from api import parameters
from api.access import Permission, permission
from api.answers import json_answer
from api.formats import Format, offers, wanted
from api.paging import bad_cursor, decode_cursor, encode_cursor, filters_of, next_link
from api.remediations import ID_PARAMETER, find
from api.result_formats import WRITERS
from api.result_row import ResultPageSchema, row_body
from api.schemas import Strict
from api.services import services
from api.spec import Blueprint
from api.visibility import sight
from remediation.outcome import Outcome
from remediation.patterns import matcher
from store.records import Remediation, Row, Run

blueprint = Blueprint("results")

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
_FORMATS = (Format.JSON, Format.NDJSON, Format.CSV, Format.TABLE)


class _ResultQuery(Strict):
    cluster = parameters.any_of("On any of these: names or globs.")
    namespace = parameters.any_of("In any of these: names or globs.")
    outcome = parameters.any_of("Any of these.", *Outcome)
    limit = parameters.limit(DEFAULT_LIMIT, MAX_LIMIT)
    cursor = parameters.cursor()
    format = parameters.format_of(*_FORMATS)


_HEADERS = {"Link": {"schema": {"type": "string"}, "description": 'rel="next"'}}
_TEXT = {"schema": {"type": "string"}}


@blueprint.operation(
    "GET",
    "/remediations/<remediation_id>/results",
    "listResults",
    parameters=[ID_PARAMETER],
    responses={200: {"content": {known.media_type: _TEXT for known in _FORMATS[1:]}}},
)
@offers(*_FORMATS)
@permission(Permission.READ_REMEDIATIONS)
@blueprint.query(_ResultQuery)
@blueprint.answers(200, ResultPageSchema, headers=_HEADERS)
@blueprint.problems(401, 403, 404, 406, 422, 503)
def results(query: dict[str, Any], remediation_id: str) -> Response:
    """Read result rows, in order of cluster and namespace; also while the remediation runs.

    JSON comes in pages. The other formats hold all rows that match, from the cursor on, unless `limit` is given.
    """
    remediation = find(remediation_id)
    filters = filters_of({**query, "remediation": remediation_id, "sight": sight().mark})
    after = _position(query["cursor"], filters) if "cursor" in query else None
    rows = _rows(remediation, query, after)
    chosen = wanted()
    if chosen is not Format.JSON and "limit" not in query:
        return _streamed(chosen, rows, remediation)
    page = _Page.of(rows, query.get("limit", DEFAULT_LIMIT), filters)
    headers = next_link(page.cursor) if page.cursor else {}
    if chosen is Format.JSON:
        return json_answer(page.body(remediation), headers=headers)
    answer = _streamed(chosen, iter(page.rows), remediation)
    answer.headers.update(headers)
    return answer


@dataclass(frozen=True, slots=True)
class _Page:
    """Some rows, and the cursor for those after them, if there are any."""

    rows: Sequence[Row]
    cursor: str | None

    @classmethod
    def of(cls, rows: Iterator[Row], limit: int, filters: str) -> "_Page":
        taken = list(islice(rows, limit + 1))
        if len(taken) <= limit:
            return cls(taken, None)
        last = taken[limit - 1]
        cursor = encode_cursor([last.run_index, last.result.namespace], filters)
        return cls(taken[:limit], cursor)

    def body(self, remediation: Remediation) -> dict[str, Any]:
        body: dict[str, Any] = {"items": [row_body(row, remediation) for row in self.rows]}
        return {**body, "next_cursor": self.cursor} if self.cursor else body


def _rows(
    remediation: Remediation, query: dict[str, Any], after: tuple[int, str] | None
) -> Iterator[Row]:
    rows = services().store.results.rows(
        _runs(remediation, query.get("cluster")),
        outcomes=tuple(Outcome(word) for word in dict.fromkeys(query.get("outcome", Outcome))),
        namespaces=tuple(query.get("namespace", ("*",))),
        after=after,
    )
    return sight().rows(rows)


def _runs(remediation: Remediation, clusters: Sequence[str] | None) -> list[Run]:
    matches = matcher(tuple(clusters or ("*",)))
    return [run for run in sight().runs(remediation) if matches(run.cluster)]


def _streamed(chosen: Format, rows: Iterator[Row], remediation: Remediation) -> Response:
    # The first row is read before anything is sent: if Redis is away, the answer is still a problem.
    first = list(islice(rows, 1))
    lines = WRITERS[chosen](chain(first, rows), remediation)
    return Response(lines, content_type=f"{chosen.media_type}; charset=utf-8")


def _position(cursor: str, filters: str) -> tuple[int, str]:
    position = decode_cursor(cursor, filters)
    match position:
        case [int(index), str(namespace)] if index >= 0:
            return index, namespace
        case _:
            raise bad_cursor("is no cursor of this service")
