"""The writes that would bring a namespace in line."""

from dataclasses import dataclass, replace

from remediation.absence import absent_accounts, tell_absent
from remediation.caution import Caution
from remediation.credential import Credential
from remediation.deletion import left_alone
from remediation.footprint import AccountMark, SecretMark
from remediation.outcome import (
    AccountCounts,
    Error,
    NamespaceResult,
    Outcome,
    SecretAction,
)
from remediation.plan_secret import SecretWrite, plan_secret, side_effects
from remediation.request import RemediationRequest
from remediation.scope import EVERYTHING, Scope
from remediation.selection import AccountSelection, NamespaceSelection
from remediation.state import NamespaceState, ServiceAccount


@dataclass(frozen=True, slots=True)
class Task:
    """What one run carries out: the request, compiled, with the credential a worker holds."""

    remediation_id: str
    request: RemediationRequest
    credential: Credential
    namespaces: NamespaceSelection
    accounts: AccountSelection
    scope: Scope = EVERYTHING

    @classmethod
    def of(
        cls,
        remediation_id: str,
        request: RemediationRequest,
        credential: Credential,
        scope: Scope = EVERYTHING,
    ) -> "Task":
        """Compile a request."""
        return cls(
            remediation_id,
            request,
            credential,
            NamespaceSelection.of(request, scope),
            AccountSelection.of(request),
            scope,
        )

    @property
    def exactly(self) -> frozenset[str] | None:
        """The namespaces that get a row even if they are gone; None where the cluster says which there are."""
        return self.scope.only

    @property
    def to_observe(self) -> RemediationRequest:
        """The request whose namespaces are to be read."""
        return self.scope.narrow(self.request)

    def plan(self, state: NamespaceState) -> "NamespacePlan | None":
        """Return the plan of a namespace, None where the task does not mean it."""
        return plan_namespace(self, state)


@dataclass(frozen=True, slots=True)
class Intent:
    """The writes that were about to be made in a namespace, noted before the first of them.

    `account_marks` and `secret_mark` say what stood there, as in `NamespaceResult`; `cautions` warn of the writes.
    """

    secret_action: SecretAction = SecretAction.UNCHANGED
    accounts: tuple[str, ...] = ()
    account_marks: tuple[AccountMark, ...] = ()
    secret_mark: SecretMark | None = None
    cautions: tuple[Caution, ...] = ()

    def narrowed(self, names: tuple[str, ...], secret_action: SecretAction) -> "Intent":
        """Return what concerns some of the ServiceAccounts, and the Secret if it is written at all."""
        touched = secret_action is not SecretAction.UNCHANGED
        return Intent(
            secret_action,
            names,
            tuple(mark for mark in self.account_marks if mark.name in names),
            self.secret_mark if touched else None,
        )

    def cautions_about(
        self, namespace: str, names: tuple[str, ...], secret_action: SecretAction
    ) -> tuple[Caution, ...]:
        """Return the warnings about some of the ServiceAccounts, and the Secret if it is written at all."""
        objects = {f"serviceaccounts/{namespace}/{name}" for name in names}
        touched = secret_action is not SecretAction.UNCHANGED
        return tuple(
            each
            for each in self.cautions
            if each.object in objects or (touched and each.object.startswith("secrets/"))
        )


NOTHING = Intent()


