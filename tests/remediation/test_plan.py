"""What is written, what is left alone, and what a resumed run makes of its predecessor's work."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.docker_config import Login, holds, parse_docker_config
from remediation.outcome import (
    AccountCounts,
    Error,
    ErrorCode,
    NamespaceResult,
    Outcome,
    SecretAction,
)
from remediation.plan import (
    Intent,
    NamespacePlan,
    Task,
    carry_over,
    needs_name,
    plan_namespace,
    would_result,
)
from remediation.plan_secret import SecretWrite, plan_secret
from remediation.request import OnConflict
from remediation.state import Namespace, NamespaceState, Secret, ServiceAccount
from tests.remediation.values import (
    REGISTRY,
    SECRET_NAME,
    a_credential,
    a_request,
    a_secret,
    a_state,
    a_task,
    an_account,
    auth_of,
    config_of,
    document,
)

WANTED = a_credential().content
STALE = a_credential("yesterday").content
FOREIGN = config_of(quay_io=Login("them", "theirs"))
MALFORMED = b'{"auths":{"quay.io":{"auth":"%%%"}}}'

SECRETS = st.none() | st.builds(
    a_secret,
    st.sampled_from([WANTED, STALE, FOREIGN, MALFORMED, b"", b"{}"]),
    ours=st.booleans(),
    immutable=st.booleans(),
    type=st.sampled_from(["kubernetes.io/dockerconfigjson"] * 3 + ["Opaque"]),
)
PULL_SECRETS = st.lists(st.sampled_from(["a", "b", "", SECRET_NAME]), max_size=4)


@st.composite
def states(draw: st.DrawFn) -> NamespaceState:
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))
    accounts = [
        an_account(name, *draw(PULL_SECRETS), deleting=draw(st.booleans()) and draw(st.booleans()))
        for name in names
    ]
    return a_state(*accounts, secret=draw(SECRETS))


TASKS = st.builds(
    lambda conflict, include, ignore: a_task(
        a_request(on_conflict=conflict, service_accounts=include, ignore_service_accounts=ignore)
    ),
    st.sampled_from(OnConflict),
    st.sampled_from([["*"], ["a", "b"], ["team-a/?"], ["team-b/*"]]),
    st.sampled_from([[], ["a"], ["team-a/b"]]),
)


def planned(task: Task, state: NamespaceState) -> NamespacePlan:
    plan = plan_namespace(task, state)
    assert plan
    return plan


def written(write: SecretWrite) -> Secret:
    before = write.existing
    ours = write.action is not SecretAction.MERGED or bool(before and before.ours)
    return a_secret(write.content, ours=ours)


def applied(
    plan: NamespacePlan, state: NamespaceState, names: frozenset[str] | None = None
) -> NamespaceState:
    """Return the state after the writes, of the ServiceAccounts after those of `names` only."""
    chosen = {account.name for account in plan.accounts if names is None or account.name in names}
    return replace(
        state,
        secret=written(plan.secret) if plan.secret else state.secret,
        service_accounts=tuple(
            replace(account, pull_secrets=(*account.pull_secrets, SECRET_NAME))
            if account.name in chosen
            else account
            for account in state.service_accounts
        ),
    )


def row_after(plan: NamespacePlan) -> NamespaceResult:
    """Return the row of a plan whose writes all succeed."""
    if plan.settled:
        return plan.settled
    changed = (*plan.before.accounts, *(account.name for account in plan.accounts))
    return NamespaceResult(
        plan.namespace,
        Outcome.CHANGED,
        plan.reason,
        secret_action=plan.secret_action,
        accounts=AccountCounts(len(changed), plan.unchanged, plan.ignored),
        changed_accounts=changed,
        cautions=plan.cautions,
    )


# Planning


def test_creates_the_secret_and_names_it_in_every_account() -> None:
    plan = planned(a_task(), a_state(an_account("default"), an_account("builder")))

    assert plan.secret == SecretWrite(SecretAction.CREATED, WANTED)
    assert [account.name for account in plan.accounts] == ["default", "builder"]
    assert plan.settled is None


@given(TASKS, states())
def test_never_writes_an_account_that_has_the_name_or_is_not_meant(
    task: Task, state: NamespaceState
) -> None:
    for account in planned(task, state).accounts:
        assert SECRET_NAME not in account.pull_secrets
        assert not account.deleting
        assert task.accounts.selects("team-a", account.name)
        assert (
            account in state.service_accounts
        )  # with the uid and resourceVersion it was read with


@given(TASKS, states())
def test_every_account_is_counted_once(task: Task, state: NamespaceState) -> None:
    plan = planned(task, state)

    row = plan.settled or would_result(plan)
    assert row.accounts.total == len(state.service_accounts)
    assert row_after(plan).accounts.total == len(state.service_accounts)


@given(TASKS, states())
def test_after_the_writes_there_is_nothing_left_to_write(task: Task, state: NamespaceState) -> None:
    first = planned(task, state)
    if first.settled:
        return

    second = planned(task, applied(first, state))

    assert second.settled
    assert second.settled.outcome is Outcome.UNCHANGED
    assert second.settled.secret_action is SecretAction.UNCHANGED
    assert second.settled.accounts.unchanged == len(first.accounts) + first.unchanged


@given(TASKS, states())
def test_what_is_settled_writes_nothing(task: Task, state: NamespaceState) -> None:
    plan = planned(task, state)

    if plan.settled:
        assert plan.secret is None
        assert plan.accounts == ()
    else:
        assert plan.secret or plan.accounts


@given(TASKS, states())
def test_a_secret_that_cannot_be_put_in_place_leaves_the_accounts_alone(
    task: Task, state: NamespaceState
) -> None:
    plan = planned(task, state)
    error = plan_secret(task, "team-a", state.secret)

    assert (plan.settled is not None and plan.settled.outcome is Outcome.FAILED) == isinstance(
        error, Error
    )
    if isinstance(error, Error):
        assert plan.settled
        assert plan.settled.error == error
        assert plan.settled.secret_action is SecretAction.NONE
        assert plan.settled.changed_accounts == ()
        assert error.object == f"secrets/team-a/{SECRET_NAME}"
        assert error.hint


@pytest.mark.parametrize(
    ("namespace", "outcome"),
    [
        (Namespace("kube-system"), Outcome.IGNORED),
        (Namespace("team-a", excluded=True), Outcome.IGNORED),
        (Namespace("team-a", terminating=True), Outcome.SKIPPED),
    ],
)
def test_a_namespace_that_is_left_out_has_a_row_with_its_reason(
    namespace: Namespace, outcome: Outcome
) -> None:
    task = a_task(a_request(ignore=["kube-*"]))

    plan = planned(task, a_state(an_account("default"), namespace=namespace))

    assert plan.settled
    assert plan.settled.outcome is outcome
    assert plan.settled.reason
    assert plan.settled.secret_action is SecretAction.NONE
    assert plan.accounts == ()


def test_a_namespace_outside_the_request_has_none() -> None:
    task = a_task(a_request(namespaces=["team-*"]))

    assert plan_namespace(task, a_state(namespace=Namespace("kube-system"))) is None


def test_a_namespace_without_accounts_gets_its_secret() -> None:
    plan = planned(a_task(), a_state())

    assert plan.secret
    assert row_after(plan).accounts == AccountCounts()


def test_an_account_with_the_name_twice_is_in_line() -> None:
    assert not needs_name(an_account("default", SECRET_NAME, "a", SECRET_NAME), SECRET_NAME)
    assert needs_name(an_account("default", "", "Docker", "docker-2"), SECRET_NAME)


# The Secret that is there


def _merged(write: SecretWrite) -> bool:
    after = parse_docker_config(write.content)
    return holds(after, parse_docker_config(WANTED)) and holds(after, parse_docker_config(FOREIGN))


FAIL, MERGE, REPLACE = OnConflict.FAIL, OnConflict.MERGE, OnConflict.REPLACE


@pytest.mark.parametrize(
    ("content", "ours", "on_conflict", "expected"),
    [
        (STALE, True, FAIL, SecretAction.UPDATED),
        (STALE, True, MERGE, SecretAction.UPDATED),
        (STALE, True, REPLACE, SecretAction.UPDATED),
        (MALFORMED, True, FAIL, SecretAction.UPDATED),
        (b"", True, FAIL, SecretAction.UPDATED),
        (STALE, False, FAIL, ErrorCode.SECRET_CONFLICT),
        (STALE, False, MERGE, SecretAction.MERGED),
        (STALE, False, REPLACE, SecretAction.REPLACED),
        (FOREIGN, False, FAIL, ErrorCode.SECRET_CONFLICT),
        (FOREIGN, False, MERGE, SecretAction.MERGED),
        (FOREIGN, False, REPLACE, SecretAction.REPLACED),
        (MALFORMED, False, FAIL, ErrorCode.SECRET_CONFLICT),
        (MALFORMED, False, MERGE, ErrorCode.SECRET_CONFLICT),
        (MALFORMED, False, REPLACE, SecretAction.REPLACED),
    ],
)
def test_a_secret_with_another_credential_is_treated_as_asked(
    content: bytes, ours: bool, on_conflict: OnConflict, expected: SecretAction | ErrorCode
) -> None:
    existing = a_secret(content, ours=ours)

    decision = plan_secret(a_task(a_request(on_conflict=on_conflict)), "team-a", existing)

    if isinstance(expected, ErrorCode):
        assert isinstance(decision, Error)
        assert decision.code is expected
        return
    assert isinstance(decision, SecretWrite)
    assert decision.action is expected
    assert decision.existing == existing  # whose uid and resourceVersion guard the write
    if expected is SecretAction.MERGED:
        assert content != FOREIGN or _merged(decision)
    else:
        assert decision.content == WANTED


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("immutable", [True, False])
@pytest.mark.parametrize("on_conflict", list(OnConflict))
@pytest.mark.parametrize(
    "content",
    [
        WANTED,
        document(
            {
                "quay.io": {"auth": "dTpw"},
                f"https://{REGISTRY}/v1/": {"auth": auth_of("robot", "s3cr3t-value")},
            }
        ),
    ],
)
def test_a_secret_that_holds_the_login_serves_whoever_made_it(
    content: bytes, ours: bool, immutable: bool, on_conflict: OnConflict
) -> None:
    existing = a_secret(content, ours=ours, immutable=immutable)

    assert plan_secret(a_task(a_request(on_conflict=on_conflict)), "team-a", existing) is None


@pytest.mark.parametrize("on_conflict", list(OnConflict))
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("content", [WANTED, STALE, b""])
def test_a_secret_of_another_type_is_never_written(
    content: bytes, ours: bool, on_conflict: OnConflict
) -> None:
    existing = a_secret(content, ours=ours, type="Opaque")

    decision = plan_secret(a_task(a_request(on_conflict=on_conflict)), "team-a", existing)

    assert isinstance(decision, Error)
    assert decision.code is ErrorCode.SECRET_TYPE_MISMATCH
    assert "'Opaque'" in decision.detail
    assert "secret_name" in decision.hint


@pytest.mark.parametrize("on_conflict", list(OnConflict))
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("content", [STALE, MALFORMED])
def test_an_immutable_secret_is_never_written(
    content: bytes, ours: bool, on_conflict: OnConflict
) -> None:
    existing = a_secret(content, ours=ours, immutable=True)

    decision = plan_secret(a_task(a_request(on_conflict=on_conflict)), "team-a", existing)

    assert isinstance(decision, Error)
    assert decision.code is ErrorCode.SECRET_CONFLICT
    assert "immutable" in decision.detail


def test_one_odd_secret_does_not_stop_the_others() -> None:
    """Anybody who may write Secrets can write this one."""
    bomb = b'{"auths":{},"x":' + b"[" * 3000 + b"]" * 3000 + b"}"

    plan = planned(a_task(), a_state(an_account("default"), secret=a_secret(bomb)))

    assert plan.settled
    assert plan.settled.error
    assert plan.settled.error.code is ErrorCode.SECRET_CONFLICT


# A dry run


@given(TASKS, states())
def test_a_dry_run_answers_as_the_real_one_would(task: Task, state: NamespaceState) -> None:
    plan = planned(task, state)
    if plan.settled:
        return

    dry, real = would_result(plan), row_after(plan)

    assert dry.outcome is Outcome.WOULD_CHANGE
    assert replace(dry, outcome=Outcome.CHANGED) == real


# Resuming


def resumed(task: Task, state: NamespaceState, *intents: Intent) -> NamespacePlan:
    plan = planned(task, state)
    for intent in intents:
        plan = carry_over(plan, intent)
    return plan


@given(TASKS, states(), st.frozensets(st.sampled_from("abcdef")))
def test_what_an_earlier_attempt_changed_stays_changed(
    task: Task, state: NamespaceState, reached: frozenset[str]
) -> None:
    first = planned(task, state)
    if first.settled:
        return
    left_behind = applied(first, state, reached)

    row = row_after(carry_over(planned(task, left_behind), first.intent))

    undisturbed = row_after(first)
    assert row.outcome is Outcome.CHANGED
    assert row.secret_action is undisturbed.secret_action
    assert row.accounts == undisturbed.accounts
    assert sorted(row.changed_accounts) == sorted(undisturbed.changed_accounts)


@given(
    TASKS,
    states(),
    st.frozensets(st.sampled_from("abcdef")),
    st.frozensets(st.sampled_from("abcdef")),
)
def test_attempts_add_up_however_many_there_are(
    task: Task, state: NamespaceState, reached: frozenset[str], later: frozenset[str]
) -> None:
    first = planned(task, state)
    if first.settled:
        return
    second_state = applied(first, state, reached)
    second = carry_over(planned(task, second_state), first.intent)
    third_state = applied(second, second_state, later)
    noted = (
        first.intent if second.settled else second.intent
    )  # where nothing is written nothing is noted

    row = row_after(carry_over(planned(task, third_state), noted))

    assert row.accounts == row_after(first).accounts
    assert row.secret_action is row_after(first).secret_action
    assert sorted(row.changed_accounts) == sorted(row_after(first).changed_accounts)


def test_a_second_attempt_notes_its_own_work_beside_that_of_the_first() -> None:
    """A ServiceAccount that came in between is attached by the second attempt, and the third must know."""
    task, before = a_task(), a_state(an_account("default"))
    first = planned(task, before)
    grown = replace(
        applied(first, before),
        service_accounts=(an_account("default", SECRET_NAME), an_account("builder")),
    )
    second = carry_over(planned(task, grown), first.intent)

    third = carry_over(planned(task, applied(second, grown)), second.intent)

    assert row_after(third).changed_accounts == ("default", "builder")
    assert row_after(third).secret_action is SecretAction.CREATED


@given(
    TASKS,
    states(),
    st.frozensets(st.sampled_from("abcdef")),
    st.frozensets(st.sampled_from("abcdef")),
)
def test_every_account_is_counted_once_even_if_some_went_away(
    task: Task, state: NamespaceState, gone: frozenset[str], deleting: frozenset[str]
) -> None:
    first = planned(task, state)
    if first.settled:
        return
    after = applied(first, state)
    left = tuple(
        replace(account, deleting=account.deleting or account.name in deleting)
        for account in after.service_accounts
        if account.name not in gone
    )

    row = row_after(carry_over(planned(task, replace(after, service_accounts=left)), first.intent))

    assert row.accounts.total == len(left)
    assert row.accounts.changed == len(row.changed_accounts)
    assert {*row.changed_accounts} <= {account.name for account in left}


def test_a_namespace_where_nothing_is_left_of_the_work_is_unchanged() -> None:
    task, state = a_task(), a_state(an_account("default"), secret=a_secret(WANTED))
    first = planned(task, state)

    row = row_after(carry_over(planned(task, a_state(secret=a_secret(WANTED))), first.intent))

    assert row.outcome is Outcome.UNCHANGED


def test_work_of_an_earlier_attempt_is_told_even_if_the_secret_became_somebody_elses() -> None:
    task, state = a_task(), a_state(an_account("default"))
    first = planned(task, state)
    taken = replace(applied(first, state), secret=a_secret(FOREIGN))

    row = row_after(carry_over(planned(task, taken), first.intent))

    assert row.outcome is Outcome.FAILED
    assert row.changed_accounts == ("default",)
    assert row.accounts == AccountCounts(changed=1)
    assert row.secret_action is SecretAction.NONE


def test_a_secret_that_went_away_in_between_is_written_again() -> None:
    task, state = a_task(), a_state(an_account("default"))
    first = planned(task, state)

    second = carry_over(planned(task, replace(applied(first, state), secret=None)), first.intent)

    assert second.secret
    assert second.secret_action is SecretAction.CREATED
    assert second.before.accounts == ("default",)


@pytest.mark.parametrize(
    "namespace", [Namespace("team-a", excluded=True), Namespace("team-a", terminating=True)]
)
def test_a_namespace_that_was_taken_out_in_between_keeps_its_row(namespace: Namespace) -> None:
    plan = planned(a_task(), a_state(namespace=namespace))

    assert carry_over(plan, Intent(SecretAction.CREATED, ("default",))) == plan


def test_a_plan_without_an_earlier_attempt_is_as_it_was() -> None:
    task, account = a_task(), an_account("default")

    assert resumed(task, a_state(account)).accounts == (account,)


def _name(account: ServiceAccount) -> str:
    return account.name


@given(TASKS, states())
def test_the_intent_names_every_write(task: Task, state: NamespaceState) -> None:
    plan = planned(task, state)

    assert plan.intent.accounts == tuple(map(_name, plan.accounts))
    assert plan.intent.secret_action is plan.secret_action


@pytest.mark.parametrize("content", [WANTED, STALE, FOREIGN, MALFORMED], ids=str)
@pytest.mark.parametrize("on_conflict", OnConflict)
def test_a_secret_that_is_being_deleted_is_not_written_to(
    content: bytes, on_conflict: OnConflict
) -> None:
    secret = replace(a_secret(content, ours=True), deleting=True, finalizers=("example.com/hold",))
    task = a_task(a_request(on_conflict=on_conflict))

    plan = plan_namespace(task, a_state(an_account("default"), secret=secret))

    assert plan
    assert plan.settled
    assert plan.settled.error
    assert plan.settled.outcome is Outcome.FAILED
    assert plan.settled.error.code is ErrorCode.SECRET_TERMINATING
    assert "example.com/hold" in plan.settled.error.detail
    assert plan.accounts == ()


def test_serviceaccounts_that_are_being_deleted_are_named_and_left_alone() -> None:
    going = [an_account(f"going-{number}", deleting=True) for number in range(5)]

    plan = plan_namespace(a_task(), a_state(an_account("default"), *going))

    assert plan
    assert [account.name for account in plan.accounts] == ["default"]
    assert "'going-0', 'going-1', 'going-2' and 2 more" in (plan.reason or "")
    assert would_result(plan).reason == plan.reason
