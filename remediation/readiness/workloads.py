"""Judging the pods that a controller will make: its template, and the ServiceAccount where that is silent."""

from dataclasses import dataclass, replace

from remediation.readiness import fixes
from remediation.readiness.call import Call, why
from remediation.readiness.coverage import Cover, Wanted
from remediation.readiness.facts import EveryNode
from remediation.readiness.finding import Coverage, FindingClass, Severity
from remediation.readiness.observation import Account, Owner, Waker, Wakes

DEFAULT_ACCOUNT = "default"


@dataclass(frozen=True, slots=True)
class Future:
    """Pods to come: of `owner`, with the names that the template gives and those that a new pod ends up with.

    `account` None means that the ServiceAccount does not exist. `admitted` tells that the API server was asked, and
    `refusal` that it would not create such a pod. `other` are the names that it may be instead where nobody knows
    whether the ServiceAccount gives them: a controller that is not built in, seen only through its pods. `older_than`
    is the controller of `owner`, such as the Deployment whose rollout has not taken the pods of a ReplicaSet away yet.
    `accounts_read` is false where nobody could list them. `account_going` says why the ServiceAccount will soon be
    gone, "" if it stays. `revision` names the ControllerRevision that the pods are made from, "" for the template
    itself. `waker` is what makes a dormant one want pods again.
    """

    cluster: str
    namespace: str
    owner: Owner
    own: tuple[str, ...]
    account_name: str
    account: Account | None
    wanted: Wanted
    dormant: bool = False
    admitted: tuple[str, ...] | None = None
    refusal: str = ""
    other: tuple[str, ...] | None = None
    older_than: Owner | None = None
    accounts_read: bool = True
    account_going: str = ""
    revision: str = ""
    waker: Waker | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The `imagePullSecrets` of a new pod: any entry of the template keeps the ServiceAccount's out."""
        return self.given if self.admitted is None else self.admitted

    @property
    def given(self) -> tuple[str, ...]:
        """What Kubernetes itself gives a new pod, whatever else changes it before it is stored."""
        if self.own or self.account is None:
            return self.own
        return self.account.pull_secrets

    @property
    def account_comes(self) -> bool:
        """Whether Kubernetes makes the ServiceAccount by itself; in a new namespace that takes a moment."""
        return self.account_name == DEFAULT_ACCOUNT

    @property
    def not_mountable(self) -> tuple[str, ...]:
        """The names for which a new pod is refused, because its ServiceAccount does not have them."""
        if self.account is None or not self.account.enforces_mountable:
            return ()
        return tuple(name for name in self.own if name not in self.account.pull_secrets)

    @property
    def loses_account(self) -> bool:
        """Whether its pods have the Secrets of a ServiceAccount that will soon be gone."""
        return bool(self.account_going) and not self.own


_CLASS_BY_CODE = {
    Coverage.POISONED: FindingClass.W_POISONED,
    Coverage.UNKNOWN_SECRET: FindingClass.W_UNKNOWN,
    Coverage.REFUSED: FindingClass.W_REFUSED,
    Coverage.STALE: FindingClass.W_STALE,
    Coverage.MISSING: FindingClass.W_DANGLING,
    Coverage.DELETING: FindingClass.W_DANGLING,
    Coverage.WRONG_TYPE: FindingClass.W_WRONG_TYPE,
}
# With a malformed Secret the kubelet uses no login at all, and one that could not be read may be malformed.
_NO_LOGIN_OF_NODES = (Coverage.POISONED, Coverage.UNKNOWN_SECRET)


def judge_future(
    future: Future, image: str, cover: Cover, node: EveryNode, *, certain: bool = True
) -> Call:
    """Return the class of the pods to come for one image.

    `certain` is false if the names that it may be instead do not cover it.
    """
    call = _judge(future, image, cover, node, certain=certain)
    if not future.revision:
        return call
    told = f"The pods below its partition are made from its revision {future.revision}. "
    return replace(call, explanation=told + call.explanation)