@dataclass(frozen=True, slots=True)
class NamespacePlan:
    """The decision for one namespace.

    `settled` is the result where nothing is to be written (ignored, skipped, in line, or refused with `failed`);
    otherwise `secret` is the write of the Secret and `accounts` are the ServiceAccounts to write. `in_line` are those
    that are as they should be. `before` is what an earlier attempt of the same run has done already, and `unchanged`
    does not count it; `earlier` is all that it was about to write, for its last write may still arrive. `reason` says
    what is left as it is, and why; `cautions` warn of what the writes do besides. `version` is that of the Secret if
    this remediation wrote it last; `namers` are ServiceAccounts of others that name one that is deleted. `unread` tells
    that the namespace could not be read: it is settled as failed, whatever an earlier attempt did there.
    """

    namespace: str
    settled: NamespaceResult | None = None
    secret: SecretWrite | None = None
    accounts: tuple[ServiceAccount, ...] = ()
    in_line: frozenset[str] = frozenset()
    unchanged: int = 0
    ignored: int = 0
    before: Intent = NOTHING
    earlier: Intent = NOTHING
    reason: str | None = None
    version: tuple[str, str] | None = None
    cautions: tuple[Caution, ...] = ()
    namers: tuple[str, ...] = ()
    unread: bool = False

    @property
    def secret_action(self) -> SecretAction:
        """What happens to the Secret if the plan is carried out."""
        return self.secret.action if self.secret else self.before.secret_action

    @property
    def intent(self) -> Intent:
        """What to note before the first write: the writes, and those that an earlier attempt made."""
        names = tuple(account.name for account in self.accounts)
        marks = tuple(account.mark for account in self.accounts)
        return Intent(
            self.secret_action,
            self.before.accounts + names,
            self.before.account_marks + marks,
            self.secret_mark,
        )

    @property
    def secret_mark(self) -> SecretMark | None:
        """What to remember of the Secret whose content is replaced."""
        existing = self.secret.existing if self.secret else None
        return (existing.mark if existing else None) or self.before.secret_mark


def plan_namespace(task: Task, state: NamespaceState) -> NamespacePlan | None:
    """Return the plan of a namespace, None where the request does not mean it."""
    name = state.namespace.name
    judgement = task.namespaces.judge(state.namespace)
    if judgement is None:
        return None
    if judgement.outcome:
        return NamespacePlan(name, NamespaceResult(name, judgement.outcome, judgement.reason))
    if state.unread:
        return unread_plan(name, state.unread)

    selected = [
        account
        for account in state.service_accounts
        if task.accounts.selects(name, account.name) and not account.deleting
    ]
    attach = tuple(account for account in selected if needs_name(account, task.request.secret_name))
    in_line = frozenset(account.name for account in selected) - {each.name for each in attach}
    ignored = len(state.service_accounts) - len(selected)
    unchanged = len(in_line)
    going = left_alone(
        account for account in state.service_accounts if task.accounts.selects(name, account.name)
    )
    there = {each.name for each in state.service_accounts}
    absent = tell_absent(name, absent_accounts(task.request, task.accounts, name, there))
    reason = "; ".join(told for told in (absent and absent.detail, going) if told) or None
    cautions: tuple[Caution, ...] = (absent,) if absent else ()

    secret = plan_secret(task, name, state.secret)
    if isinstance(secret, Error):
        counts = AccountCounts(unchanged=unchanged, ignored=ignored, failed=len(attach))
        failed = NamespaceResult(
            name, Outcome.FAILED, reason, accounts=counts, error=secret, cautions=cautions
        )
        return NamespacePlan(name, failed, in_line=in_line)
    if secret is None and not attach:
        counts = AccountCounts(unchanged=unchanged, ignored=ignored)
        serves = NamespaceResult(
            name,
            Outcome.UNCHANGED,
            reason,
            secret_action=SecretAction.UNCHANGED,
            accounts=counts,
            cautions=cautions,
        )
        return NamespacePlan(name, serves, in_line=in_line, version=_own_version(task, state))
    cautions += tuple(side_effects(task, name, state.secret, secret))
    return NamespacePlan(
        name,
        None,
        secret,
        attach,
        in_line,
        unchanged,
        ignored,
        reason=reason,
        version=_own_version(task, state),
        cautions=cautions,
    )


def unread_plan(name: str, error: Error) -> NamespacePlan:
    """Return the plan of a namespace that could not be read: nothing is written there, and it fails."""
    return NamespacePlan(name, NamespaceResult(name, Outcome.FAILED, error=error), unread=True)


def needs_name(account: ServiceAccount, secret_name: str) -> bool:
    """Tell whether the ServiceAccount lacks our entry, and will be there to have it."""
    return secret_name not in account.pull_secrets and not account.deleting


