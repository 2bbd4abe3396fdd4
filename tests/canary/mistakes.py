"""Requests that hold a password where none belongs, or that nobody can read."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tests.canary.canaries import Canary
from tests.canary.stage import Stage

_JSON = {"Content-Type": "application/json"}
_SECONDS = 60


def send_all(stage: Stage) -> None:
    """Send them; make sure that none is taken in."""
    for way in (*_bodies(stage, stage.canaries["stray"]), *_misnamed(stage.canaries["misplaced"])):
        answer = stage.ask("POST", "/remediations", **way)
        assert 400 <= answer.status_code < 500, answer.text
    for text in _unreadable(stage, stage.canaries["stray"]):
        place = urlsplit(stage.tap.url)
        with socket.create_connection((place.hostname, place.port), _SECONDS) as connection:
            connection.sendall(text.encode())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def _bodies(stage: Stage, canary: Canary) -> Iterator[dict[str, Any]]:
    """Yield requests with the password in a member that is for one, of another form; and bodies that are none."""
    right = canary.login(stage.registry)
    password, joined = canary.password, f"{canary.username}:{canary.password}"
    logins: list[Any] = [
        password,
        [password],
        right | {"password": [password]},
        right | {"password": {"value": password}},
        right | {"password": password * 3000},
        right | {"username": joined},
        right | {"registry": f"https://{joined}@{stage.registry}"},
        right | {"registry": f"{stage.registry} {password}"},
        right | {"secret": password},
        {"registry": stage.registry, "auth": password},
    ]
    body = {"clusters": ["alpha"]}
    for login in logins:
        yield {"json": body | {"inline_credential": login}}
    whole = body | {"inline_credential": right}
    yield {"json": whole | {"credential": "named"}}
    yield {"json": whole | {"clusters": ["no-such-cluster"]}}
    yield {"json": whole | {"password": password}}
    yield {"json": whole | {"auths": {stage.registry: right}}}
    yield {"json": whole, "params": {"wait": "x", "password": password}}
    yield {"json": whole, "headers": {"Idempotency-Key": password.encode().hex() + "/"}}
    text = json.dumps(whole)
    yield {"content": text[:-20], "headers": _JSON}
    yield {"content": text + password, "headers": _JSON}
    yield {
        "content": text.replace('"password"', f'"password": {json.dumps(password)}, "password"'),
        "headers": _JSON,
    }
    yield {"content": text.encode("utf-16"), "headers": _JSON}
    yield {"content": text, "headers": {"Content-Type": "text/plain"}}
    yield {"content": gzip.compress(text.encode()), "headers": _JSON | {"Content-Encoding": "gzip"}}
    yield {"content": text + " " * (1 << 18), "headers": _JSON}


def _misnamed(canary: Canary) -> Iterator[dict[str, Any]]:
    """Yield requests with the password where a name belongs. The answer may say it; nothing may keep it."""
    password = canary.password
    yield {"json": {"clusters": ["alpha"], "credential": password}}
    yield {"json": {"clusters": [password], "credential": "named"}}
    yield {"json": {"clusters": ["alpha"], "credential": "named", password: True}}
    yield {"json": {"clusters": ["alpha"], "credential": "named", "secret_name": password}}
    yield {"json": {"clusters": ["alpha"], "credential": "named", "reason": password + "\n"}}


def _unreadable(stage: Stage, canary: Canary) -> Iterator[str]:
    """Yield what is no HTTP: a body that is longer than was said, headers and lines that are broken."""
    secret = canary.password
    host = f"Host: x\r\nAuthorization: Bearer {stage.service.token}\r\n"
    start = f"POST /api/v1/remediations HTTP/1.1\r\n{host}"
    body = json.dumps({"inline_credential": canary.login(stage.registry)})
    yield f"{start}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{body}\r\n\r\n"
    yield f"{start}Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n{body}"
    yield f"{start}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{body}\r\n\r\n"
    yield f"{start}Authorization Basic {secret}\r\n\r\n"
    yield f"{start}X-Password: a\r\n {secret}\r\n\r\n"
    yield f"GET /livez?{secret} {secret}\r\n\r\n"
    yield f"{body}\r\n\r\n"
