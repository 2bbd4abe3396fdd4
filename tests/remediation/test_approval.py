"""The second person: what the digest covers, and which verdicts count."""

from dataclasses import replace

import pytest

from remediation.approval import (
    Approval,
    ApprovalState,
    Refusal,
    Verdict,
    decide,
    digest_of,
    protected,
)
from remediation.request import OnConflict, RemediationRequest

REQUEST = RemediationRequest(clusters=("*",), credential="harbor")
DIGEST = digest_of(REQUEST, ["a", "b"], ["registry.example.com", "robot"])
PENDING = Approval(DIGEST, "alice", "2026-01-01T13:00:00.000Z")
NOW = "2026-01-01T12:00:00.000Z"
YES = Verdict(ApprovalState.APPROVED, "bob", DIGEST, "go")
NO = Verdict(ApprovalState.REJECTED, "bob", DIGEST)


def test_names_what_is_protected() -> None:
    assert protected(["prod-eu", "stage", "prod-us"], ("prod-*",)) == ("prod-eu", "prod-us")
    assert protected(["prod-eu"], ()) == ()


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, credential="other"),
        replace(REQUEST, namespaces=("a",)),
        replace(REQUEST, ignore=("a",)),
        replace(REQUEST, namespace_selector="a=b"),
        replace(REQUEST, service_accounts=("a",)),
        replace(REQUEST, ignore_service_accounts=("a",)),
        replace(REQUEST, secret_name="other"),
        replace(REQUEST, on_conflict=OnConflict.REPLACE),
        replace(REQUEST, dry_run=True),
        replace(REQUEST, timeout_seconds=1),
        replace(REQUEST, reason="because"),
        replace(REQUEST, labels={"a": "b"}),
    ],
)
def test_another_request_has_another_digest(other: RemediationRequest) -> None:
    assert digest_of(other, ["a", "b"], ["registry.example.com", "robot"]) != DIGEST


def test_other_clusters_another_login_and_another_origin_have_other_digests() -> None:
    login = ["registry.example.com", "robot"]

    digests = {
        DIGEST,
        digest_of(REQUEST, ["a"], login),
        digest_of(REQUEST, ["a", "b"], ["registry.example.com", "other"]),
        digest_of(REQUEST, ["a", "b"], login, retry_of="rem_1"),
        digest_of(REQUEST, ["a", "b"], login, undo_of="rem_1"),
    }

    assert len(digests) == 5


def test_the_order_of_names_means_nothing() -> None:
    one = replace(REQUEST, namespaces=("a", "b"))
    other = replace(REQUEST, namespaces=("b", "a"))

    assert digest_of(one, ["a", "b"], ["x", "y"]) == digest_of(other, ["b", "a"], ["y", "x"])


@pytest.mark.parametrize("verdict", [YES, NO])
def test_a_second_person_decides(verdict: Verdict) -> None:
    after = decide(PENDING, verdict, NOW, waiting=True)

    assert after == replace(
        PENDING,
        state=verdict.state,
        decided_by="bob",
        decided_at=NOW,
        comment=verdict.comment,
    )
    assert decide(after, verdict, "2026-01-02T00:00:00.000Z", waiting=False) == after


@pytest.mark.parametrize(
    ("approval", "verdict", "now", "waiting", "refusal"),
    [
        (None, YES, NOW, True, Refusal.NOT_NEEDED),
        (PENDING, replace(YES, by="alice"), NOW, True, Refusal.SELF),
        (PENDING, replace(NO, by="alice"), NOW, True, Refusal.SELF),
        (PENDING, replace(YES, digest="sha256:" + 64 * "0"), NOW, True, Refusal.STALE),
        (PENDING, YES, PENDING.expires_at, True, Refusal.EXPIRED),
        (replace(PENDING, state=ApprovalState.EXPIRED), YES, NOW, False, Refusal.EXPIRED),
        (PENDING, YES, NOW, False, Refusal.ENDED),
        (
            replace(PENDING, state=ApprovalState.REJECTED, decided_by="bob"),
            YES,
            NOW,
            True,
            Refusal.DECIDED,
        ),
        (
            replace(PENDING, state=ApprovalState.APPROVED, decided_by="eve"),
            YES,
            NOW,
            True,
            Refusal.DECIDED,
        ),
    ],
)
def test_a_verdict_that_does_not_count_says_why(
    approval: Approval | None, verdict: Verdict, now: str, waiting: bool, refusal: Refusal
) -> None:
    assert decide(approval, verdict, now, waiting=waiting) is refusal
