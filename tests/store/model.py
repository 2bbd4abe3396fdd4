"""What the records must say, told a second time and in the plainest way: sets and dicts in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from remediation.outcome import Outcome

LEFT_OVER = (Outcome.FAILED, Outcome.CANCELLED)


@dataclass
class Ran:
    """One run as it should be: `rows` has the first row of each namespace, `noted` what was to be written.

    `complete` is known at its end: whether every namespace has a row.
    """

    line: tuple[str, str] | None
    parents: tuple[str, ...] = ()
    undoes: str | None = None
    rows: dict[str, Outcome] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)
    complete: bool = False
    succeeded: bool = False

    @property
    def left_over(self) -> set[str]:
        """The namespaces that a retry is about."""
        return {name for name, outcome in self.rows.items() if outcome in LEFT_OVER}

    @property
    def wrote(self) -> set[str]:
        """The namespaces where it wrote, or may have written."""
        changed = {name for name, outcome in self.rows.items() if outcome is Outcome.CHANGED}
        doubtful = self.left_over & self.noted
        unreported = set() if self.complete else self.noted - self.rows.keys()
        return changed | doubtful | unreported


@dataclass
class Model:
    """All runs, and those that have ended in the order in which they did."""

    runs: dict[str, Ran] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    @property
    def active(self) -> list[str]:
        """The runs that have not ended, in the order in which they were made."""
        return [run_id for run_id in self.runs if run_id not in self.ended]

    @property
    def ready(self) -> list[str]:
        """Those of them that nobody goes before."""
        lines = self.lines()
        return [
            run_id
            for run_id in self.active
            if (line := self.runs[run_id].line) is None or lines[line][0] == run_id
        ]

    def in_scope(self, run_id: str, name: str) -> bool:
        """Tell whether a run is about a namespace: a retry is about what was left over, and nothing else."""
        scope = True
        for parent in (self.runs[each] for each in self.runs[run_id].parents):
            if parent.complete:
                scope = name in parent.left_over
            elif name in parent.rows:
                scope = scope and name in parent.left_over
        return scope

    def standing_on(self, run_id: str) -> dict[str, int]:
        """Return the later runs that wrote where this one did and were not taken back, with how many namespaces."""
        own = self.runs[run_id]
        gone = {run.undoes for run in self.runs.values() if run.undoes and run.succeeded}
        later = self.ended[self.ended.index(run_id) + 1 :]
        found = {
            other: len(own.wrote & self.runs[other].wrote)
            for other in later
            if self.runs[other].line == own.line
            and not self.runs[other].undoes
            and other not in gone
        }
        return {other: number for other, number in found.items() if number}

    def undone(self) -> Mapping[str, str]:
        """Return which run takes back which, the last one where that was retried."""
        return {run.undoes: run_id for run_id, run in self.runs.items() if run.undoes}

    def lines(self) -> dict[tuple[str, str], list[str]]:
        """Return the runs that have not ended and stand in line, in order."""
        found: dict[tuple[str, str], list[str]] = {}
        for run_id in self.active:
            if line := self.runs[run_id].line:
                found.setdefault(line, []).append(run_id)
        return found
