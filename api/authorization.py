"""Whether the caller may have something done where it is to be done; the answer if not."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from api.access import Caller, Permission, caller
from api.problems import Finding, Problem, pointer
from api.terms import count_refused
from remediation.admission import credential_needed
from remediation.permission import MOST_PLACES, Grant, Place
from remediation.request import RemediationRequest
from store.records import Remediation

_MOST_TOLD = 5
_CODE = "not_permitted"


def check_new(
    body: Mapping[str, Any],
    *,
    inline: bool,
    needed: Permission = Permission.CREATE_REMEDIATIONS,
) -> None:
    """Refuse what the caller may not ask for: `body` holds the fields of a request that are right in themselves.

    Nothing is said about what is there: a cluster that the caller may not use is refused whether it exists or not.
    Raises Problem.
    """
    clusters, namespaces = body.get("clusters"), body.get("namespaces")
    if not clusters or not namespaces:
        return  # which is wrong in itself
    credential = "*" if inline else body.get("credential")
    who = caller()
    uncovered = who.rights.uncovered(needed, clusters, namespaces, credential)
    if not uncovered:
        return
    count_refused(needed)
    refused = [name for name in clusters if not who.rights.uses_cluster(needed, name)]
    if refused:
        what = f"clusters {_quoted(refused)}"
    elif credential and not who.rights.uncovered(needed, clusters, namespaces):
        what = _credential(credential)
    else:
        what = _places(uncovered)
    raise Problem(
        "cluster-not-permitted" if refused else "forbidden",
        f"{who.subject} does not have the permission '{needed}' for {what}. {_granted(who, needed)}",
        [
            *_unusable("clusters", clusters, needed, who.rights.uses_cluster),
            *_unusable("namespaces", namespaces, needed, who.rights.uses_namespace),
        ],
    )


def check_owner(remediation: Remediation) -> Permission:
    """Return the permission that the caller needs to act on a remediation and has somewhere. Raises Problem."""
    who = caller()
    if remediation.requested_by == who.subject:
        return Permission.CREATE_REMEDIATIONS
    needed = Permission.MANAGE_REMEDIATIONS
    if needed not in who.permissions:
        raise Problem(
            "forbidden",
            f"{remediation.id} was asked for by {remediation.requested_by}: for those of others the permission "
            f"'{needed}' is needed, which {who.subject} does not have.",
        )
    return needed


def check_follow_up(original: Remediation, wanted: RemediationRequest, *, undo: bool) -> Permission:
    """Refuse a retry or an undo that the caller may not have done; return the permission that it needs.

    `wanted` names the clusters that it is about. Raises Problem.
    """
    needed = check_owner(original)
    credential = credential_needed(wanted, undo=undo)
    check_all(needed, original, wanted.clusters, credential)
    return needed


def check_cancel(remediation: Remediation) -> None:
    """Refuse to cancel what is neither the caller's own nor all within what it manages. Raises Problem."""
    if (needed := check_owner(remediation)) is Permission.MANAGE_REMEDIATIONS:
        check_all(needed, remediation)


def check_decision(remediation: Remediation) -> None:
    """Refuse a decision of somebody who may not approve all that a remediation is about. Raises Problem."""
    credential = credential_needed(remediation.request, undo=bool(remediation.undo_of))
    clusters = [run.cluster for run in remediation.runs]
    check_all(Permission.APPROVE_REMEDIATIONS, remediation, clusters, credential)


def check_everywhere(needed: Permission) -> None:
    """Refuse what is about the whole service to who has the permission in some places only. Raises Problem."""
    who = caller()
    if not who.rights.everywhere(needed):
        raise Problem(
            "forbidden",
            f"This is about all clusters and namespaces, and {who.subject} does not have the permission '{needed}' "
            f"for all of them. {_granted(who, needed)}",
        )


def check_all(
    needed: Permission,
    remediation: Remediation,
    clusters: Collection[str] | None = None,
    credential: str | None = None,
) -> None:
    """Refuse to act on a remediation of which something is not covered: on these clusters, by default on all.

    What is not covered may be hidden, so it is not named. Raises Problem.
    """
    who = caller()
    places = [run.cluster for run in remediation.runs] if clusters is None else clusters
    if who.rights.uncovered(needed, places, remediation.request.namespaces, credential):
        raise Problem(
            "forbidden",
            f"{who.subject} does not have the permission '{needed}' for all that {remediation.id} is about: "
            f"its clusters, its namespaces and its credential. {_granted(who, needed)}",
        )


def _unusable(
    field: str,
    patterns: Sequence[str],
    needed: Permission,
    covered: Callable[[Permission, str], bool],
) -> Iterable[Finding]:
    for index, pattern in enumerate(patterns):
        if not covered(needed, pattern):
            yield Finding(pointer(field, index), f"'{pattern}' is not covered", _CODE)


def _credential(credential: str) -> str:
    return "a credential of your own" if credential == "*" else f"credential '{credential}'"


def _places(places: Sequence[Place]) -> str:
    number = "many" if len(places) == MOST_PLACES else len(places) - _MOST_TOLD
    more = f" and {number} more" if len(places) > _MOST_TOLD else ""
    return ", ".join(map(str, places[:_MOST_TOLD])) + more


def _granted(who: Caller, needed: Permission) -> str:
    """Return a sentence that says where the caller has the permission."""
    giving = [grant for grant in who.rights.grants if grant.gives(needed)]
    if not giving:
        return "It has it nowhere."
    more = f"; and {len(giving) - _MOST_TOLD} more" if len(giving) > _MOST_TOLD else ""
    return f"It has it for: {'; '.join(map(_grant, giving[:_MOST_TOLD]))}{more}."


def _grant(grant: Grant) -> str:
    return (
        f"clusters {_quoted(grant.clusters)} with namespaces {_quoted(grant.namespaces)} "
        f"and credentials {_quoted(grant.credentials)}"
    )


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return ", ".join(f"'{name}'" for name in names[:_MOST_TOLD]) + more
