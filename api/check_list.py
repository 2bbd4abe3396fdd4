"""The list of readiness checks, newest first."""

import re
from typing import Any

from flask import Response

from api import parameters
from api.access import Permission, permission
from api.answers import json_answer
from api.check_body import CheckPageSchema, check_body
from api.checks import ID_PATTERN, sees
from api.paging import bad_cursor, decode_cursor, encode_cursor, filters_of, next_link
from api.schemas import Strict
from api.services import services
from api.spec import Blueprint
from api.visibility import sight
from remediation.patterns import matcher
from remediation.readiness.verdict import Verdict
from remediation.status import RemediationStatus
from store.records import Check

blueprint = Blueprint("check_list")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
# Filters look at records one by one: a page may be short, and even empty, with more to come.
_MOST_READ = 1000


class _ListQuery(Strict):
    status = parameters.any_of("Any of these.", *RemediationStatus)
    verdict = parameters.any_of("Any of these.", *Verdict)
    cluster = parameters.any_of("Touches a cluster that is called so: names or globs.")
    limit = parameters.limit(DEFAULT_LIMIT, MAX_LIMIT)
    cursor = parameters.cursor()


@blueprint.operation("GET", "/readiness-checks", "listReadinessChecks")
@permission(Permission.READ_READINESS_CHECKS)
@blueprint.query(_ListQuery)
@blueprint.answers(
    200,
    CheckPageSchema,
    headers={"Link": {"schema": {"type": "string"}, "description": 'rel="next"'}},
)
@blueprint.problems(401, 403, 406, 422, 503)
def list_checks(query: dict[str, Any]) -> Response:
    """List readiness checks, newest first, without those that a gate asked for.

    Go on as long as there is a `next_cursor`: with filters a page may be short, and even empty, with more to come.
    """
    filters = filters_of({**query, "sight": sight().mark})
    before = _position(query["cursor"], filters) if "cursor" in query else None
    limit = query.get("limit", DEFAULT_LIMIT)
    found, last = _page(query, before, limit)
    link = services().settings.url
    body: dict[str, Any] = {"items": [check_body(item, link) for item in found]}
    if last is None:
        return json_answer(body)
    cursor = encode_cursor(last, filters)
    return json_answer({**body, "next_cursor": cursor}, headers=next_link(cursor))


def _page(query: dict[str, Any], before: str | None, limit: int) -> tuple[list[Check], str | None]:
    """Return up to `limit` checks that match, and the id to go on after, None at the end."""
    matches = matcher(tuple(query.get("cluster", ("*",))))
    statuses = query.get("status", list(RemediationStatus))
    verdicts = query.get("verdict")
    found: list[Check] = []
    last: str | None = None
    for read, check in enumerate(services().store.checks.newest_first(before)):
        if len(found) == limit or read == _MOST_READ:
            return found, last
        last = check.id
        if (
            sees(check)
            and check.status in statuses
            and (verdicts is None or check.verdict in verdicts)
            and any(matches(run.cluster) for run in check.runs)
        ):
            found.append(check)
    return found, None


def _position(cursor: str, filters: str) -> str:
    position = decode_cursor(cursor, filters)
    if not isinstance(position, str) or not re.fullmatch(ID_PATTERN, position):
        raise bad_cursor("is no cursor of this service")
    return position
