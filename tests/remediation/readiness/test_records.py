"""Pull records of kubelets from 1.35 on: who presented a login on a node leaves those in doubt that have none."""

from dataclasses import replace
from typing import Any

import pytest

from remediation.readiness.facts import ClusterFacts, Facts, NodeLogin
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.observation import Container, ContainerState, Node, Owner
from remediation.readiness.target import parse_target
from tests.remediation.readiness.cluster import REGISTRY, RUNNING, Cluster

ALONE = Owner("Deployment", "alone")
NEVER = replace(RUNNING, pull_policy="Never")
R, L, N = FindingClass.P_RISK_RESTART, FindingClass.P_RISK_LOW, FindingClass.P_NO_PULL


def around(
    *theirs: str,
    version: str = "v1.36.3",
    node: str = "n",
    container: Container = RUNNING,
    own: tuple[str, ...] = (),
    neighbour: Container = RUNNING,
    **declared: Any,
) -> list[Finding]:
    """Return what is found of a pod with a neighbour that names some Secrets."""
    cluster = Cluster(facts=Facts((ClusterFacts(**declared),)))
    cluster.secrets(
        docker="ours", theirs="theirs", twin="theirs", quay="elsewhere", bad="malformed"
    )
    cluster.secrets(gone="absent").account("docker")
    for name in ("n", "m"):
        cluster.judge.add_node(Node(name, {}, version))
    cluster.pod(*theirs, node="n", containers=(neighbour,), controller=Owner("Job", "covered"))
    cluster.workload(name="alone").pod(
        *own, name="alone-1", node=node, controller=ALONE, containers=(container,)
    )
    return [
        found
        for found in cluster.found()
        if found.name == "alone" and found.finding_class.startswith("P_")
    ]


@pytest.mark.parametrize("container", [RUNNING, NEVER], ids=["IfNotPresent", "Never"])
def test_a_neighbour_with_a_login_leaves_a_pod_without_one_in_doubt(container: Container) -> None:
    (found,) = around("docker", container=container)

    assert (found.finding_class, found.severity, found.doubt) == (R, Severity.BLOCKING, True)
    assert "NeverVerify" in found.fix


@pytest.mark.parametrize(
    ("container", "expected"), [(RUNNING, L), (NEVER, N)], ids=["IfNotPresent", "Never"]
)
@pytest.mark.parametrize(
    ("theirs", "more"),
    [
        ((), {}),
        (("quay",), {}),  # no login for this registry: they pull without one
        (("gone",), {}),
        (("bad",), {}),  # they cannot pull at all
        (("docker",), {"node": "m"}),
        (("docker",), {"version": "v1.34.1"}),
        (("docker",), {"kubelet_verification": "NeverVerify"}),
        (("docker",), {"neighbour": Container("main", f"{REGISTRY}/other/app:1")}),
    ],
    ids=str,
)
def test_without_a_login_on_the_node_nothing_is_asked_for(
    theirs: tuple[str, ...], more: dict[str, Any], container: Container, expected: FindingClass
) -> None:
    (found,) = around(*theirs, container=container, **more)

    assert found.finding_class is expected


@pytest.mark.parametrize(
    ("theirs", "more"),
    [
        (("docker",), {"version": ""}),  # an unknown version counts as new
        (("docker",), {"kubelet_verification": "NeverVerifyPreloadedImages"}),
        (("hidden",), {}),  # it may hold a login
        (
            ("docker",),
            {"neighbour": Container("main", f"{REGISTRY}/team/app:9")},
        ),  # may be the same content
        (
            ("docker",),
            {"neighbour": Container("main", f"{REGISTRY}/team/app:1", state=ContainerState.NONE)},
        ),
        (("docker",), {"own": ("theirs",)}),
        (("theirs",), {"own": ("quay",)}),
    ],
    ids=str,
)
def test_what_is_not_known_counts_as_asked_for(
    theirs: tuple[str, ...], more: dict[str, Any]
) -> None:
    (found,) = around(*theirs, **more)

    assert (found.finding_class, found.doubt) == (R, True)


@pytest.mark.parametrize("container", [RUNNING, NEVER], ids=["IfNotPresent", "Never"])
def test_the_pod_may_have_pulled_with_a_secret_that_is_gone(container: Container) -> None:
    (found,) = around(own=("gone",), container=container)

    assert (found.finding_class, found.severity, found.doubt) == (R, Severity.BLOCKING, True)
    assert "does not exist" in found.explanation


def test_a_secret_that_cannot_be_read_may_be_gone() -> None:
    (found,) = around(own=("hidden",))

    told = (found.finding_class, found.severity, found.doubt)
    assert told == (FindingClass.P_UNKNOWN, Severity.BLOCKING, True)


def test_an_older_kubelet_does_not_ask_who_pulled() -> None:
    (found,) = around(own=("gone",), version="v1.34.1")

    assert found.finding_class is L


def test_the_same_login_from_another_secret_will_do() -> None:
    """The kubelet compares content: a login that pulled it once is one of its own."""
    (found,) = around("twin", own=("theirs",))

    assert found.finding_class is L


def test_a_node_that_is_declared_to_hold_a_login_needs_no_other() -> None:
    (found,) = around("docker", kubelet_logins=(NodeLogin(parse_target(REGISTRY)),))

    assert found.finding_class is FindingClass.P_NODE


def test_only_the_pods_on_such_a_node_are_in_doubt() -> None:
    cluster = Cluster().account("docker").secrets(docker="ours").workload()
    for name, node in (("web-1", "n"), ("web-2", "m"), ("web-3", "n")):
        cluster.pod(name=name, node=node)
    cluster.pod("docker", name="new", node="n")

    counts = cluster.judged().counts

    assert (counts[R], counts[L], counts[FindingClass.P_COVERED]) == (2, 1, 1)
