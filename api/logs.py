"""Log lines on standard error, as text or as one JSON object a line."""

import json
import logging
import sys
from datetime import UTC, datetime

from api.settings import LogFormat, LogLevel

# gunicorn tells each start and stop of each process at level INFO: of use only when hunting a fault.
_QUIET_LOGGERS = ("gunicorn.error",)


def configure(log_format: LogFormat, level: LogLevel) -> None:
    """Send everything that is logged to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format is LogFormat.JSON else _TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level is not LogLevel.DEBUG:
        for name in _QUIET_LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_one_line(value)}" for name, value in _fields(record).items())
        text = f"{_time(record)} {record.levelname:<7} {_one_line(record.getMessage())}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what was passed as `extra={"fields": {…}}`."""
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _time(record: logging.LogRecord) -> str:
    time = datetime.fromtimestamp(record.created, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(value: object) -> str:
    """A caller's text must not look like a line of its own."""
    return "".join(char if char.isprintable() else " " for char in str(value))
