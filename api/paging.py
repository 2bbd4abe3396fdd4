"""Pages: opaque cursors that are bound to the filters they were made with, and links to the next page."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import request

from api.problems import Finding, invalid, pointer
from api.services import services

_DIGEST_LENGTH = 12
_NO_FILTERS = ("cursor", "limit", "format")


def filters_of(query: Mapping[str, Any]) -> str:
    """Return a short digest of the filters among the parameters."""
    filters = {
        name: value if value is None or isinstance(value, (bool, list)) else str(value)
        for name, value in sorted(query.items())
        if name not in _NO_FILTERS
    }
    return hashlib.sha256(orjson.dumps(filters)).hexdigest()[:_DIGEST_LENGTH]


def encode_cursor(position: object, filters: str) -> str:
    """Return a cursor that goes on after `position`, a JSON value."""
    return base64.urlsafe_b64encode(orjson.dumps([filters, position])).decode().rstrip("=")


def decode_cursor(cursor: str, filters: str) -> Any:
    """Return the position of a cursor. Raises Problem if it is not one of ours, or of other filters."""
    try:
        found, position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        raise bad_cursor("is no cursor of this service") from None
    if found != filters:
        raise bad_cursor("belongs to other filters; start again without it")
    return position


def bad_cursor(detail: str) -> Exception:
    """Return the problem of a cursor that cannot be used."""
    return invalid([Finding(pointer("cursor"), detail, "invalid_cursor", query=True)])


def next_link(cursor: str) -> dict[str, str]:
    """Return the header that leads to the next page."""
    parameters = [
        (name, value) for name, value in request.args.items(multi=True) if name != "cursor"
    ]
    query = urlencode([*parameters, ("cursor", cursor)])
    return {"Link": f'<{services().settings.url(request.path)}?{query}>; rel="next"'}
