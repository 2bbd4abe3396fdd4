"""Claims: one worker at a time, and a late one can do nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from remediation.outcome import Error, ErrorCode, Outcome
from remediation.plan import Intent
from remediation.status import RunStatus
from store import keys
from store.claims import LEASE_MS, MAX_ATTEMPTS, Claim, Hold, LeaseLost
from store.store import Store
from tests.store.values import (
    A_CHECK,
    ID,
    a_claim,
    a_later_claim,
    a_remediation,
    a_row,
    all_keys,
    counted,
    let_go,
    stored,
)

RUN = f"{ID}-0"
THREADS = 20


def test_one_of_many_gets_the_run(store: Store) -> None:
    a_remediation(store)
    ready = Barrier(THREADS)

    def claim() -> Claim | None:
        ready.wait()
        return store.claims.take(RUN)

    with ThreadPoolExecutor(THREADS) as threads:
        claims = [each.result() for each in [threads.submit(claim) for _ in range(THREADS)]]

    assert len([claim for claim in claims if claim]) == 1
    run = store.runs.get(RUN)
    assert run
    assert run.attempt == 1
    assert [event.type for event in store.events.after(ID)][1:] == ["run.started"]


def test_a_claim_whose_answer_was_lost_is_sent_again_and_got(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_remediation(store)
    script = store.claims._claim

    def lost_once(**what: Any) -> Any:
        """Do what the client of Redis does where it gets no answer."""
        script(**what)
        return script(**what)

    monkeypatch.setattr(store.claims, "_claim", lost_once)

    claim = store.claims.take(RUN)

    assert claim
    assert claim.attempt == 1
    assert store.claims.take(RUN) is None, "another call is another claim"
    run = store.runs.get(RUN)
    assert run
    assert run.attempt == 1
    assert [event.type for event in store.events.after(ID)][1:] == ["run.started"]


def test_a_claim_is_a_lease_of_a_few_seconds(store: Store) -> None:
    a_remediation(store)

    claim = a_claim(store)

    assert claim.attempt == 1
    assert 0 < store.redis.pttl(keys.lease(RUN)) <= LEASE_MS
    run = store.runs.get(RUN)
    assert run
    assert run.status is RunStatus.RUNNING
    assert run.started_at


def test_a_run_whose_lease_ran_out_goes_to_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_remediation(store)
    first = a_claim(store)
    started = store.runs.get(RUN)
    monkeypatch.setattr("store.clock.now", lambda: "2099-01-01T00:00:00.000Z")

    second = a_later_claim(store)

    resumed = store.runs.get(RUN)
    assert (first.attempt, second.attempt) == (1, 2)
    assert started
    assert resumed
    assert resumed.started_at == started.started_at


def test_a_run_that_ends_at_this_moment_is_not_claimed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_remediation(store)
    before = store.runs.get(RUN)
    store.claims.finish(a_claim(store))
    monkeypatch.setattr(store.claims, "_run", lambda run_id: before)

    assert store.claims.take(RUN) is None
    assert store.claims.take_to_end(RUN) is None
    assert not store.redis.exists(keys.lease(RUN))


def test_a_look_leaves_the_lease_as_it_is(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.redis.pexpire(keys.lease(RUN), 60_000)

    assert store.claims.look(claim) is Hold.HELD
    assert store.redis.pttl(keys.lease(RUN)) > LEASE_MS
    let_go(store, RUN)
    assert store.claims.look(claim) is Hold.HELD
    assert not store.redis.exists(keys.lease(RUN))


def test_a_run_is_not_claimed_for_ever(store: Store) -> None:
    a_remediation(store)
    for _ in range(MAX_ATTEMPTS):
        a_later_claim(store)
    let_go(store)

    assert store.claims.take(RUN) is None
    run = store.runs.get(RUN)
    assert run
    assert run.attempt == MAX_ATTEMPTS


def test_a_run_that_ended_or_never_was_is_not_claimed(store: Store) -> None:
    a_remediation(store)
    store.claims.finish(a_claim(store))

    assert store.claims.take(RUN) is None
    assert store.claims.take("rem_unknown-0") is None
    assert store.runs.get("rem_unknown-0") is None
    assert keys.run("rem_unknown-0") not in all_keys(store)


WRITES: dict[str, Callable[[Store, Claim], object]] = {
    "report": lambda store, claim: store.claims.report(claim, [a_row("late")]),
    "observed": lambda store, claim: store.claims.observed(claim, 99, ["late"]),
    "checked": lambda store, claim: store.claims.checked(claim, A_CHECK),
    "finish": lambda store, claim: store.claims.finish(claim),
    "note": lambda store, claim: store.journal.note(claim, [("late", Intent())]),
    "credential": lambda store, claim: store.claims.uses_credential(claim, "hmac:1"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_late_worker_writes_nothing(
    store: Store, write: Callable[[Store, Claim], object]
) -> None:
    a_remediation(store)
    late = a_claim(store)
    a_later_claim(store)
    before = store.redis.hgetall(keys.run(RUN)), store.events.after(ID), set(all_keys(store))

    with pytest.raises(LeaseLost):
        write(store, late)

    after = store.redis.hgetall(keys.run(RUN)), store.events.after(ID), set(all_keys(store))
    assert after == before


def test_a_late_worker_neither_keeps_nor_takes_the_lease(store: Store) -> None:
    a_remediation(store)
    late = a_claim(store)
    a_later_claim(store)

    assert not store.claims.renew(late)
    store.claims.hand_back(late)

    assert store.redis.get(keys.lease(RUN)) == "2"


@pytest.mark.parametrize("name", ["report", "observed", "checked", "note", "credential"])
def test_nothing_is_written_after_the_end(store: Store, name: str) -> None:
    """The status was made of the rows: later ones would belie it."""
    a_remediation(store)
    claim = a_claim(store)
    store.claims.finish(claim)

    with pytest.raises(LeaseLost):
        WRITES[name](store, claim)

    assert stored(store) == []


@pytest.mark.parametrize("name", ["report", "observed", "checked", "finish", "note", "credential"])
def test_nothing_is_written_for_a_run_that_is_gone(store: Store, name: str) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.redis.flushdb()

    with pytest.raises(LeaseLost):
        WRITES[name](store, claim)

    assert all_keys(store) == {}


def test_what_the_registries_said_stays_with_the_run(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)

    store.claims.checked(claim, A_CHECK)
    later = a_later_claim(store)

    assert later.run.registry_check == A_CHECK
    assert store.events.after(ID)[-2].type == "run.checked"
    assert store.events.after(ID)[-2].data == {
        "cluster": "eu-1",
        "registry": "r.example",
        "verdict": "works",
    }


def test_renewing_keeps_the_lease_even_after_it_ran_out(store: Store) -> None:
    """As long as nobody else came: Redis may have been away."""
    a_remediation(store)
    claim = a_claim(store)
    store.redis.pexpire(keys.lease(RUN), 500)

    assert store.claims.renew(claim)
    assert store.redis.pttl(keys.lease(RUN)) > 500
    let_go(store)
    assert store.claims.renew(claim)

    assert store.redis.get(keys.lease(RUN)) == "1"
    assert store.claims.take(RUN) is None


def test_a_lease_handed_back_is_free_at_once(store: Store) -> None:
    a_remediation(store)

    store.claims.hand_back(a_claim(store))

    assert a_claim(store).attempt == 2


def test_a_lease_is_not_renewed_after_the_end(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.claims.finish(claim)

    assert not store.claims.renew(claim)
    assert keys.lease(RUN) not in all_keys(store)


def test_the_observation_is_kept(store: Store) -> None:
    a_remediation(store)
    fresh = store.runs.get(RUN)
    claim = a_claim(store)

    store.claims.observed(claim, 7, ["tpyo"])

    run = store.runs.get(RUN)
    assert fresh
    assert fresh.missing is None
    assert run
    assert run.summary.total == 7
    assert run.missing == ("tpyo",)


# Reporting


def test_what_is_reported_twice_counts_once(store: Store) -> None:
    """The answer to the first report may have been lost."""
    a_remediation(store)
    claim = a_claim(store)
    rows = [a_row("a"), a_row("b", Outcome.FAILED)]

    assert store.claims.report(claim, rows) == 2
    assert store.claims.report(claim, rows) == 0
    assert store.claims.report(claim, [*rows, a_row("c")]) == 1

    run = store.runs.get(RUN)
    assert run
    assert run.summary == counted([*rows, a_row("c")])
    assert stored(store) == [*rows, a_row("c")]


def test_a_namespace_in_one_report_twice_counts_once(store: Store) -> None:
    a_remediation(store)

    assert store.claims.report(a_claim(store), [a_row("a"), a_row("a", Outcome.FAILED)]) == 1
    assert stored(store) == [a_row("a")]


@pytest.mark.parametrize("again", list(Outcome))
@pytest.mark.parametrize("first", list(Outcome))
def test_the_first_row_of_a_namespace_stays_whatever_a_later_attempt_says(
    store: Store, first: Outcome, again: Outcome
) -> None:
    a_remediation(store)
    store.claims.report(a_claim(store), [a_row("a", first)])

    assert store.claims.report(a_later_claim(store), [a_row("a", again)]) == 0

    run = store.runs.get(RUN)
    assert run
    assert run.summary.done == 1
    assert stored(store) == [a_row("a", first)]


def test_names_that_begin_alike_are_different_namespaces(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    names = ["a-b", "a", "ab!", "a.b", "ab", "a-b-c"]

    assert [store.claims.report(claim, [a_row(name)]) for name in names] == [1] * 6


def test_a_report_of_nothing_is_harmless(store: Store) -> None:
    a_remediation(store)

    assert store.claims.report(a_claim(store), []) == 0
    assert store.events.after(ID)[-1].type == "run.started"


def test_a_report_is_told_to_those_who_follow(store: Store) -> None:
    a_remediation(store)

    store.claims.report(a_claim(store), [a_row("a"), a_row("b", Outcome.FAILED)])

    event = store.events.after(ID)[-1]
    assert event.type == "run.progress"
    assert event.data == {
        "cluster": "eu-1",
        "namespaces": [["a", "changed"], ["b", "failed"]],
    }


# Ending


def test_a_run_ends_as_its_rows_say(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.claims.report(claim, [a_row("a"), a_row("b", Outcome.FAILED)])

    assert store.claims.finish(claim) == 0

    run = store.runs.get(RUN)
    assert run
    assert run.status is RunStatus.PARTIAL
    assert run.finished_at
    assert run.error is None
    assert store.runs.active() == []
    assert keys.lease(RUN) not in all_keys(store)


def test_a_run_may_end_with_an_error_of_its_own(store: Store) -> None:
    a_remediation(store, clusters=["eu-1", "us-1"])
    error = Error(ErrorCode.UNREACHABLE, "no answer", "look", 503, "nodes//a")

    assert store.claims.finish(a_claim(store), error, RunStatus.UNREACHABLE) == 1

    run = store.runs.get(RUN)
    assert run
    assert run.status is RunStatus.UNREACHABLE
    assert run.error == error


def test_ending_twice_changes_nothing(store: Store) -> None:
    a_remediation(store, clusters=["eu-1", "us-1"])
    claim = a_claim(store)
    store.claims.finish(claim, status=RunStatus.FAILED)
    before = store.runs.get(RUN), store.events.after(ID)

    assert store.claims.finish(claim, Error(ErrorCode.INTERNAL, "x"), RunStatus.SUCCEEDED) == 1

    assert (store.runs.get(RUN), store.events.after(ID)) == before
    assert [run.id for run in store.runs.active()] == [f"{ID}-1"]


def test_without_lease_are_those_that_nobody_works_on(store: Store) -> None:
    a_remediation(store, clusters=["eu-1", "us-1"])
    a_claim(store)

    assert [run.id for run in store.runs.without_lease(store.runs.active())] == [f"{ID}-1"]
    assert store.runs.without_lease([]) == []
    store.claims.finish(a_later_claim(store))
    ended = store.runs.get(RUN)
    assert ended
    assert store.runs.without_lease([ended]) == []
