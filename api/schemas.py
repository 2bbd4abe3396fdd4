"""Parts that the schemas of several resources share."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validate

from remediation.docker_config import InvalidCredential
from remediation.label_selector import SelectorError
from remediation.patterns import PatternError

_LONGEST_SHOWN = 60

NEXT_CURSOR = "For the next page; not there on the last one."


class Strict(Schema):
    """Unknown fields are refused: a typing error must not widen what is meant."""

    class Meta:
        """Options of marshmallow."""

        unknown = RAISE


class Answer(Schema):
    """The shape of an answer, for the reference; later versions may have more members."""

    class Meta:
        """Options of marshmallow."""

        unknown = EXCLUDE


class StrictBoolean(fields.Boolean):
    """true or false, not what looks like it."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class OneOf(validate.OneOf):
    """One of some words; a refusal names the word that was sent and those that are taken."""

    def _format_error(self, value: Any) -> str:
        return none_of(str(value), self.choices)


class Choice(fields.Enum[Any]):
    """A member of a body that is one of some words; refused like `OneOf`."""

    default_error_messages = {"unknown": "must be one of {choices}"}  # noqa: RUF012

    def __init__(self, kind: type[StrEnum], **options: Any) -> None:
        super().__init__(kind, by_value=True, **options)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        words = [str(word) for word in self.enum]
        if isinstance(value, str) and value not in words:
            raise ValidationError(none_of(value, words))
        return super()._deserialize(value, *args, **kwargs)


def none_of(word: str, words: Iterable[Any]) -> str:
    """Say which word was sent, at most its beginning, and which are taken."""
    shown = word if len(word) <= _LONGEST_SHOWN else f"{word[:_LONGEST_SHOWN]}…"
    return f"{shown!r} is none of {', '.join(map(str, words))}"


def checked(check: Callable[[str], object]) -> Callable[[str], None]:
    """Turn one of the domain's checks into a validator."""

    def validator(value: str) -> None:
        try:
            check(value)
        except (PatternError, SelectorError, InvalidCredential) as error:
            raise ValidationError(str(error)) from error

    return validator


def text(description: str = "", **metadata: Any) -> fields.String:
    """Return a string that is always there."""
    return fields.String(required=True, metadata=_described(description) | metadata)


def maybe_text(description: str = "", **metadata: Any) -> fields.String:
    """Return a string or null."""
    return fields.String(
        required=True, allow_none=True, metadata=_described(description) | metadata
    )


def time(description: str = "") -> fields.String:
    """Return a time or null."""
    return maybe_text(description, format="date-time")


def number(description: str = "") -> fields.Integer:
    """Return a whole number that is always there."""
    return fields.Integer(required=True, metadata=_described(description))


def flag(description: str = "") -> fields.Boolean:
    """Return true or false, always there."""
    return fields.Boolean(required=True, metadata=_described(description))


def one_of(kind: type[StrEnum] | Sequence[str], description: str = "") -> fields.String:
    """Return one of some words."""
    return fields.String(
        required=True,
        validate=validate.OneOf([str(word) for word in kind]),
        metadata=_described(description),
    )


def texts(description: str = "") -> fields.List[Any]:
    """Return a list of strings."""
    return fields.List(fields.String(), required=True, metadata=_described(description))


def _described(description: str) -> dict[str, Any]:
    return {"description": description} if description else {}


class FindingSchema(Answer):
    """One thing that is wrong with a request."""

    pointer = text("Where: a JSON pointer into the body, or the name of a parameter.")
    detail = text("What is wrong, for people.")
    code = text("What is wrong, for programs.")
    location = fields.String(
        data_key="in",
        validate=validate.Equal("query"),
        metadata={"description": "Present for a parameter."},
    )


class ProblemSchema(Answer):
    """RFC 9457."""

    type = text("The kind of problem; the address explains it.")
    title = text("The kind of problem in words.")
    status = number("The HTTP status.")
    detail = text("What went wrong this time.")
    instance = text("The path that was asked for.")
    code = text("The last part of `type`.")
    request_id = text("Names this request in the service's log.")
    errors = fields.List(
        fields.Nested(FindingSchema), metadata={"description": "Everything that is wrong."}
    )
