"""marshmallow's errors as findings: where, what, and a code for programs."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import Schema, fields

from api.problems import Finding, pointer

_REQUIRED = "Missing data for required field."
_UNKNOWN = "Unknown field."
_SPEAKING = {
    _REQUIRED: ("required", "is required"),
    "Field may not be null.": ("null", "must not be null; leave it out instead"),
    "Invalid input type.": ("invalid", "must be an object"),
    "Not a valid string.": ("invalid", "must be a string"),
    "Not a valid integer.": ("invalid", "must be a whole number"),
    "Not a valid boolean.": ("invalid", "must be true or false"),
    "Not a valid list.": ("invalid", "must be a list"),
    "Not a valid mapping type.": ("invalid", "must be an object"),
}


def findings_of(messages: Any, schema: Schema, *, query: bool = False) -> list[Finding]:
    """Return everything that marshmallow found wrong."""
    return [
        _finding(_place(path, schema), str(text), schema, query=query)
        for path, text in _flatten(messages, ())
    ]


def _flatten(messages: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _flatten(inner, path if name == "_schema" else (*path, name))
    elif isinstance(messages, list):
        for message in messages:
            yield from _flatten(message, path)
    else:
        yield path, messages


def _place(path: tuple[Any, ...], schema: Schema) -> tuple[Any, ...]:
    """Leave out whether it is the key or the value of a map that is wrong: JSON pointers know no such thing."""
    is_map = isinstance(schema.fields.get(str(path[0])) if path else None, fields.Mapping)
    return path[:2] if is_map else path


def _finding(path: tuple[Any, ...], text: str, schema: Schema, *, query: bool) -> Finding:
    if text == _UNKNOWN:
        detail = _unknown(path, schema, "parameter" if query else "field")
        return Finding(pointer(*path), detail, "unknown_field", query=query)
    code, detail = _SPEAKING.get(text, ("invalid", text))
    return Finding(pointer(*path), detail, code, query=query)


def _unknown(path: tuple[Any, ...], schema: Schema, word: str) -> str:
    """Say what the field or parameter was probably meant to be."""
    detail = f"there is no {word} '{path[-1]}'"
    meant = difflib.get_close_matches(str(path[-1]), list(schema.fields), n=1)
    return f"{detail}; did you mean '{meant[0]}'?" if meant and len(path) == 1 else detail
