"""Reading a JSON body, with everything that is wrong with it."""

import codecs
import hashlib
import json
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

_MEDIA_TYPE = "application/json"
_CHARSET = "utf-8"
_MOST_LEVELS = 16
_LONGEST_NAME = 60


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
    """Read the body of the present request. Raises Problem for one that is not JSON, or JSON that is doubtful."""
    charset = request.mimetype_params.get("charset", _CHARSET)
    if request.mimetype != _MEDIA_TYPE or charset.lower() != _CHARSET:
        raise Problem(
            "unsupported-media-type",
            "Send the body as JSON in UTF-8, with the header 'Content-Type: application/json'.",
        )
    if encoding := request.headers.get("Content-Encoding"):
        raise Problem(
            "unsupported-media-type", f"Send the body as it is, without {encoding!r} around it."
        )
    return _checked(_document(_content()), schema)


def read_optional_body(schema: Schema) -> Body:
    """Read the body of the present request, where there may be none: all its members are optional. Raises Problem."""
    return read_body(schema) if _content() else _checked({}, schema)


def _document(content: bytes) -> Any:
    """Return the one thing that a body says. Raises Problem."""
    if not content.isascii():
        _check_encoding(content)
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        # Its place only: the text around it may hold a password.
        raise Problem(
            "malformed-request",
            f"The body is not valid JSON: line {error.lineno}, column {error.colno}.",
        ) from None
    if not _shallow(document):
        raise Problem(
            "malformed-request", f"The body is nested more than {_MOST_LEVELS} levels deep."
        )
    # Which of two members with one name counts is for each reader to choose: one that stands before us may choose
    # otherwise. orjson does not tell, so they are looked for on a second pass; numbers are of no interest to it.
    json.loads(content, object_pairs_hook=_once_each, parse_int=str, parse_float=str)
    return document


def _check_encoding(content: bytes) -> None:
    """Say of bytes that are no UTF-8 just that: a parser of JSON says that they begin wrongly. Raises Problem."""
    if content.startswith(codecs.BOM_UTF8):
        raise Problem("malformed-request", "The body begins with a byte order mark: leave it out.")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise Problem(
            "malformed-request", f"The body is not UTF-8: byte {error.start} begins no character."
        ) from None


def _shallow(document: Any) -> bool:
    level = [document]
    for _ in range(_MOST_LEVELS):
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return not any(isinstance(each, (dict, list)) for each in level)


def _once_each(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
            raise Problem("malformed-request", f"The body says {shown!r} more than once.")
        seen.add(name)


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
