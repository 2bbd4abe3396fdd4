"""The digest that the gate compares: it changes with all that a verdict stands on, and with nothing else."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from remediation.readiness.basis import basis_of
from remediation.readiness.observation import Container, Owner
from tests.remediation.readiness.cluster import IMAGE, REGISTRY, Cluster

VERSIONS = {("team", "docker"): "uid/1", ("team", "theirs"): "uid/2", ("team", "other"): "uid/3"}
OTHER = Container("second", f"{REGISTRY}/other/app:1")


def basis(cluster: Cluster, versions: Mapping[tuple[str, str], str] = VERSIONS) -> str:
    """Return the digest of what is found."""
    return basis_of([cluster.judge], versions, cluster.found())


def start(*listed: str, **account: Any) -> Cluster:
    """Return a cluster whose ServiceAccount lists `docker`."""
    cluster = Cluster().secrets(docker="ours", theirs="ours")
    return cluster.account(*(listed or ("docker",)), **account)


def covered(*own: str, **workload: Any) -> Cluster:
    """Return a cluster with one template, and one pod without a controller that names `theirs`."""
    cluster = start().workload(*own, **workload)
    return cluster.pod("theirs", controller=None, name="alone")


def test_it_is_the_same_for_the_same() -> None:
    assert basis(covered()) == basis(covered())


CHANGES: Mapping[str, Callable[[], Cluster]] = {
    "the account's list": lambda: (
        start("docker", "more").workload().pod("theirs", controller=None, name="alone")
    ),
    "the account enforces": lambda: (
        start(enforces=True).workload().pod("theirs", controller=None, name="alone")
    ),
    "the template's own list": lambda: covered("docker"),
    "the template's images": lambda: covered(containers=(Container("main", IMAGE), OTHER)),
    "the template's account": lambda: covered(account="builder").account("docker", name="builder"),
    "dormant": lambda: covered(dormant=True),
    "another template": lambda: covered().workload(name="second"),
    "no account": lambda: (
        Cluster()
        .secrets(docker="ours", theirs="ours")
        .workload()
        .pod("theirs", controller=None, name="alone")
    ),
    "an uncovered pod": lambda: covered().pod(name="web-2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_changes_with_what_the_verdict_stands_on(change: str) -> None:
    assert basis(CHANGES[change]()) != basis(covered())


@pytest.mark.parametrize("name", ["docker", "theirs"])
def test_it_changes_with_the_secrets_of_templates_and_pods(name: str) -> None:
    written = {**VERSIONS, ("team", name): "uid/4"}
    gone = {place: version for place, version in VERSIONS.items() if place[1] != name}

    assert len({basis(covered(), each) for each in (VERSIONS, written, gone)}) == 3


def test_it_changes_with_the_secrets_that_a_foreign_controller_may_give_instead() -> None:
    """Nobody knows whether its pods get those of the ServiceAccount or those that they have: both have to do."""
    cluster = start("docker").pod("theirs", controller=Owner("TaskRun", "build"))
    written = {**VERSIONS, ("team", "docker"): "uid/4"}

    assert basis(cluster) != basis(cluster, written)


def test_it_stays_the_same_for_what_makes_no_difference() -> None:
    more = covered().pod("docker", name="web-2").pod("docker", name="web-3")
    replicas = covered(replicas=7, generation=9, labels={"a": "b"})
    job = covered().workload(name="once", kind="Job")
    elsewhere = covered().account("docker", namespace="other")
    written = {**VERSIONS, ("team", "other"): "uid/4"}

    assert {basis(each) for each in (more, replicas, job, elsewhere)} == {basis(covered())}
    assert basis(covered(), written) == basis(covered())
