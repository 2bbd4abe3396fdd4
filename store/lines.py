"""One cluster, one writer: runs that write the same Secret on the same cluster go one after the other, in order."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from store.ids import owner_of
from store.records import Run


def place(cluster: str, secret_name: str) -> str:
    """Return what the line for this Secret on this cluster is called: no key is built of a caller's text."""
    return hashlib.sha256(f"{cluster}\0{secret_name}".encode()).hexdigest()[:32]


def in_line(redis: Any, runs: Sequence[Run]) -> list[Run]:
    """Return the runs, each that waits with the remediation that goes first."""
    waiting = [run for run in runs if run.line and not run.status.terminal]
    with redis.pipeline(transaction=False) as pipe:
        for run in waiting:
            pipe.lindex(run.line, 0)
        first = dict(zip((run.id for run in waiting), pipe.execute(), strict=True))
    return [
        replace(run, behind=owner_of(ahead))
        if (ahead := first.get(run.id)) and ahead != run.id
        else run
        for run in runs
    ]


def head(redis: Any, run: Run) -> str | None:
    """Return the id of the run that is first in the line of `run`, None if there is none."""
    return redis.lindex(run.line, 0) if run.line else None
