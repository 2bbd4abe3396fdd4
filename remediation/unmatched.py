"""What a request names and a cluster does not have: a namespace, a selector or a ServiceAccount pattern with a slip."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from remediation.patterns import is_literal, matcher
from remediation.request import RemediationRequest
from remediation.selection import nearest

# What means everything has no slip in it, even where there is nothing.
_EVERYTHING = ("*", "*/*")
# Comparing one text with ten thousand others takes a quarter of a second.
_MOST_COMPARED = 20_000
_MOST_SUGGESTED = 3


class Part(StrEnum):
    """The field of a request that matched nothing."""

    NAMESPACES = "namespaces"
    IGNORE = "ignore"
    SELECTOR = "namespace_selector"
    ACCOUNTS = "service_accounts"
    IGNORED_ACCOUNTS = "ignore_service_accounts"


ACCOUNT_PARTS = (Part.ACCOUNTS, Part.IGNORED_ACCOUNTS)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """An entry of a request that matches nothing on one cluster; `nearest` is the name that may have been meant."""

    part: Part
    pattern: str
    nearest: str | None = None


def unmatched_namespaces(
    request: RemediationRequest, names: Collection[str], selected: Collection[str] = ()
) -> tuple[Unmatched, ...]:
    """Return what of `namespaces`, `ignore` and `namespace_selector` matches none of a cluster's namespaces.

    `names` are all namespaces there, `selected` those whose labels the selector matches.
    """
    present = frozenset(names)
    found = [
        *_unmatched(Part.NAMESPACES, request.namespaces, present),
        *_unmatched(Part.IGNORE, request.ignore, present),
    ]
    included = matcher(request.namespaces)
    if (
        request.namespace_selector
        and not any(map(included, selected))
        and any(map(included, names))
    ):
        found.append(Unmatched(Part.SELECTOR, request.namespace_selector))
    return tuple(found)


def slips_in_ignore(request: RemediationRequest) -> tuple[Unmatched, ...]:
    """Return the names in `ignore` that leave none of the named namespaces out, and look like one of them.

    For a request that names its namespaces, where no others are read: a standing list of names to ignore is no slip.
    """
    named = frozenset(request.namespaces)
    found = _unmatched(
        Part.IGNORE, filter(is_literal, request.ignore), named, most=len(request.ignore)
    )
    return tuple(slip for slip in found if slip.nearest)


def unmatched_accounts(
    request: RemediationRequest, accounts: Collection[tuple[str, str]]
) -> tuple[Unmatched, ...]:
    """Return what of the ServiceAccount patterns matches none of `accounts`, (namespace, name) of those in question."""
    names = frozenset(name for _, name in accounts)
    qualified = frozenset(f"{namespace}/{name}" for namespace, name in accounts)
    return (
        *_unmatched(Part.ACCOUNTS, request.service_accounts, names, qualified),
        *_unmatched(Part.IGNORED_ACCOUNTS, request.ignore_service_accounts, names, qualified),
    )


def unmatched_everywhere(clusters: Sequence[Iterable[Unmatched]]) -> tuple[Unmatched, ...]:
    """Return what matches nothing on any of some clusters, each with the first suggestion."""
    by_cluster = [{(each.part, each.pattern): each for each in listed} for listed in clusters]
    if not by_cluster:
        return ()
    return tuple(
        next((known[key] for known in by_cluster if known[key].nearest), by_cluster[0][key])
        for key in by_cluster[0]
        if all(key in known for known in by_cluster)
    )


def _unmatched(
    part: Part,
    patterns: Iterable[str],
    names: Collection[str],
    qualified: Collection[str] = frozenset(),
    most: int = _MOST_SUGGESTED,
) -> Iterable[Unmatched]:
    suggested = 0
    for pattern in dict.fromkeys(patterns):
        known = qualified if "/" in pattern else names
        if pattern in _EVERYTHING or pattern in known:
            continue
        if not is_literal(pattern) and any(map(_test_of(pattern), known)):
            continue
        suggested += 1
        near = _nearest(pattern, known) if suggested <= most else None
        yield Unmatched(part, pattern, near)


def _test_of(pattern: str) -> Callable[[str], bool]:
    """Return the test of a glob; that of a ServiceAccount's namespace stops at the slash."""
    space, slash, name = pattern.rpartition("/")
    if not slash:
        return matcher((name,))
    spaces, names = matcher((space,)), matcher((name,))

    def matches(text: str) -> bool:
        namespace, _, account = text.partition("/")
        return spaces(namespace) and names(account)

    return matches


def _nearest(pattern: str, known: Iterable[str]) -> str | None:
    # Wildcards look like no letter: without them the rest of a glob is compared.
    text = pattern.replace("*", "").replace("?", "")
    return nearest(text, sorted(known)[:_MOST_COMPARED]) if text else None
