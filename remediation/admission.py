"""May a run begin? Asked again when its turn comes: by then who asked for it may have lost the right to."""

from collections.abc import Callable, Iterable, Sequence

from remediation.approval import protected
from remediation.outcome import Error, ErrorCode
from remediation.patterns import matcher
from remediation.permission import Permission, Policy, Rights, Warrant
from remediation.readiness.request import CheckRequest
from remediation.request import RemediationRequest

_HINT = "have the access file allow it, then retry"
_HINT_APPROVAL = "retry: the retry waits for a second person"


def credential_needed(request: RemediationRequest, *, undo: bool) -> str | None:
    """Return the credential as `Rights.uncovered` wants it: an undo uses none, one without a name needs all."""
    return None if undo else request.credential or "*"


def refusal(
    policy: Policy | None,
    warrant: Warrant | None,
    cluster: str,
    request: RemediationRequest,
    *,
    undo: bool,
    other_names: Iterable[str] = (),
) -> Error | None:
    """Return why the request must not be carried out on the cluster, None if it may be.

    `other_names` are those of the same API server: what protects one of them protects it.
    `policy` None: no API has said who may do what, so nobody may do anything.
    """
    credential = credential_needed(request, undo=undo)
    if error := _refusal(policy, warrant, cluster, request.namespaces, credential):
        return error
    # It was taken in before the cluster was protected: nobody was asked.
    alone = warrant is not None and not warrant.approved and not request.dry_run
    if alone and policy and (found := protected((cluster, *other_names), policy.protected)):
        which = "the cluster" if cluster in found else f"its API server, as '{found[0]}',"
        detail = f"{which} is protected by now, and no second person has agreed"
        return Error(ErrorCode.NOT_PERMITTED, detail, _HINT_APPROVAL)
    return None


def refusal_of_check(
    policy: Policy | None, warrant: Warrant | None, cluster: str, request: CheckRequest
) -> Error | None:
    """Do the same for a readiness check; who only looks again at one needs no right to its credential."""
    again = warrant is not None and warrant.needs is Permission.READ_READINESS_CHECKS
    credential = None if again else request.credential
    return _refusal(policy, warrant, cluster, request.namespaces, credential)


def may_name(policy: Policy | None, warrant: Warrant | None, cluster: str) -> Callable[[str], bool]:
    """Return the test for namespaces of a cluster that may be named to who asked."""
    if policy is None or warrant is None:
        return matcher(())
    return matcher(Rights(policy.grants_of(warrant.requester)).namespaces(warrant.needs, cluster))


def _refusal(
    policy: Policy | None,
    warrant: Warrant | None,
    cluster: str,
    namespaces: Sequence[str],
    credential: str | None,
) -> Error | None:
    if policy is None or warrant is None:
        detail = "it is not known who may do what: no API has published its access file"
        return Error(
            ErrorCode.NOT_PERMITTED, detail, "start the API with an access file, then retry"
        )
    rights = Rights(policy.grants_of(warrant.requester))
    uncovered = rights.uncovered(warrant.needs, [cluster], namespaces, credential)
    if not uncovered:
        return None
    subject = warrant.requester.subject
    where = f"in {uncovered[0]}"
    using = f" with credential '{credential}'" if credential not in (None, "*") else ""
    detail = f"{subject} does not have the permission '{warrant.needs}' {where}{using} any more"
    return Error(ErrorCode.NOT_PERMITTED, detail, _HINT)
