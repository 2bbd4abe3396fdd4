"""Calls of the HTTP API as values, so that they can be sent or shown."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]

BASE_PATH = "/api/v1"


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the API. `path` is below the base; a POST carries a key that makes repeating it harmless.

    `password` belongs into the body's `inline_credential`; None: there is none.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: JsonObject | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: int = 0  # how long the service may hold the answer back
    password: str | None = field(default=None, repr=False)

    def to_params(self) -> dict[str, str]:
        """Return the query, with the wait if there is one."""
        wait = {"wait": str(self.wait_seconds)} if self.wait_seconds else {}
        return {**self.params, **wait}

    def to_json(self) -> JsonObject | None:
        """Return the body as it is sent."""
        if self.body is None or self.password is None:
            return self.body
        login = {**self.body["inline_credential"], "password": self.password}
        return {**self.body, "inline_credential": login}


def get(path: str, params: Mapping[str, str | None] | None = None, *, wait: int = 0) -> Request:
    """Return a GET; parameters that are None are left out."""
    given = {name: value for name, value in (params or {}).items() if value is not None}
    return Request("GET", path, given, wait_seconds=wait)


def post(path: str, body: JsonObject | None = None) -> Request:
    """Return a POST with a fresh idempotency key."""
    return Request("POST", path, body=body, headers={"Idempotency-Key": str(uuid.uuid4())})
