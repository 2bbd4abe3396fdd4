"""Text from elsewhere, made fit for a terminal."""

import re
import sys
from collections.abc import Mapping

_FIELD = re.compile(
    r"""['"`]?\b(on_conflict|registry_check|secret_name|timeout_seconds|namespace_selector)\b['"`]?"""
    r"""(?: ['"`](\w+)['"`])?"""
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def clean(value: object) -> str:
    """Return `value` on one line without control characters; None is ''. No answer may drive the terminal."""
    return "" if value is None else _CONTROL.sub(" ", str(value)).strip()


def as_options(text: str) -> str:
    """Return a hint of the service with the options of this command line in place of its fields."""
    return _FIELD.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    value = f" {found[2]}" if found[2] else ""
    return f"--{found[1].replace('_', '-')}{value}"


def on_terminal() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty()


def is_id(prefix: str, text: str) -> bool:
    """Tell whether a text may be an id of the kind that begins with `prefix`: such a one is safe in an address."""
    rest = text.removeprefix(prefix)
    return text.startswith(prefix) and rest.isascii() and rest.isalnum()


def readable(value: object) -> str:
    """Return a value as one reads it: yes and no, lists with commas, nothing as a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == [] or value == {}:
        return "-"
    if isinstance(value, list):
        return ", ".join(readable(entry) for entry in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(name)}={readable(inner)}" for name, inner in value.items())
    return clean(value)