def _judge(future: Future, image: str, cover: Cover, node: EveryNode, *, certain: bool) -> Call:
    if future.account is None and future.accounts_read and not future.account_comes:
        return _no_account(future, image, cover)
    if future.account is None and not (future.names or future.accounts_read):
        return _account_unread(future, image)
    if future.loses_account:
        return _account_going(future, image)
    if future.not_mountable:
        return _enforced(future, image)
    if future.refusal:
        return _refused(future, image)
    if cover.covers:
        return _covered(future, image, cover) if certain else _uncertain(future, image)
    if cover.code not in _NO_LOGIN_OF_NODES and (
        node.by == "kubelet" or (node.by == "runtime" and not cover.matched)
    ):
        call = _by_nodes(future, image, cover, node)
    else:
        call = _uncovered(future, image, cover)
    return _dormant(future, call) if future.dormant and call.severity is Severity.BLOCKING else call


def _by_nodes(future: Future, image: str, cover: Cover, node: EveryNode) -> Call:
    told = f"{image}: {why(cover)}, but every node's {node.by} is declared to hold a login"
    if node.coming:
        return Call(
            FindingClass.W_NODE,
            Severity.INFO,
            f"{told}.",
            "prove it with a pod on each kind of node: imagePullPolicy Always, a private image",
        )
    otherwise = _uncovered(future, image, cover).fix
    return Call(
        FindingClass.W_NODE,
        Severity.BLOCKING,
        f"{told} by its labels. A node that comes later, through an autoscaler or a replacement, may have others.",
        f"declare the login without `nodes` if each node that can come holds it; else {otherwise}",
        doubt=True,
    )


def _dormant(future: Future, call: Call) -> Call:
    waker = future.waker
    if waker and waker.wakes is not Wakes.NO:
        doubt = call.doubt or waker.wakes is Wakes.MAYBE
        told = f"It wants no pods now, and {waker.told}. {call.explanation}"
        return replace(call, explanation=told, doubt=doubt)
    told = f" ({waker.told})" if waker else ""
    return Call(
        FindingClass.W_DORMANT,
        Severity.WARNING,
        f"It wants no pods now{told}; once it does: {call.explanation}",
        call.fix,
    )


def _no_account(future: Future, image: str, cover: Cover) -> Call:
    line = fixes.kubectl(
        future.cluster, future.namespace, "create", "serviceaccount", future.account_name
    )
    again = fixes.remediate(future.cluster, future.namespace, future.wanted)
    fix = f"{line}, then {again}"
    later = "Once it exists, its first pods need the Secret's name in it."
    if future.own:
        # A pod with a list of its own gets none from its ServiceAccount.
        later = f"Once it exists, pods use the Secrets that the template names: {why(cover)}."
        fix = line if cover.covers else f"{line}, then {_fix(future, cover, again)}"
    return Call(
        FindingClass.W_SA_MISSING,
        Severity.WARNING,
        f"ServiceAccount '{future.account_name}' does not exist, so no pod with {image} can be created, today as after"
        f" the flip. {later}",
        fix,
    )


def _account_to_come(future: Future, image: str) -> Call:
    return Call(
        FindingClass.W_SA_MISSING,
        Severity.BLOCKING,
        f"ServiceAccount '{future.account_name}' does not exist yet. Kubernetes makes it by itself, without the"
        f" Secret's name, and from then on pods are created that cannot pull {image}.",
        f"once it exists: {fixes.remediate(future.cluster, future.namespace, future.wanted)}",
        doubt=True,
    )


