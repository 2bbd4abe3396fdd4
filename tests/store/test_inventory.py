"""Which workers live and what they announce."""

import time

from remediation.inventory import (
    AnnouncedCluster,
    AnnouncedCredential,
    known_clusters,
    known_credentials,
)
from store import keys
from store.inventory import LIFE_SECONDS, REMEMBERED_SECONDS
from store.store import Store
from tests.store.values import all_keys, an_announcement

BROKEN = AnnouncedCluster("eu-1", None, "the file cannot be read")
USABLE = AnnouncedCluster("eu-1", "https://eu-1:6443")
HELD = AnnouncedCredential("reg", ("registry.example.com",), ("robot",), "2026-01-01T00:00:00Z")
UNUSABLE = AnnouncedCredential("reg", problem="is not JSON")


def test_an_announcement_is_read_back_as_it_was(store: Store) -> None:
    announcement = an_announcement(clusters=[USABLE, BROKEN], credentials=[HELD, UNUSABLE])

    store.inventory.announce(announcement)

    assert store.inventory.workers() == [announcement]


def test_the_last_announcement_counts(store: Store) -> None:
    store.inventory.announce(an_announcement(clusters=[USABLE]))
    store.inventory.announce(an_announcement())

    assert store.inventory.workers() == [an_announcement()]


def test_workers_come_in_order(store: Store) -> None:
    for worker_id in ("w2", "w10", "w1"):
        store.inventory.announce(an_announcement(worker_id))

    assert [worker.worker_id for worker in store.inventory.workers()] == ["w1", "w10", "w2"]


def test_a_worker_that_falls_silent_is_gone_and_forgotten(store: Store) -> None:
    store.inventory.announce(an_announcement("w1"))
    store.inventory.announce(an_announcement("w2"))
    assert 0 < store.redis.ttl(keys.worker("w1")) <= LIFE_SECONDS
    store.redis.pexpire(keys.worker("w1"), 1)
    while store.redis.exists(keys.worker("w1")):
        pass

    assert [worker.worker_id for worker in store.inventory.workers()] == ["w2"]
    assert store.redis.zrange(keys.WORKERS, 0, -1) == ["w2"]


def test_the_uids_of_api_servers_outlive_their_worker_for_a_day(store: Store) -> None:
    read = [AnnouncedCluster("eu-1", uid="u1"), AnnouncedCluster("eu-2", uid="u2")]
    store.inventory.announce(an_announcement(clusters=read))
    store.inventory.announce(an_announcement(clusters=[AnnouncedCluster("eu-1")]))  # not read yet
    store.inventory.leave("w1")

    assert store.inventory.uids() == {"eu-1": "u1", "eu-2": "u2"}

    store.redis.zadd(keys.CLUSTERS, {"eu-2": time.time() - REMEMBERED_SECONDS - 1})
    assert store.inventory.uids() == {"eu-1": "u1"}
    assert store.redis.hgetall(keys.CLUSTER_UIDS) == {"eu-1": "u1"}


def test_a_worker_that_leaves_leaves_nothing(store: Store) -> None:
    store.inventory.announce(an_announcement())

    store.inventory.leave("w1")
    store.inventory.leave("w1")

    assert store.inventory.workers() == []
    assert all_keys(store) == {}


def test_a_cluster_is_known_in_all_pools_that_serve_it() -> None:
    workers = [
        an_announcement("w1", pool="south", clusters=[USABLE]),
        an_announcement("w2", pool="north", clusters=[USABLE]),
        an_announcement("w3", pool="south", clusters=[USABLE, AnnouncedCluster("a")]),
    ]

    known = known_clusters(workers)

    assert list(known) == ["a", "eu-1"]
    assert known["eu-1"].pools == ("north", "south")
    assert known["a"].pools == ("south",)


def test_a_worker_that_can_serve_a_cluster_counts_before_those_that_cannot() -> None:
    broken = an_announcement("w1", pool="south", clusters=[BROKEN])
    usable = an_announcement("w2", pool="north", clusters=[USABLE])

    for workers in ([broken, usable], [usable, broken], [broken, usable, broken]):
        known = known_clusters(workers)["eu-1"]
        assert known.cluster == USABLE
        assert known.pools == ("north",)


def test_a_cluster_that_nobody_can_serve_is_known_with_its_problem() -> None:
    workers = [
        an_announcement("w1", pool="south", clusters=[BROKEN]),
        an_announcement("w2", pool="north", clusters=[BROKEN]),
    ]

    known = known_clusters(workers)["eu-1"]

    assert known.cluster.problem
    assert known.pools == ("north", "south")


def test_credentials_are_merged_in_the_same_way() -> None:
    held = an_announcement("w2", pool="north", credentials=[HELD])
    unusable = an_announcement("w1", pool="south", credentials=[UNUSABLE])
    also = an_announcement("w3", pool="east", credentials=[HELD])

    for workers in ([held, unusable, also], [unusable, also, held]):
        known = known_credentials(workers)["reg"]
        assert known.credential == HELD
        assert known.pools == ("east", "north")


def test_without_workers_nothing_is_known(store: Store) -> None:
    assert store.inventory.workers() == []
    assert known_clusters([]) == {}
    assert known_credentials([]) == {}


def test_clusters_are_remembered_for_a_day_after_their_last_worker(store: Store) -> None:
    store.inventory.announce(an_announcement("w1", clusters=[BROKEN]))
    store.inventory.leave("w1")
    store.redis.zadd(keys.CLUSTERS, {"older": time.time() - REMEMBERED_SECONDS - 1})

    assert store.inventory.lately() == ["eu-1"]

    store.inventory.announce(an_announcement("w2"))

    assert store.redis.zrange(keys.CLUSTERS, 0, -1) == ["eu-1"]
