"""What was observed on a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from remediation.drift.signals import QUIET, Signals
from remediation.footprint import AccountMark, Holder, SecretMark
from remediation.outcome import Error

EXCLUDE_ANNOTATION = "remediator.dev/exclude"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "remediator"
REMEDIATION_ANNOTATION = "remediator.dev/remediation"
CREDENTIAL_ANNOTATION = "remediator.dev/credential"


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace; `excluded` by its own annotation, `terminating` when it is going away."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    excluded: bool = False
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A ServiceAccount; `pull_secrets` are its imagePullSecrets in order, "" for an entry without a name.

    `holders` are the field managers that own the list, `signals` tell who else writes it.
    """

    name: str
    uid: str
    resource_version: str
    pull_secrets: tuple[str, ...] = ()
    deleting: bool = False
    holders: tuple[Holder, ...] = ()
    signals: Signals = QUIET

    @property
    def mark(self) -> AccountMark:
        """What to remember of it once our entry is added."""
        return AccountMark(self.name, self.uid, self.holders)


@dataclass(frozen=True, slots=True)
class Secret:
    """The Secret of the requested name; `content` is its `.dockerconfigjson`, empty if it has none.

    `remediation` is the id of the remediation that wrote it last, as its annotation says. `holders` are the field
    managers that own the content; `keeper` is what makes it, as in `SecretMark`; `signals` tell who else writes it, and
    `manifest` is the content that a client-side apply gives it, None where that is not known. `deleting` tells that it
    has a deletionTimestamp: it is gone as soon as its `finalizers` are, whatever is written to it until then.
    `credential` is the annotation that names the credential; the holders of both annotations own them.
    """

    uid: str
    resource_version: str
    type: str
    content: bytes = field(default=b"", repr=False)
    ours: bool = False
    immutable: bool = False
    remediation: str = ""
    holders: tuple[Holder, ...] = ()
    keeper: str = ""
    signals: Signals = QUIET
    manifest: bytes | None = field(default=None, repr=False)
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    credential: str = ""
    remediation_holders: tuple[Holder, ...] = ()
    credential_holders: tuple[Holder, ...] = ()

    @property
    def mark(self) -> SecretMark | None:
        """What to remember of it once its content is replaced, None where it was ours alone."""
        if self.keeper or not all(holder.ours for holder in self.holders):
            return SecretMark(self.uid, self.holders, self.keeper)
        return None

    @property
    def version(self) -> tuple[str, str]:
        """What changes with every write and with every deletion: uid and resourceVersion."""
        return self.uid, self.resource_version


@dataclass(frozen=True, slots=True)
class NamespaceState:
    """One namespace with all that a plan needs; `unread` says why it could not be read, and then that is all."""

    namespace: Namespace
    secret: Secret | None = None
    service_accounts: tuple[ServiceAccount, ...] = ()
    unread: Error | None = None
