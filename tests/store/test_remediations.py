"""Remediations: made whole, read whole, closed once."""

import json

import pytest
from redis import Redis
from redis.exceptions import RedisError

from remediation.outcome import Outcome
from remediation.request import OnConflict, RegistryCheck, RemediationRequest
from remediation.status import RemediationStatus, RunStatus
from store import keys
from store.claims import LeaseLost
from store.connection import PROMPT
from store.ids import caller_digest, run_id
from store.store import DEFAULT_RETENTION_SECONDS, Store
from tests.store.values import (
    ID,
    REQUEST,
    a_claim,
    a_remediation,
    a_row,
    all_keys,
    end,
    let_go,
    stored,
)

OTHER = "rem_01JD0000000000000000000002"


def test_is_readable_at_once_with_its_runs(store: Store) -> None:
    a_remediation(store, clusters=["eu-1", "us-1"])

    remediation = store.remediations.get(ID)

    assert remediation
    assert remediation.status is RemediationStatus.QUEUED
    assert remediation.request == REQUEST
    assert remediation.requested_by == "alice"
    assert remediation.created_at.endswith("Z")
    assert [run.cluster for run in remediation.runs] == ["eu-1", "us-1"]
    assert {run.status for run in remediation.runs} == {RunStatus.QUEUED}
    assert store.remediations.open_ids() == [ID]
    assert [run.id for run in store.runs.active()] == [run_id(ID, 0), run_id(ID, 1)]
    assert [event.type for event in store.events.after(ID)] == ["remediation.accepted"]


def test_keeps_every_field_of_a_request(store: Store) -> None:
    request = RemediationRequest(
        clusters=("eu-*", "us-1"),
        credential="reg",
        namespaces=("team-*",),
        ignore=("kube-*",),
        namespace_selector="tier=prod",
        service_accounts=("default",),
        ignore_service_accounts=("a/b",),
        secret_name="pull",
        on_conflict=OnConflict.MERGE,
        registry_check=RegistryCheck.WARN,
        dry_run=True,
        timeout_seconds=60,
        reason="for the flip — ünïcode",
        labels={"ticket": "OPS-1"},
    )

    store.intake.remediation(ID, request, "alice", [("eu-1", "main")])

    found = store.remediations.request(ID)
    assert found
    assert found[0] == request


def test_a_request_from_before_there_was_a_check_asks_for_none(store: Store) -> None:
    a_remediation(store)
    key = keys.remediation(ID)
    known = json.loads(store.redis.hget(key, "request") or "")
    del known["registry_check"]
    store.redis.hset(key, "request", json.dumps(known))

    found = store.remediations.request(ID)

    assert found
    assert found[0].registry_check is RegistryCheck.SKIP


def test_is_recorded_whole_or_not_at_all(store: Store) -> None:
    """Redis refuses one of the commands here; the others must not have been carried out."""
    with pytest.raises(RedisError):
        store.intake.remediation(ID, REQUEST, "alice", [])

    assert all_keys(store) == {}


def test_a_request_that_is_sent_again_after_a_lost_answer_changes_nothing(store: Store) -> None:
    """The client repeats what got no answer; a worker may have begun by then, or ended."""
    a_remediation(store, clusters=["eu-1", "us-1"])
    end(store)
    store.claims.report(a_claim(store, f"{ID}-1"), [a_row("a")])
    before = store.remediations.get(ID)

    runs = store.intake.remediation(ID, REQUEST, "alice", [("eu-1", "main"), ("us-1", "main")])

    after = store.remediations.get(ID)
    assert after == before
    assert after
    assert tuple(runs) == after.runs
    assert [run.id for run in store.runs.active()] == [f"{ID}-1"]
    assert store.claims.take(f"{ID}-1") is None


def test_what_is_not_there_is_none(store: Store) -> None:
    assert store.remediations.get(ID) is None
    assert store.remediations.request(ID) is None
    assert store.remediations.get_many([]) == []


def test_several_are_read_in_the_order_asked_for(store: Store) -> None:
    a_remediation(store, ID)
    a_remediation(store, OTHER, clusters=["eu-1", "us-1"])

    found = store.remediations.get_many([OTHER, "rem_unknown", ID])

    assert [(each.id, len(each.runs)) for each in found] == [(OTHER, 2), (ID, 1)]


