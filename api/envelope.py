"""What every answer carries: a request id, security headers; and a log line for each."""

import logging
import re
import time
import uuid

from flask import Flask, Response, g, request

from api.services import services

_REQUEST_ID = re.compile(r"[A-Za-z0-9._/+=-]{1,128}")
_HEADER = "X-Request-Id"
_ONE_YEAR = "max-age=31536000"
_QUIET = ("/livez", "/readyz")

log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Give every answer of the application its envelope."""
    app.before_request(_begin)
    app.after_request(_end)


def request_id() -> str:
    """Return the id of the present request: the caller's, if it is harmless, else a fresh one."""
    if "request_id" not in g:
        given = request.headers.get(_HEADER, "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def _begin() -> None:
    g.began = time.monotonic()


def _end(response: Response) -> Response:
    headers = response.headers
    headers[_HEADER] = request_id()
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["X-Frame-Options"] = "DENY"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if (services().settings.public_url or "").startswith("https:"):
        headers["Strict-Transport-Security"] = _ONE_YEAR
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers.setdefault("Cache-Control", "no-store")
    _log(response)
    return response


def _log(response: Response) -> None:
    level = logging.DEBUG if request.path in _QUIET else logging.INFO
    who = g.get("caller")
    fields = {
        "status": response.status_code,
        "ms": round((time.monotonic() - g.get("began", time.monotonic())) * 1000),
        "request_id": request_id(),
        **({"subject": who.subject, "key": who.key_id} if who else {}),
    }
    log.log(level, "%s %s", request.method, request.path, extra={"fields": fields})
