"""What is wrong after an episode, in sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.order import Order


@dataclass
class Findings:
    """What was looked at, and what is wrong, over all episodes."""

    accepted: int = 0
    repeated: int = 0
    retries: int = 0
    undos: int = 0
    taken_back: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    resumed: int = 0
    rows: int = 0
    foreign: int = 0
    failed_runs: Counter[str] = field(default_factory=Counter)
    failed_rows: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    foreign_lost: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        """Everything that is wrong."""
        return [*self.lost, *self.double, *self.foreign_lost, *self.untrue]


@dataclass(frozen=True)
class Run:
    """What a remediation says about one cluster."""

    order: Order
    remediation: str
    body: dict[str, Any]
    rows: list[dict[str, Any]]

    @property
    def cluster(self) -> str:
        """The name of the cluster."""
        return str(self.body["name"])

    @property
    def error(self) -> dict[str, Any] | None:
        """Why the run as a whole failed."""
        error: dict[str, Any] | None = self.body["error"]
        return error

    @property
    def reached_all(self) -> bool:
        """Tell whether there must be a row for each namespace: not where the run failed, or ended unbegun."""
        unbegun = self.body["status"] == "cancelled" and not self.rows
        return self.error is None and not unbegun

    def row(self, namespace: str) -> dict[str, Any] | None:
        """Return the row of a namespace."""
        return next((row for row in self.rows if row["namespace"] == namespace), None)

    def __str__(self) -> str:
        return f"{self.remediation} on {self.cluster}"
