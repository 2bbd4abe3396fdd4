"""What stood in an object before we wrote to it: whose it was, and which object it was.

Only objects that lacked our entry (ServiceAccounts) or our login (Secrets) are written to, so that every displaced
value was one without it: who writes its value again takes ours out.
"""

from dataclasses import dataclass

APPLY = "Apply"
UPDATE = "Update"
OUR_MANAGER = "remediator"


@dataclass(frozen=True, slots=True)
class Holder:
    """A field manager that owns a field, as metadata.managedFields says; `operation` is Apply or Update."""

    manager: str
    operation: str = APPLY

    @property
    def ours(self) -> bool:
        """Tell whether it is this service: of any installation, for any Secret."""
        return self.manager == OUR_MANAGER

    @property
    def applies(self) -> bool:
        """Tell whether it writes its whole value again and again, as server-side apply does."""
        return self.operation == APPLY and not self.ours


@dataclass(frozen=True, slots=True)
class AccountMark:
    """A ServiceAccount that got our entry: its uid, and who owned `imagePullSecrets` before (ours included)."""

    name: str
    uid: str
    displaced: tuple[Holder, ...] = ()


@dataclass(frozen=True, slots=True)
class SecretMark:
    """A Secret whose content we replaced.

    `displaced` owned the content before; `keeper` is what makes it, as kind and name (ExternalSecret regcred), "" where
    nothing says so.
    """

    uid: str
    displaced: tuple[Holder, ...] = ()
    keeper: str = ""
