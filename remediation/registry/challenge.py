"""What a registry answers to somebody who is not logged in: the `WWW-Authenticate` header."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

BEARER = "bearer"
BASIC = "basic"

# A word; with '=' and a value, quoted or not, it is a parameter, without one it begins a challenge.
_PART = re.compile(
    r'[\s,]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*)))?'
)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme in lower case, and its parameters in order, names in lower case."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a parameter: one that is there twice is for the caller to refuse."""
        return tuple(value for key, value in self.parameters if key == name)

    def get(self, name: str) -> str:
        """Return the first value of a parameter, "" if it is missing."""
        return next(iter(self.all(name)), "")


def parse_challenges(lines: Iterable[str]) -> tuple[Challenge, ...]:
    """Read all challenges of all header lines; what is no challenge is passed over."""
    return tuple(challenge for line in lines for challenge in _scan(line))


def _scan(line: str) -> list[Challenge]:
    found: list[tuple[str, list[tuple[str, str]]]] = []
    place = 0
    while part := _PART.match(line, place):
        place = part.end()
        word, quoted, plain = part.groups()
        value = _ESCAPED.sub(r"\1", quoted) if quoted is not None else plain
        if value is None:
            found.append((word.lower(), []))
        elif found:
            found[-1][1].append((word.lower(), value))
    return [Challenge(scheme, tuple(parameters)) for scheme, parameters in found]
