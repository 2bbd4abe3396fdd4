"""Whether two requests may be about one namespace: no is certain, yes may be too careful."""

from typing import Protocol

from remediation.patterns import is_literal, matcher, subsumes


class Namespaces(Protocol):
    """Which namespaces a request is about. A selector can only make them fewer, and labels change."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Names and globs."""

    @property
    def ignore(self) -> tuple[str, ...]:
        """Names and globs of those that are left out."""


def may_overlap(one: Namespaces, other: Namespaces) -> bool:
    """Tell whether there may be a namespace that both are about."""
    left_out = (*one.ignore, *other.ignore)
    return _may_meet(_left(one, left_out), _left(other, left_out))


def _left(request: Namespaces, left_out: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        pattern
        for pattern in request.namespaces
        if not any(subsumes(wider, pattern) for wider in left_out)
    )


def _may_meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    for names, patterns in ((one, other), (other, one)):
        if all(map(is_literal, names)):
            return any(map(matcher(patterns), names))
    return True
