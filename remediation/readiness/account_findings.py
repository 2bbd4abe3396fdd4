"""Findings about ServiceAccounts themselves: those without users yet, and those of pods without a controller."""

from collections.abc import Iterator, Mapping, Sequence

from remediation.readiness import fixes
from remediation.readiness.call import Call, why
from remediation.readiness.coverage import Cover
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.observation import Account, Owner, Scope
from remediation.readiness.reduction import Reduction
from remediation.readiness.rows import NO_COVER, Decision, rows

_EXAMPLES = 3


def renewing(
    kept: Reduction, badly: Mapping[tuple[str, str, Cover | None], Sequence[str]]
) -> Iterator[Finding]:
    """Yield the ServiceAccounts of pods that are well and would not be, or may not be, once they are created again.

    `badly` has those pods, which no controller makes again, by (namespace, name) of their ServiceAccount and the Secret
    that is not known, None where it is known that they could not pull.
    """
    for (namespace, name, unread), pods in sorted(badly.items(), key=lambda each: each[0][:2]):
        if (namespace, name) not in kept.accounts:
            continue
        owner = Owner("ServiceAccount", name)
        said = (
            f"{len(pods)} pods that no controller makes again use this ServiceAccount ({', '.join(pods[:_EXAMPLES])})."
            " They are well"
        )
        call = (
            _created_in_doubt(namespace, said, unread)
            if unread
            else _created(kept, namespace, said)
        )
        yield from rows(
            kept.options.cluster,
            namespace,
            owner,
            [Decision("", call, unread or NO_COVER)],
            examples=[name],
        )


def _created(kept: Reduction, namespace: str, said: str) -> Call:
    return Call(
        FindingClass.SA_UNUSED_UNPATCHED,
        Severity.WARNING,
        f"{said}, but once they are created again, with what it names now, they cannot pull: unless their own manifests"
        " name the Secret.",
        fixes.remediate(kept.options.cluster, namespace, kept.wanted_in(namespace)),
    )


def _created_in_doubt(namespace: str, said: str, unread: Cover) -> Call:
    return Call(
        FindingClass.SA_UNUSED_UNPATCHED,
        Severity.WARNING,
        f"{said}. Whether they can pull once they are created again, with what it names now, is not known:"
        f" {why(unread)}.",
        fixes.read_secret(namespace, unread.secret, unread.detail),
        doubt=True,
    )


def unused(kept: Reduction, used: set[tuple[str, str]]) -> Iterator[Finding]:
    """Yield, for each namespace, the ServiceAccounts without the Secret's name that no pod with the target uses."""
    waiting: dict[tuple[str, FindingClass], list[str]] = {}
    for place, account in sorted(kept.accounts.items()):
        judged = kept.scope(account.namespace) is Scope.JUDGED and not kept.going(account.namespace)
        going = kept.leaving.why(account.going)  # no remediation writes to it
        if judged and place not in used and not (going or _names_ours(kept, account)):
            new = _is_new(kept, account)
            found = FindingClass.N_RACE if new else FindingClass.SA_UNUSED_UNPATCHED
            waiting.setdefault((account.namespace, found), []).append(account.name)
    for (namespace, found), names in waiting.items():
        owner = Owner("ServiceAccount", names[0])
        if found is FindingClass.N_RACE and _namespace_is_new(kept, namespace):
            owner = Owner("Namespace", namespace)
        yield from rows(
            kept.options.cluster,
            namespace,
            owner,
            [Decision("", _waiting(kept, namespace, found, len(names)))],
            number=len(names),
            examples=names[:_EXAMPLES],
        )


def _waiting(kept: Reduction, namespace: str, found: FindingClass, number: int) -> Call:
    ours = kept.options.wanted.secret_name
    since = (
        "came after the last remediation and do"
        if found is FindingClass.N_RACE
        else "are used by no pod with the registry's images and do"
    )
    return Call(
        found,
        Severity.WARNING,
        f"{number} ServiceAccounts {since} not name '{ours}': the first pod that uses one with such an image fails.",
        fixes.remediate(kept.options.cluster, namespace, kept.wanted_in(namespace)),
    )


def _names_ours(kept: Reduction, account: Account) -> bool:
    return kept.options.wanted.secret_name in account.pull_secrets


def _is_new(kept: Reduction, account: Account) -> bool:
    since = kept.options.remediated_at
    made = account.created_at
    return bool(since and made and made > since) or _namespace_is_new(kept, account.namespace)


def _namespace_is_new(kept: Reduction, namespace: str) -> bool:
    known, since = kept.namespaces.get(namespace), kept.options.remediated_at
    return bool(known and since and known.created_at and known.created_at > since)
