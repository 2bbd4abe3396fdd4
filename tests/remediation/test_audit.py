"""The chain of the audit trail: what was altered, left out or put in shows."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.audit import BEGINNING, Action, Entry, Link, Verdict, link, verify

KEPT = 100


def a_chain(*texts: str, first: int = 1, previous: str = BEGINNING) -> list[Link]:
    made = []
    for number, text in enumerate(texts, start=first):
        made.append(link(number, previous, text))
        previous = made[-1].hash
    return made


def broken(links: list[Link], head: str, count: int, kept: int = KEPT) -> str | None:
    return verify(links, head, count, kept).broken


CHAIN = a_chain("a", "b", "c", "d")
HEAD = CHAIN[-1].hash


def test_a_whole_trail_is_verified() -> None:
    found = verify(CHAIN, HEAD, 4, KEPT)

    assert (found.broken, found.entries, found.first, found.last) == (None, 4, 1, 4)
    assert broken([], BEGINNING, 0) is None


def test_the_oldest_entries_may_have_been_dropped_when_there_are_many() -> None:
    assert broken(CHAIN[2:], HEAD, 4, kept=2) is None
    assert broken(CHAIN[2:], HEAD, 4, kept=3) == (
        "the first entry is 3, and so few entries have all been kept"
    )


@pytest.mark.parametrize("at", range(4))
def test_an_altered_entry_shows(at: int) -> None:
    altered = [*CHAIN]
    altered[at] = replace(CHAIN[at], text="x")

    assert broken(altered, HEAD, 4) == f"entry {at + 1} was altered"


@pytest.mark.parametrize("at", range(4))
def test_an_entry_that_is_missing_shows(at: int) -> None:
    assert broken([*CHAIN[:at], *CHAIN[at + 1 :]], HEAD, 4)


@pytest.mark.parametrize("at", range(5))
def test_an_entry_that_was_put_in_shows(at: int) -> None:
    previous = CHAIN[at - 1].hash if at else BEGINNING
    forged = link(at + 1, previous, "forged")

    assert broken([*CHAIN[:at], forged, *CHAIN[at:]], HEAD, 4)


def test_a_trail_that_was_rewritten_does_not_lead_to_its_head() -> None:
    assert broken(a_chain("a", "b", "c", "x"), HEAD, 4)


def test_entries_that_change_places_show() -> None:
    first, second, *rest = CHAIN

    assert broken([second, first, *rest], HEAD, 4)


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_an_entry_is_one_line_whatever_a_caller_says(subject: str, details: dict[str, str]) -> None:
    entry = Entry(
        id="1",
        at="2026-01-01T00:00:00.000Z",
        action=Action.CREATE,
        outcome=Verdict.DONE,
        subject=subject,
        details=details,
    )

    text = entry.text()

    assert text.isprintable()
    assert text.isascii()
    read = json.loads(text)
    assert read["subject"] == subject
    assert read.get("details", {}) == details
    assert "cluster" not in read
