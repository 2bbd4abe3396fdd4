"""What one cluster of a check does not have and another one has: there it says nothing about the request."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from remediation.readiness.finding import Severity
from remediation.readiness.verdict import Verdict
from remediation.status import RunStatus
from store.records import Judged, Run, Slip

_NOTE = " Another cluster of this check has it, so this says nothing against the request."


def settled(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the runs of a check, each knowing what the others found.

    A name that matches nothing on any cluster is a slip; one that matches on some cluster is none on the others. Only a
    cluster that was judged to its end counts as having what it does not miss.
    """
    return tuple(_settled(run, runs) for run in runs)


def told(row: dict[str, Any], judged: Judged) -> dict[str, Any]:
    """Return a finding's row as it counts over all clusters."""
    if not judged.elsewhere:
        return row
    key = (row["class"], row["kind"], row["name"])
    if all(slip.key != key for slip in judged.elsewhere):
        return row
    return row | {
        "severity": Severity.INFO.value,
        "doubt": False,
        "waiver": None,
        "explanation": row["explanation"] + _NOTE,
        "fix": "",
    }


def _settled(run: Run, runs: Sequence[Run]) -> Run:
    if run.judged is None or not run.judged.slips:
        return run
    others = [
        {slip.key for slip in other.judged.slips}
        for other in runs
        if other is not run and other.judged and other.status is RunStatus.SUCCEEDED
    ]
    elsewhere = frozenset(
        slip for slip in run.judged.slips if any(slip.key not in keys for keys in others)
    )
    return replace(run, judged=_without(run.judged, elsewhere)) if elsewhere else run


def _without(judged: Judged, elsewhere: frozenset[Slip]) -> Judged:
    severities = _counts(judged.severities, elsewhere)
    # What blocked was in doubt, or the verdict would be another one.
    cleared = judged.verdict is Verdict.UNKNOWN and not severities[Severity.BLOCKING]
    return replace(
        judged,
        verdict=Verdict.SAFE if cleared else judged.verdict,
        severities=severities,
        elsewhere=elsewhere,
    )


def _counts(severities: Mapping[str, int], elsewhere: frozenset[Slip]) -> dict[str, int]:
    counts = {str(severity): 0 for severity in Severity} | dict(severities)
    for slip in elsewhere:
        counts[slip.counted_as] -= 1
        counts[Severity.INFO] += 1
    return counts
