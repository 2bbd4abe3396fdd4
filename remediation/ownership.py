"""Which field manager makes the API server refuse our server-side apply of a Secret that we do not take over.

Fields of the Secret that another manager owns and that would change are a conflict. So is our own manager under the
operation Update: to the API server it is another one.
"""

from remediation.footprint import APPLY, OUR_MANAGER, Holder
from remediation.state import Secret

_OWN = Holder(OUR_MANAGER, APPLY)


def opponent(existing: Secret, credential: str) -> Holder | None:
    """Return who owns a field that an update with a credential of that name changes, None if only we do."""
    owners = existing.holders + existing.remediation_holders
    if existing.credential != credential:
        owners += existing.credential_holders
    return next((holder for holder in owners if holder != _OWN), None)
