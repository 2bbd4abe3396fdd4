"""How a run and a remediation end."""

from itertools import chain, combinations

import pytest

from remediation.outcome import Summary
from remediation.status import RemediationStatus, RunStatus, remediation_status, run_status

ENDED = [status for status in RunStatus if status.terminal]
NONE_FAILED = {RunStatus.SUCCEEDED}
NONE_DONE = {RunStatus.FAILED, RunStatus.UNREACHABLE}


def test_every_status_is_open_or_final() -> None:
    assert {status for status in RunStatus if not status.terminal} == {"queued", "running"}
    assert {status for status in RemediationStatus if not status.terminal} == {
        "queued",
        "running",
        "cancelling",
    }


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({}, RunStatus.SUCCEEDED),
        ({"changed": 1}, RunStatus.SUCCEEDED),
        ({"unchanged": 1}, RunStatus.SUCCEEDED),
        ({"would_change": 1}, RunStatus.SUCCEEDED),
        ({"ignored": 1, "skipped": 1}, RunStatus.SUCCEEDED),
        ({"failed": 1}, RunStatus.FAILED),
        ({"failed": 1, "changed": 1}, RunStatus.PARTIAL),
        ({"failed": 1, "unchanged": 1}, RunStatus.PARTIAL),
        ({"failed": 1, "would_change": 1}, RunStatus.PARTIAL),
        ({"failed": 1, "ignored": 1}, RunStatus.FAILED),  # nothing was done where it mattered
        ({"failed": 1, "skipped": 1}, RunStatus.FAILED),
        ({"cancelled": 1}, RunStatus.CANCELLED),
        ({"cancelled": 1, "changed": 1, "failed": 1}, RunStatus.CANCELLED),
    ],
)
def test_a_run_ends_as_its_rows_say(counts: dict[str, int], status: RunStatus) -> None:
    assert run_status(Summary(**counts)) is status


@pytest.mark.parametrize(
    "ended",
    [
        set(some)
        for some in chain.from_iterable(combinations(ENDED, size) for size in range(len(ENDED) + 1))
    ],
    ids=lambda ended: "+".join(sorted(ended)) or "none",
)
def test_a_remediation_ends_as_its_runs_did(ended: set[RunStatus]) -> None:
    if RunStatus.CANCELLED in ended:
        expected = RemediationStatus.CANCELLED
    elif not ended - NONE_FAILED:
        expected = RemediationStatus.SUCCEEDED
    elif not ended - NONE_DONE:
        expected = RemediationStatus.FAILED
    else:
        expected = RemediationStatus.PARTIAL

    assert remediation_status([*ended, *ended]) is expected


@pytest.mark.parametrize("open_one", [RunStatus.QUEUED, RunStatus.RUNNING])
@pytest.mark.parametrize("other", list(RunStatus))
def test_a_remediation_does_not_end_before_its_runs(open_one: RunStatus, other: RunStatus) -> None:
    with pytest.raises(ValueError, match="last run"):
        remediation_status([other, open_one])
