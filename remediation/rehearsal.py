"""What a dry run makes of the API server's word about writes that it was asked about and did not make."""

import re
from collections.abc import Sequence
from dataclasses import replace

from remediation.caution import Caution, CautionCode
from remediation.outcome import Error, ErrorCode, Outcome
from remediation.plan import NamespacePlan, gone_result, unfinished_result

MOST_ASKED = 1000
"""The namespaces of one cluster that are asked about: each costs the API server one or two requests."""

_OF_PROVIDERS = re.compile(
    r"kube-.*|(?:gke|gmp|gmp-public|config-management|anthos|openshift|redhat|aks|azure|eks|amazon)-.*|"
    r"openshift|calico-system|tigera-operator|gatekeeper-system"
)
_REFUSALS = (
    ErrorCode.ADMISSION_DENIED,
    ErrorCode.QUOTA_EXCEEDED,
    ErrorCode.SECRET_CONFLICT,
    ErrorCode.SECRET_TYPE_MISMATCH,
)
_NOT_ASKED = Error(
    ErrorCode.TIMEOUT,
    f"a dry run asks about {MOST_ASKED} namespaces of a cluster and for a limited time",
    "plan fewer namespaces at once",
)


def to_ask(plans: Sequence[NamespacePlan]) -> list[NamespacePlan]:
    """Return the plans to ask about: first those that a provider may manage, then evenly spread over the others."""
    wanted = [plan for plan in plans if not plan.settled]
    first = [plan for plan in wanted if _OF_PROVIDERS.fullmatch(plan.namespace)][:MOST_ASKED]
    named = {plan.namespace for plan in first}
    others = [plan for plan in wanted if plan.namespace not in named]
    room = min(MOST_ASKED - len(first), len(others))
    return first + [others[number * len(others) // room] for number in range(room)]


def foretold(plan: NamespacePlan, error: Error | None, *, final: bool = True) -> NamespacePlan:
    """Return the plan with what the API server said about its writes; None where it takes them.

    `final` tells that the same write would be refused again. A refusal of an account without the right is no word
    about the write: the run may be left to another worker.
    """
    if error is None:
        return plan
    if error.code is ErrorCode.NAMESPACE_TERMINATING:
        gone = replace(gone_result(plan.namespace), reason=error.detail)
        return replace(plan, settled=gone)
    if final and (error.code in _REFUSALS or error.code is ErrorCode.FORBIDDEN):
        row = unfinished_result(plan, Outcome.FAILED, error, begun=False)
        return replace(plan, settled=row)
    return replace(plan, cautions=(*plan.cautions, _unknown(plan, error, str(error.code))))


def unasked(plan: NamespacePlan) -> NamespacePlan:
    """Return the plan of a namespace that there was no room or time to ask about."""
    return replace(plan, cautions=(*plan.cautions, _unknown(plan, _NOT_ASKED, "not asked")))


def _unknown(plan: NamespacePlan, error: Error, by: str) -> Caution:
    first = f"serviceaccounts/{plan.namespace}/{plan.accounts[0].name}" if plan.accounts else ""
    return Caution(
        CautionCode.WRITE_UNKNOWN,
        by,
        error.object or first or f"secrets/{plan.namespace}",
        f"it is not known whether the API server takes what would be written: {error.detail}",
        error.hint,
    )
