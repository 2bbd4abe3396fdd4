"""Readiness checks in Redis: made whole, carried out under a lease, following remediations, kept for a time."""

from typing import Any

import pytest

from remediation.outcome import Error, ErrorCode, Outcome
from remediation.permission import Permission
from remediation.readiness.proof import Level
from remediation.readiness.request import CheckRequest
from remediation.readiness.verdict import Verdict
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus, RunStatus
from store import keys
from store.claims import MAX_ATTEMPTS, Claim, LeaseLost
from store.ids import check_after, is_check
from store.records import Check, Judged, Origin
from store.recovery import recover
from store.store import Store
from tests.store.values import ID as REMEDIATION
from tests.store.values import a_row

ID = "chk_01JD0000000000000000000001"
REQUEST = CheckRequest(
    clusters=("*",),
    registries=("registry.example.com",),
    credential="reg",
    namespaces=("a-*",),
    namespace_selector="a=b",
    evidence=Level.RIGHT,
)
CERTIFICATE = {"digest": "sha256:1", "valid_until": "2099-01-01T00:00:00Z"}
FOLLOWED = RemediationRequest(clusters=("*",), credential="reg", readiness=True)


def a_check(store: Store, identity: str = ID, **more: Any) -> None:
    """Record a check of one cluster."""
    store.intake.check(identity, REQUEST, "alice", [("eu-1", "main")], **more)


def a_claim(store: Store, identity: str = ID) -> Claim:
    """Take the run of a check."""
    claim = store.claims.take(f"{identity}-0")
    assert claim
    return claim


def judged(verdict: Verdict = Verdict.SAFE) -> Judged:
    """Return what a check came to."""
    return Judged(verdict, {"P_COVERED": 2}, {"info": 2}, ("registry.example.com",), CERTIFICATE)


def stored(store: Store, identity: str = ID) -> Check:
    """Return a check that is there."""
    check = store.checks.get(identity)
    assert check
    return check


def finish(store: Store, identity: str = ID, verdict: Verdict = Verdict.SAFE) -> None:
    """Carry a check out."""
    claim = a_claim(store, identity)
    rows = [{"n": number} for number in range(1200)]
    store.findings.report(claim, rows, {"steps": []}, judged(verdict))
    store.claims.finish(claim)
    store.closing.close(identity)


def test_a_check_is_read_back_as_it_was_asked(store: Store) -> None:
    a_check(store)

    check = stored(store)

    assert check.request == REQUEST
    assert (check.status, check.verdict) == (RemediationStatus.QUEUED, None)
    assert [(run.cluster, run.pool, run.line) for run in check.runs] == [("eu-1", "main", None)]
    warrant = store.remediations.warrant(ID)
    assert warrant
    assert warrant.needs is Permission.CREATE_READINESS_CHECKS
    assert list(store.remediations.newest_first()) == [], "it is no remediation"


def test_a_check_waits_for_no_writer(store: Store) -> None:
    store.intake.remediation(REMEDIATION, FOLLOWED, "alice", [("eu-1", "main")])
    a_check(store)

    assert store.claims.take(f"{ID}-0") is not None


def test_findings_come_back_in_order_from_any_place(store: Store) -> None:
    a_check(store)
    finish(store)
    runs = stored(store).runs

    every = list(store.findings.rows(runs))

    assert [row["n"] for _, row in every] == list(range(1200))
    later = store.findings.rows(runs, after=every[600][0])
    assert next(later)[1]["n"] == 601
    assert store.findings.restarts(runs[0]) == {"steps": []}


def test_a_second_attempt_replaces_what_the_first_had_stored(store: Store) -> None:
    a_check(store)
    first = a_claim(store)
    store.findings.report(first, [{"n": 1}, {"n": 2}], {}, judged())
    store.claims.hand_back(first)
    second = a_claim(store)

    with pytest.raises(LeaseLost):
        store.findings.report(first, [{"n": 3}], {}, judged(Verdict.NOT_SAFE))
    store.findings.report(second, [{"n": 4}], {}, judged())
    store.claims.finish(second)
    with pytest.raises(LeaseLost):
        store.findings.report(second, [{"n": 5}], {}, judged())

    assert [row["n"] for _, row in store.findings.rows(stored(store).runs)] == [4]


def test_what_a_lost_attempt_came_to_counts_no_more(store: Store) -> None:
    a_check(store)
    first = a_claim(store)
    store.findings.report(first, [{"n": 1}], {}, judged())
    store.claims.hand_back(first)

    store.claims.finish(
        a_claim(store), Error(ErrorCode.INTERNAL, "no credential"), RunStatus.FAILED
    )
    store.closing.close(ID)

    assert stored(store).runs[0].judged is None
    assert stored(store).verdict is Verdict.UNKNOWN
    assert list(store.findings.rows(stored(store).runs)) == []


def test_a_run_that_did_not_end_well_is_never_safe(store: Store) -> None:
    a_check(store)
    claim = a_claim(store)
    store.findings.report(claim, [], {}, judged())

    store.claims.finish(
        claim, Error(ErrorCode.INTERNAL, "it was tried too often"), RunStatus.FAILED
    )
    store.closing.close(ID)

    assert stored(store).verdict is Verdict.UNKNOWN


def test_nothing_shows_before_the_run_has_ended(store: Store) -> None:
    a_check(store)
    store.findings.report(a_claim(store), [{"n": 1}], {}, judged())

    assert list(store.findings.rows(stored(store).runs)) == []
    assert stored(store).verdict is None


