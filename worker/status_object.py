"""The Status object of an API server: what it says where an answer is not 2xx."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class StatusObject:
    """The parts of a Status object that tell answers apart; empty where there is none."""

    status: int
    reason: str = ""
    message: str = ""
    kind: str = ""
    name: str = ""
    causes: tuple[Mapping[str, Any], ...] = ()
    has_details: bool = False
    resume: str = ""

    @classmethod
    def read(cls, status: int, body: bytes) -> "StatusObject":
        """Read the body of an answer, whatever it is."""
        try:
            raw = orjson.loads(body)
        except ValueError:
            return cls(status)
        if not isinstance(raw, dict):
            return cls(status)
        details = raw.get("details")
        details = details if isinstance(details, dict) else {}
        metadata = raw.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        return cls(
            status,
            str(raw.get("reason") or ""),
            str(raw.get("message") or ""),
            str(details.get("kind") or ""),
            str(details.get("name") or ""),
            tuple(cause for cause in details.get("causes") or () if isinstance(cause, dict)),
            bool(details),
            str(metadata.get("continue") or ""),
        )

    @property
    def fields(self) -> set[str]:
        """The fields of the object that the causes name."""
        return {str(cause.get("field") or "") for cause in self.causes}

    @property
    def reasons(self) -> set[str]:
        """The reasons of the causes."""
        return {str(cause.get("reason") or "") for cause in self.causes}
