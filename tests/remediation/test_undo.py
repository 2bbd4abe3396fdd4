"""Taking back what a remediation did, and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.docker_config import SECRET_TYPE
from remediation.outcome import NamespaceResult, Outcome, SecretAction
from remediation.plan import Intent, Task, carry_over, plan_namespace
from remediation.scope import Scope
from remediation.state import Namespace, NamespaceState, Secret, ServiceAccount
from remediation.undo import Done, UndoTask, plan_removal, plan_undo, what_was_done, without_name
from tests.remediation.values import SECRET_NAME, a_credential, a_request

CREATED = Done(("default",), SecretAction.CREATED, ("uid", "7"))
LISTS = st.lists(st.sampled_from(["docker", "theirs", "", "more"]), max_size=5).map(tuple)


def an_account(name: str = "default", *secrets: str, deleting: bool = False) -> ServiceAccount:
    return ServiceAccount(name, f"uid-{name}", "3", tuple(secrets), deleting)


def a_secret(version: str = "7", uid: str = "uid") -> Secret:
    return Secret(uid, version, SECRET_TYPE, b"{}", ours=True)


def a_state(*accounts: ServiceAccount, secret: Secret | None = None, **more) -> NamespaceState:
    return NamespaceState(Namespace("team", **more), secret, accounts)


def test_what_was_done_is_taken_back():
    state = a_state(an_account("default", "theirs", "docker"), secret=a_secret())

    plan = plan_undo(state, CREATED, SECRET_NAME)

    assert [account.name for account in plan.accounts] == ["default"]
    assert plan.secret
    assert (plan.secret.action, plan.secret.existing) == (SecretAction.DELETED, state.secret)
    assert plan.reason is None


def test_the_name_that_somebody_else_put_there_stays():
    state = a_state(an_account("default", "docker"), an_account("own", "docker"))

    plan = plan_undo(state, Done(("default",)), SECRET_NAME)

    assert [account.name for account in plan.accounts] == ["default"]
    assert plan.secret is None
    assert plan.ignored == 1


@pytest.mark.parametrize(
    ("done", "reason"),
    [
        (Done((), SecretAction.CREATED, ("uid", "6")), "changed since"),
        (Done((), SecretAction.CREATED, ("other", "7")), "changed since"),
        (Done((), SecretAction.CREATED, None), "not certain"),
        (Done((), SecretAction.UPDATED), "was updated"),
        (Done((), SecretAction.MERGED), "was merged"),
        (Done((), SecretAction.REPLACED), "was replaced"),
    ],
)
def test_a_secret_that_is_not_certainly_as_it_was_created_stays(done, reason):
    write, why = plan_removal(done, a_secret())

    assert write is None
    assert reason in (why or "")


@pytest.mark.parametrize("secret", [None, a_secret()])
def test_a_secret_that_was_not_written_is_left_alone_without_a_word(secret):
    assert plan_removal(Done(("default",)), secret) == (None, None)


def test_what_somebody_took_back_already_is_unchanged():
    plan = plan_undo(a_state(an_account("default")), CREATED, SECRET_NAME)

    assert plan.settled
    assert plan.settled.outcome is Outcome.UNCHANGED
    assert plan.settled.accounts.unchanged == 1


def test_a_terminating_namespace_is_skipped():
    state = a_state(an_account("default", "docker"), secret=a_secret(), terminating=True)

    plan = plan_undo(state, CREATED, SECRET_NAME)

    assert plan.settled
    assert plan.settled.outcome is Outcome.SKIPPED


@given(LISTS)
def test_adding_and_taking_back_leaves_the_list_as_it_was(names):
    account = an_account("default", *names)
    if "docker" in names:
        return  # then nothing is added
    added = an_account("default", *names, "docker", "later")

    assert without_name(account, "docker", Done()) is None
    assert without_name(added, "docker", Done()) == (*names, "later")


def test_a_resumed_undo_keeps_what_was_taken_back_before_it():
    state = a_state(an_account("a"), an_account("b", "docker"))
    done = Done(("a", "b"), SecretAction.CREATED, ("uid", "7"))
    plan = plan_undo(state, done, SECRET_NAME)

    resumed = carry_over(plan, Intent(SecretAction.DELETED, ("a", "b")))

    assert resumed.before == Intent(SecretAction.DELETED, ("a",))
    assert (resumed.intent.secret_action, resumed.intent.accounts) == (
        SecretAction.DELETED,
        ("a", "b"),
    )


def test_rows_say_what_was_done():
    rows = [
        NamespaceResult(
            "a", Outcome.CHANGED, None, SecretAction.CREATED, secret_version=("u", "1")
        ),
        NamespaceResult("b", Outcome.FAILED, changed_accounts=("x",)),
        NamespaceResult("c", Outcome.FAILED),
        NamespaceResult("d", Outcome.CANCELLED, doubtful=True),
        NamespaceResult("f", Outcome.FAILED, doubtful=True, doubtful_accounts=("z",)),
        NamespaceResult("g", Outcome.FAILED, doubtful=True, doubtful_accounts=()),
    ]
    intents = {name: Intent(SecretAction.CREATED, ("y", "z")) for name in "abcdefg"}

    done = what_was_done(rows, intents, unreported=False)

    assert done == {
        "a": Done((), SecretAction.CREATED, ("u", "1")),
        "b": Done(("x",), SecretAction.NONE),
        "d": Done(("y", "z"), SecretAction.CREATED),
        "f": Done(("z",), SecretAction.CREATED),
        "g": Done((), SecretAction.CREATED),
    }
    assert "e" in what_was_done(rows, intents, unreported=True)


def test_a_retry_of_an_undo_is_about_what_is_left():
    task = UndoTask.of(
        "rem_1", a_request(), {"a": CREATED, "b": CREATED}, Scope(without=frozenset({"a"}))
    )

    assert task.exactly == {"b"}
    assert task.plan(a_state()) is None


def test_the_version_of_a_secret_of_ours_is_known_to_a_resumed_run():
    task = Task.of("rem_1", a_request(), a_credential())
    own = Secret("uid", "7", SECRET_TYPE, a_credential().content, True, False, "rem_1")
    plan = plan_namespace(task, a_state(an_account("default", "docker"), secret=own))
    assert plan

    resumed = carry_over(plan, Intent(SecretAction.CREATED, ("default",)))

    assert resumed.settled
    assert resumed.settled.secret_version == ("uid", "7")


def test_a_secret_that_is_being_deleted_is_not_deleted_again():
    secret = replace(a_secret("8"), deleting=True, finalizers=("example.com/hold",))
    state = a_state(an_account("default", "docker"), secret=secret)

    plan = plan_undo(state, CREATED, SECRET_NAME)

    assert plan.secret is None
    assert [account.name for account in plan.accounts] == ["default"]
    assert "being deleted already (finalizers: example.com/hold)" in (plan.reason or "")


def test_an_undo_names_the_serviceaccounts_that_are_being_deleted():
    state = a_state(an_account("default", "docker", deleting=True))

    plan = plan_undo(state, Done(("default",)), SECRET_NAME)

    assert plan.settled
    assert "'default'" in (plan.settled.reason or "")
