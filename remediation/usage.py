"""What uses the objects that a plan writes: pods and templates, as far as they could be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from remediation.caution import Caution, CautionCode
from remediation.outcome import SecretAction
from remediation.plan import NamespacePlan

# Enough to know the images of a cluster by; a list of all pods of a large one takes long.
MOST_OBJECTS = 10_000
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Usage:
    """What pods and templates of some namespaces name; `unread` are the lists that could not be read.

    `images` are those of the pods. `naming` counts the pods that name the Secret, by namespace; `templates` are the
    workloads whose template does, as kind and name. `operated` counts, by namespace and ServiceAccount, the pods of
    each custom kind that list no pull Secrets. `partly` tells that there is more than was read, `unfinished` are the
    namespaces not all of whose pods were read. `runtimes` are those of the nodes where their containers started.
    """

    images: tuple[str, ...] = ()
    naming: Mapping[str, int] = field(default_factory=dict)
    templates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    operated: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    partly: bool = False
    unfinished: frozenset[str] = frozenset()
    runtimes: frozenset[str] = frozenset()


def warned(plan: NamespacePlan, usage: Usage, secret_name: str) -> NamespacePlan:
    """Return a plan with what its writes do to the pods and templates there."""
    if plan.secret_action is SecretAction.DELETED:
        found = tuple(_of_deletion(plan, usage, secret_name))
        told = [caution.detail for caution in found]
        reason = "; ".join(part for part in (plan.reason, *told) if part) or None
        return replace(plan, cautions=plan.cautions + found, reason=reason)
    return replace(plan, cautions=plan.cautions + tuple(_of_operators(plan, usage)))


def _of_deletion(plan: NamespacePlan, usage: Usage, secret_name: str) -> Iterator[Caution]:
    object_ = f"secrets/{plan.namespace}/{secret_name}"
    parts = [
        _count(usage.naming.get(plan.namespace, 0), "pod"),
        _listed("template", usage.templates.get(plan.namespace, ())),
        _listed("ServiceAccount", plan.namers),
    ]
    if any(parts):
        least = "at least " if usage.partly else ""
        yield Caution(
            CautionCode.SECRET_IN_USE,
            "",
            object_,
            f"the Secret that is deleted is named by {least}{', '.join(part for part in parts if part)}",
            "give these another Secret before the undo if they need one",
        )
    if usage.unread or (usage.partly and not any(parts)):
        why = "there are more objects than one undo reads"
        hint = f"before the undo, look for '{secret_name}' in the pods and workloads of namespace {plan.namespace}"
        if usage.unread:
            why = f"the worker could not list {', '.join(usage.unread)}"
            hint = "grant the rules of docs/kubernetes-access-readiness.yaml"
        yield Caution(
            CautionCode.USE_UNKNOWN,
            ", ".join(usage.unread) or "so many pods",
            object_,
            f"it is not known what else names the Secret that is deleted: {why}",
            hint,
        )


def _of_operators(plan: NamespacePlan, usage: Usage) -> Iterator[Caution]:
    for account in plan.accounts:
        for kind, number in sorted(usage.operated.get((plan.namespace, account.name), {}).items()):
            yield Caution(
                CautionCode.OPERATOR_DRIFT,
                kind,
                f"serviceaccounts/{plan.namespace}/{account.name}",
                f"{_count(number, 'pod')} of {kind} use it and list no pull Secrets: their operator may take the new"
                " entry for drift and recreate them",
                f"leave it out with ignore_service_accounts '{plan.namespace}/{account.name}', and have the operator"
                " set imagePullSecrets itself",
            )
    if plan.accounts and plan.namespace in usage.unfinished:
        yield _unknown_operators(plan, usage)


def _unknown_operators(plan: NamespacePlan, usage: Usage) -> Caution:
    """Say that an operator's pods may use the ServiceAccounts that change."""
    first, number = plan.accounts[0].name, len(plan.accounts)
    more = f" and {number - 1} more ServiceAccounts" if number > 1 else ""
    refused = "pods" in usage.unread
    why = (
        "the worker could not list pods"
        if refused
        else f"there are more than the {MOST_OBJECTS} pods that one run reads"
    )
    hint = (
        "grant the rules of docs/kubernetes-access.yaml"
        if refused
        else "remediate fewer namespaces at once"
    )
    return Caution(
        CautionCode.USE_UNKNOWN,
        "pods" if refused else "so many pods",
        f"serviceaccounts/{plan.namespace}/{first}",
        f"it is not known whether pods of an operator use '{first}'{more}, which may take the new entry for drift and"
        f" recreate them: {why}",
        f"{hint}, or look for pods of custom resources in namespace {plan.namespace}",
        number,
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}" if number else ""


def _listed(what: str, names: tuple[str, ...]) -> str:
    more = ", …" if len(names) > _MOST_NAMES else ""
    return f"{_count(len(names), what)} ({', '.join(names[:_MOST_NAMES])}{more})" if names else ""
