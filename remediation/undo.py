"""Taking back what a remediation did, and nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from remediation.deletion import going_already, left_alone
from remediation.footprint import AccountMark
from remediation.outcome import AccountCounts, NamespaceResult, Outcome, SecretAction
from remediation.plan import Intent, NamespacePlan, unread_plan
from remediation.plan_secret import SecretWrite
from remediation.request import RemediationRequest
from remediation.scope import EVERYTHING, Scope
from remediation.state import NamespaceState, Secret, ServiceAccount
from remediation.takeover import Left, taken_over, tell_left, warn_left

STILL_NAMED = "the Secret stays: ServiceAccounts still name it"
_REWRITTEN = (SecretAction.UPDATED, SecretAction.MERGED, SecretAction.REPLACED)


@dataclass(frozen=True, slots=True)
class Done:
    """What a remediation did in one namespace.

    `accounts` are the ServiceAccounts it added the name to, `secret_version` (uid, resourceVersion) is that of the
    Secret as it created it, None where it did not or where that is not known. `account_marks` say which objects those
    ServiceAccounts were, as far as it was recorded.
    """

    accounts: tuple[str, ...] = ()
    secret_action: SecretAction = SecretAction.UNCHANGED
    secret_version: tuple[str, str] | None = None
    account_marks: tuple[AccountMark, ...] = ()

    @property
    def anything(self) -> bool:
        """Tell whether anything was written."""
        return bool(self.accounts) or self.wrote_secret

    def mark_of(self, name: str) -> AccountMark | None:
        """Return which object a ServiceAccount was, None if that was not recorded."""
        return next((mark for mark in self.account_marks if mark.name == name), None)

    @property
    def wrote_secret(self) -> bool:
        """Tell whether the Secret was written."""
        return self.secret_action is SecretAction.CREATED or self.secret_action in _REWRITTEN


@dataclass(frozen=True, slots=True)
class UndoTask:
    """What one run of an undo carries out: `done` is what is taken back, by namespace."""

    remediation_id: str
    request: RemediationRequest
    done: Mapping[str, Done] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        remediation_id: str,
        request: RemediationRequest,
        done: Mapping[str, Done],
        scope: Scope = EVERYTHING,
    ) -> "UndoTask":
        """Compile an undo; the scope narrows it to what an earlier try left over."""
        wanted = {
            name: what
            for name, what in done.items()
            if name not in scope.without and (scope.only is None or name in scope.only)
        }
        return cls(remediation_id, request, wanted)

    @property
    def exactly(self) -> frozenset[str]:
        """The namespaces that get a row, also where they are gone."""
        return frozenset(self.done)

    @property
    def to_observe(self) -> RemediationRequest:
        """The request whose namespaces are to be read."""
        return replace(self.request, namespaces=tuple(sorted(self.done)), ignore=())

    def plan(self, state: NamespaceState) -> NamespacePlan | None:
        """Return the plan of a namespace, None where nothing was done."""
        done = self.done.get(state.namespace.name)
        return plan_undo(state, done, self.request.secret_name) if done else None


def what_was_done(
    rows: Iterable[NamespaceResult], intents: Mapping[str, Intent], *, unreported: bool
) -> dict[str, Done]:
    """Return what the run did, by namespace, from its rows and, where those leave a doubt, from its journal.

    `unreported` tells that the run ended without a row for every namespace: those that only the journal knows count.
    """
    found = {row.namespace: _done(row, intents.get(row.namespace)) for row in rows}
    if unreported:
        for namespace, intent in intents.items():
            done = Done(intent.accounts, intent.secret_action, account_marks=intent.account_marks)
            found.setdefault(namespace, done)
    return {namespace: done for namespace, done in found.items() if done.anything}


def _done(row: NamespaceResult, intent: Intent | None) -> Done:
    certain = Done(row.changed_accounts, row.secret_action, row.secret_version, row.account_marks)
    if not row.doubtful or intent is None:
        return certain
    doubtful = intent.accounts if row.doubtful_accounts is None else row.doubtful_accounts
    accounts = tuple(dict.fromkeys(certain.accounts + doubtful))
    action = certain.secret_action if certain.wrote_secret else intent.secret_action
    known = {mark.name for mark in certain.account_marks}
    marks = tuple(
        mark for mark in intent.account_marks if mark.name in accounts and mark.name not in known
    )
    return Done(accounts, action, certain.secret_version, certain.account_marks + marks)


def plan_undo(state: NamespaceState, done: Done, secret_name: str) -> NamespacePlan:
    """Return the plan that takes `done` back: the name leaves the lists first, then the Secret goes."""
    name = state.namespace.name
    if state.namespace.terminating:
        skipped = NamespaceResult(name, Outcome.SKIPPED, "the namespace is terminating")
        return NamespacePlan(name, skipped)
    if state.unread:
        return unread_plan(name, state.unread)
    there = [
        each for each in state.service_accounts if each.name in done.accounts and not each.deleting
    ]
    named = [account for account in there if secret_name in account.pull_secrets]
    wanted = [(account, without_name(account, secret_name, done)) for account in named]
    left = [(account.name, names) for account, names in wanted if isinstance(names, Left)]
    detach = tuple(account for account, names in wanted if not isinstance(names, Left))
    free = frozenset(account.name for account in there) - {each.name for each in named}
    ignored = len(state.service_accounts) - len(free) - len(detach)
    secret, kept = plan_removal(done, state.secret)
    if secret and left:
        secret, kept = None, STILL_NAMED
    going = left_alone(each for each in state.service_accounts if each.name in done.accounts)
    reason = "; ".join(said for said in (tell_left(left), kept, going) if said) or None
    cautions = warn_left(name, left)
    if secret or detach:
        namers = tuple(
            each.name
            for each in state.service_accounts
            if secret_name in each.pull_secrets and each not in detach and not each.deleting
        )
        return NamespacePlan(
            name,
            None,
            secret,
            detach,
            free,
            len(free),
            ignored,
            reason=reason,
            cautions=cautions,
            namers=namers if secret else (),
        )
    unchanged = NamespaceResult(
        name,
        Outcome.UNCHANGED,
        reason,
        secret_action=SecretAction.UNCHANGED,
        accounts=AccountCounts(unchanged=len(free), ignored=ignored),
        cautions=cautions,
    )
    return NamespacePlan(name, unchanged, in_line=free)


def plan_removal(done: Done, secret: Secret | None) -> tuple[SecretWrite | None, str | None]:
    """Return how the Secret that was written is taken back, or why it stays. (None, None): there is nothing to do."""
    if secret is None or not done.wrote_secret:
        return None, None
    if secret.deleting:
        return None, going_already(secret)
    if done.secret_action in _REWRITTEN:
        kept = "what it held before was not kept, so it stays as it is"
        return None, f"the Secret was {done.secret_action}: {kept}"
    if done.secret_version is None:
        return None, "the Secret stays: it is not certain that it is as it was created"
    if done.secret_version != secret.version:
        return None, "the Secret stays: it was changed since it was created"
    return SecretWrite(SecretAction.DELETED, b"", secret), None


def without_name(
    account: ServiceAccount, secret_name: str, done: Done
) -> tuple[str, ...] | Left | None:
    """Return the list without our entry, None if it is not there, or why it stays.

    It was appended where there was none: of several the first is ours.
    """
    if secret_name not in account.pull_secrets or account.deleting:
        return None
    if left := taken_over(account, done.mark_of(account.name)):
        return left
    at = account.pull_secrets.index(secret_name)
    return account.pull_secrets[:at] + account.pull_secrets[at + 1 :]
