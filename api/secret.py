"""Members of a request body that must never be shown: as fields, and out of what is remembered of a body."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema, ValidationError, fields


@dataclass(frozen=True, slots=True)
class SecretText:
    """A text that does not show itself."""

    value: str = field(repr=False)


class SecretField(fields.Field[SecretText]):
    """A text of 1 to `most` characters; no error repeats anything of it."""

    def __init__(self, most: int, check: Callable[[str], object], **options: Any) -> None:
        """`check` raises ValidationError, whose text must not repeat the value either."""
        metadata = {"type": "string", "format": "password", "writeOnly": True}
        self._check = check
        super().__init__(
            load_only=True,
            metadata=metadata | {"minLength": 1, "maxLength": most},
            **options,
        )
        self._most = most

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> SecretText:
        if not isinstance(value, str):
            raise ValidationError("must be a string")
        if not 1 <= len(value) <= self._most:
            raise ValidationError(f"must have 1 to {self._most} characters")
        self._check(value)
        return SecretText(value)


def without_secrets(document: Any, schema: Schema) -> Any:
    """Return a body without its secret members, also where it is not as the schema wants it."""
    if not isinstance(document, Mapping):
        return document
    return {
        name: _without(value, schema.fields.get(name))
        for name, value in document.items()
        if not isinstance(schema.fields.get(name), SecretField)
    }


def _without(value: Any, kind: fields.Field[Any] | None) -> Any:
    return without_secrets(value, kind.schema) if isinstance(kind, fields.Nested) else value
