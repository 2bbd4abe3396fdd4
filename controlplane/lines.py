"""Children that answer questions: one line of JSON in, one line of JSON out."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from controlplane.part import Part
from controlplane.process import Process, StartError


class Answerer(Part):
    """A running child; a context manager that stops it at the end. Threads may share it."""

    def __init__(self, process: Process) -> None:
        """Use `Answerer.start` instead."""
        self._process = process
        self._turn = threading.Lock()

    @classmethod
    def start(cls, name: str, command: Sequence[str], directory: Path) -> Self:
        """Start it in `directory` (created if missing), where its log is."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(Process.start(name, command, directory.absolute(), spoken_to=True))

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def ask(self, questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the answers in the order of the questions.

        Raises StartError, with the end of its log, when the child ends before the last answer,
        and ValueError for an answer that is not JSON; both end the child.
        """
        given, answers = self._process.talk
        # Written beside the reading: with many questions both pipes would fill up.
        with self._turn, ThreadPoolExecutor(1) as beside:
            writing = beside.submit(_write, given, questions)
            try:
                found = [json.loads(self._line(answers)) for _ in questions]
            except BaseException:
                # It may be waiting for us to read, and the writing for it. What it would still
                # say belongs to no later question.
                self._process.stop()
                raise
            writing.result()
        return found

    def stop(self) -> None:
        """End it. Harmless when already stopped."""
        for pipe in self._process.talk:
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.stop()

    def _line(self, answers: IO[bytes]) -> bytes:
        line = answers.readline()
        if not line:
            last = self._process.last_lines()
            raise StartError(f"{self._process.name} ended before it had answered{last}")
        return line


def _write(given: IO[bytes], questions: Sequence[Mapping[str, Any]]) -> None:
    # A child that ended is told by the missing answer.
    with suppress(BrokenPipeError):
        for question in questions:
            given.write(json.dumps(question).encode() + b"\n")
        given.flush()
