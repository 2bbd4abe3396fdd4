"""JSON answers."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response

JSON = "application/json"
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE  # people read it on terminals


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    response = Response(orjson.dumps(body, option=_OPTIONS), status=status, content_type=JSON)
    response.headers.update(dict(headers or {}))
    return response
