from dataclasses import replace
from typing import Any

import pytest

from remediation.outcome import Summary
from remediation.readiness.verdict import Verdict
from remediation.status import RunStatus
from store.elsewhere import settled, told
from store.records import Judged, Run, Slip

UNUSED = Slip("C_UNUSED", "Registry", "registry.example.com", "blocking")
MISSING = Slip("C_UNMATCHED", "Namespace", "shpo", "blocking")


def run(*slips: Slip, status: RunStatus = RunStatus.SUCCEEDED, blocking: int = 0) -> Run:
    number = blocking + sum(slip.counted_as == "blocking" for slip in slips)
    judged = Judged(
        Verdict.UNKNOWN if number else Verdict.SAFE,
        {},
        {"blocking": number, "warning": 0, "info": 0, "waived": 1},
        (),
        {},
        slips,
    )
    return Run("r", "chk", "alpha", "pool", status, 1, 0, "", Summary(), judged=judged)


def verdicts(*runs: Run) -> list[Verdict | None]:
    return [each.verdict for each in settled(runs)]


def test_what_another_cluster_has_does_not_count() -> None:
    assert verdicts(run(UNUSED), run()) == [Verdict.SAFE, Verdict.SAFE]


def test_what_no_cluster_has_counts_on_each() -> None:
    assert verdicts(run(UNUSED), run(UNUSED)) == [Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert verdicts(run(UNUSED)) == [Verdict.UNKNOWN]


def test_each_slip_is_looked_for_by_itself() -> None:
    assert verdicts(run(UNUSED, MISSING), run(MISSING)) == [Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert verdicts(run(UNUSED), run(MISSING)) == [Verdict.SAFE, Verdict.SAFE]


@pytest.mark.parametrize(
    "other",
    [run(status=RunStatus.FAILED), run(status=RunStatus.RUNNING), replace(run(), judged=None)],
)
def test_a_cluster_that_was_not_judged_to_its_end_has_nothing(other: Run) -> None:
    assert settled((run(UNUSED), other))[0].verdict is Verdict.UNKNOWN


def test_other_findings_go_on_to_block() -> None:
    first, _ = settled((run(UNUSED, blocking=1), run()))

    assert first.verdict is Verdict.UNKNOWN
    assert first.judged
    assert first.judged.severities == {"blocking": 1, "warning": 0, "info": 1, "waived": 1}


def test_one_that_was_waived_is_no_longer_counted_as_such() -> None:
    first, _ = settled((run(replace(UNUSED, counted_as="waived")), run()))

    assert first.judged
    assert first.judged.severities["waived"] == 0


def test_a_row_is_told_as_it_counts() -> None:
    row: dict[str, Any] = {"class": "C_UNUSED", "kind": "Registry", "name": "registry.example.com"}
    row |= {"severity": "blocking", "doubt": True, "waiver": None, "explanation": "x.", "fix": "y"}
    first, _ = settled((run(UNUSED), run()))
    assert first.judged

    shown = told(row, first.judged)

    assert (shown["severity"], shown["doubt"], shown["fix"]) == ("info", False, "")
    assert told(row | {"name": "other"}, first.judged)["severity"] == "blocking"
