"""May a run begin?"""

from dataclasses import replace
from typing import Any

import pytest

from remediation.admission import refusal
from remediation.outcome import ErrorCode
from remediation.permission import (
    Binding,
    Grant,
    Permission,
    Policy,
    Requester,
    Role,
    Warrant,
)
from remediation.request import RemediationRequest

PORTAL = Warrant(Requester("client:portal", ("apps",)))
REQUEST = RemediationRequest(clusters=("eu-*",), credential="harbor", namespaces=("team-a", "x-*"))


def a_policy(subject: str = "client:portal", role: Role = Role.REQUESTER, **more: Any) -> Policy:
    places = {
        "clusters": ("eu-*",),
        "namespaces": ("team-*", "x-*"),
        "credentials": ("harbor",),
        **more,
    }
    return Policy((Binding((subject,), Grant(role=role, **places)),))


@pytest.mark.parametrize("policy", [a_policy(), a_policy("group:apps"), a_policy(role=Role.ADMIN)])
def test_what_is_covered_may_begin(policy: Policy) -> None:
    assert refusal(policy, PORTAL, "eu-1", REQUEST, undo=False) is None


@pytest.mark.parametrize(
    "policy",
    [
        None,
        Policy(),
        a_policy("client:other"),
        a_policy(role=Role.VIEWER),
        a_policy(clusters=("us-*",)),
        a_policy(namespaces=("team-*",)),
        a_policy(credentials=("quay",)),
    ],
)
def test_what_is_covered_no_more_may_not(policy: Policy | None) -> None:
    error = refusal(policy, PORTAL, "eu-1", REQUEST, undo=False)

    assert error is not None
    assert error.code is ErrorCode.NOT_PERMITTED
    assert not error.retryable
    assert error.hint


def test_without_a_warrant_nothing_begins() -> None:
    assert refusal(a_policy(), None, "eu-1", REQUEST, undo=False)


def test_an_undo_uses_no_credential() -> None:
    policy = a_policy(credentials=("quay",))

    assert refusal(policy, PORTAL, "eu-1", REQUEST, undo=True) is None


def test_what_nobody_agreed_to_does_not_begin_on_a_cluster_that_is_protected_by_now() -> None:
    policy = replace(a_policy(), protected=("eu-*",))

    error = refusal(policy, PORTAL, "eu-1", REQUEST, undo=False)

    assert error is not None
    assert error.code is ErrorCode.NOT_PERMITTED
    assert "second person" in error.detail
    assert refusal(policy, PORTAL, "eu-1", REQUEST, undo=True)


def test_what_protects_another_name_of_the_api_server_protects_it() -> None:
    policy = replace(a_policy(), protected=("prod",))

    assert refusal(policy, PORTAL, "eu-1", REQUEST, undo=False, other_names=("x",)) is None
    error = refusal(policy, PORTAL, "eu-1", REQUEST, undo=False, other_names=("x", "prod"))

    assert error
    assert error.code is ErrorCode.NOT_PERMITTED
    assert "its API server, as 'prod', is protected" in error.detail


def test_what_somebody_agreed_to_and_dry_runs_begin_on_a_protected_cluster() -> None:
    policy = replace(a_policy(), protected=("eu-*",))

    assert refusal(policy, replace(PORTAL, approved=True), "eu-1", REQUEST, undo=False) is None
    assert refusal(policy, PORTAL, "eu-1", replace(REQUEST, dry_run=True), undo=False) is None
    others = replace(policy, protected=("us-*",))
    assert refusal(others, PORTAL, "eu-1", REQUEST, undo=False) is None


def test_an_approval_is_no_permission() -> None:
    policy = replace(a_policy("client:other"), protected=("eu-*",))

    assert refusal(policy, replace(PORTAL, approved=True), "eu-1", REQUEST, undo=False)


def test_what_others_asked_for_needs_more() -> None:
    warrant = Warrant(Requester("client:portal"), Permission.MANAGE_REMEDIATIONS)

    assert refusal(a_policy(), warrant, "eu-1", REQUEST, undo=True)
    assert refusal(a_policy(role=Role.OPERATOR), warrant, "eu-1", REQUEST, undo=True) is None
