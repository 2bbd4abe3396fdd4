"""The terms on which a caller's remediation is taken in: quotas, limits, and a second person's approval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api import scope
from api.access import Permission, caller
from api.envelope import request_id
from api.guard_rails import GuardRails, Limits
from api.problems import Problem
from api.services import services
from remediation.approval import Approval, digest_of, protected
from remediation.inventory import KnownCredential
from remediation.patterns import is_literal
from remediation.request import RemediationRequest
from remediation.same_server import with_other_names
from store import clock
from store.intake import TooManyActive
from store.quotas import CHECKS, GATES, REMEDIATIONS
from store.records import Origin, Remediation, Terms

# Nobody knows when one of the caller's remediations ends.
_ACTIVE_RETRY_SECONDS = 10
# Of roles without a limit: each call has all clusters of the check read again, and reading rights are enough for it.
GATES_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Admission:
    """The terms, and the headers that tell the caller what is left of the quota (draft RateLimit fields)."""

    terms: Terms
    headers: Mapping[str, str]


def admitted(request: RemediationRequest, clusters: Sequence[str], origin: Origin) -> Admission:
    """Return the terms for what the present caller asks for. Raises Problem where it is more than allowed."""
    rails = services().access.rails
    # A role that may not ask for remediations has no limit for them, and must not lift those of one that may.
    limits = rails.limits_of(caller().rights.roles_giving(Permission.CREATE_REMEDIATIONS))
    _check_size(limits, request, clusters)
    headers = _quota(limits, REMEDIATIONS, "remediations")
    fleet = scope.Fleet.of(services().store.inventory.workers())
    terms = Terms(
        request_id=request_id(),
        most_namespaces=limits.namespaces,
        most_active=limits.active,
        approval=_approval(rails, request, clusters, origin, fleet),
        # Only those that the caller may see are named to them.
        facts=scope.facts(request.clusters, clusters, fleet.seen()),
    )
    return Admission(terms, headers)


def admitted_check(clusters: Sequence[str]) -> Mapping[str, str]:
    """Return the headers for a readiness check of the present caller. Raises Problem where it is more than allowed."""
    roles = caller().rights.roles_giving(Permission.CREATE_READINESS_CHECKS)
    limits = services().access.rails.limits_of(roles)
    _check_clusters(limits, clusters)
    return _quota(limits, CHECKS, "readiness checks")


def count_refused(needed: Permission) -> None:
    """Count a request that is refused like one that is taken in. Raises Problem where the quota is used up."""
    limits = services().access.rails.limits_of(caller().rights.roles_giving(needed))
    if needed is Permission.CREATE_READINESS_CHECKS:
        _quota(limits, CHECKS, "readiness checks")
    else:
        _quota(limits, REMEDIATIONS, "remediations")


def take_gate_quota() -> Mapping[str, str]:
    """Return the headers for a gate call of the present caller. Raises Problem where it is more than allowed."""
    roles = caller().rights.roles_giving(Permission.READ_READINESS_CHECKS)
    per_minute = services().access.rails.limits_of(roles).remediations_per_minute
    return _take(per_minute or GATES_PER_MINUTE, GATES, "gate calls")


def too_many_active(refused: TooManyActive) -> Problem:
    """Return the problem of a caller who has as many open remediations as may be."""
    return Problem(
        "quota-exceeded",
        f"{refused.active} of your remediations have not ended, and no more may be open at once. Wait for one to end, "
        "or cancel one.",
        headers={"Retry-After": str(_ACTIVE_RETRY_SECONDS)},
    )


def digest_now(remediation: Remediation) -> str:
    """Return the digest of what a remediation would do if it began now. Raises Problem if that is not known."""
    fleet = scope.Fleet.of(services().store.inventory.workers())
    unserved = sorted(
        repr(run.cluster) for run in remediation.runs if run.cluster not in fleet.clusters
    )
    if unserved:
        raise Problem(
            "cluster-unavailable", f"No live worker serves {', '.join(unserved)} at present."
        )
    name = remediation.request.credential
    credential = fleet.credentials.get(name) if name else None
    if credential is None and name and not remediation.undo_of:
        raise Problem(
            "cluster-unavailable", f"No live worker holds the credential '{name}' at present."
        )
    return digest_of(
        remediation.request,
        [run.cluster for run in remediation.runs],
        _login(None if remediation.undo_of else credential),
        retry_of=remediation.retry_of,
        undo_of=remediation.undo_of,
    )


def _check_clusters(limits: Limits, clusters: Sequence[str]) -> None:
    if limits.clusters is not None and len(clusters) > limits.clusters:
        raise Problem(
            "limit-exceeded",
            f"The request is about {len(clusters)} clusters, and your role allows {limits.clusters} at once: name "
            "fewer, or have somebody with another role ask.",
        )


def _check_size(limits: Limits, request: RemediationRequest, clusters: Sequence[str]) -> None:
    _check_clusters(limits, clusters)
    named = sum(1 for name in set(request.namespaces) if is_literal(name))
    if limits.namespaces is not None and named > limits.namespaces:
        raise Problem(
            "limit-exceeded",
            f"The request names {named} namespaces, and your role allows {limits.namespaces} on a cluster: name "
            "fewer, or have somebody with another role ask.",
        )


def _quota(limits: Limits, what: str, named: str) -> Mapping[str, str]:
    per_minute = limits.remediations_per_minute
    return _take(per_minute, what, named) if per_minute is not None else {}


def _take(per_minute: int, what: str, named: str) -> Mapping[str, str]:
    quota = services().store.quotas.take(caller().subject, per_minute, what)
    headers = {
        "RateLimit-Policy": f'"{what}";q={quota.most};w=60',
        "RateLimit": f'"{what}";r={quota.left};t={quota.reset_seconds}',
    }
    if not quota.granted:
        raise Problem(
            "quota-exceeded",
            f"You asked for {quota.most} {named} within a minute, and no more are taken: try again in "
            f"{quota.reset_seconds} s.",
            headers={**headers, "Retry-After": str(quota.reset_seconds)},
        )
    return headers


def _approval(
    rails: GuardRails,
    request: RemediationRequest,
    clusters: Sequence[str],
    origin: Origin,
    fleet: scope.Fleet,
) -> Approval | None:
    """Return the approval that is needed first; None for a dry run and where nothing is protected.

    What is protected under one name is so under every other name of the same API server.
    """
    if request.dry_run or not rails.protected_clusters:
        return None
    names = with_other_names(clusters, fleet.clusters, services().store.inventory.uids())
    if not protected(names, rails.protected_clusters):
        return None
    name = None if origin.undo_of else request.credential
    credential = fleet.credentials.get(name) if name else None
    digest = digest_of(
        request, clusters, _login(credential), retry_of=origin.retry_of, undo_of=origin.undo_of
    )
    expires_at = clock.later(clock.now(), rails.approval_minutes * 60)
    return Approval(digest, caller().identity.person, expires_at)


def _login(known: KnownCredential | None) -> list[str]:
    """Return what is known of a credential's content, wherever it is held: a run uses what its own worker holds.

    Never the time of its file, which differs between pods.
    """
    usable = [each.credential for each in known.holders] if known else []
    told = {
        part
        for each in usable
        if not each.problem
        for part in (*each.registries, *each.usernames, each.fingerprint)
    }
    return sorted(part for part in told if part)
