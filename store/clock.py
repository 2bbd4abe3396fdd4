"""Times as the records hold them."""

from datetime import UTC, datetime, timedelta
from typing import Any


def now() -> str:
    """Return the present time, RFC 3339 UTC with milliseconds. Such texts are in the order of the times."""
    return text(datetime.now(UTC))


def common(redis: Any) -> datetime:
    """Return the time by the clock of Redis, which all machines share: deadlines are set and compared by it."""
    seconds, microseconds = redis.time()
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)


def latest(redis: Any) -> datetime:
    """Return the later of this machine's time and that of Redis: what ends by a clock has ended once one says so."""
    return max(datetime.now(UTC), common(redis))


def later(before: str, seconds: float) -> str:
    """Return the time so many seconds after another."""
    return text(parse(before) + timedelta(seconds=seconds))


def seconds_until(text: str) -> int:
    """Return the whole seconds from now to a time, 0 if it has passed."""
    return max(0, int((parse(text) - datetime.now(UTC)).total_seconds()))


def parse(text: str) -> datetime:
    """Read a time that `now` wrote."""
    return datetime.fromisoformat(text)


def text(moment: datetime) -> str:
    """Return a time, which has a zone, as `now` writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