def carry_over(plan: NamespacePlan, intent: Intent) -> NamespacePlan:
    """Return the plan of a resumed run, knowing what an earlier attempt was about to write.

    Of that, what is in line now was done by the earlier attempt and stays reported as changed.
    """
    row = plan.settled
    if row and row.outcome not in (Outcome.UNCHANGED, Outcome.FAILED):
        return plan
    if plan.unread and row:
        return replace(plan, settled=replace(row, doubtful=True))
    # A ServiceAccount that went away since is no longer counted, neither here nor there.
    done = tuple(name for name in intent.accounts if name in plan.in_line)
    if row is None:
        action = SecretAction.UNCHANGED if plan.secret else intent.secret_action
        before = replace(intent.narrowed(done, action), secret_mark=intent.secret_mark)
        earlier = intent.cautions_about(plan.namespace, done, action)
        return replace(
            plan,
            before=before,
            earlier=intent,
            unchanged=plan.unchanged - len(done),
            cautions=tuple(dict.fromkeys(earlier + plan.cautions)),
        )
    counts = replace(row.accounts, changed=len(done), unchanged=row.accounts.unchanged - len(done))
    created = intent.secret_action is SecretAction.CREATED
    action = intent.secret_action if row.outcome is Outcome.UNCHANGED else SecretAction.UNCHANGED
    earlier = intent.cautions_about(row.namespace, done, action)
    told = replace(
        row,
        cautions=tuple(dict.fromkeys(earlier + row.cautions)),
        accounts=counts,
        changed_accounts=done,
        secret_version=plan.version if created else None,
        account_marks=intent.narrowed(done, intent.secret_action).account_marks,
    )
    if row.outcome is Outcome.UNCHANGED:
        touched = bool(done) or intent.secret_action is not SecretAction.UNCHANGED
        told = replace(
            told,
            outcome=Outcome.CHANGED if touched else Outcome.UNCHANGED,
            secret_action=intent.secret_action,
            secret_mark=intent.narrowed(done, intent.secret_action).secret_mark,
        )
    return replace(plan, settled=told)


def would_result(plan: NamespacePlan) -> NamespaceResult:
    """Return the row of a dry run for a plan with writes."""
    return NamespaceResult(
        plan.namespace,
        Outcome.WOULD_CHANGE,
        plan.reason,
        secret_action=plan.secret_action,
        accounts=AccountCounts(len(plan.accounts), plan.unchanged, plan.ignored),
        changed_accounts=tuple(account.name for account in plan.accounts),
        cautions=plan.cautions,
    )


def unfinished_result(
    plan: NamespacePlan, outcome: Outcome, error: Error | None = None, *, begun: bool
) -> NamespaceResult:
    """Return the row of a plan that was not carried out to its end: `failed` or `cancelled`.

    What an earlier attempt did of it stays reported; what this one did, where it had `begun`, is not known.
    """
    before = plan.before
    touched = before.secret_action is not SecretAction.UNCHANGED
    failed = outcome is Outcome.FAILED
    return NamespaceResult(
        plan.namespace,
        outcome,
        plan.reason,
        secret_action=before.secret_action if touched else SecretAction.NONE,
        accounts=AccountCounts(
            len(before.accounts),
            plan.unchanged,
            plan.ignored,
            failed=len(plan.accounts) if failed else 0,
        ),
        changed_accounts=before.accounts,
        error=error,
        secret_version=plan.version if before.secret_action is SecretAction.CREATED else None,
        doubtful=begun,
        account_marks=before.account_marks,
        secret_mark=before.secret_mark if touched else None,
        cautions=plan.cautions,
    )


def with_marks_in_doubt(plan: NamespacePlan, row: NamespaceResult) -> NamespaceResult:
    """Return the row with what stood in the objects whose writes were sent and may have been made."""
    if not row.doubtful:
        return row
    known = {mark.name for mark in row.account_marks}
    marks = tuple(
        account.mark
        for account in plan.accounts
        if account.name not in known and row.may_have_written(account.name)
    )
    existing = plan.secret.existing if plan.secret and row.may_have_rewritten_secret else None
    return replace(
        row,
        account_marks=row.account_marks + marks,
        secret_mark=row.secret_mark or (existing.mark if existing else None),
    )


def gone_result(namespace: str) -> NamespaceResult:
    """Return the row of a namespace that is not there any more."""
    return NamespaceResult(namespace, Outcome.SKIPPED, "the namespace is gone")


def _own_version(task: Task, state: NamespaceState) -> tuple[str, str] | None:
    own = state.secret and state.secret.remediation == task.remediation_id
    return state.secret.version if state.secret and own else None
