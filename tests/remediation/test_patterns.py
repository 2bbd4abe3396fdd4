"""Names and globs."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.patterns import (
    MAX_LENGTH,
    PatternError,
    check_account_pattern,
    check_cluster_pattern,
    check_name_pattern,
    is_literal,
    literals,
    matcher,
)
from tests.remediation.values import NAMES

PATTERNS = st.text("ab-.*?", min_size=1, max_size=8)


def naively_matches(pattern: str, name: str) -> bool:
    @cache
    def match(at: int, place: int) -> bool:
        if at == len(pattern):
            return place == len(name)
        if pattern[at] == "*":
            return any(match(at + 1, later) for later in range(place, len(name) + 1))
        return place < len(name) and pattern[at] in ("?", name[place]) and match(at + 1, place + 1)

    return match(0, 0)


@given(PATTERNS, NAMES)
def test_a_glob_matches_what_a_naive_matcher_matches(pattern: str, name: str) -> None:
    assert matcher((pattern,))(name) == naively_matches(pattern, name)


@given(st.lists(PATTERNS, max_size=4), NAMES)
def test_several_patterns_match_what_any_of_them_matches(patterns: list[str], name: str) -> None:
    expected = any(naively_matches(pattern, name) for pattern in patterns)

    assert matcher(tuple(patterns))(name) == expected


@given(st.text(st.characters(exclude_characters="*?"), min_size=1), st.text())
def test_a_plain_name_matches_itself_and_nothing_else(pattern: str, name: str) -> None:
    matches = matcher((pattern,))

    assert matches(pattern)
    assert matches(name) == (name == pattern)


@pytest.mark.parametrize(
    ("pattern", "name", "matched"),
    [
        ("team-*", "team-a", True),
        ("team-*", "team-", True),
        ("team-*", "my-team-a", False),  # anchored at the front
        ("*-prod", "a-prod-2", False),  # and at the end
        ("team", "team-a", False),
        ("te?m", "team", True),
        ("te?m", "tem", False),
        ("a.b", "aXb", False),  # a dot is a dot
        ("[ab]", "a", False),  # no character classes
        ("a|b*", "a", False),
        ("*", "", True),
        ("***", "anything", True),
        ("Team-*", "team-a", False),
        ("a*", "a\nb", True),
        ("*a", "a\n", False),
        ("*b*b", "b", False),
        ("ab*ba", "aba", False),  # the ends do not overlap
    ],
)
def test_globs_are_anchored_and_know_two_signs(pattern: str, name: str, matched: bool) -> None:
    assert matcher((pattern,))(name) is matched


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "pattern",
    [
        "*a*a*a*a*b",
        "*a" * 40 + "*b",
        "a*" * 100 + "b",
        "*" * 200 + "b",
        "?*" * 30 + "b",
        "*?a" * 30,
    ],
)
def test_no_glob_takes_long(pattern: str) -> None:
    matcher((pattern,))("a" * 63)


def test_no_patterns_match_nothing() -> None:
    assert not matcher(())("a")


def test_literals_are_the_patterns_without_signs_in_order() -> None:
    assert literals(["b", "a*", "a", "?"]) == ("b", "a")
    assert is_literal("a.b")
    assert not is_literal("a?")


@pytest.mark.parametrize("pattern", ["", "Team", "a b", "a/b", "a_b", "é", "[a]", "a\n", "a" * 254])
def test_a_pattern_that_fits_no_kubernetes_name_is_rejected(pattern: str) -> None:
    with pytest.raises(PatternError):
        check_name_pattern(pattern)


@pytest.mark.parametrize("pattern", ["a", "*", "a-b.c", "te?m-*", "a" * MAX_LENGTH])
def test_a_pattern_that_fits_kubernetes_names_is_returned(pattern: str) -> None:
    assert check_name_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["", " a", "a ", "a\nb", "a\0", "a" * 254])
def test_a_pattern_that_fits_no_context_name_is_rejected(pattern: str) -> None:
    with pytest.raises(PatternError):
        check_cluster_pattern(pattern)


@pytest.mark.parametrize("pattern", ["arn:aws:eks:eu-1:1:cluster/prod", "user@prod", "my prod"])
def test_context_names_may_hold_any_printable_character(pattern: str) -> None:
    assert check_cluster_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["a/b/c", "/a", "a/", "", "/", "A/b", "a/B"])
def test_a_pattern_that_fits_no_account_is_rejected(pattern: str) -> None:
    with pytest.raises(PatternError):
        check_account_pattern(pattern)


@pytest.mark.parametrize("pattern", ["default", "team-*/default", "*/*", "kube-system/*"])
def test_account_patterns_are_names_with_or_without_a_namespace(pattern: str) -> None:
    assert check_account_pattern(pattern) == pattern
