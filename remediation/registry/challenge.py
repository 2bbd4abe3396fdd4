"""What a registry answers to a request without a login: the `WWW-Authenticate` header, read as containerd reads it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

BEARER = "bearer"
BASIC = "basic"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(_TOKEN)
# Nothing may stand between a name and its '='. A quoted value that does not end is empty and ends the line.
_PARAMETER = re.compile(
    rf'[ \t\r\n]*({_TOKEN})=(?:"((?:[^"\\]|\\.)*)"|("[\s\S]*)|({_TOKEN})?)[ \t\r\n]*', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme in lower case, and its parameters in order, names in lower case."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a parameter: one that is there twice is for the caller to refuse."""
        return tuple(value for key, value in self.parameters if key == name)

    def get(self, name: str) -> str:
        """Return the value of a parameter, the last one of several, "" if it is missing."""
        return next(reversed(self.all(name)), "")


def parse_challenges(lines: Iterable[str]) -> tuple[Challenge, ...]:
    """Read the challenge that containerd reads in each header line: the first one; what is none is passed over."""
    return tuple(challenge for line in lines if (challenge := _first(line)))


def in_order(challenges: Iterable[Challenge]) -> tuple[Challenge, ...]:
    """Return those that containerd answers, in the order in which it tries them: tokens before passwords."""
    known = [each for each in challenges if each.scheme in (BEARER, BASIC)]
    return tuple(sorted(known, key=lambda each: each.scheme != BEARER))


def _first(line: str) -> Challenge | None:
    scheme = _SCHEME.match(line)
    if scheme is None:
        return None
    parameters: list[tuple[str, str]] = []
    place = scheme.end()
    while part := _PARAMETER.match(line, place):
        name, quoted, endless, plain = part.groups()
        value = _ESCAPED.sub(r"\1", quoted) if quoted is not None else plain or ""
        parameters.append((name.lower(), value))
        place = part.end()
        if endless is not None or line[place : place + 1] != ",":
            break
        place += 1
    return Challenge(scheme[0].lower(), tuple(parameters))
