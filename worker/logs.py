"""Log lines on standard error, as text or as one JSON object a line: in the form that the API's lines have."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, Processor


def set_up(log_format: str, level: str) -> None:
    """Send the log records of all libraries and of ours to standard error."""
    last: list[Processor] = (
        [_members, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if log_format == "json"
        else [_text]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                _time,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Python's own tracebacks: with the values of variables they would show Secrets and tokens.
                structlog.processors.format_exc_info,
                *last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def _time(_logger: Any, _method: str, event: EventDict) -> EventDict:
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {**event, "time": moment.replace("+00:00", "Z")}


def _members(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Return the members of the API's lines, in their order."""
    line = {name: event[name] for name in ("time", "level", "logger")}
    line["message"] = event["event"]
    return line | {name: event[name] for name in ("exception",) if name in event}


def _text(_logger: Any, _method: str, event: EventDict) -> str:
    # A text from a cluster or a registry must not look like a line of its own.
    message = "".join(char if char.isprintable() else " " for char in str(event["event"]))
    line = f"{event['time']} {str(event['level']).upper():<7} {message}"
    return f"{line}\n{event['exception']}" if "exception" in event else line
