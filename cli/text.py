"""Text from elsewhere, made fit for a terminal."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def clean(value: object) -> str:
    """Return `value` on one line without control characters; None is ''. No answer may drive the terminal."""
    return "" if value is None else _CONTROL.sub(" ", str(value)).strip()
