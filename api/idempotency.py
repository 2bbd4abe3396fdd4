"""Idempotency-Key: the header, and the answer to a request that was sent before."""

import re
from collections.abc import Callable
from typing import TypeVar

from flask import Response, request

from api.access import caller
from api.problems import Problem
from api.services import services
from store.idempotency import KeyTaken, Known, RequestKey

Made = TypeVar("Made")

_KEY = re.compile(r"[A-Za-z0-9._:-]{8,255}")
REPLAYED = {"Idempotency-Replayed": "true"}
KEY_HEADER = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "8 to 255 letters, digits and `.` `_` `:` `-`; a UUID is right. The same request under the same "
    "key, within a day, makes nothing new and is answered with what was made of it, as it is now.",
    "schema": {"type": "string", "pattern": f'^("{_KEY.pattern}"|{_KEY.pattern})$'},
}


def request_key(route: str, fingerprint: str) -> RequestKey | None:
    """Return the key of the present request, None if it has none. Raises Problem for one of another form.

    The draft has the key in quotes, most clients send it without: both mean the same.
    """
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not _KEY.fullmatch(key):
        raise Problem(
            "malformed-request",
            "The header Idempotency-Key must have 8 to 255 letters, digits and '.', '_', ':', '-'; a UUID is right.",
        )
    return RequestKey(caller().subject, route, key, fingerprint)


def made_once(
    key: RequestKey | None,
    make: Callable[[], tuple[Made, dict[str, str]]],
    find: Callable[[str], Made],
) -> tuple[Made, dict[str, str]]:
    """Return what a POST makes, with headers that go with it: of `make`, or `find` it if it was made before.

    Raises Problem, also if the key belongs to another request.
    """
    keys = services().store.idempotency
    if key and (known := keys.known(key)):
        return replay(known, find)
    try:
        return make()
    except KeyTaken as taken:  # by the same request, a moment ago
        return replay(taken.known, find)
    except Problem:
        # What is in the way may be what the same request has made a moment ago.
        if key and (known := keys.known(key)):
            return replay(known, find)
        raise


def replay(known: Known, find: Callable[[str], Made]) -> tuple[Made, dict[str, str]]:
    """Return what was made of the key, as it is now, and headers that say so. Raises Problem as `made_once` does."""
    _check_same(known)
    return find(known.remediation_id), REPLAYED


def once(
    key: RequestKey | None, about: str, act: Callable[[], Response], again: Callable[[], Response]
) -> Response:
    """Return the answer to a POST that makes nothing new: of `act`, or of `again` if it was carried out before.

    `act` may safely be carried out twice by calls that come at the same moment. `about` names what the request is
    about, `again` tells how that is now. Raises Problem.
    """
    if key is None:
        return act()
    keys = services().store.idempotency
    if known := keys.known(key):
        return _again(known, again)
    try:
        answer = act()
    except Problem:
        # What is in the way may be what the same request has done a moment ago.
        if known := keys.known(key):
            return _again(known, again)
        raise
    keys.keep(key, about)
    return answer


def _again(known: Known, again: Callable[[], Response]) -> Response:
    _check_same(known)
    answer = again()
    answer.headers.update(REPLAYED)
    return answer


def _check_same(known: Known) -> None:
    if not known.same:
        raise Problem(
            "idempotency-key-reuse",
            f"The key belongs to another request, about {known.remediation_id}: use a new key for a new request.",
        )
