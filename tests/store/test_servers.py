"""One API server of several names: one line, one memory, one name that it goes by."""

from dataclasses import replace

import pytest

from remediation.inventory import AnnouncedCluster
from remediation.readiness.request import CheckRequest
from store import keys
from store.ids import check_after
from store.records import Origin, meant_for
from store.servers import known_as
from store.store import Store
from tests.store.test_lines import FIRST, SECOND, THIRD, asked, behind, claimed
from tests.store.values import REQUEST, an_announcement


def announced(store: Store, **uids: str | None) -> None:
    clusters = [AnnouncedCluster(name, uid=uid) for name, uid in uids.items()]
    store.inventory.announce(an_announcement(clusters=clusters))


def test_an_api_server_keeps_the_name_that_it_was_first_asked_for_by(store: Store) -> None:
    announced(store, b="u1", c="u2", d=None)
    assert known_as(store.redis, ["b", "c", "d", "x"]) == {"b": "b", "c": "c", "d": "d", "x": "x"}

    announced(store, a="u1", b="u1", c="u2")

    assert known_as(store.redis, ["a", "b", "c"]) == {"a": "b", "b": "b", "c": "c"}


def test_a_name_that_means_another_api_server_by_now_is_given_up(store: Store) -> None:
    announced(store, a="u1", b="u1")
    assert known_as(store.redis, ["a", "b"]) == {"a": "a", "b": "a"}

    announced(store, a="u2", b="u1", c="u1")

    assert known_as(store.redis, ["a", "c", "b"]) == {"a": "a", "c": "c", "b": "c"}


def test_what_is_known_of_an_api_server_is_forgotten_with_the_last_of_its_names(
    store: Store,
) -> None:
    announced(store, a="u1", b="u1", c="u2")
    known_as(store.redis, ["a", "c"])

    store.redis.zrem(keys.CLUSTERS, "a", "c")
    store.inventory.uids()

    assert store.redis.hgetall(keys.SERVER_NAMES) == {"u1": "a"}
    assert known_as(store.redis, ["b"]) == {"b": "b"}


def test_runs_on_one_api_server_wait_for_each_other_whatever_they_call_it(store: Store) -> None:
    announced(store, eu="u1", lab="u1", us="u2")
    first, second = asked(store, FIRST, "eu"), asked(store, SECOND, "lab")
    assert claimed(store, asked(store, THIRD, "us"))

    assert store.claims.take(second) is None
    assert behind(store, SECOND) == FIRST
    store.claims.finish(claimed(store, first))
    assert claimed(store, second).run.known_as == "eu"


def test_runs_of_one_remediation_on_one_api_server_wait_for_each_other(store: Store) -> None:
    announced(store, eu="u1", lab="u1")
    places = [("eu", "main"), ("lab", "main")]
    runs = store.intake.remediation(FIRST, REQUEST, "alice", places)

    assert store.claims.take(runs[1].id) is None
    store.claims.finish(claimed(store, runs[0].id))
    assert claimed(store, runs[1].id)


@pytest.mark.parametrize("asked_of", ["eu", "lab"])
def test_what_was_written_by_one_name_is_known_by_the_other(store: Store, asked_of: str) -> None:
    announced(store, eu="u1", lab="u1")
    known_as(store.redis, ["eu"])
    store.claims.finish(claimed(store, asked(store, FIRST, asked_of)))

    dry = replace(REQUEST, dry_run=True)
    for name in ("eu", "lab"):
        run = store.intake.remediation(SECOND, dry, "alice", [(name, "main")])[0]
        assert store.remediations.last_written(run.known_as)


def test_a_run_keeps_the_api_server_that_its_name_meant_and_so_do_those_that_go_on_from_it(
    store: Store,
) -> None:
    announced(store, eu="u1", us=None)
    places = [("eu", "main"), ("us", "main")]
    before = store.intake.remediation(FIRST, REQUEST, "alice", places)
    announced(store, eu="u2", us="u3")

    origin = Origin(undo_of=FIRST, undoes={"eu": before[0].id}, uids=meant_for(before))
    later = store.intake.remediation(SECOND, REQUEST, "alice", places, origin=origin)
    wanted = CheckRequest(clusters=("eu", "us"), registries=("r.example",))
    check = store.intake.check(check_after(FIRST), wanted, "alice", places, uids=meant_for(before))

    assert [run.uid for run in before] == ["u1", None]
    assert [run.uid for run in later] == ["u1", "u3"]
    assert [run.uid for run in check] == ["u1", "u3"]
