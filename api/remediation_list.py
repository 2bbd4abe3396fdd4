"""The list of remediations, newest first."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from flask import Response
from marshmallow import ValidationError, fields
from ulid import ULID

from api import parameters
from api.access import Permission, permission
from api.answers import json_answer
from api.paging import bad_cursor, decode_cursor, encode_cursor, filters_of, next_link
from api.remediation_body import remediation_body
from api.remediation_schemas import RemediationPageSchema
from api.remediations import ID_PATTERN
from api.schemas import Strict
from api.services import services
from api.spec import Blueprint
from api.visibility import sight
from remediation.kind import Kind
from remediation.patterns import matcher
from remediation.status import RemediationStatus
from store import clock
from store.records import Remediation

blueprint = Blueprint("list")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
# Filters look at records one by one: a page may be short, and even empty, with more to come.
_MOST_READ = 1000
# Ids are in order of the makers' clocks, which may differ a little.
_CLOCK_SLACK = timedelta(minutes=1)

Test = Callable[[Remediation], bool]


def _labels(values: list[str]) -> None:
    for value in values:
        for label in value.split(","):
            key, colon, _ = label.partition(":")
            if not key or not colon:
                raise ValidationError("must have the form key:value")


class _ListQuery(Strict):
    status = parameters.any_of("Any of these.", *RemediationStatus)
    cluster = parameters.any_of("Touches a cluster that is called so: names or globs.")
    requested_by = parameters.any_of("Asked for by any of these.")
    kind = parameters.any_of("Any of these.", *Kind)
    dry_run = fields.Boolean(truthy={"true"}, falsy={"false"})
    created_after = parameters.moment("Not before this time.")
    created_before = parameters.moment("Before this time.")
    label = fields.List(
        fields.String(),
        validate=_labels,
        metadata={
            "description": "`key:value`; repeat it for several labels that all have to be there."
        },
    )
    limit = parameters.limit(DEFAULT_LIMIT, MAX_LIMIT)
    cursor = parameters.cursor()


@blueprint.operation("GET", "/remediations", "listRemediations")
@permission(Permission.READ_REMEDIATIONS)
@blueprint.query(_ListQuery)
@blueprint.answers(
    200,
    RemediationPageSchema,
    headers={"Link": {"schema": {"type": "string"}, "description": 'rel="next"'}},
)
@blueprint.problems(401, 403, 406, 422, 503)
def index(query: dict[str, Any]) -> Response:
    """List remediations, newest first.

    Go on as long as there is a `next_cursor`: with filters a page may be short, and even empty, with more to come.
    """
    filters = filters_of({**query, "sight": sight().mark})
    limit = query.get("limit", DEFAULT_LIMIT)
    before = _position(query["cursor"], filters) if "cursor" in query else None
    found, last = _page(query, before, limit)
    link = services().settings.url
    seen = map(sight().of, found)
    body: dict[str, Any] = {"items": [remediation_body(item, link) for item in seen]}
    if last is None:
        return json_answer(body)
    cursor = encode_cursor(last, filters)
    return json_answer({**body, "next_cursor": cursor}, headers=next_link(cursor))


def _page(
    query: dict[str, Any], before: str | None, limit: int
) -> tuple[list[Remediation], str | None]:
    """Return up to `limit` remediations that match, and the id to go on after, None at the end."""
    tests = list(_tests(query))
    found: list[Remediation] = []
    last: str | None = None
    for read, remediation in enumerate(_from(query, before)):
        if len(found) == limit or read == _MOST_READ:
            return found, last
        if _too_old(remediation, query.get("created_after")):
            break
        last = remediation.id
        if all(test(remediation) for test in tests):
            found.append(remediation)
    return found, None


def _from(query: dict[str, Any], before: str | None) -> Iterator[Remediation]:
    bounds = [before] if before else []
    if limit := query.get("created_before"):
        bounds.append(_id_at(limit + _CLOCK_SLACK))
    return services().store.remediations.newest_first(min(bounds) if bounds else None)


def _id_at(moment: datetime) -> str:
    """Return an id that was made at this time at the latest."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return f"rem_{str(ULID.from_timestamp(milliseconds))[:10]}{'Z' * 16}"


def _too_old(remediation: Remediation, created_after: datetime | None) -> bool:
    return (
        created_after is not None
        and clock.parse(remediation.created_at) < created_after - _CLOCK_SLACK
    )


def _tests(query: dict[str, Any]) -> Iterator[Test]:
    visible = sight()
    yield visible.sees
    if statuses := query.get("status"):
        yield lambda item: item.status in statuses
    if clusters := query.get("cluster"):
        matches = matcher(tuple(clusters))
        yield lambda item: any(matches(run.cluster) for run in visible.runs(item))
    if subjects := query.get("requested_by"):
        yield lambda item: item.requested_by in subjects
    if kinds := query.get("kind"):
        yield lambda item: item.kind in kinds
    if (dry_run := query.get("dry_run")) is not None:
        yield lambda item: item.request.dry_run == dry_run
    if after := query.get("created_after"):
        yield lambda item: clock.parse(item.created_at) >= after
    if before := query.get("created_before"):
        yield lambda item: clock.parse(item.created_at) < before
    for choice in query.get("label", ()):
        yield _has_label(choice.split(","))


def _has_label(labels: list[str]) -> Test:
    pairs = {(key, value) for key, _, value in (label.partition(":") for label in labels)}
    return lambda item: bool(pairs & set(item.request.labels.items()))


def _position(cursor: str, filters: str) -> str:
    position = decode_cursor(cursor, filters)
    if not isinstance(position, str) or not re.fullmatch(ID_PATTERN, position):
        raise bad_cursor("is no cursor of this service")
    return position
