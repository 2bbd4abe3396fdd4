"""Sealed logins: recorded with their remediation, gone with its end, whoever brings that about."""

from dataclasses import replace

import pytest

from remediation.approval import Approval, ApprovalState, Verdict
from remediation.inventory import AnnouncedCredential, known_credentials, pools_that_open
from remediation.request import InlineCredential
from store import clock, codec, inventory, keys
from store.claims import LeaseLost
from store.records import Terms
from store.recovery import recover
from store.sealed import MARGIN_SECONDS
from store.store import Store
from tests.store.values import ID, REQUEST, a_claim, a_later_claim, an_announcement, end

HOUR = 3600
DIGEST = "sha256:" + 64 * "a"
INLINE = replace(REQUEST, credential=None, inline_credential=InlineCredential("r.io", "robot"))


@pytest.fixture
def sealed(store: Store) -> None:
    """Record a remediation on two clusters with a sealed login."""
    places = [("eu-1", "main"), ("us-1", "main")]
    store.intake.remediation(ID, INLINE, "alice", places, sealed="key:ciphertext")


@pytest.mark.usefixtures("sealed")
def test_is_kept_with_its_remediation_and_never_for_ever(store: Store) -> None:
    remediation = store.remediations.get(ID)

    assert remediation
    assert remediation.request == INLINE
    assert store.sealed.get(ID) == "key:ciphertext"
    left = store.redis.ttl(keys.sealed(ID))
    assert INLINE.timeout_seconds < left <= INLINE.timeout_seconds + MARGIN_SECONDS


def test_there_is_none_for_a_named_credential(store: Store) -> None:
    store.intake.remediation(ID, REQUEST, "alice", [("eu-1", "main")])

    assert store.sealed.get(ID) is None


@pytest.mark.usefixtures("sealed")
def test_stays_while_a_run_is_open_or_is_taken_up_again(store: Store) -> None:
    end(store)
    store.closing.close(ID)
    a_claim(store, f"{ID}-1")
    a_later_claim(store, f"{ID}-1")  # as after a crash

    assert store.sealed.get(ID)


@pytest.mark.usefixtures("sealed")
def test_goes_when_the_last_run_has_ended(store: Store) -> None:
    end(store)
    end(store, f"{ID}-1")
    assert store.sealed.get(ID), "the remediation is not closed yet"

    assert store.closing.close(ID)

    assert store.sealed.get(ID) is None


@pytest.mark.usefixtures("sealed")
def test_goes_when_recovery_closes_the_remediation(store: Store) -> None:
    store.remediations.cancel(ID)

    recover(store)

    assert store.sealed.get(ID) is None


@pytest.mark.usefixtures("sealed")
def test_goes_where_the_remediation_itself_is_gone(store: Store) -> None:
    store.redis.delete(keys.remediation(ID))

    store.closing.close(ID)

    assert store.sealed.get(ID) is None


@pytest.mark.usefixtures("sealed")
def test_a_request_that_is_sent_again_does_not_bring_it_back(store: Store) -> None:
    end(store)
    end(store, f"{ID}-1")
    store.closing.close(ID)

    store.intake.remediation(ID, INLINE, "alice", [("eu-1", "main")], sealed="key:ciphertext")

    assert store.sealed.get(ID) is None


@pytest.mark.usefixtures("sealed")
def test_a_late_worker_does_not_say_which_credential_it_used(store: Store) -> None:
    late = a_claim(store)
    store.claims.uses_credential(a_later_claim(store), "fingerprint-2")

    with pytest.raises(LeaseLost):
        store.claims.uses_credential(late, "fingerprint-1")

    run = store.runs.get(f"{ID}-0")
    assert run
    assert run.credential_fingerprint == "fingerprint-2"


def held(store: Store, hours: float) -> None:
    """Record a remediation with a sealed login that a second person has so many hours for."""
    approval = Approval(DIGEST, "alice", clock.later(clock.now(), hours * HOUR))
    store.intake.remediation(
        ID, INLINE, "alice", [("eu-1", "main")], terms=Terms(approval=approval), sealed="key:text"
    )


