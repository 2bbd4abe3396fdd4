"""Label selectors, against a direct evaluation of what they mean."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.label_selector import LabelSelector, SelectorError, parse_selector
from tests.remediation.values import LABELS

KEYS = st.sampled_from(["app", "tier", "example.com/team", "in", "notin"])
VALUES = st.sampled_from(["", "a", "b", "in", "A.b_c-d"])
SPACE = st.sampled_from(["", " ", "  ", "\t", "\n"])

Labels = dict[str, str]


@st.composite
def requirements(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    operator = draw(st.sampled_from(["=", "==", "!=", "in", "notin", "exists", "absent"]))
    values = draw(st.lists(VALUES, min_size=1, max_size=3))
    return draw(KEYS), operator, values


@st.composite
def spelled(draw: st.DrawFn, requirement: tuple[str, str, list[str]]) -> str:
    key, operator, values = requirement
    pad = [draw(SPACE) for _ in range(4)]
    if operator == "exists":
        return f"{pad[0]}{key}{pad[1]}"
    if operator == "absent":
        return f"{pad[0]}!{pad[1]}{key}{pad[2]}"
    if operator in ("in", "notin"):
        listed = f"{pad[1]},{pad[2]}".join(values)
        return f"{pad[0]}{key} {operator}{pad[1]}({pad[2]}{listed}{pad[3]}){pad[0]}"
    return f"{pad[0]}{key}{pad[1]}{operator}{pad[2]}{values[0]}{pad[3]}"


def holds(requirement: tuple[str, str, list[str]], labels: Labels) -> bool:
    key, operator, values = requirement
    if operator == "exists":
        return key in labels
    if operator == "absent":
        return key not in labels
    if operator in ("=", "=="):
        return labels.get(key) == values[0]
    if operator == "!=":
        return labels.get(key) != values[0]
    if operator == "in":
        return labels.get(key) in values
    return labels.get(key) not in values


@given(st.data(), st.lists(requirements(), min_size=1, max_size=4), LABELS)
def test_a_selector_means_that_all_its_requirements_hold(
    data: st.DataObject, wanted: list[tuple[str, str, list[str]]], labels: Labels
) -> None:
    text = ",".join(data.draw(spelled(requirement)) for requirement in wanted)

    assert parse_selector(text).matches(labels) == all(holds(each, labels) for each in wanted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "a,",
        ",a",
        "a b",
        "a=b c",
        "!a=b",
        "!",
        "=a",
        "a===b",
        "a=b=c",
        "a in",
        "a in b",
        "a in (b",
        "a in b)",
        "a in (b))",
        "a in ((b))",
        "a in (b) c",
        "a IN (b)",
        "a in (b c)",
        "a > 1",
        "-a",
        "a-",
        "a/b/c",
        "/a",
        "A.com/a",
        "a=" + "b" * 64,
        "b" * 64,
        "a=b;c=d",
        "ä=b",
        "a=(b)",
    ],
)
def test_what_is_no_selector_is_rejected(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_selector(text)


@given(st.text("a=!,() in\tnot-./", max_size=20))
def test_any_text_is_read_or_rejected(text: str) -> None:
    try:
        selector = parse_selector(text)
    except SelectorError:
        return

    assert selector.requirements


def test_the_message_names_the_wrong_part() -> None:
    with pytest.raises(SelectorError, match="'b c'"):
        parse_selector("a=1, b c ,d")


def test_no_requirements_match_everything() -> None:
    assert LabelSelector().matches({})


def test_an_empty_list_means_the_empty_value() -> None:
    assert parse_selector("app in ()").matches({"app": ""})
    assert not parse_selector("app in ()").matches({"app": "a"})


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    ["a" * 2000, "a.b" * 700 + "/", "a " * 1000, "(" * 2000, "a," * 1000, "a in (" + "b," * 1000],
)
def test_no_text_takes_long(text: str) -> None:
    with contextlib.suppress(SelectorError):
        parse_selector(text)
