"""Challenges are read whole, however a registry writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.registry.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('Basic realm="lab"', [Challenge("basic", (("realm", "lab"),))]),
        ('BASIC realm="Sonatype Nexus"', [Challenge("basic", (("realm", "Sonatype Nexus"),))]),
        ("Basic", [Challenge("basic")]),
        (
            'Bearer realm="https://a.example/token",service="s",scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    (
                        ("realm", "https://a.example/token"),
                        ("service", "s"),
                        ("scope", "repository:a/b:pull,push"),
                    ),
                )
            ],
        ),
        (
            'Bearer realm="r", scope="", error="insufficient_scope"',
            [Challenge("bearer", (("realm", "r"), ("scope", ""), ("error", "insufficient_scope")))],
        ),
        (
            "Bearer realm=https://a.example/token,service=s",
            [Challenge("bearer", (("realm", "https://a.example/token"), ("service", "s")))],
        ),
        (
            'Bearer Realm = "r" , SERVICE="a \\"quoted\\" one"',
            [Challenge("bearer", (("realm", "r"), ("service", 'a "quoted" one')))],
        ),
        (
            'Basic realm="a, b=c", Bearer realm="d"',
            [
                Challenge("basic", (("realm", "a, b=c"),)),
                Challenge("bearer", (("realm", "d"),)),
            ],
        ),
        (
            'Bearer realm="a",realm="b"',
            [Challenge("bearer", (("realm", "a"), ("realm", "b")))],
        ),
        ("Negotiate", [Challenge("negotiate")]),
        ("", []),
        (',, , ="x"', []),
        ('realm="nobody"', []),
    ],
)
def test_a_header_line(line: str, expected: list[Challenge]) -> None:
    assert list(parse_challenges([line])) == expected


def test_several_lines_are_read_in_order() -> None:
    found = parse_challenges(['Bearer realm="a"', 'Basic realm="b"'])

    assert [challenge.scheme for challenge in found] == ["bearer", "basic"]


_TEXTS = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["realm", "service", "scope"]), _TEXTS), max_size=4))
def test_what_was_quoted_comes_back(parameters: list[tuple[str, str]]) -> None:
    def quoted(value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    line = "Bearer " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters)

    assert parse_challenges([line]) == (Challenge("bearer", tuple(parameters)),)


@given(st.text(max_size=200))
def test_nothing_breaks_the_reader(line: str) -> None:
    parse_challenges([line])
