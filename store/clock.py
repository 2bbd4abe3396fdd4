"""Times as the records hold them."""

from datetime import UTC, datetime, timedelta


def now() -> str:
    """Return the present time, RFC 3339 UTC with milliseconds. Such texts are in the order of the times."""
    return _text(datetime.now(UTC))


def later(text: str, seconds: float) -> str:
    """Return the time so many seconds after another."""
    return _text(parse(text) + timedelta(seconds=seconds))


def parse(text: str) -> datetime:
    """Read a time that `now` wrote."""
    return datetime.fromisoformat(text)


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
