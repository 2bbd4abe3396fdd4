"""Whether the credential of a readiness check has a login for the registry that is asked about, where it is held."""

from collections.abc import Iterable, Sequence

from api.problems import Finding, pointer
from api.scope import Fleet
from remediation.readiness.request import CheckRequest
from remediation.readiness.target import parse_target, serves

_MOST_LISTED = 20


def login_findings(
    wanted: CheckRequest, places: Sequence[tuple[str, str]], fleet: Fleet
) -> Iterable[Finding]:
    """Yield that the credential is for other registries; `places` are the clusters with their pools.

    Workers of one name may hold different contents: each that may take up the check has to have a login.
    """
    if wanted.credential is None:
        return
    for registry in wanted.registries:
        target = parse_target(registry)
        without: dict[tuple[str, ...], dict[str, None]] = {}
        for holder in fleet.credentials[wanted.credential].holders:
            clusters = [cluster for cluster, pool in places if pool == holder.pool]
            keys = holder.credential.registries
            if clusters and not holder.credential.problem and not serves(keys, target):
                without.setdefault(tuple(sorted(keys)), {}).update(dict.fromkeys([holder.pool]))
        for keys, pools in without.items():
            text = (
                f"credential '{wanted.credential}' of pool {_listed(pools)} has no login for '{target}'; it is for:"
                f" {_listed(keys)}. No pod could pull from '{target}' with it"
            )
            yield Finding(pointer("registry"), text, "no_login")


def _listed(names: Iterable[str]) -> str:
    ordered = list(names)
    more = len(ordered) - _MOST_LISTED
    return ", ".join(ordered[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
