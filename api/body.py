"""Reading a JSON body, with everything that is wrong with it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from flask import request
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from api.findings import findings_of
from api.problems import Finding, Problem
from api.secret import without_secrets


@dataclass(frozen=True, slots=True)
class Body:
    """The fields of a body that are right, and what is wrong with the others; `given` are the names of both.

    `digest` is the SHA-256 of the document, whatever the order of its members and without those that are secret: it is
    stored, and whoever reads it must not be able to try passwords on it.
    """

    fields: Mapping[str, Any]
    given: frozenset[str]
    findings: tuple[Finding, ...]
    digest: str


def read_body(schema: Schema) -> Body:
    """Read the body of the present request. Raises Problem for one that is not JSON."""
    if not request.is_json:
        raise Problem(
            "unsupported-media-type",
            "Send the body as JSON, with the header 'Content-Type: application/json'.",
        )
    try:
        document = orjson.loads(_content())
    except orjson.JSONDecodeError as error:
        # Its place only: the text around it may hold a password.
        raise Problem(
            "malformed-request",
            f"The body is not valid JSON: line {error.lineno}, column {error.colno}.",
        ) from None
    return _checked(document, schema)


def read_optional_body(schema: Schema) -> Body:
    """Read the body of the present request, where there may be none: all its members are optional. Raises Problem."""
    return read_body(schema) if _content() else _checked({}, schema)


def _checked(document: Any, schema: Schema) -> Body:
    given = frozenset(document) if isinstance(document, dict) else frozenset()
    shown = without_secrets(document, schema)
    digest = hashlib.sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).hexdigest()
    try:
        return Body(schema.load(document), given, (), digest)
    except ValidationError as error:
        wrong = set(error.messages_dict)
        valid = error.valid_data if isinstance(error.valid_data, dict) else {}
        fields = {name: value for name, value in valid.items() if name not in wrong}
        return Body(fields, given, tuple(findings_of(error.messages, schema)), digest)


def _content() -> bytes:
    """Return the body. One of unknown length ends at the limit as if it were whole, so the limit itself is too long."""
    content = request.get_data()
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(content) >= limit:
        raise RequestEntityTooLarge
    return content
