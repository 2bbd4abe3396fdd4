"""Bytes that are no HTTP request: answered and logged without a word of them.

gunicorn quotes what it cannot read, in its log and in its answer. That may be the end of a body whose Content-Length
was too small, with a password in it, or an Authorization header without its colon.
"""

import logging
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

_STATUSES = {
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
_OURS = (InvalidResponseHeader, InvalidResponseHeaderName)

log = logging.getLogger(__name__)


def is_unreadable(error: BaseException) -> bool:
    """Tell whether gunicorn could not read a request, rather than that something here failed."""
    return isinstance(error, ParseException) and not isinstance(error, _OURS)


def refuse(client: Any, address: Any, error: BaseException) -> None:
    """Say that a request cannot be read, and of what kind its fault is."""
    status = _STATUSES.get(type(error), HTTPStatus.BAD_REQUEST)
    place = address[0] if isinstance(address, tuple) else "a socket"
    log.warning("a request from %s cannot be read: %s", place, type(error).__name__)
    try:
        util.write_error(client, status.value, status.phrase, "The request cannot be read.")
    except OSError:
        log.debug("%s was gone before the answer", place)


def without_quotations(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of a log line with the kinds of exceptions instead of their texts."""
    return tuple(
        type(each).__name__ if isinstance(each, BaseException) else each for each in arguments
    )
