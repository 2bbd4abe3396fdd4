"""Findings about ServiceAccounts and Secrets that the judged pods rely on and that another tool writes again."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from remediation.drift.certainty import Certainty, Drift
from remediation.drift.past import Past
from remediation.drift.prediction import predict
from remediation.drift.remedies import account_remedy, secret_remedy
from remediation.drift.secret_prediction import predict_secret
from remediation.readiness.call import Call
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.observation import Account, Owner
from remediation.readiness.reduction import Reduction
from remediation.readiness.rows import Decision, rows

_EXAMPLES = 3
_WILL = {
    Certainty.POSSIBLE: "may remove",
    Certainty.DOUBTFUL: "may remove",
    Certainty.CERTAIN: "removes",
}


def accounts(
    kept: Reduction, covering: Iterable[tuple[str, str, str]], now: datetime
) -> Iterator[Finding]:
    """Yield the ServiceAccounts that will lose what covers workloads.

    `covering` has (namespace, ServiceAccount, name of the Secret that covers) for each workload.
    """
    for (namespace, name, secret), number in sorted(Counter(covering).items()):
        account = kept.accounts[namespace, name]
        found = predict(secret, account.signals, past_of(kept, account, secret), now)
        if found.certainty is not Certainty.NONE:
            about = f"{number} workloads are covered through this ServiceAccount, and"
            fix = account_remedy(found.by, namespace, name, account.pull_secrets)
            yield from _row(
                kept, Owner("ServiceAccount", name), namespace, secret, found, about, fix, number
            )


def taken(kept: Reduction, used: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Yield the ServiceAccounts in use that lost our entry since we added it."""
    secret = kept.options.wanted.secret_name
    for namespace, name in sorted(set(used)):
        account = kept.accounts.get((namespace, name))
        if account is None or secret in account.pull_secrets or not kept.judged(namespace):
            continue
        past = past_of(kept, account, secret)
        if past is None or past.taken_by is None:
            continue
        by = past.taken_by or "another tool"
        call = Call(
            FindingClass.W_DRIFT,
            Severity.BLOCKING,
            f"{by} removed '{secret}' from this ServiceAccount after a remediation had added it.",
            account_remedy(by, namespace, name, (*account.pull_secrets, secret)),
        )
        owner = Owner("ServiceAccount", name)
        yield from rows(kept.options.cluster, namespace, owner, [Decision("", call)])


def unused(kept: Reduction, used: set[tuple[str, str]], now: datetime) -> Iterator[Finding]:
    """Yield, by namespace and tool, the ServiceAccounts without users yet that will certainly lose our entry."""
    secret = kept.options.wanted.secret_name
    losing: dict[tuple[str, str], list[Account]] = {}
    for place, account in sorted(kept.accounts.items()):
        if (
            place in used
            or secret not in account.pull_secrets
            or not kept.judged(account.namespace)
        ):
            continue
        found = predict(secret, account.signals, past_of(kept, account, secret), now)
        if found.certainty is Certainty.CERTAIN:
            losing.setdefault((account.namespace, found.by), []).append(account)
    for (namespace, by), listed in losing.items():
        first, names = listed[0], [account.name for account in listed]
        call = Call(
            FindingClass.W_DRIFT,
            Severity.WARNING,
            f"{by} removes '{secret}' from {len(listed)} ServiceAccounts that no pod with the registry's images uses"
            " yet: the first pod that uses one with such an image fails.",
            account_remedy(by, namespace, first.name, first.pull_secrets),
        )
        yield from rows(
            kept.options.cluster,
            namespace,
            Owner("ServiceAccount", first.name),
            [Decision("", call)],
            number=len(listed),
            examples=names[:_EXAMPLES],
        )


def secrets(kept: Reduction, relied: Mapping[tuple[str, str], int]) -> Iterator[Finding]:
    """Yield the Secrets that will lose the login; `relied` counts pods and workloads by (namespace, Secret)."""
    for (namespace, name), number in sorted(relied.items()):
        seen = kept.secret_signals.get((namespace, name))
        if seen is None:
            continue
        past = kept.past.get((namespace, "", name))
        known = past if past and past.uid == seen.uid else None
        found = predict_secret(seen.signals, known, manifest_holds=seen.manifest_holds)
        if found.certainty is not Certainty.NONE:
            about = f"{number} pods and workloads rely on this Secret, and"
            fix = secret_remedy(found.by, namespace, name)
            yield from _row(
                kept, Owner("Secret", name), namespace, "the login", found, about, fix, number
            )


def past_of(kept: Reduction, account: Account, secret: str) -> Past | None:
    """Return what is remembered of a ServiceAccount, None of another that had its name."""
    past = kept.past.get((account.namespace, account.name, secret))
    return past if past and past.uid == account.uid else None


def _row(
    kept: Reduction,
    owner: Owner,
    namespace: str,
    what: str,
    found: Drift,
    about: str,
    fix: str,
    number: int,
) -> Iterator[Finding]:
    blocks = found.certainty in (Certainty.CERTAIN, Certainty.DOUBTFUL)
    thing = what if owner.kind == "Secret" else f"'{what}'"
    call = Call(
        FindingClass.W_DRIFT,
        Severity.BLOCKING if blocks else Severity.WARNING,
        f"{about} {found.by} {_WILL[found.certainty]} {thing} {found.when}.",
        fix,
        doubt=found.certainty is Certainty.DOUBTFUL,
    )
    yield from rows(kept.options.cluster, namespace, owner, [Decision("", call)], number=number)