def test_a_remediation_that_is_just_running_out_is_gone(store: Store) -> None:
    """Its keys do not vanish in the same instant."""
    a_remediation(store, ID)
    a_remediation(store, OTHER)
    store.redis.delete(keys.run(f"{ID}-0"))

    assert store.remediations.get(ID) is None
    assert [each.id for each in store.remediations.newest_first()] == [OTHER]


def test_what_has_run_out_leaves_the_list_though_nobody_reads_on_to_it(store: Store) -> None:
    a_remediation(store)
    end(store)
    store.closing.close(ID)
    store.redis.delete(keys.remediation(ID))
    a_remediation(store, OTHER)
    end(store, f"{OTHER}-0")

    assert store.closing.close(OTHER)

    assert store.redis.zrange(keys.REMEDIATIONS, 0, -1) == [OTHER]


def test_the_revision_changes_with_every_change(store: Store) -> None:
    def revision() -> str:
        remediation = store.remediations.get(ID)
        assert remediation
        return remediation.revision

    a_remediation(store)
    revisions = [revision()]
    claim = a_claim(store)
    revisions.append(revision())
    store.claims.observed(claim, 1, ())
    revisions.append(revision())
    store.claims.report(claim, [a_row("a")])
    revisions.append(revision())
    store.claims.report(claim, [a_row("a")])
    assert revision() == revisions[-1]  # nothing was new
    store.claims.finish(claim)
    revisions.append(revision())
    store.closing.close(ID)
    revisions.append(revision())

    assert len(set(revisions)) == len(revisions)


def test_is_running_from_the_first_claim_on(store: Store) -> None:
    a_remediation(store, clusters=["eu-1", "us-1"])
    a_claim(store)
    first = store.remediations.get(ID)
    a_claim(store, f"{ID}-1")
    second = store.remediations.get(ID)

    assert first
    assert second
    assert first.status is RemediationStatus.RUNNING
    assert first.started_at == second.started_at is not None


# Closing


def test_is_not_closed_before_all_its_runs_have_ended(store: Store) -> None:
    a_remediation(store, clusters=["eu-1", "us-1"])
    assert not store.closing.close(ID)
    end(store)

    assert not store.closing.close(ID)
    remediation = store.remediations.get(ID)
    assert remediation
    assert remediation.status is RemediationStatus.RUNNING
    assert remediation.finished_at is None
    assert store.remediations.open_ids() == [ID]
    assert -1 in all_keys(store).values()


def test_is_closed_once_with_the_status_of_its_runs(store: Store) -> None:
    a_remediation(store, clusters=["eu-1", "us-1"])
    end(store)
    store.claims.finish(a_claim(store, f"{ID}-1"), status=RunStatus.UNREACHABLE)

    assert store.closing.close(ID)
    closed = store.remediations.get(ID)
    assert not store.closing.close(ID)

    assert closed == store.remediations.get(ID)
    assert closed
    assert closed.status is RemediationStatus.PARTIAL
    assert closed.finished_at
    assert store.remediations.open_ids() == []
    types = [event.type for event in store.events.after(ID)]
    assert types.count("remediation.finished") == 1
    assert types[-1] == "remediation.finished"


def test_is_not_closed_while_one_is_counted_as_open(store: Store) -> None:
    """The script asks again: between the look at the runs and the end something may have happened."""
    a_remediation(store)
    end(store)
    store.redis.hset(keys.remediation(ID), "open", 1)

    assert not store.closing.close(ID)
    assert store.remediations.open_ids() == [ID]


def test_a_closed_one_is_no_longer_among_those_of_its_caller(store: Store) -> None:
    a_remediation(store)
    mine = keys.open_of(caller_digest("alice"))
    assert store.redis.smembers(mine) == {ID}
    end(store)

    store.closing.close(ID)

    assert not store.redis.exists(mine)


def test_a_closed_one_that_is_listed_as_open_is_taken_off_the_list(store: Store) -> None:
    a_remediation(store)
    end(store)
    store.closing.close(ID)
    store.redis.sadd(keys.OPEN, ID)

    assert not store.closing.close(ID)
    assert store.remediations.open_ids() == []


def test_closing_what_is_not_there_forgets_it(store: Store) -> None:
    store.redis.sadd(keys.OPEN, ID)

    assert not store.closing.close(ID)
    assert store.remediations.open_ids() == []


