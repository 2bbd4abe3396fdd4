"""What is predicted of an entry or a login, and how sure it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Certainty(IntEnum):
    """How sure it is, the surest last."""

    NONE = 0
    POSSIBLE = 1
    DOUBTFUL = 2  # nothing can be said yet
    CERTAIN = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """What will happen: `by` names the tool or manager, `when` the occasion."""

    certainty: Certainty = Certainty.NONE
    by: str = ""
    when: str = ""


NO_DRIFT = Drift()


def surest(found: Iterable[Drift]) -> Drift:
    """Return the surest of these, the first of several."""
    return max(found, key=lambda drift: drift.certainty, default=NO_DRIFT)
