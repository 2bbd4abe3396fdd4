"""What a remediation does to its clusters: it puts the Secret in place, does that again, or takes it back."""

from enum import StrEnum


class Kind(StrEnum):
    """Which request made a remediation; the retry of an undo takes back, and is an undo."""

    RUN = "run"
    RETRY = "retry"
    UNDO = "undo"


def kind_of(*, retry_of: str | None, undo_of: str | None) -> Kind:
    """Return what a remediation is, by the remediations that it follows."""
    if undo_of:
        return Kind.UNDO
    return Kind.RETRY if retry_of else Kind.RUN