def _account_going(future: Future, image: str) -> Call:
    name = future.account_name
    again = fixes.remediate(future.cluster, future.namespace, future.wanted)
    comes = (
        "Kubernetes makes a new one, without the Secret's name"
        if future.account_comes
        else "one that is created again does not have the Secret's name"
    )
    look = fixes.kubectl(
        future.cluster, future.namespace, "get", "serviceaccount", name, "-o", "yaml"
    )
    return Call(
        FindingClass.W_SA_MISSING,
        Severity.BLOCKING,
        f"New pods with {image} get the Secrets of ServiceAccount '{name}', which {future.account_going}. After that"
        f" {comes}.",
        f"finish the deletion ({look} shows what holds it), create the ServiceAccount again, then {again}",
        doubt=True,
    )


def _account_unread(future: Future, image: str) -> Call:
    return Call(
        FindingClass.W_UNKNOWN,
        Severity.BLOCKING,
        f"Whether new pods can pull {image} is not known: they get the Secrets of ServiceAccount"
        f" '{future.account_name}', and ServiceAccounts cannot be read by the worker.",
        "let the worker list serviceaccounts, or waive this with an owner and a date",
        doubt=True,
    )


def _enforced(future: Future, image: str) -> Call:
    missing = ", ".join(f"'{name}'" for name in future.not_mountable)
    name = future.account_name
    return Call(
        FindingClass.W_ENFORCED,
        Severity.BLOCKING,
        f"A new pod with {image} is refused: the template names {missing}, and ServiceAccount '{name}' has the"
        " annotation"
        " kubernetes.io/enforce-mountable-secrets and does not list it.",
        _list(future),
    )


def _list(future: Future) -> str:
    """Return the line that has the ServiceAccount list what the template names, keeping its other entries."""
    missing, account = future.not_mountable, future.account
    if missing == (future.wanted.secret_name,):
        return fixes.remediate(future.cluster, future.namespace, future.wanted)
    kept = account.pull_secrets if account else ()
    return fixes.set_account_list(
        future.cluster, future.namespace, future.account_name, (*kept, *dict.fromkeys(missing))
    )


def _refused(future: Future, image: str) -> Call:
    return Call(
        FindingClass.W_ADMISSION,
        Severity.BLOCKING,
        f"The API server would not create a pod with {image}: {future.refusal}",
        f"mend the template of {future.owner.kind} {future.owner.name}, or what refuses it; some webhooks refuse"
        " only dry"
        " runs: then judge at evidence level L2",
        doubt=True,
    )


def _uncertain(future: Future, image: str) -> Call:
    owner = f"{future.owner.kind} {future.owner.name}"
    if future.own:
        only_if = f"{owner} itself names the Secrets that its pods have"
        seen = "the ServiceAccount does not list them, but may have when they were made"
    else:
        only_if = f"{owner} leaves imagePullSecrets to the ServiceAccount"
        seen = "its pods are older than the ServiceAccount's present list"
    return Call(
        FindingClass.W_OTHER,
        Severity.BLOCKING,
        f"New pods with {image} are covered if {only_if}, which cannot be seen: {seen}.",
        "let it make one pod anew and judge again, or waive this with an owner and a date",
        doubt=True,
    )


def _covered(future: Future, image: str, cover: Cover) -> Call:
    own = bool(future.own)
    severity = Severity.WARNING if cover.code is Coverage.SHADOWED else Severity.INFO
    where = "its template" if own else f"ServiceAccount '{future.account_name}'"
    return Call(
        FindingClass.W_COVERED_TEMPLATE if own else FindingClass.W_COVERED_SA,
        severity,
        f"{image}: new pods name Secret '{cover.secret}' through {where}; {why(cover)}.",
    )


