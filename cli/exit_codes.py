"""What the exit code of a command says; scripts rely on these numbers."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """One meaning each, the same for every command."""

    SUCCEEDED = 0
    FAILED = 1
    INVALID = 2  # wrong usage, or a request the service does not accept
    PARTIAL = 3
    DENIED = 4
    UNREACHABLE = 5  # no answer, or none in time
    UNKNOWN = 6  # not known, or not known yet
    CANCELLED = 7
    INTERRUPTED = 130  # Ctrl-C, as shells count it


_BY_STATUS = {
    "succeeded": ExitCode.SUCCEEDED,
    "partial": ExitCode.PARTIAL,
    "failed": ExitCode.FAILED,
    "cancelled": ExitCode.CANCELLED,
}


def exit_code(remediation: Mapping[str, Any]) -> ExitCode:
    """Return the code of a remediation; one that still runs, or ended in a way unheard of, is `UNKNOWN`."""
    return _BY_STATUS.get(str(remediation.get("status")), ExitCode.UNKNOWN)


def exit_code_of_answer(status: int) -> ExitCode:
    """Return the code for an HTTP error status."""
    if status in (401, 403):
        return ExitCode.DENIED
    if status == 429 or status >= 500:
        return ExitCode.UNREACHABLE
    return ExitCode.INVALID
