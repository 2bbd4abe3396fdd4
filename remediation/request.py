"""What a caller asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_SECRET_NAME = "docker"
DEFAULT_TIMEOUT_SECONDS = 3600


class OnConflict(StrEnum):
    """What to do with somebody else's Secret of the requested name."""

    FAIL = "fail"
    MERGE = "merge"  # keep their other keys
    REPLACE = "replace"


class RegistryCheck(StrEnum):
    """What the proof of the credential at its registry is for."""

    REQUIRE = "require"  # without it nothing is written
    WARN = "warn"  # it is shown
    SKIP = "skip"  # the registry is not asked


@dataclass(frozen=True, slots=True)
class InlineCredential:
    """What is recorded of a registry login that came in the request; its password is sealed and kept elsewhere."""

    registry: str
    username: str

    @property
    def name(self) -> str:
        """What stands where a credential's name would: no named credential has a '/' in its name."""
        return f"inline/{self.registry}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationRequest:
    """One request, checked and with its defaults.

    Either `credential` names a login that workers hold, or `inline_credential` says which one came along. Patterns are
    those of `patterns`; `timeout_seconds` covers the whole remediation; with `readiness` a check follows it.
    """

    clusters: tuple[str, ...]
    credential: str | None = None
    inline_credential: InlineCredential | None = None
    namespaces: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()
    namespace_selector: str | None = None
    service_accounts: tuple[str, ...] = ("*",)
    ignore_service_accounts: tuple[str, ...] = ()
    secret_name: str = DEFAULT_SECRET_NAME
    on_conflict: OnConflict = OnConflict.FAIL
    dry_run: bool = False
    readiness: bool = False
    registry_check: RegistryCheck = RegistryCheck.REQUIRE
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    reason: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
