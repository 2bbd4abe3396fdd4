"""What was asked for, and what was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.chaos.fleet import ACCOUNTS, NAMESPACES

CREATE, RETRY, UNDO = "create", "retry", "undo"


@dataclass
class Order:
    """A remediation as it was asked for; `number` is its reason, by which it is found again.

    `ids` are those of the answers; `sent` counts requests, of which those with a key may be many. A retry and an undo
    say what they `follow` and share its `body`; `refused` is the code of a problem that came instead of an answer.
    """

    number: str
    body: dict[str, Any]
    key: str | None = None
    cancel_after: float | None = None
    verb: str = CREATE
    follows: str | None = None
    undoes: bool = False
    ids: set[str] = field(default_factory=set)
    sent: int = 0
    accepted_at: float | None = None
    cancelled: bool = False
    refused: str | None = None

    @property
    def path(self) -> str:
        """Where it is posted to."""
        return f"/remediations/{self.follows}/{self.verb}" if self.follows else "/remediations"

    @property
    def document(self) -> dict[str, Any]:
        """What is posted."""
        if self.verb == CREATE:
            return self.body | {"reason": self.number}
        more = {"dry_run": self.dry_run} if self.verb == UNDO else {}
        return {"reason": self.number} | more

    @property
    def secret_name(self) -> str:
        """Which Secret it puts into place, or takes away again."""
        return str(self.body["secret_name"])

    @property
    def dry_run(self) -> bool:
        """Whether it is to write nothing."""
        return bool(self.body["dry_run"])

    def namespaces(self) -> set[str]:
        """Return the namespaces that the request means."""
        meant = self.body["namespaces"]
        return {name for name in NAMESPACES if any(fnmatchcase(name, each) for each in meant)}

    def ignores(self, namespace: str) -> bool:
        """Tell whether the request itself leaves the namespace out."""
        return any(fnmatchcase(namespace, each) for each in self.body.get("ignore", []))

    def accounts(self) -> set[str]:
        """Return the ServiceAccounts that are meant in each namespace."""
        meant = self.body.get("service_accounts", ["*"])
        return {name for name in ACCOUNTS if any(fnmatchcase(name, each) for each in meant)}
