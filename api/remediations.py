"""One remediation, as it is read."""

import re
from datetime import UTC, datetime
from typing import Any

from flask import Response

from api.access import Permission, permission
from api.answers import json_answer
from api.entity import ENTITY_HEADERS, WaitQuery, entity_headers, shown
from api.problems import Problem
from api.remediation_body import remediation_body
from api.remediation_schemas import RemediationSchema
from api.services import services
from api.spec import Blueprint
from api.visibility import sight
from store import clock
from store.records import Remediation

ID_PATTERN = r"rem_[0-7][0-9A-HJKMNP-TV-Z]{25}"
ID_PARAMETER = {
    "in": "path",
    "name": "remediation_id",
    "required": True,
    "description": "The id of a remediation.",
    "schema": {"type": "string", "pattern": f"^{ID_PATTERN}$"},
}
_LEAST_PAUSE_SECONDS = 2
_MOST_PAUSE_SECONDS = 15
_PAUSE_PER_AGE = 20  # one second more for each so many seconds of age

blueprint = Blueprint("remediation")


@blueprint.operation(
    "GET", "/remediations/<remediation_id>", "getRemediation", parameters=[ID_PARAMETER]
)
@permission(Permission.READ_REMEDIATIONS)
@blueprint.query(WaitQuery)
@blueprint.answers(200, RemediationSchema, headers=ENTITY_HEADERS)
@blueprint.answers(304, description="It is still as its ETag says.", headers=ENTITY_HEADERS)
@blueprint.problems(401, 403, 404, 406, 422, 503)
def show(query: dict[str, Any], remediation_id: str) -> Response:
    """Read a remediation.

    With `wait` the answer comes when it has ended; with `If-None-Match` too, as soon as anything changes.
    """
    read = services().store.remediations.get
    return shown(find(remediation_id), query, read, _headers, answer_of, gone)


def find(remediation_id: str) -> Remediation:
    """Return a remediation, all of it. Raises Problem if there is none that the caller may see anything of."""
    # No key is built of a text that is not of the form of our ids.
    known = re.fullmatch(ID_PATTERN, remediation_id)
    remediation = services().store.remediations.get(remediation_id) if known else None
    if remediation is None or not sight().sees(remediation):
        raise gone(remediation_id)
    return remediation


def gone(remediation_id: str) -> Problem:
    """Return the problem of a remediation that is not there."""
    days = services().settings.retention_days
    return Problem(
        "not-found",
        f"There is no remediation '{remediation_id}'; those that have ended are kept for {days} days.",
    )


def answer_of(remediation: Remediation, headers: dict[str, str]) -> Response:
    """Return the answer that shows a remediation, as far as the caller may see it."""
    body = remediation_body(sight().of(remediation), services().settings.url)
    return json_answer(body, headers={**_headers(remediation), **headers})


def pause(remediation: Remediation) -> int:
    """Return after how many seconds to look again: the older it is, the less it hurries."""
    age = (datetime.now(UTC) - clock.parse(remediation.created_at)).total_seconds()
    return int(min(_MOST_PAUSE_SECONDS, max(_LEAST_PAUSE_SECONDS, age / _PAUSE_PER_AGE)))


def _headers(remediation: Remediation) -> dict[str, str]:
    return entity_headers(remediation, pause(remediation))
