"""What callers ask for during an episode: many remediations at once, some of them twice, some given up again.

Of what has ended, some is retried and some undone, and so on.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from tests.chaos.fleet import CLUSTERS, SECRET_NAMES
from tests.chaos.installation import Installation
from tests.chaos.order import CREATE, RETRY, UNDO, Order

_AT_ONCE = 4
_IMPATIENT_SECONDS = 0.03
_SERVER_ERRORS = 500
_LIST_LIMIT = 200
_SLACK = timedelta(seconds=5)
_FOLLOW_UPS = 0.65
_NOT_USEFUL = 0.15
# When all has ended, so that no episode is without.
_LAST_FOLLOW_UPS = 4
_EVERYTHING = ["c-*"]
_SELECTIONS = [_EVERYTHING] * 3 + [["c-*1", "c-*4", "c-*7", "c-*8"], ["c-000*", "c-002?", "c-0060"]]


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
        self._last = _LAST_FOLLOW_UPS
        self.orders: list[Order] = []
        # Remediations that have ended, and the verbs that may still be said to them.
        self._open_verbs: dict[str, list[str]] = {}

    def enough(self) -> None:
        """Ask for nothing new from now on but some retries and undos; what has begun is asked to its end."""
        self._enough.set()

    @property
    def settled(self) -> bool:
        """Tell whether all was asked, and every request that is repeated until it is answered was answered."""
        return self._enough.is_set() and not self._waiting and not self._last

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
            elif not self._enough.is_set():
                found = self.found()
                room = sum(1 for item in found if not item["terminal"]) < _AT_ONCE
                now_and_then = room and self._rng.random() < _FOLLOW_UPS
                if room and not (now_and_then and self._follow_up(found, _NOT_USEFUL)):
                    self._new()
            elif self._last:
                found = self.found()
                if all(item["terminal"] for item in found):
                    self._last = self._last - 1 if self._follow_up(found) else 0
        except (httpx.TransportError, httpx.HTTPStatusError):
            return 0.2
        return self._rng.uniform(0.1, 0.5)

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
            "labels": {"episode": str(self._episode)},
        }
        if rng.random() < 0.3:
            body["ignore"] = [f"c-*{rng.randrange(10)}"]
        if rng.random() < 0.2:
            body["service_accounts"] = ["default", "*-1"]
        self._order(body)

    def _follow_up(self, found: list[dict[str, Any]], not_useful: float = 0.0) -> bool:
        """Retry or undo something that has ended, if there is anything; return whether it was asked for.

        `not_useful` is the share of those that have to be refused.
        """
        known = {order.number: order for order in self.orders}
        ended = [item for item in found if item["terminal"]]
        for item in ended:
            self._open_verbs.setdefault(item["id"], [RETRY, UNDO])
        open_ = [(item, verb) for item in ended for verb in self._open_verbs[item["id"]]]
        useful = [(item, verb) for item, verb in open_ if _comes_to_something(item, verb)]
        if self._rng.random() < not_useful:
            useful = open_
        if not useful:
            return False
        item, verb = self._rng.choice(useful)
        verbs = self._open_verbs[item["id"]]
        verbs.remove(verb)
        original = known[item["reason"]]
        body = dict(original.body)
        if verb == UNDO:
            body["dry_run"] = self._rng.random() < 0.12
            if body["dry_run"]:
                verbs.append(verb)  # once more, in earnest
        self._order(body, verb, item["id"], undoes=verb == UNDO or original.undoes)
        return True

    def _order(
        self,
        body: dict[str, Any],
        verb: str = CREATE,
        follows: str | None = None,
        *,
        undoes: bool = False,
    ) -> None:
        rng, number = self._rng, len(self.orders)
        order = Order(
            number=str(number),
            body=body,
            key=f"{self._episode}-{number}-{rng.getrandbits(64):x}" if rng.random() < 0.6 else None,
            cancel_after=rng.uniform(0.0, 4.0) if rng.random() < 0.15 else None,
            verb=verb,
            follows=follows,
            undoes=undoes,
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
            "POST", order.path, seconds, json=order.document, headers=headers
        )
        if answer.status_code == 422 and "No worker is announced" in answer.text:
            return  # the worker was away for longer than its announcement lasts
        if answer.status_code == 409:
            self._refused(order, answer.json()["code"])
            return
        if answer.status_code < _SERVER_ERRORS:
            assert answer.status_code == 202, answer.text
            order.ids.add(answer.json()["id"])
            order.accepted_at = order.accepted_at or time.monotonic()
            again = order.key and order.sent < 4 and self._rng.random() < 0.3
            if order in self._waiting and not again:
                self._waiting.remove(order)

    def _refused(self, order: Order, code: str) -> None:
        """Note why a retry or an undo cannot be; where no worker is announced it is asked for once more."""
        assert order.follows
        assert not order.ids, f"{order} was accepted before"
        if code == "cluster-unavailable":
            return
        order.refused = code
        if code == "later-remediation":
            self._open_verbs[order.follows].append(order.verb)  # when that one is undone, perhaps
        if order in self._waiting:
            self._waiting.remove(order)

    def _cancel_what_is_due(self) -> None:
        for order in self.orders:
            if order.cancelled or order.cancel_after is None or order.accepted_at is None:
                continue
            if time.monotonic() >= order.accepted_at + order.cancel_after:
                for remediation_id in order.ids:
                    path = f"/remediations/{remediation_id}/cancel"
                    # The same request for as long as it takes, and one for each remediation.
                    headers = {"Idempotency-Key": f"cancel-{remediation_id}"}
                    answer = self._installation.request("POST", path, headers=headers)
                    if answer.status_code >= _SERVER_ERRORS:
                        answer.raise_for_status()
                    assert answer.status_code in (200, 202, 409), answer.text
                order.cancelled = True


def _comes_to_something(item: dict[str, Any], verb: str) -> bool:
    """Tell whether a retry or an undo of a remediation that has ended has something to do, most likely."""
    namespaces = item["summary"]["namespaces"]
    if verb == RETRY:
        return bool(namespaces["failed"] or namespaces["cancelled"])
    return bool(namespaces["changed"]) and item["undo_of"] is None