def decide(store: Store, state: ApprovalState) -> None:
    _, changed = store.approvals.decide(ID, Verdict(state, "bob", DIGEST))
    assert changed


def life(store: Store) -> int:
    """Return how long the sealed login is kept, in seconds; -1 for as long as nobody takes it away."""
    return store.redis.ttl(keys.sealed(ID))


def test_lives_for_as_long_as_a_second_person_has_and_the_work_after_it(store: Store) -> None:
    held(store, hours=100)
    assert life(store) > 100 * HOUR + INLINE.timeout_seconds

    decide(store, ApprovalState.APPROVED)

    whole = INLINE.timeout_seconds + MARGIN_SECONDS
    assert INLINE.timeout_seconds < life(store) <= whole


def test_a_pause_does_not_take_it_from_what_still_waits_for_a_second_person(store: Store) -> None:
    held(store, hours=100)
    store.pause.begin("storm", "alice")
    assert life(store) == -1

    store.pause.end("alice")

    assert life(store) > 99 * HOUR + INLINE.timeout_seconds
    decide(store, ApprovalState.APPROVED)
    assert store.sealed.get(ID)


def test_what_is_approved_during_a_pause_keeps_it_until_the_pause_ends(store: Store) -> None:
    held(store, hours=1)
    store.pause.begin("storm", "alice")

    decide(store, ApprovalState.APPROVED)
    assert life(store) == -1
    store.pause.end("alice")

    assert INLINE.timeout_seconds < life(store) <= INLINE.timeout_seconds + MARGIN_SECONDS + 60


@pytest.mark.usefixtures("sealed")
def test_what_waits_through_a_pause_keeps_it(store: Store) -> None:
    store.pause.begin("storm", "alice")
    assert life(store) == -1
    store.redis.hset(keys.PAUSE, "since", clock.later(clock.now(), -10 * HOUR))
    store.redis.hset(keys.remediation(ID), "created_at", clock.later(clock.now(), -10 * HOUR))

    store.pause.end("alice")

    assert life(store) > 10 * HOUR + INLINE.timeout_seconds  # its time stood still meanwhile


def test_what_comes_during_a_pause_keeps_it_until_the_pause_ends(store: Store) -> None:
    store.pause.begin("storm", "alice")
    store.intake.remediation(ID, INLINE, "alice", [("eu-1", "main")], sealed="key:ciphertext")
    assert life(store) == -1

    store.pause.end("alice")

    assert life(store) > INLINE.timeout_seconds


def test_is_gone_with_a_rejection(store: Store) -> None:
    held(store, hours=1)

    decide(store, ApprovalState.REJECTED)

    assert store.sealed.get(ID) is None


def test_is_gone_when_nobody_decided_in_time(store: Store) -> None:
    held(store, hours=-1)

    store.approvals.expire()

    assert store.sealed.get(ID) is None


def test_an_announcement_keeps_its_keys_and_fingerprints(store: Store) -> None:
    held = AnnouncedCredential("reg", ("r.io",), ("robot",), None, None, "a1b2")
    announcement = replace(an_announcement(credentials=[held]), sealing_keys=("k1", "k2"))

    store.inventory.announce(announcement)

    assert store.inventory.workers() == [announcement]
    assert pools_that_open([announcement], "k2") == ("main",)
    assert pools_that_open([announcement], "k3") == ()


def test_an_announcement_of_an_older_worker_is_read(store: Store) -> None:
    announcement = an_announcement(credentials=[AnnouncedCredential("reg")])
    raw = codec.loads(inventory.encode(announcement))
    del raw["sealing_keys"], raw["credentials"][0]["fingerprint"]

    assert inventory.decode(codec.dumps(raw)) == announcement


def test_workers_of_one_pool_that_hold_different_contents_are_told_apart() -> None:
    workers = [
        replace(
            an_announcement(name, credentials=[AnnouncedCredential("reg", fingerprint=content)]),
            sealing_keys=("k1",),
        )
        for name, content in (("w1", "1"), ("w2", "2"), ("w3", "1"))
    ]

    known = known_credentials(workers)["reg"]

    assert known.differs
    assert known.fingerprint is None
    assert [holder.credential.fingerprint for holder in known.holders] == ["1", "2"]
