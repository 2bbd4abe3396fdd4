"""A registry's own words, as far as they may be repeated."""

import base64
import binascii
import html
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from remediation.docker_config import Login
from remediation.redaction import redacted

MOST_SHOWN = 160
_MOST_READ = 1024
_FIELDS = ("code", "message", "error", "error_description", "details", "detail")
# Reasons that a challenge may give; anything else is not repeated.
_ERRORS = ("insufficient_scope", "invalid_token", "invalid_request")

_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})")


def server_words(body: bytes, login: Login | None) -> str:
    """Return what an error answer says, short and printable; "" if it says nothing, or holds the password.

    Whatever else looks like a secret in it, such as the token that was sent, is left out.
    """
    text = body.decode(errors="replace").strip()
    if not text or text.startswith("<"):
        return ""  # a page for people
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        errors = document.get("errors")
        if isinstance(errors, list) and errors and isinstance(errors[0], dict):
            document = errors[0]
        parts = [value for name in _FIELDS if isinstance(value := document.get(name), str)]
        text = ": ".join(dict.fromkeys(part for part in parts if part))
    if login and tells(text, login):
        return ""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return redacted(shown[:_MOST_READ])[:MOST_SHOWN]


def tells(text: str, login: Login) -> bool:
    """Tell whether a text holds the password in any form in which it was sent or may be quoted."""
    secret = login.password.encode(errors="surrogateescape")
    pair = f"{login.username}:{login.password}".encode(errors="surrogateescape")
    forms = {
        login.password,
        base64.b64encode(pair).decode().rstrip("="),
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(pair).decode().rstrip("="),
        quote(secret),
        quote_plus(secret),
        json.dumps(login.password)[1:-1],
        login.password.replace("\\", ""),
        binascii.hexlify(secret).decode(),
    }
    return any(form in each for form in forms if form for each in _readings(text))


def _readings(text: str) -> tuple[str, ...]:
    """Return a text as it is written, and as it is read where it is escaped as in an address, a page or JSON."""
    once = unquote(text)
    from_json = _UNICODE.sub(lambda found: chr(int(found[1], 16)), text).replace("\\", "")
    return text, text.lower(), once, unquote(once), html.unescape(text), from_json


def known_error(text: str) -> str:
    """Return the reason that a challenge gives, "" if it is none of the known ones."""
    return text if text in _ERRORS else ""
