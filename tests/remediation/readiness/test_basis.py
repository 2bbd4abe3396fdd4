"""The digest that the gate compares: it changes with all that a verdict stands on, and with nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediation.readiness.basis import _parts, basis_of
from remediation.readiness.observation import Container, Owner
from tests.remediation.readiness.cluster import IMAGE, LOGIN, NOW, REGISTRY, RUNNING, Cluster

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


def other_login() -> Cluster:
    """Return `covered()` where `docker` holds yesterday's password."""
    cluster = Cluster().secrets(docker="stale", theirs="ours").account("docker").workload()
    return cluster.pod("theirs", controller=None, name="alone")


CHANGES: Mapping[str, Callable[[], Cluster]] = {
    "the account's list": lambda: (
        start("docker", "more").workload().pod("theirs", controller=None, name="alone")
    ),
    "the template's own list": lambda: covered("docker"),
    "the template's images": lambda: covered(containers=(Container("main", IMAGE), OTHER)),
    "the template's account": lambda: covered(account="builder").account("docker", name="builder"),
    "another template": lambda: covered().workload(name="second"),
    "no account": lambda: (
        Cluster()
        .secrets(docker="ours", theirs="ours")
        .workload()
        .pod("theirs", controller=None, name="alone")
    ),
    "an uncovered pod": lambda: covered().pod(name="web-2"),
    "an uncovered pod of a foreign controller": lambda: covered().pod(
        name="run-1", controller=Owner("TaskRun", "run")
    ),
    "another login": other_login,
    "an account that lost the entry under a pod without a controller": lambda: (
        Cluster()
        .secrets(docker="ours", theirs="ours")
        .account("docker")
        .workload()
        .account(name="lone")
        .pod("theirs", controller=None, name="alone", account="lone")
    ),
    "a template that uses an account that was unused": lambda: (
        covered().account("docker", name="idle").workload(name="idle", account="idle")
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_changes_with_what_the_verdict_stands_on(change: str) -> None:
    assert basis(CHANGES[change]()) != basis(covered())


@pytest.mark.parametrize(
    ("kind", "key"),
    [("longer", "docker"), ("theirs", "docker"), ("malformed", "theirs")],
)
def test_a_secret_with_other_logins_than_the_credential_counts_by_its_version(
    kind: str, key: str
) -> None:
    cluster = Cluster().secrets(**{"docker": "ours", "theirs": "ours", key: kind}).account("docker")
    cluster.workload().pod("theirs", controller=None, name="alone")
    written = {**VERSIONS, ("team", key): "uid/4"}

    assert basis(cluster) != basis(cluster, written)


def test_it_changes_with_the_secrets_that_a_foreign_controller_may_give_instead() -> None:
    """Nobody knows whether its pods get those of the ServiceAccount or those that they have: both have to do."""
    cluster = Cluster().secrets(docker="theirs", theirs="ours").account("docker")
    cluster.pod("theirs", controller=Owner("TaskRun", "build"))
    written = {**VERSIONS, ("team", "docker"): "uid/4"}

    assert basis(cluster) != basis(cluster, written)


def test_it_stays_the_same_for_what_makes_no_difference() -> None:
    more = covered().pod("docker", name="web-2").pod("docker", name="web-3")
    replicas = covered(replicas=7, generation=9, labels={"a": "b"})
    asleep = covered(dormant=True)
    job = covered().workload(name="once", kind="Job")
    task = covered().pod("docker", name="run-1", controller=Owner("TaskRun", "run"))
    tag = covered(containers=(Container("main", f"{REGISTRY}/team/app:2"),))
    elsewhere = covered().account("docker", namespace="other")
    idle = covered().account(name="idle")
    enforcing = start(enforces=True).workload().pod("theirs", controller=None, name="alone")
    same = (more, replicas, asleep, job, task, tag, elsewhere, idle, enforcing)
    written = dict.fromkeys(VERSIONS, "another/9")

    assert {basis(each) for each in same} == {basis(covered())}
    assert basis(covered(), written) == basis(covered())


def uncovered(*names: str, kind: str = "Deployment") -> Cluster:
    """Return a cluster whose template is covered, with pods that were made before it was."""
    cluster = covered()
    for name in names:
        cluster.pod(name=name, controller=Owner(kind, "web"))
    return cluster


def test_one_more_uncovered_pod_changes_it_and_another_one_in_its_place_does() -> None:
    one = basis(uncovered("web-1"))

    assert len({one, basis(uncovered("web-1", "web-2")), basis(uncovered("web-2"))}) == 3
    assert basis(uncovered("web-1")) == one


def test_of_the_uncovered_pods_of_jobs_the_number_counts() -> None:
    one = basis(uncovered("web-1", kind="Job"))

    assert basis(uncovered("web-2", kind="Job")) == one
    assert basis(uncovered("web-1", "web-2", kind="Job")) != one


def test_a_new_namespace_with_an_unused_account_makes_no_difference() -> None:
    known = Cluster(remediated_at=NOW).secrets(docker="ours").account("docker").workload()
    late = Cluster(remediated_at=NOW).secrets(docker="ours").account("docker").workload()
    late.account(name="default", namespace="new", created_at=NOW + timedelta(minutes=1))

    assert basis(known) == basis(late)


def test_which_repositories_are_unproven_counts_whatever_the_order() -> None:
    """One finding stands for all of them, and names but the first."""

    def unproven(*images: str) -> str:
        cluster = Cluster().secrets(docker="ours").account("docker").workload()
        for number, image in enumerate(images):
            cluster.pod("docker", name=f"p{number}", containers=(replace(RUNNING, image=image),))
        return basis_of([cluster.judge], VERSIONS, cluster.found(proofs=[]))

    one, other = f"{REGISTRY}/a/app:1", f"{REGISTRY}/z/app:1"

    assert unproven(one, other) == unproven(other, one)
    assert unproven(one) != unproven(one, other)


def test_no_login_can_be_told_from_it() -> None:
    """What is compared of a Secret is which login of the credential it holds, never a login or a hash of one."""
    seen = list(_parts([covered().judge], VERSIONS, ()))

    assert LOGIN.password not in repr(seen)
    assert [part for part in seen if part[:3] == ("secret", "team", "docker")] == [
        ("secret", "team", "docker", [(REGISTRY, 0)])
    ]
