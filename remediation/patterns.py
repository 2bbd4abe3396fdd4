"""Names and anchored shell globs: `*` any run of characters, `?` exactly one, nothing else is special."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

MAX_LENGTH = 253
_NAME = re.compile(r"[a-z0-9.*?-]+")
_ACCOUNT_PARTS = 2


class PatternError(ValueError):
    """A pattern cannot match anything; the message says what would be right."""


def is_literal(pattern: str) -> bool:
    """Tell whether `pattern` names one thing only."""
    return "*" not in pattern and "?" not in pattern


def check_name_pattern(pattern: str) -> str:
    """Return a pattern for Kubernetes object names (RFC 1123 subdomain characters, `*`, `?`).

    Raises PatternError.
    """
    _check_length(pattern)
    if not _NAME.fullmatch(pattern):
        raise PatternError(
            f"'{pattern}' cannot match a Kubernetes name: use lower-case letters, digits, '-', '.', "
            "'*' (any characters) and '?' (one character)"
        )
    return pattern


def check_cluster_pattern(pattern: str) -> str:
    """Return a pattern for kubeconfig context names, which may hold any printable character.

    Raises PatternError.
    """
    _check_length(pattern)
    if not pattern.isprintable() or pattern != pattern.strip():
        raise PatternError(
            f"{pattern!r} cannot match a cluster: no control characters, no space at the ends"
        )
    return pattern


def check_account_pattern(pattern: str) -> str:
    """Return a pattern of the form `name` or `namespace/name`.

    Raises PatternError.
    """
    parts = pattern.split("/")
    if len(parts) > _ACCOUNT_PARTS:
        raise PatternError(f"'{pattern}' must be 'name' or 'namespace/name'")
    for part in parts:
        check_name_pattern(part)
    return pattern


@lru_cache(maxsize=16384)  # each list of a large access file is one
def matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a test for "some pattern matches this whole name"."""
    literals = frozenset(pattern for pattern in patterns if is_literal(pattern))
    globs = [_regex(pattern) for pattern in patterns if not is_literal(pattern)]
    if not globs:
        return literals.__contains__
    glob = re.compile("|".join(globs), re.DOTALL)
    return lambda name: name in literals or glob.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def subsumes(wider: str, pattern: str) -> bool:
    """Tell whether every name that `pattern` matches is certain to be matched by `wider`.

    True is always right. False may be too careful, where two patterns mean the same in different words.
    """
    if wider in ("*", pattern):
        return True
    start = wider.removesuffix("*")
    if is_literal(start):
        # Most are a name, or a start of names.
        return start != wider and re.split(r"[*?]", pattern, maxsplit=1)[0].startswith(start)
    if is_literal(pattern):
        return matcher((wider,))(pattern)
    # Of the ways to write the same, those that let the most be seen.
    wider, pattern = _wildcards(wider, "*", "?*"), _wildcards(pattern, "*", "?")
    # The places in `wider` that may be reached when `pattern` has been read up to here.
    places = _past_stars(wider, {0})
    for char in pattern:
        stay = {place for place in places if wider[place : place + 1] == "*"}
        # What a star stands for is not known, so only a star can take it.
        go = {
            place + 1 for place in places if char != "*" and wider[place : place + 1] in ("?", char)
        }
        places = _past_stars(wider, stay | go)
    return len(wider) in places


def literals(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns that are plain names, in order."""
    return tuple(pattern for pattern in patterns if is_literal(pattern))


def _wildcards(pattern: str, before: str, each: str) -> str:
    """Write each run of wildcards that has a star in one way: `before`, and `each` for every `?` in it."""
    return re.sub(r"[*?]*\*[*?]*", lambda run: before + each * run[0].count("?"), pattern)


def _past_stars(pattern: str, places: set[int]) -> set[int]:
    """Add the places behind stars: a star may stand for nothing."""
    found = set(places)
    for place in places:
        if pattern[place : place + 1] == "*":
            found.add(place + 1)
    return found


def _regex(pattern: str) -> str:
    # The nearest match of what stands between two stars is always good enough, so each is atomic: a regex that
    # tried the later ones too would take exponential time.
    first, *middle = [_part(part) for part in re.split(r"\*+", pattern)]
    last = f".*{middle.pop()}" if middle else ""
    return first + "".join(f"(?>.*?{part})" for part in middle) + last


def _part(text: str) -> str:
    return "".join("." if char == "?" else re.escape(char) for char in text)


def _check_length(pattern: str) -> None:
    if not pattern:
        raise PatternError("must not be empty")
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"must not be longer than {MAX_LENGTH} characters")
