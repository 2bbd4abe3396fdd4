"""What a run is about that follows on another: a retry on what was left over, an undo on what was done."""

from __future__ import annotations

from collections.abc import Iterable

from tests.chaos.findings import Run
from tests.chaos.order import CREATE, RETRY, UNDO

LEFT_OVER = ("failed", "cancelled")
Bounds = tuple[set[str], set[str]]
"""The namespaces that must have a row, and those that may: they differ where a run could not say what it did."""


class Kinship:
    """The runs of an episode and what they go back to."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = {(run.remediation, run.cluster): run for run in runs}

    def parent(self, run: Run) -> Run:
        """Return the run on the same cluster that a retry or an undo follows."""
        assert run.order.follows
        return self._runs[run.order.follows, run.cluster]

    def undone(self, run: Run) -> Run:
        """Return the run that an undo, or the retry of one, takes back."""
        parent = self.parent(run)
        return self.undone(parent) if run.order.verb == RETRY else parent

    def about(self, run: Run) -> Bounds:
        """Return which namespaces a run is about."""
        if run.order.verb == CREATE:
            return run.order.namespaces(), run.order.namespaces()
        parent = self.parent(run)
        if run.order.verb == UNDO:
            return self._did(parent)
        if (left := self._left(parent)) is not None:
            return left
        finished = {row["namespace"] for row in parent.rows if row["outcome"] not in LEFT_OVER}
        must, may = self.about(parent)
        return must - finished, may - finished

    def clusters(self, follows: str, verb: str) -> Bounds:
        """Return the clusters that a retry or an undo of a remediation must be on, and those that it may be on."""
        must, may = set(), set()
        for run in (run for (name, _), run in self._runs.items() if name == follows):
            if verb == RETRY:
                left = self._left(run)
                lost = {run.cluster} if run.body["status"] != "succeeded" else set()
                sure, maybe = (lost, lost) if left is None else left
            else:
                sure, maybe = self._did(run)
            must |= {run.cluster} if sure else set()
            may |= {run.cluster} if maybe else set()
        return must, may

    def _left(self, run: Run) -> Bounds | None:
        """Return what a run that gave each namespace a row left over, None for another."""
        if not run.reached_all:
            return None
        left = {row["namespace"] for row in run.rows if row["outcome"] in LEFT_OVER}
        return left, left

    def _did(self, run: Run) -> Bounds:
        if run.order.dry_run or run.order.undoes:
            return set(), set()
        sure = {row["namespace"] for row in run.rows if wrote(row)}
        doubtful = {row["namespace"] for row in run.rows if row["outcome"] in LEFT_OVER}
        if not run.reached_all:
            doubtful |= self.about(run)[1] - {row["namespace"] for row in run.rows}
        return sure, sure | doubtful


def wrote(row: dict[str, object]) -> bool:
    """Tell whether a row says that something was written."""
    secret = row["secret"]
    assert isinstance(secret, dict)
    return bool(row["changed_service_accounts"]) or secret["action"] not in ("unchanged", "none")
