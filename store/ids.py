"""Ids that sort by their time."""

from ulid import ULID


def new_id() -> str:
    """Return a ULID."""
    return str(ULID())