def _uncovered(future: Future, image: str, cover: Cover) -> Call:
    if future.account is None and not future.names:
        return _account_to_come(future, image)
    ours = future.wanted.secret_name
    run = fixes.remediate(future.cluster, future.namespace, future.wanted)
    through_account = not future.own
    lacks = ours not in future.names
    if lacks and ours in future.given and cover.code is not Coverage.UNKNOWN_SECRET:
        return _taken_out(future, image, cover)
    mended = (Coverage.POISONED, Coverage.UNKNOWN_SECRET, Coverage.REFUSED, Coverage.DELETING)
    if through_account and lacks and cover.code not in mended:
        return Call(
            FindingClass.W_SA_UNPATCHED,
            Severity.BLOCKING,
            f"New pods get the Secrets of ServiceAccount '{future.account_name}', which does not name '{ours}';"
            f" {image} cannot be pulled with them: {why(cover)}.",
            run,
        )
    found = _CLASS_BY_CODE.get(cover.code)
    if found is None:
        found = FindingClass.W_KEY if through_account else FindingClass.W_TEMPLATE_SECRETS
    doubt = cover.code in (Coverage.UNKNOWN_SECRET, Coverage.DELETING)
    if found is FindingClass.W_TEMPLATE_SECRETS:
        explanation = (
            f"The template names its own Secrets, so that the ServiceAccount's are never used; {image} cannot be pulled"
            f" with them: {why(cover)}."
        )
    elif doubt:
        explanation = f"Whether new pods can pull {image} is not known: {why(cover)}."
    else:
        explanation = f"New pods cannot pull {image}: {why(cover)}."
    return Call(found, Severity.BLOCKING, explanation, _fix(future, cover, run), doubt)


def _taken_out(future: Future, image: str, cover: Cover) -> Call:
    ours = future.wanted.secret_name
    listed = ", ".join(map(repr, future.names)) or "none"
    return Call(
        FindingClass.W_ADMISSION,
        Severity.BLOCKING,
        f"A policy or webhook takes '{ours}' out of new pods: the API server, asked, gives them the Secrets"
        f" [{listed}], and {image} cannot be pulled with them: {why(cover)}.",
        f"have what writes imagePullSecrets into pods of namespace '{future.namespace}' keep '{ours}', or add it",
    )


def _fix(future: Future, cover: Cover, run: str) -> str:
    ours, name = future.wanted.secret_name, cover.secret
    to_template = fixes.add_to_template(
        future.cluster, future.namespace, future.owner, future.own, ours
    )
    if future.older_than and future.older_than.kind == "Deployment":
        rolled = f"deployment/{future.older_than.name}"
        status = fixes.kubectl(future.cluster, future.namespace, "rollout", "status", rolled)
        to_template = (
            f"bring the rollout of Deployment '{future.older_than.name}' to its end (it is paused, stuck or under way:"
            f" {status}), so that this older ReplicaSet makes no pods"
        )
    if future.revision:
        to_template = fixes.end_partition(future.cluster, future.namespace, future.owner.name)
    edit = fixes.kubectl(future.cluster, future.namespace, "edit", "secret", name)
    match cover.code:
        case Coverage.POISONED if cover.immutable:
            return fixes.renew_secret(future.cluster, future.namespace, name, future.wanted)
        case Coverage.STALE | Coverage.KEY_MISMATCH if cover.immutable and name == ours:
            return fixes.renew_secret(future.cluster, future.namespace, name, future.wanted)
        case Coverage.POISONED:
            return f"correct or empty Secret '{name}': {edit}"
        case Coverage.UNKNOWN_SECRET:
            told = fixes.read_secret(future.namespace, name, cover.detail)
            return told if ours in future.names else f"{run}; and {told}"
        case Coverage.REFUSED:
            return (
                "give the credential the right to pull this repository, or use another credential"
            )
        case Coverage.STALE | Coverage.KEY_MISMATCH if name == ours:
            return run
        case Coverage.DELETING:
            return fixes.finish_deletion(future.cluster, future.namespace, name, future.wanted)
        case Coverage.MISSING if name == ours:
            return run
        case Coverage.WRONG_TYPE if name == ours and future.own:
            return fixes.replace_secret(future.cluster, future.namespace, future.wanted)
        case _ if future.own:
            return to_template
        case _:
            return run