def test_all_its_keys_run_out_after_the_end_and_no_others(store: Store) -> None:
    for remediation_id in (ID, OTHER):
        a_remediation(store, remediation_id, clusters=["eu-1", "us-1"])
        for run in (f"{remediation_id}-0", f"{remediation_id}-1"):
            claim = a_claim(store, run)
            store.claims.observed(claim, len(Outcome), ())
            store.claims.report(claim, [a_row(f"ns-{o}", o) for o in Outcome])
            store.redis.hset(keys.journal(run), "a", "[]")
            if remediation_id == ID:
                store.claims.finish(claim)

    store.closing.close(ID)

    lives = all_keys(store)
    own = {key for key in lives if ID in key}
    assert len(own) == 2 + 2 * (2 + len(Outcome) + 1)  # and a wake-up mark for each run
    for key in own:
        assert 0 <= lives[key] <= DEFAULT_RETENTION_SECONDS
        assert lives[key] >= DEFAULT_RETENTION_SECONDS - 60 or key.endswith(":wake")
    passing = (":wake", ":lease", ":past")
    forever = {key for key in lives if key not in own and not key.endswith(passing)}
    assert {lives[key] for key in forever} == {-1}
    assert {keys.REMEDIATIONS, keys.OPEN, keys.ACTIVE, keys.remediation(OTHER)} <= forever


def test_nothing_that_a_late_worker_does_outlives_the_remediation(store: Store) -> None:
    a_remediation(store)
    late = a_claim(store)
    store.claims.finish(late)
    store.closing.close(ID)

    for write in (
        lambda: store.claims.report(late, [a_row("a")]),
        lambda: store.claims.observed(late, 1, ()),
        lambda: store.journal.note(late, []),
    ):
        with pytest.raises(LeaseLost):
            write()
    store.claims.renew(late)
    store.claims.hand_back(late)
    store.claims.finish(late)

    assert -1 not in [life for key, life in all_keys(store).items() if ID in key]
    assert stored(store) == []


def test_the_retention_can_be_set(redis_server: str, store: Store) -> None:
    shorter = Store.open(f"{redis_server}?db=1", retries=PROMPT, retention_seconds=100)
    a_remediation(shorter)
    end(shorter)

    shorter.closing.close(ID)

    assert 90 <= shorter.redis.ttl(keys.remediation(ID)) <= 100
    assert 90 <= shorter.redis.ttl(keys.run(f"{ID}-0")) <= 100
    shorter.close()


# Listing


def test_the_newest_come_first(store: Store) -> None:
    ids = [f"rem_{number:026d}" for number in range(120)]
    for remediation_id in reversed(ids):
        a_remediation(store, remediation_id)

    listed = [each.id for each in store.remediations.newest_first()]

    assert listed == ids[::-1]
    assert [each.id for each in store.remediations.newest_first(before=ids[60])] == ids[:60][::-1]
    assert [each.id for each in store.remediations.newest_first(before=ids[0])] == []


def test_a_place_in_the_list_stays_good_when_its_remediation_has_gone(store: Store) -> None:
    ids = [f"rem_{number:026d}" for number in range(3)]
    for remediation_id in ids:
        a_remediation(store, remediation_id)
    store.redis.delete(keys.remediation(ids[1]))

    assert [each.id for each in store.remediations.newest_first(before=ids[1])] == [ids[0]]


def test_the_list_forgets_what_has_run_out(store: Store) -> None:
    ids = [f"rem_{number:026d}" for number in range(60)]
    for remediation_id in ids:
        a_remediation(store, remediation_id)
    for remediation_id in ids[:55]:
        store.redis.delete(keys.remediation(remediation_id))

    listed = [each.id for each in store.remediations.newest_first()]

    assert listed == ids[55:][::-1]
    assert store.redis.zcard(keys.REMEDIATIONS) == 5


def test_keys_are_under_one_prefix(store: Store, redis_server: str) -> None:
    """Redis may be shared; only the queue's names are RQ's own."""
    a_remediation(store)
    store.claims.report(a_claim(store), [a_row("a")])
    let_go(store)

    with Redis.from_url(f"{redis_server}?db=1", decode_responses=True) as redis:
        assert all(key.startswith(keys.PREFIX) for key in redis.scan_iter())
