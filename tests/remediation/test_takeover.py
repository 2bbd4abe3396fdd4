"""Entries and Secrets that are another writer's by now."""

from dataclasses import replace
from typing import Any

import pytest

from remediation.footprint import APPLY, UPDATE, AccountMark, Holder
from remediation.outcome import Error, ErrorCode, Outcome, SecretAction
from remediation.ownership import opponent
from remediation.plan_secret import plan_secret
from remediation.request import OnConflict
from remediation.state import Namespace, NamespaceState, Secret
from remediation.takeover import Left, taken_over, tell_left
from remediation.undo import Done, plan_undo
from tests.remediation.values import (
    SECRET_NAME,
    a_credential,
    a_request,
    a_secret,
    a_task,
    an_account,
)

OURS = Holder("remediator", UPDATE)
FLUX = Holder("kustomize-controller", APPLY)
CREATED = Done(
    ("app",), SecretAction.CREATED, ("uid-secret", "7"), (AccountMark("app", "uid-app"),)
)


@pytest.mark.parametrize(
    ("holders", "uid", "left"),
    [
        ((), "uid-app", False),
        ((OURS,), "uid-app", False),
        ((OURS,), "another", True),
        ((), "another", True),
        ((FLUX,), "uid-app", True),
        ((OURS, FLUX), "uid-app", True),  # it applied the very list that we wrote
        ((Holder("kubectl-edit", UPDATE),), "uid-app", True),
        ((Holder("openshift.io/image-registry-pull-secrets_x", APPLY),), "uid-app", False),
    ],
)
def test_an_entry_is_left_with_who_wrote_the_list_or_the_object(holders, uid, left):
    account = replace(an_account("app", "docker"), holders=holders, uid=uid)

    assert bool(taken_over(account, AccountMark("app", "uid-app"))) is left
    assert bool(taken_over(account, None)) is (left and bool(set(holders) - {OURS}))


def test_a_secret_that_is_still_named_by_what_was_taken_over_stays():
    account = replace(an_account("app", "docker"), holders=(FLUX,))
    state = NamespaceState(Namespace("team"), a_secret(b"{}", ours=True), (account,))

    plan = plan_undo(state, CREATED, SECRET_NAME)

    assert plan.settled
    row = plan.settled
    assert (row.outcome, row.accounts.ignored) == (Outcome.UNCHANGED, 1)
    assert "'kustomize-controller' owns the list" in (row.reason or "")
    assert "the Secret stays" in (row.reason or "")
    assert [each.object for each in row.cautions] == ["serviceaccounts/team/app"]


def test_many_entries_that_stay_are_told_in_one_sentence():
    told = tell_left((f"a{number}", Left("why")) for number in range(9)) or ""

    assert told == "the entry stays in ServiceAccounts a0, a1, a2 and 6 more: why"


def outdated(**more) -> Secret:
    other = a_credential("an-older-one")
    own = (Holder("remediator", APPLY),)
    return replace(
        a_secret(other.content, ours=True),
        holders=own,
        remediation_holders=own,
        credential_holders=own,
        credential="reg",
        **more,
    )


def test_a_secret_of_ours_alone_is_updated():
    assert opponent(outdated(), "reg") is None
    assert opponent(outdated(), "another") is None


@pytest.mark.parametrize("field", ["holders", "remediation_holders", "credential_holders"])
@pytest.mark.parametrize("holder", [FLUX, Holder("kubectl-edit", UPDATE), OURS])
@pytest.mark.parametrize("on_conflict", list(OnConflict))
def test_an_update_that_field_ownership_would_refuse_is_not_planned(field, holder, on_conflict):
    task = a_task(a_request(on_conflict=on_conflict), replace(a_credential(), name="new"))
    holders: dict[str, Any] = {field: (Holder("remediator", APPLY), holder)}
    secret = replace(outdated(), **holders)

    planned = plan_secret(task, "team", secret)

    if on_conflict is OnConflict.REPLACE:
        assert planned
        assert not isinstance(planned, Error)
    else:
        assert isinstance(planned, Error)
        assert planned.code is ErrorCode.SECRET_CONFLICT
        assert holder.manager in planned.detail


def test_an_annotation_that_stays_as_it_is_makes_no_conflict():
    secret = replace(outdated(), credential_holders=(FLUX,))

    assert opponent(secret, "reg") is None
