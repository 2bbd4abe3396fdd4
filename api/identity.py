"""Who a caller turned out to be, whichever way it was found out."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from remediation.permission import Requester


class Method(StrEnum):
    """How a caller proved who it is."""

    API_KEY = "api_key"
    OIDC = "oidc"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller: `key_id` is the public part of its API key, `expires_at` when its token ends.

    None: it has no key; its token never ends, or nobody knows when. `owner` is the person whose key it is, if that is
    known.
    """

    requester: Requester
    method: Method
    key_id: str | None = None
    expires_at: datetime | None = None
    owner: str | None = None

    @property
    def person(self) -> str:
        """Whom the caller counts as where two persons have to agree."""
        return self.owner or self.requester.subject


class IdentityUnavailable(Exception):
    """Whoever could tell whose token it is does not answer; the message is one line without anything secret."""
