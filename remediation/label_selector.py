"""Kubernetes label selectors, evaluated as the API server does.

Rules: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_SUBDOMAIN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_KEY = rf"(?:(?=[^/]{{1,253}}/){_SUBDOMAIN}/)?{_NAME}"
_VALUE = rf"(?:{_NAME})?"
_SET = re.compile(rf"\s*({_KEY})\s+(in|notin)\s*\(([^()]*)\)\s*")
_EQUALITY = re.compile(rf"\s*({_KEY})\s*(==|=|!=)\s*({_VALUE})\s*")
_EXISTS = re.compile(rf"\s*(!?)\s*({_KEY})\s*")


class SelectorError(ValueError):
    """The text is no label selector; the message says which requirement is wrong."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One comma-separated part of a selector; `operator` is in, notin, exists or absent."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels meets the requirement."""
        match self.operator:
            case "in":
                return self.key in labels and labels[self.key] in self.values
            case "notin":  # an object without the key is matched too
                return self.key not in labels or labels[self.key] not in self.values
            case "exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none at all matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels is selected."""
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_selector(text: str) -> LabelSelector:
    """Read `key=value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key`, `!key`, joined by commas.

    Raises SelectorError.
    """
    return LabelSelector(tuple(_requirement(part) for part in _split(text)))


def _split(text: str) -> list[str]:
    """Split at commas outside parentheses."""
    return re.split(r",(?![^()]*\))", text)


def _requirement(text: str) -> Requirement:
    if found := _SET.fullmatch(text):
        key, operator, listed = found.groups()
        values = [value.strip() for value in listed.split(",")]
        if all(re.fullmatch(_VALUE, value) for value in values):
            return Requirement(key, operator, frozenset(values))
    elif found := _EQUALITY.fullmatch(text):
        key, sign, value = found.groups()
        return Requirement(key, "notin" if sign == "!=" else "in", frozenset({value}))
    elif found := _EXISTS.fullmatch(text):
        absent, key = found.groups()
        return Requirement(key, "absent" if absent else "exists")
    raise SelectorError(
        f"{text.strip()!r} is no label requirement: use 'key=value', 'key!=value', 'key in (a,b)', "
        "'key notin (a,b)', 'key' or '!key'"
    )
