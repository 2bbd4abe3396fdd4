"""Clusters of several names that are one API server."""

from typing import Any

import pytest

from remediation.inventory import AnnouncedCluster, Announcement, known_clusters
from remediation.outcome import ErrorCode
from remediation.same_server import each_server_once, refusal, same_server, with_other_names


def a_cluster(name: str, uid: str | None = None, **more: Any) -> AnnouncedCluster:
    return AnnouncedCluster(name, more.pop("server", f"https://{name}"), uid=uid, **more)


def known(*clusters: AnnouncedCluster, pool: str = "default", more: tuple[Any, ...] = ()) -> Any:
    """Return what is known of a worker's clusters, and of `more` workers (pool, clusters)."""
    workers = [(pool, clusters), *more]
    return known_clusters(
        [
            Announcement(str(at), pool, "", "", 0, "", 1, its)
            for at, (pool, its) in enumerate(workers)
        ]
    )


FLEET = known(a_cluster("a", "u1"), a_cluster("b", "u2"), a_cluster("c", "u1"), a_cluster("d"))


def test_the_uid_tells_which_names_are_one_server():
    assert same_server(FLEET) == {"a": ("c",), "c": ("a",)}


def test_names_whose_workers_reach_different_servers_are_certain_to_be_none():
    fleet = known(
        a_cluster("a", "u1"), a_cluster("b", "u1"), more=(("other", (a_cluster("b", "u2"),)),)
    )

    assert fleet["b"].uid is None
    assert fleet["b"].uids == {"u1", "u2"}
    assert same_server(fleet) == {}


def test_a_worker_that_has_not_read_it_yet_leaves_it_uncertain():
    fleet = known(a_cluster("a", "u1"), a_cluster("b", "u1"), more=(("other", (a_cluster("b"),)),))

    assert same_server(fleet) == {}


@pytest.mark.parametrize(
    ("patterns", "names", "stands_for"),
    [
        (("*",), ("a", "b", "d"), {"a": ("c",)}),
        (("*", "c"), ("b", "c", "d"), {"c": ("a",)}),
        (("a", "c"), ("a", "c"), {}),
        (("c",), ("c",), {}),
    ],
)
def test_a_glob_counts_a_server_once_unless_it_is_named(patterns, names, stands_for):
    meant = [name for name in FLEET if name in patterns or "*" in patterns]

    selected = each_server_once(patterns, meant, FLEET)

    assert selected.names == names
    assert selected.stands_for == stands_for


@pytest.mark.parametrize("worse", [{"insecure": True}, {"trouble": "unreachable"}])
def test_the_name_that_works_best_is_kept(worse):
    fleet = known(a_cluster("a", "u1", **worse), a_cluster("b", "u1"))

    assert each_server_once(("*",), list(fleet), fleet).names == ("b",)


def test_a_context_that_cannot_be_used_is_never_left_out():
    fleet = known(a_cluster("a", "u1"), AnnouncedCluster("b", problem="no credential"))

    assert each_server_once(("*",), list(fleet), fleet).names == ("a", "b")


def test_protection_goes_by_every_name_that_may_be_the_same():
    same_address = a_cluster("d2", server="https://d")
    fleet = known(*(each.cluster for each in FLEET.values()), same_address)

    assert set(with_other_names(["a"], fleet, {})) == {"a", "c"}
    assert set(with_other_names(["d"], fleet, {})) == {"d", "d2"}
    # The worker of `gone` is away, and what `d` was when it was read last counts until it is read again.
    assert set(with_other_names(["a", "d"], fleet, {"gone": "u1", "d": "u2"})) == {
        *("a", "c", "gone", "d", "d2", "b")
    }
    assert with_other_names(["unknown"], fleet, {}) == ("unknown",)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://d.example:443", "https://D.example.", True),
        ("https://d.example:6443/", "https://d.example:06443", True),
        ("https://[::1]:6443", "https://[0:0::1]:6443", True),
        ("https://d.example/k8s/c-1", "https://d.example/k8s/c-2", False),
        ("https://d.example:6443", "https://d.example", False),
        ("https://d.example:x", "https://d.example", False),
    ],
)
def test_the_same_address_may_be_written_in_many_ways(one: str, other: str, *, same: bool):
    fleet = known(a_cluster("a", server=one), a_cluster("b", server=other))

    assert set(with_other_names(["a"], fleet, {})) == ({"a", "b"} if same else {"a"})


def test_the_same_address_is_another_server_where_uids_say_so_or_the_pool_is_another():
    one, two = a_cluster("a", "u1", server="https://x"), a_cluster("b", "u2", server="https://x")
    inside = [a_cluster(name, server="https://kubernetes.default.svc") for name in ("a", "b")]

    assert with_other_names(["a"], known(one, two), {}) == ("a",)
    apart = known(
        a_cluster("a", server="https://x"), more=(("other", (a_cluster("b", server="https://x"),)),)
    )
    assert with_other_names(["a"], apart, {}) == ("a",)
    assert with_other_names(["a"], known(*inside), {}) == ("a",)


@pytest.mark.parametrize(("meant", "found"), [("u1", "u1"), (None, "u1"), ("u1", ""), (None, "")])
def test_what_is_not_known_is_not_different(meant: str | None, found: str):
    assert refusal("eu", meant, found) is None


def test_a_name_that_leads_to_another_server_is_refused_with_both_uids():
    error = refusal("eu", "u1", "u2")

    assert error
    assert (error.code, error.retryable) == (ErrorCode.CLUSTER_CHANGED, False)
    assert all(each in error.detail for each in ("'eu'", "'u1'", "'u2'"))
