"""Which registries a check is about."""

from collections.abc import Iterable

from remediation.credential import Credential
from remediation.outcome import Error, ErrorCode
from remediation.readiness.request import CheckRequest
from remediation.readiness.target import InvalidTarget, Target, parse_target
from remediation.registry_key import effective_key
from worker.execution import RunFailed


def targets_of(request: CheckRequest, credential: Credential | None) -> tuple[Target, ...]:
    """Return the registries that are named, else those of the credential. Raises RunFailed if there is none."""
    keys: Iterable[str] = request.registries or (credential.registries if credential else ())
    found: dict[Target, None] = {}
    for key in keys:
        try:
            found[parse_target(effective_key(key) or "")] = None
        except InvalidTarget:
            continue  # a glob matches images of registries that nobody can list
    if not found:
        detail = "no registry is named, and the credential names none without a glob"
        raise RunFailed(Error(ErrorCode.CREDENTIAL_UNAVAILABLE, detail, "name the registry"))
    return tuple(found)