def test_its_records_live_for_the_retention_time(store: Store) -> None:
    a_check(store)
    finish(store)
    run = f"{ID}-0"

    for key in (
        keys.remediation(ID),
        keys.events(ID),
        keys.run(run),
        keys.findings(run),
        keys.restarts(run),
    ):
        assert store.redis.ttl(key) > 0, key


def test_a_lost_check_is_woken_and_given_up_in_the_end(store: Store) -> None:
    a_check(store)
    for _ in range(MAX_ATTEMPTS):
        a_claim(store)
        store.redis.delete(keys.lease(f"{ID}-0"))
    store.redis.delete(keys.REAPER, keys.wake(f"{ID}-0"))

    recover(store)

    check = stored(store)
    assert (check.status, check.verdict) == (RemediationStatus.FAILED, Verdict.UNKNOWN)
    assert check.runs[0].error


def test_the_check_after_a_remediation_comes_once(store: Store) -> None:
    store.intake.remediation(REMEDIATION, FOLLOWED, "alice", [("eu-1", "main")], groups=("sre",))
    claim = store.claims.take(f"{REMEDIATION}-0")
    assert claim
    store.claims.report(claim, [a_row("a", Outcome.CHANGED)])
    store.claims.finish(claim)
    store.closing.close(REMEDIATION)
    assert store.checks.due() == [REMEDIATION]
    follower = check_after(REMEDIATION)
    ended = store.remediations.get(REMEDIATION)
    assert ended
    assert (ended.status.terminal, ended.check_id) == (True, follower)

    for _ in range(2):
        store.redis.sadd(keys.CHECKS_DUE, REMEDIATION)  # as if whoever made it had died at once
        store.redis.delete(keys.REAPER)
        recover(store)

    assert is_check(follower)
    assert [check.id for check in store.checks.newest_first()] == [follower]
    check = stored(store, follower)
    assert check.remediation_id == REMEDIATION
    assert check.request.credential == "reg"
    assert check.runs[0].pool == "main"
    warrant = store.remediations.warrant(follower)
    assert warrant
    assert warrant.requester.groups == ("sre",)
    before = store.remediations.get(REMEDIATION)
    assert before
    assert (before.check_id, before.verdict) == (follower, None)
    finish(store, follower, Verdict.NOT_SAFE)
    after = store.remediations.get(REMEDIATION)
    assert after
    assert after.verdict is Verdict.NOT_SAFE
    assert after.revision != before.revision
    assert after.status is RemediationStatus.SUCCEEDED
    assert not store.closing.close(follower)  # as recovery does, which looked a moment before
    told = [event.type for event in store.events.after(REMEDIATION)]
    assert told.count("readiness.finished") == 1


def test_a_check_that_outlives_what_it_followed_leaves_nothing_of_that(store: Store) -> None:
    a_check(store, remediation_id=REMEDIATION)
    store.redis.delete(keys.remediation(REMEDIATION), keys.events(REMEDIATION))

    finish(store)

    assert stored(store).status.terminal
    assert not store.redis.exists(keys.remediation(REMEDIATION), keys.events(REMEDIATION))


@pytest.mark.parametrize(
    ("request_", "origin"),
    [
        (RemediationRequest(clusters=("*",), credential="reg"), Origin()),
        (
            RemediationRequest(clusters=("*",), credential="reg", readiness=True, dry_run=True),
            Origin(),
        ),
        (FOLLOWED, Origin(undo_of="rem_01JD0000000000000000000009")),
    ],
)
def test_no_check_follows_where_nothing_was_put_in_place(
    store: Store, request_: RemediationRequest, origin: Origin
) -> None:
    places = [("eu-1", "main")]
    store.intake.remediation(REMEDIATION, request_, "alice", places, origin=origin)
    claim = store.claims.take(f"{REMEDIATION}-0")
    assert claim
    store.claims.finish(claim)
    store.closing.close(REMEDIATION)

    assert store.checks.due() == []


def test_no_check_follows_what_was_cancelled(store: Store) -> None:
    store.intake.remediation(REMEDIATION, FOLLOWED, "alice", [("eu-1", "main")])
    claim = store.claims.take(f"{REMEDIATION}-0")
    assert claim
    store.claims.finish(claim, status=RunStatus.CANCELLED)
    store.closing.close(REMEDIATION)

    assert store.checks.due() == []


def test_the_last_remediation_of_a_cluster_is_known(store: Store) -> None:
    assert store.remediations.last_written("eu-1") is None
    store.intake.remediation(REMEDIATION, FOLLOWED, "alice", [("eu-1", "main")])
    claim = store.claims.take(f"{REMEDIATION}-0")
    assert claim
    store.claims.finish(claim)

    assert store.remediations.last_written("eu-1") is not None
    assert store.remediations.last_written("us-1") is None


def test_a_confirmation_is_known_to_its_check_and_in_no_list(store: Store) -> None:
    a_check(store)
    other = "chk_01JD0000000000000000000002"
    a_check(store, other, confirms=ID, needs=Permission.READ_READINESS_CHECKS)

    assert [check.id for check in store.checks.newest_first()] == [ID]
    confirmation = store.checks.confirmation(ID)
    assert confirmation
    assert (confirmation.id, confirmation.confirms) == (other, ID)
