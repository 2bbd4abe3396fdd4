"""A registry's own words, as far as they may be repeated."""

import base64
import binascii
import json
from typing import Any
from urllib.parse import quote, quote_plus

from remediation.docker_config import Login

MOST_SHOWN = 160
_FIELDS = ("code", "message", "error", "error_description", "details", "detail")
# Reasons that a challenge may give; anything else is not repeated.
_ERRORS = ("insufficient_scope", "invalid_token", "invalid_request")


def server_words(body: bytes, login: Login | None) -> str:
    """Return what an error answer says, short and printable; "" if it says nothing, or any part of the login."""
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
    return "".join(char if char.isprintable() else " " for char in text)[:MOST_SHOWN]


def tells(text: str, login: Login) -> bool:
    """Tell whether a text holds the password in any form in which it was sent."""
    secret = login.password.encode(errors="surrogateescape")
    pair = f"{login.username}:{login.password}".encode(errors="surrogateescape")
    forms = {
        login.password,
        base64.b64encode(pair).decode().rstrip("="),
        base64.b64encode(secret).decode().rstrip("="),
        quote(secret),
        quote_plus(secret),
        json.dumps(login.password)[1:-1],
        binascii.hexlify(secret).decode(),
    }
    return any(form in text for form in forms if form)


def known_error(text: str) -> str:
    """Return the reason that a challenge gives, "" if it is none of the known ones."""
    return text if text in _ERRORS else ""
