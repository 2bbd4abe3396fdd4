"""What may still write on an API server: from the acceptance of a run to its end."""

import pytest

from remediation.kind import Kind
from remediation.status import RemediationStatus, RunStatus
from store import keys
from store.records import Origin
from store.store import Store
from store.writers import Writing
from tests.store.test_lines import FIRST, SECOND, asked, claimed
from tests.store.test_servers import announced
from tests.store.values import REQUEST


def writing(store: Store, *clusters: str) -> Writing:
    """Return what may still write on clusters."""
    return store.writers.read(store.writers.servers(clusters or ("eu-1",)))


def test_a_run_may_write_from_its_acceptance_to_its_end(store: Store) -> None:
    run = asked(store, FIRST)
    (queued,) = writing(store).work
    claim = claimed(store, run)
    (running,) = writing(store).work
    store.remediations.cancel(FIRST)
    (ending,) = writing(store).work
    store.claims.finish(claim, status=RunStatus.CANCELLED)
    after = writing(store)

    assert (queued.id, queued.clusters, queued.kind) == (FIRST, ("eu-1",), Kind.RUN)
    states = [each.status for each in (queued, running, ending)]
    assert states == [
        RemediationStatus.QUEUED,
        RemediationStatus.RUNNING,
        RemediationStatus.CANCELLING,
    ]
    assert (after.work, after.latest, after.more) == ((), {"eu-1": FIRST}, False)


def test_what_writes_nothing_is_not_among_it(store: Store) -> None:
    asked(store, FIRST, dry_run=True)

    assert writing(store) == Writing((), {"eu-1": None}, more=False)


def test_what_writes_another_secret_is(store: Store) -> None:
    asked(store, FIRST, secret_name="other")
    asked(store, SECOND)

    assert [each.id for each in writing(store).work] == [FIRST, SECOND]


def test_an_undo_is_told_from_others(store: Store) -> None:
    run = asked(store, FIRST)
    store.claims.finish(claimed(store, run))
    origin = Origin(undo_of=FIRST, undoes={"eu-1": run})
    store.intake.remediation(SECOND, REQUEST, "alice", [("eu-1", "main")], origin=origin)

    assert [each.kind for each in writing(store).work] == [Kind.UNDO]


def test_one_that_ended_since_shows_in_what_was_accepted_last(store: Store) -> None:
    before = writing(store)
    store.claims.finish(claimed(store, asked(store, FIRST)))

    assert writing(store).work == ()
    assert store.writers.latest(before.latest) == {"eu-1": FIRST} != before.latest


def test_all_names_of_an_api_server_are_one(store: Store) -> None:
    announced(store, eu="u1", lab="u1", us="u2")
    asked(store, FIRST, "lab")

    assert [each.clusters for each in writing(store, "eu").work] == [("lab",)]
    assert writing(store, "us").work == ()


def test_a_run_that_is_told_of_under_two_names_counts_once(store: Store) -> None:
    places = [("eu", "main"), ("us", "main")]
    store.intake.remediation(FIRST, REQUEST, "alice", places)

    (found,) = writing(store, "eu", "us").work
    assert sorted(found.clusters) == ["eu", "us"]


def test_one_whose_records_are_lost_writes_no_more(store: Store) -> None:
    run = asked(store, FIRST)
    store.redis.delete(keys.run(run))

    assert writing(store).work == ()
    assert not list(store.redis.scan_iter("rmd:writers:*"))


def test_more_than_is_read_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.writers.MOST", 1)
    for each in (FIRST, SECOND):
        store.intake.remediation(each, REQUEST, "alice", [("eu-1", "main")])

    found = writing(store)
    assert ([each.id for each in found.work], found.more) == ([FIRST], True)
