"""Reading the audit trail."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
from flask import Response
from marshmallow import fields, validate

from api import parameters
from api.access import Permission, permission
from api.answers import json_answer
from api.authorization import check_everywhere
from api.formats import Format, offers, wanted
from api.paging import bad_cursor, decode_cursor, encode_cursor, filters_of, next_link
from api.result_formats import cell
from api.schemas import (
    NEXT_CURSOR,
    Answer,
    OneOf,
    Strict,
    flag,
    maybe_text,
    number,
    one_of,
    text,
)
from api.services import services
from api.spec import Blueprint
from api.table import table_answer
from remediation.audit import Action, Link, Trail, Verdict
from store import clock

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
# How many entries one request looks at: a filter that matches little must not read a whole trail at once.
_MOST_LOOKED_AT = 5000
_STREAM_ID_PARTS = 2
_FORMATS = (Format.JSON, Format.NDJSON, Format.CSV, Format.TABLE)
_TEXT = {"schema": {"type": "string"}}
_HEADERS = {"Link": {"schema": {"type": "string"}, "description": 'rel="next"'}}
_FILTERS = ("action", "outcome", "subject", "remediation_id", "cluster", "request_id")
_COLUMNS = (
    "sequence",
    "at",
    "action",
    "outcome",
    "subject",
    "key_id",
    "address",
    "request_id",
    "remediation_id",
    "cluster",
    "namespace",
    "code",
    "reason",
    "details",
    "id",
    "hash",
    "previous_hash",
)
_SHOWN = (
    *("at", "action", "kind", "outcome", "subject"),
    *("remediation_id", "cluster", "namespace", "code"),
)

blueprint = Blueprint("audit")


class AuditEventSchema(Answer):
    """One decision, or the writes to one namespace."""

    sequence = number("Its place in the trail, from 1 on.")
    id = text("A ULID; the line on standard output has the same.")
    at = text(format="date-time")
    action = one_of(Action)
    outcome = one_of(Verdict)
    subject = maybe_text("Who.")
    key_id = maybe_text("With which API key.")
    address = maybe_text("From where, as the API saw it.")
    request_id = maybe_text("`X-Request-Id` of the request that led to it.")
    remediation_id = maybe_text()
    cluster = maybe_text()
    namespace = maybe_text()
    code = maybe_text("The code of the problem or error.")
    reason = maybe_text()
    details = fields.Dict(required=True, metadata={"description": "Depends on the action."})
    hash = text("Made of its place, the hash before it and its text.")
    previous_hash = text("The hash of the entry before it; empty for the first.")


class AuditPageSchema(Answer):
    """One page, newest first."""

    items = fields.List(fields.Nested(AuditEventSchema), required=True)
    next_cursor = fields.String(metadata={"description": NEXT_CURSOR})


def _trail() -> fields.String:
    return fields.String(
        load_default=Trail.DECISIONS.value,
        validate=OneOf([trail.value for trail in Trail]),
        metadata={"description": "Decisions of callers and of the service, or writes to clusters."},
    )


class _AuditQuery(Strict):
    trail = _trail()
    action = parameters.any_of("Any of these.", *Action)
    outcome = parameters.any_of("Any of these.", *Verdict)
    subject = parameters.any_of("Of any of these callers.")
    remediation_id = parameters.any_of("About any of these remediations.")
    cluster = parameters.any_of("On any of these clusters.")
    request_id = parameters.any_of("Of any of these requests.")
    since = parameters.moment("Not before this time.")
    until = parameters.moment("Before this time.")
    limit = parameters.limit(DEFAULT_LIMIT, MAX_LIMIT)
    cursor = parameters.cursor()
    format = parameters.format_of(*_FORMATS)


@blueprint.operation(
    "GET",
    "/audit-events",
    "listAuditEvents",
    responses={200: {"content": {known.media_type: _TEXT for known in _FORMATS[1:]}}},
)
@offers(*_FORMATS)
@permission(Permission.READ_AUDIT)
@blueprint.query(_AuditQuery)
@blueprint.answers(200, AuditPageSchema, headers=_HEADERS)
@blueprint.problems(401, 403, 406, 422, 503)
def audit_events(query: dict[str, Any]) -> Response:
    """Read the audit trail, newest first, in pages of any format.

    The newest entries are kept here; all of them are lines on the standard output of the processes. With filters a page
    may be short, and even empty, with more to come.
    """
    check_everywhere(Permission.READ_AUDIT)
    filters = filters_of(query)
    before = _position(query["cursor"], filters) if "cursor" in query else None
    items, last = _page(query, before)
    cursor = encode_cursor(last, filters) if last else None
    answer = _answer(items, cursor)
    answer.headers.update(next_link(cursor) if cursor else {})
    return answer


class VerificationSchema(Answer):
    """Whether a trail is whole."""

    trail = one_of(Trail)
    verified = flag("Whether no entry was altered, left out or put in.")
    problem = maybe_text("What is wrong.")
    entries = number("How many were looked at.")
    first = number("The place of the oldest; 0 if there is none.")
    last = number("The place of the newest; 0 if there is none.")
    head = text("The hash of the newest; note it to ask for it as `anchor` later.")
    anchored = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "Whether the `anchor` is in the trail; null without one."},
    )


class _VerificationQuery(Strict):
    trail = _trail()
    anchor = fields.String(
        validate=validate.Regexp(r"^[0-9a-f]{64}$", error="must be the hash of an entry"),
        metadata={
            "description": "The hash of an entry, noted earlier.",
            "pattern": "^[0-9a-f]{64}$",
        },
    )


@blueprint.operation("GET", "/audit-events/verification", "verifyAuditEvents")
@permission(Permission.READ_AUDIT)
@blueprint.query(_VerificationQuery)
@blueprint.answers(200, VerificationSchema)
@blueprint.problems(401, 403, 406, 422, 503)
def verification(query: dict[str, Any]) -> Response:
    """Verify the chain of the audit trail from its oldest entry that is kept to its newest."""
    check_everywhere(Permission.READ_AUDIT)
    anchor = query.get("anchor")
    trail = Trail(query["trail"])
    found, seen = services().store.audit.verify(trail, anchor)
    return json_answer(
        {
            "trail": trail,
            "verified": found.broken is None and seen,
            "problem": found.broken or (None if seen else "the anchor is not in the trail"),
            "entries": found.entries,
            "first": found.first,
            "last": found.last,
            "head": found.head,
            "anchored": None if anchor is None else seen,
        }
    )


def _page(query: dict[str, Any], before: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """Return the items of a page, and the place to go on from if there may be more."""
    limit = query.get("limit", DEFAULT_LIMIT)
    entries = services().store.audit.newest_first(Trail(query["trail"]), before)
    items: list[dict[str, Any]] = []
    last = None
    for identity, link in islice(entries, _MOST_LOOKED_AT):
        if len(items) == limit:
            return items, last
        last = identity
        item = _item(link)
        since = query.get("since")
        if since and _moment(item) < since:
            return items, None
        if _matches(item, query):
            items.append(item)
    return items, last if next(entries, None) else None


def _item(link: Link) -> dict[str, Any]:
    return {
        **dict.fromkeys(_COLUMNS),
        "details": {},
        **orjson.loads(link.text),
        "sequence": link.sequence,
        "hash": link.hash,
        "previous_hash": link.previous,
    }


def _matches(item: dict[str, Any], query: dict[str, Any]) -> bool:
    until = query.get("until")
    if until and _moment(item) >= until:
        return False
    return all(item[name] in query[name] for name in _FILTERS if name in query)


def _moment(item: dict[str, Any]) -> datetime:
    return clock.parse(item["at"])


def _position(cursor: str, filters: str) -> str:
    position = decode_cursor(cursor, filters)
    parts = position.split("-") if isinstance(position, str) else []
    if len(parts) != _STREAM_ID_PARTS or not all(part.isdecimal() for part in parts):
        raise bad_cursor("is no cursor of this service")
    return "-".join(parts)


def _answer(items: Sequence[dict[str, Any]], cursor: str | None) -> Response:
    chosen = wanted()
    if chosen is Format.JSON:
        return json_answer({"items": items, **({"next_cursor": cursor} if cursor else {})})
    if chosen is Format.TABLE:
        lines = [[str(_shown(item)[name] or "-") for name in _SHOWN] for item in items]
        return table_answer([name.upper() for name in _SHOWN], lines)
    if chosen is Format.NDJSON:
        lines_of_json = (orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in items)
        return Response(b"".join(lines_of_json), content_type=chosen.media_type)
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(item[name]) for name in _COLUMNS] for item in items)
    return Response(rows.getvalue(), content_type=f"{chosen.media_type}; charset=utf-8")


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item with what kind of remediation it is about: a dry run or an undo is not a run."""
    kind = item["details"].get("kind") or ""
    planned = item["details"].get("dry_run")
    return item | {"kind": f"{kind} (dry run)" if planned else kind}


def _cell(value: Any) -> Any:
    return cell(orjson.dumps(value).decode() if isinstance(value, dict) else value)
