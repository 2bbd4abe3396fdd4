"""The guard rails of the access file: how much each role may ask for, and where a second person is needed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from remediation.patterns import PatternError, check_cluster_pattern
from remediation.permission import Role

SECTIONS = ("limits", "protected_clusters", "approval_minutes")
DEFAULT_APPROVAL_MINUTES = 60
_MOST_APPROVAL_MINUTES = 7 * 24 * 60
_MOST = 1_000_000


class GuardRailsError(ValueError):
    """A section cannot be used; the message names it, the value's problem and what would be right."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a caller may ask for; None is any number.

    `clusters` of one request, `namespaces` of one request on each cluster, `remediations_per_minute`, and `active`:
    remediations that have not ended.
    """

    clusters: int | None = None
    namespaces: int | None = None
    remediations_per_minute: int | None = None
    active: int | None = None


@dataclass(frozen=True, slots=True)
class GuardRails:
    """Limits by role, the clusters that need a second person (globs), and how long that person has (minutes)."""

    limits: Mapping[str, Limits] = field(default_factory=dict)
    protected_clusters: tuple[str, ...] = ()
    approval_minutes: int = DEFAULT_APPROVAL_MINUTES

    def limits_of(self, roles: Iterable[str]) -> Limits:
        """Return what holds for a caller with these roles: of each limit the most generous one."""
        several = [self.limits.get(role, Limits()) for role in roles]
        return Limits(
            **{item.name: _most(getattr(each, item.name) for each in several) for item in _FIELDS}
        )


_FIELDS = fields(Limits)


def guard_rails(document: Mapping[str, Any]) -> GuardRails:
    """Return the guard rails of an access file that was read; sections of others are left alone.

    Raises GuardRailsError.
    """
    return GuardRails(
        limits=_limits(document.get("limits")),
        protected_clusters=_patterns(document.get("protected_clusters")),
        approval_minutes=_number(
            "approval_minutes",
            document.get("approval_minutes", DEFAULT_APPROVAL_MINUTES),
            _MOST_APPROVAL_MINUTES,
        ),
    )


def _limits(section: Any) -> dict[str, Limits]:
    if section is None:
        return {}
    if not isinstance(section, dict) or not all(isinstance(role, str) for role in section):
        raise GuardRailsError("'limits' must map roles to limits, like {requester: {clusters: 5}}")
    if unknown := sorted(set(section) - set(Role)):
        raise GuardRailsError(f"'limits' has '{unknown[0]}', which is no role: {', '.join(Role)}")
    return {role: _limits_of(role, entry) for role, entry in section.items()}


def _limits_of(role: str, entry: Any) -> Limits:
    known = [item.name for item in _FIELDS]
    # An unknown member was meant to limit something: better refused than ignored.
    if not isinstance(entry, dict) or not entry or set(entry) - set(known):
        raise GuardRailsError(f"'limits' of '{role}' must hold some of {', '.join(known)}")
    return Limits(
        **{name: _number(f"limits.{role}.{name}", value, _MOST) for name, value in entry.items()}
    )


def _patterns(section: Any) -> tuple[str, ...]:
    if section is None:
        return ()
    if not isinstance(section, list) or not all(isinstance(entry, str) for entry in section):
        raise GuardRailsError("'protected_clusters' must be a list of names or globs")
    try:
        return tuple(map(check_cluster_pattern, section))
    except PatternError as error:
        raise GuardRailsError(f"'protected_clusters': {error}") from error


def _number(place: str, value: Any, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise GuardRailsError(f"'{place}' is {value!r}; use a whole number from 1 to {most}")
    return value


def _most(numbers: Iterable[int | None]) -> int | None:
    found = list(numbers)
    known = [number for number in found if number is not None]
    return max(known) if known and len(known) == len(found) else None
