"""The states of a remediation and of its runs, and how they follow from the results."""

from collections.abc import Sequence
from enum import StrEnum

from remediation.outcome import Summary


class RunStatus(StrEnum):
    """One remediation on one cluster."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Tell whether the run has ended for good."""
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


class RemediationStatus(StrEnum):
    """The whole request."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Tell whether the remediation has ended for good."""
        return self not in (
            RemediationStatus.QUEUED,
            RemediationStatus.RUNNING,
            RemediationStatus.CANCELLING,
        )


def run_status(summary: Summary) -> RunStatus:
    """Return how a run ended whose rows add up to `summary`."""
    if summary.cancelled:
        return RunStatus.CANCELLED
    if not summary.failed:
        return RunStatus.SUCCEEDED
    return RunStatus.PARTIAL if summary.in_line else RunStatus.FAILED


def remediation_status(runs: Sequence[RunStatus]) -> RemediationStatus:
    """Return how a remediation ended whose runs ended like this. Raises ValueError if one has not."""
    if not all(run.terminal for run in runs):
        raise ValueError("a remediation ends with its last run, not before")
    ended = set(runs)
    if RunStatus.CANCELLED in ended:
        return RemediationStatus.CANCELLED
    if ended <= {RunStatus.SUCCEEDED}:
        return RemediationStatus.SUCCEEDED
    if ended <= {RunStatus.FAILED, RunStatus.UNREACHABLE}:
        return RemediationStatus.FAILED
    return RemediationStatus.PARTIAL
