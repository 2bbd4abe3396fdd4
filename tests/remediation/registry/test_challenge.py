"""Challenges are read as containerd reads them: the first one of each line, as far as it is well written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.registry.challenge import Challenge, in_order, parse_challenges


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
            [Challenge("bearer", (("realm", "https"),))],
        ),
        ('Bearer realm = "r"', [Challenge("bearer")]),
        ('Bearer realm= "r",service="s"', [Challenge("bearer", (("realm", ""),))]),
        ('Bearer realm="r', [Challenge("bearer", (("realm", ""),))]),
        ('Bearer realm="r" service="s"', [Challenge("bearer", (("realm", "r"),))]),
        ('Bearer,realm="r"', [Challenge("bearer")]),
        (
            'bearer\tRealm="r" , SERVICE="a \\"quoted\\" one"',
            [Challenge("bearer", (("realm", "r"), ("service", 'a "quoted" one')))],
        ),
        (
            'Basic realm="a, b=c", Bearer realm="d"',
            [Challenge("basic", (("realm", "a, b=c"),))],
        ),
        (
            'Bearer realm="a",realm="b"',
            [Challenge("bearer", (("realm", "a"), ("realm", "b")))],
        ),
        ("Negotiate", [Challenge("negotiate")]),
        ('Negotiate, Basic realm="r"', [Challenge("negotiate")]),
        ("", []),
        (',, , ="x"', []),
        ('realm="x"', [Challenge("realm")]),
        (' Basic realm="x"', []),
    ],
)
def test_a_header_line(line: str, expected: list[Challenge]) -> None:
    assert list(parse_challenges([line])) == expected


def test_several_lines_are_read_in_order() -> None:
    found = parse_challenges(['Bearer realm="a"', 'Basic realm="b"'])

    assert [challenge.scheme for challenge in found] == ["bearer", "basic"]


def test_tokens_go_before_passwords_and_nothing_else_is_answered() -> None:
    found = parse_challenges(['Basic realm="b"', "Digest", 'Bearer realm="a"', 'Bearer realm="c"'])

    assert [(each.scheme, each.get("realm")) for each in in_order(found)] == [
        ("bearer", "a"),
        ("bearer", "c"),
        ("basic", "b"),
    ]


def test_the_last_of_several_parameters_of_a_name_counts() -> None:
    assert parse_challenges(['Bearer scope="a",scope="b"'])[0].get("scope") == "b"


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
