"""Query parameters that several resources take."""

import re
from datetime import UTC, datetime
from typing import Any

from flask import request
from marshmallow import fields, validate
from webargs.fields import DelimitedList

from api.formats import Format
from api.schemas import OneOf

MAX_WAIT_SECONDS = 60
_WAIT = re.compile(r"([0-9]{1,4})(s|m)?")
_PREFER_WAIT = re.compile(r"\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*")
_MAX_CURSOR = 1000
_EMPTY = "must not be empty"
_YEARS = range(1971, 9999)  # with room for arithmetic at both ends


class Wait(fields.Field[int]):
    """Seconds, as `30`, `30s` or `1m`."""

    default_error_messages = {  # noqa: RUF012
        "invalid": f"must be a number of seconds in 0..{MAX_WAIT_SECONDS}"
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        found = _WAIT.fullmatch(str(value))
        seconds = int(found[1]) * (60 if found[2] == "m" else 1) if found else -1
        if not 0 <= seconds <= MAX_WAIT_SECONDS:
            raise self.make_error("invalid")
        return seconds


class Moment(fields.Field[datetime]):
    """A time; without a zone it is UTC."""

    default_error_messages = {  # noqa: RUF012
        "invalid": "must be a time like 2026-01-31T12:00:00Z (write '+' as %2B)"
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            raise self.make_error("invalid") from None
        if moment.year not in _YEARS:
            raise self.make_error("invalid")
        return moment.replace(tzinfo=moment.tzinfo or UTC)


def wait() -> Wait:
    """Return the parameter that holds an answer back."""
    return Wait(
        metadata={
            "description": "Seconds to wait, at most 60 (also as `Prefer: wait=N`).",
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_WAIT_SECONDS,
        }
    )


def moment(description: str) -> Moment:
    """Return a parameter that is a time."""
    return Moment(metadata={"description": description, "type": "string", "format": "date-time"})


def limit(default: int, most: int) -> fields.Integer:
    """Return the parameter for the size of a page; more than the most is refused, for it would be cut in silence."""
    return fields.Integer(
        validate=validate.Range(min=1, max=most, error=f"must be in 1..{most}"),
        metadata={"description": f"Size of a page: {default}, or up to {most}."},
    )


def cursor() -> fields.String:
    """Return the parameter for the place to go on from."""
    return fields.String(
        validate=validate.Length(1, _MAX_CURSOR, error="is no cursor of this service"),
        metadata={"description": "The `next_cursor` of the page before."},
    )


def any_of(description: str, *choices: str) -> DelimitedList:
    """Return a parameter that is a list with commas: of `choices`, or else of anything but nothing."""
    check: Any = (
        OneOf([str(word) for word in choices]) if choices else validate.Length(1, error=_EMPTY)
    )
    return DelimitedList(
        fields.String(validate=check),
        # A shell variable that is not set must not mean everything.
        validate=validate.Length(1, error=_EMPTY),
        metadata={"description": description},
    )


def format_of(*formats: Format) -> fields.String:
    """Return the parameter for the representation, which `formats.negotiate` has read already."""
    return fields.String(
        metadata={
            "description": "Goes before the header `Accept`.",
            "enum": [str(known) for known in formats],
        }
    )


def seconds_to_wait(query: dict[str, Any]) -> tuple[int, dict[str, str]]:
    """Return how long to wait, and the header that says that a preference was followed.

    A preference (RFC 7240) never fails: one that cannot be read is none, a long one is shortened.
    """
    if "wait" in query:
        return query["wait"], {}
    for preference in request.headers.get("Prefer", "").split(","):
        if found := _PREFER_WAIT.fullmatch(preference.partition(";")[0]):
            seconds = min(int(found[1]), MAX_WAIT_SECONDS)
            return seconds, {"Preference-Applied": f"wait={seconds}"}
    return 0, {}
