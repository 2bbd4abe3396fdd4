"""Tokens as containerd asks for them and as it reads the answers."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

# Registries that know no password grant answer it so; containerd then asks with GET.
NO_PASSWORD_GRANT = (400, 401, 404, 405)

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)")
_INTEGER = re.compile(r"-?\d+")
_TEXTS = ("token", "access_token", "refresh_token")
_LARGEST = 2**63


class _Number(str):
    """A number as it is written."""


class UnreadableToken(ValueError):
    """Nodes cannot read the answer of a token endpoint; the message says why and repeats nothing of it."""


def scopes_of(repository: str, asked: str | None) -> tuple[str, ...]:
    """Return the scopes that containerd asks for: its own and all that the challenge names, sorted, each once.

    An empty scope in the challenge is one too. None means that the challenge names none.
    """
    own = f"repository:{repository}:pull"
    return tuple(sorted({own, *(asked.split(" ") if asked is not None else ())}, key=str.encode))


def grant_form(service: str, scopes: Sequence[str], username: str, password: str) -> dict[str, str]:
    """Return the fields of the password grant."""
    form = {"client_id": "containerd-client", "grant_type": "password", "service": service}
    if scopes:
        form["scope"] = " ".join(scopes)
    return form | {"username": username, "password": password}


def query(service: str, scopes: Sequence[str]) -> list[tuple[str, str]]:
    """Return the parameters of a token request by GET, besides those that the realm has itself."""
    return [*([("service", service)] if service else []), *(("scope", scope) for scope in scopes)]


def token_in(body: bytes, *, posted: bool) -> str:
    """Return the token that a node finds in an answer. Raises UnreadableToken.

    After a `POST` only `access_token` counts; after a `GET` it goes before `token`.
    """
    names = (*_TEXTS, "scope") if posted else _TEXTS
    found = _fields(body, names)
    token = found["access_token"] or ("" if posted else found["token"])
    if not token:
        wanted = "access_token" if posted else "token"
        raise UnreadableToken(f"without a token (no {wanted})")
    if not token.isascii() or not token.isprintable():
        raise UnreadableToken("with a token that cannot be sent")
    return token


def _fields(body: bytes, texts: Sequence[str]) -> dict[str, str]:
    """Read the fields in the way of Go: one value of the wrong type spoils the whole answer."""
    found = dict.fromkeys(texts, "")
    for name, value in _pairs(body):
        key = name.lower()
        if value is None:
            continue
        if key in found:
            if not isinstance(value, str) or isinstance(value, _Number):
                raise UnreadableToken(f"with a {key} that is no text")
            found[key] = value
        elif key == "expires_in" and not (
            isinstance(value, _Number)
            and _INTEGER.fullmatch(value)
            and -_LARGEST <= int(value) < _LARGEST
        ):
            raise UnreadableToken("with an expires_in that is no whole number")
        elif key == "issued_at" and not _is_time(value):
            raise UnreadableToken("with an issued_at that is no RFC 3339 time")
    return found


def _pairs(body: bytes) -> list[tuple[str, Any]]:
    decoder = json.JSONDecoder(
        object_pairs_hook=list,
        parse_int=_Number,
        parse_float=_Number,
        parse_constant=_no_number,
    )
    try:
        # Go reads the first value and leaves the rest.
        document, _ = decoder.raw_decode(body.decode(errors="replace").lstrip(" \t\r\n"))
    except (ValueError, RecursionError):
        raise UnreadableToken("with something that is no JSON") from None
    if document is None:
        return []
    if not isinstance(document, list) or not all(isinstance(each, tuple) for each in document):
        raise UnreadableToken("with something that is no JSON object")
    return document


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or isinstance(value, _Number) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(f"{value[:19]}+00:00")
    except ValueError:
        return False
    return True


def _no_number(_: str) -> None:
    raise ValueError
