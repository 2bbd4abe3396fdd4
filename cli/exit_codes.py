"""What the exit code of a command says; scripts rely on these numbers. README.md has the table."""

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
    UNREACHABLE = 5  # no answer, none in time, or a fault of the service
    UNKNOWN = 6  # not known, or not known yet
    CANCELLED = 7  # a remediation; or the command, by an answer other than yes
    STATE = 8  # the request is right, and its object is in a state that does not allow it
    QUOTA = 9  # later, the same request is taken
    INTERRUPTED = 130  # Ctrl-C, as shells count it
    PIPE_CLOSED = 141  # the reader of the output has ended, as shells count it


_BY_STATUS = {
    "succeeded": ExitCode.SUCCEEDED,
    "partial": ExitCode.PARTIAL,
    "failed": ExitCode.FAILED,
    "cancelled": ExitCode.CANCELLED,
}
# Of the service or of a proxy before it.
_BY_ANSWER = {401: ExitCode.DENIED, 403: ExitCode.DENIED, 429: ExitCode.QUOTA}
# Of the service only.
_BY_PROBLEM = {404: ExitCode.UNKNOWN, 409: ExitCode.STATE, 412: ExitCode.STATE}


def exit_code(remediation: Mapping[str, Any]) -> ExitCode:
    """Return the code of a remediation; one that still runs, or ended in a way unheard of, is `UNKNOWN`."""
    return _BY_STATUS.get(str(remediation.get("status")), ExitCode.UNKNOWN)


def exit_code_of_answer(status: int, *, ours: bool) -> ExitCode:
    """Return the code for an HTTP error status; what is not `ours` says nothing about what was asked for."""
    if status in _BY_ANSWER:
        return _BY_ANSWER[status]
    if status >= 500 or not ours:
        return ExitCode.UNREACHABLE
    return _BY_PROBLEM.get(status, ExitCode.INVALID)
