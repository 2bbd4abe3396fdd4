"""Children that are asked line by line; `cat` answers each question with itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controlplane.lines import Answerer
from controlplane.process import StartError

ECHO = ["/bin/cat"]


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Answerer]:
    with Answerer.start("echo", ECHO, tmp_path) as running:
        yield running


def test_more_questions_than_pipes_hold(echo: Answerer) -> None:
    questions = [{"number": number, "filling": "x" * 100} for number in range(20_000)]

    assert echo.ask(questions) == questions


def test_threads_get_the_answers_to_their_own_questions(echo: Answerer) -> None:
    asked = [[{"thread": thread, "number": number} for number in range(50)] for thread in range(20)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(echo.ask, asked)) == asked


def test_the_log_tells_why_it_ended(tmp_path: Path) -> None:
    script = ["/bin/sh", "-c", "echo no such luck >&2; exit 3"]
    with (
        Answerer.start("failing", script, tmp_path) as failing,
        pytest.raises(StartError, match="no such luck"),
    ):
        failing.ask([{"number": number} for number in range(20_000)])


def test_an_answer_that_is_none_ends_it(tmp_path: Path) -> None:
    """Even while both sides have more to write than the pipes hold."""
    script = ["/bin/sh", "-c", "echo nonsense; exec cat"]
    with Answerer.start("babbling", script, tmp_path) as babbling:
        with pytest.raises(ValueError, match="Expecting value"):
            babbling.ask([{"number": number} for number in range(100_000)])

        assert not Path(f"/proc/{babbling.pid}").exists()


def test_lines_are_no_part_of_the_log(tmp_path: Path) -> None:
    with Answerer.start("echo", ECHO, tmp_path) as running:
        running.ask([{"password": "made-up"}])

    assert (tmp_path / "echo.log").read_text() == ""
