"""What callers ask for during an episode: many remediations at once, some of them twice, some given up again."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from random import Random
from typing import Any

import httpx

from tests.chaos.fleet import ACCOUNTS, CLUSTERS, NAMESPACES, SECRET_NAMES
from tests.chaos.installation import Installation

_AT_ONCE = 4
_IMPATIENT_SECONDS = 0.03
_SERVER_ERRORS = 500
_LIST_LIMIT = 200
_SLACK = timedelta(seconds=5)
_EVERYTHING = ["c-*"]
_SELECTIONS = [_EVERYTHING] * 3 + [["c-*1", "c-*4", "c-*7", "c-*8"], ["c-000*", "c-002?", "c-0060"]]


@dataclass
class Order:
    """A remediation as it was asked for, and what was answered; `number` is its label.

    `ids` are those of the answers; `sent` counts requests, of which those with a key may be many.
    """

    number: str
    body: dict[str, Any]
    key: str | None
    cancel_after: float | None
    ids: set[str] = field(default_factory=set)
    sent: int = 0
    accepted_at: float | None = None
    cancelled: bool = False

    @property
    def secret_name(self) -> str:
        """Which Secret it puts into place."""
        return str(self.body["secret_name"])

    @property
    def dry_run(self) -> bool:
        """Whether it is to write nothing."""
        return bool(self.body["dry_run"])

    def namespaces(self) -> set[str]:
        """Return the namespaces that must have a row."""
        meant = self.body["namespaces"]
        return {name for name in NAMESPACES if any(fnmatchcase(name, each) for each in meant)}

    def ignores(self, namespace: str) -> bool:
        """Tell whether the request itself leaves the namespace out."""
        return any(fnmatchcase(namespace, each) for each in self.body.get("ignore", []))

    def accounts(self) -> set[str]:
        """Return the ServiceAccounts that are meant in each namespace."""
        meant = self.body.get("service_accounts", ["*"])
        return {name for name in ACCOUNTS if any(fnmatchcase(name, each) for each in meant)}


class Traffic:
    """The callers of one episode: keeps some remediations open until it is told `enough`.

    Its `step` runs beside the test. Answers that say that something is wrong with the request are errors here.
    """

    def __init__(self, installation: Installation, episode: int, rng: Random) -> None:
        self._installation = installation
        self._rng = rng
        self._episode = episode
        self._names = list(SECRET_NAMES)
        rng.shuffle(self._names)
        self._waiting: list[Order] = []
        self._began = (datetime.now(UTC) - _SLACK).isoformat()
        self._enough = threading.Event()
        self.orders: list[Order] = []

    def enough(self) -> None:
        """Ask for nothing new from now on; what has begun is asked to its end."""
        self._enough.set()

    @property
    def settled(self) -> bool:
        """Tell whether every request that is repeated until it is answered was answered."""
        return self._enough.is_set() and not self._waiting

    def found(self) -> list[dict[str, Any]]:
        """Return all remediations of this episode. Raises httpx.HTTPError."""
        parameters = {
            "label": f"episode:{self._episode}",
            "created_after": self._began,
            "limit": str(_LIST_LIMIT),
        }
        items: list[dict[str, Any]] = []
        while True:
            answer = self._installation.request("GET", "/remediations", params=parameters)
            page = answer.raise_for_status().json()
            items += page["items"]
            if "next_cursor" not in page:
                return items
            parameters["cursor"] = page["next_cursor"]

    def step(self) -> float:
        """Do what is due; return how long to wait."""
        try:
            self._cancel_what_is_due()
            if self._waiting:
                self._send(self._waiting[0])
            elif not self._enough.is_set() and self._room():
                self._new()
        except (httpx.TransportError, httpx.HTTPStatusError):
            return 0.2
        return self._rng.uniform(0.1, 0.5)

    def _room(self) -> bool:
        found = self.found()
        return sum(1 for item in found if not item["terminal"]) < _AT_ONCE

    def _new(self) -> None:
        rng = self._rng
        number = len(self.orders)
        body: dict[str, Any] = {
            "credential": "harbor",
            "registry_check": "skip",  # its registry is a name only
            "readiness": False,  # its checks would only take the workers' time
            "clusters": rng.choice([list(CLUSTERS), ["*"], list(CLUSTERS), [rng.choice(CLUSTERS)]]),
            "namespaces": rng.choice(_SELECTIONS),
            # Two in a row mean the same Secret: the second stands in line.
            "secret_name": self._names[number * 2 // 3 % len(self._names)],
            "dry_run": rng.random() < 0.12,
            "labels": {"episode": str(self._episode), "order": str(number)},
        }
        if rng.random() < 0.3:
            body["ignore"] = [f"c-*{rng.randrange(10)}"]
        if rng.random() < 0.2:
            body["service_accounts"] = ["default", "*-1"]
        order = Order(
            number=str(number),
            body=body,
            key=f"{self._episode}-{number}-{rng.getrandbits(64):x}" if rng.random() < 0.6 else None,
            cancel_after=rng.uniform(0.0, 4.0) if rng.random() < 0.15 else None,
        )
        self.orders.append(order)
        if order.key:
            self._waiting.append(order)
        self._send(order)

    def _send(self, order: Order) -> None:
        """Send it once; one with a key is sent again until it has its answer, and now and then once more."""
        headers = {"Idempotency-Key": order.key} if order.key else {}
        # Some hang up before the answer.
        hurried = order.key and order.sent == 0 and self._rng.random() < 0.3
        seconds = _IMPATIENT_SECONDS if hurried else 5.0
        order.sent += 1
        answer = self._installation.request(
            "POST", "/remediations", seconds, json=order.body, headers=headers
        )
        if answer.status_code == 422 and "No worker is announced" in answer.text:
            return  # the worker was away for longer than its announcement lasts
        if answer.status_code < _SERVER_ERRORS:
            assert answer.status_code == 202, answer.text
            order.ids.add(answer.json()["id"])
            order.accepted_at = order.accepted_at or time.monotonic()
            again = order.key and order.sent < 4 and self._rng.random() < 0.3
            if order in self._waiting and not again:
                self._waiting.remove(order)

    def _cancel_what_is_due(self) -> None:
        for order in self.orders:
            if order.cancelled or order.cancel_after is None or order.accepted_at is None:
                continue
            if time.monotonic() >= order.accepted_at + order.cancel_after:
                for remediation_id in order.ids:
                    path = f"/remediations/{remediation_id}/cancel"
                    answer = self._installation.request("POST", path)
                    if answer.status_code >= _SERVER_ERRORS:
                        answer.raise_for_status()
                    assert answer.status_code in (200, 202, 409), answer.text
                order.cancelled = True
