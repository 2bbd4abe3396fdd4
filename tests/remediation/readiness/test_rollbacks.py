"""Older templates: those that pods are still made from, and those that a rollback brings back."""

from typing import Any

import pytest

from remediation.readiness.finding import Coverage, FindingClass, Severity
from remediation.readiness.observation import Container, Owner, Workload
from remediation.readiness.proof import AdmissionProof
from tests.remediation.readiness.cluster import IMAGE, OTHER_IMAGE, Cluster, classes, only

W = FindingClass
DEPLOYMENT = Owner("Deployment", "web")


def old(cluster: Cluster, number: int, *own: str, **more: Any) -> Cluster:
    """Add a ReplicaSet without pods."""
    fields = {"controller": DEPLOYMENT, "dormant": True, "revision": number} | more
    return cluster.workload(*own, kind="ReplicaSet", name=f"web-{number}", **fields)


def revision(
    cluster: Cluster, number: int, *own: str, owner: str = "StatefulSet", image: str = IMAGE
) -> Cluster:
    """Add a ControllerRevision of `web`."""
    cluster.judge.add_revision(
        Workload(
            "team",
            "ControllerRevision",
            f"web-{number}",
            (Container("main", image),),
            own,
            controller=Owner(owner, "web"),
            revision=number,
        )
    )
    return cluster


def test_revisions_that_are_not_covered_are_one_warning_with_the_newest_first() -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere", opaque="opaque")
    cluster.account("docker").workload()
    old(old(old(cluster, 2, "quay"), 10, "opaque"), 3, "docker")

    found = only(cluster.found(), "W_DORMANT")

    assert (found.kind, found.name, found.severity) == ("Deployment", "web", Severity.WARNING)
    assert (found.count, found.examples) == (2, ("web-10", "web-2"))
    assert "revisions 10, 2" in found.explanation
    assert "delete replicaset web-10 web-2" in found.fix


def test_ten_thousand_old_replicasets_are_kept_as_names() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload()
    for number in range(1, 10_001):
        old(cluster, number, "docker")

    ((_, _, templates),) = cluster.judge.old

    assert len(templates) == 1
    assert classes(cluster.found()) == {W.W_COVERED_SA}


def test_a_revision_that_gives_the_same_as_the_present_template_is_no_finding_of_its_own() -> None:
    cluster = old(Cluster().account().workload(), 1)

    assert classes(cluster.found()) == {W.W_SA_UNPATCHED}


def test_a_revision_with_the_name_of_the_default_account_is_the_same() -> None:
    cluster = old(Cluster().account().workload(), 1, account="default")

    assert W.W_DORMANT not in classes(cluster.found())


def test_the_registry_may_be_used_by_an_older_revision_only() -> None:
    cluster = Cluster().account()
    cluster.workload(containers=(Container("main", OTHER_IMAGE),))
    old(cluster, 1)

    found = cluster.found()

    assert only(found, "W_").finding_class is W.W_DORMANT
    assert W.C_UNUSED not in classes(found)
    assert W.SA_UNUSED_UNPATCHED in classes(found)


def test_the_secrets_that_older_revisions_name_are_asked_for() -> None:
    cluster = old(Cluster().secrets(docker="ours").account("docker").workload(), 1, "theirs")

    assert cluster.judge.wanted_secrets() == (("team", "theirs"),)


def test_old_replicasets_of_a_rollout_are_one_warning() -> None:
    cluster = Cluster().secrets(docker="ours").account()
    rollout = Owner("Rollout", "web", "argoproj.io")
    for number in range(1, 4):
        old(cluster, number, controller=rollout)
    now = {"name": "web-4", "controller": rollout, "revision": 4}
    cluster.workload("docker", kind="ReplicaSet", **now)
    cluster.judge.scalers.add_rollout("team", "web", frozenset({"4"}))

    found = only(cluster.found(), "W_DORMANT")

    assert (found.kind, found.finding_class, found.count) == ("Rollout", W.W_DORMANT, 3)


def test_what_is_left_of_a_deployment_that_goes_is_no_finding() -> None:
    cluster = old(Cluster().account().workload(deleting=True), 1, "quay")

    assert W.W_DORMANT not in classes(cluster.found())


def test_the_revision_below_a_partition_is_judged_like_the_template() -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker")
    cluster.workload(kind="StatefulSet", held="web-1")
    revision(revision(cluster, 1, "quay"), 2)

    found = cluster.found()

    row = only(found, "W_TEMPLATE")
    assert (row.kind, row.name, row.coverage) == ("StatefulSet", "web", Coverage.KEY_MISMATCH)
    assert "web-1" in row.explanation
    assert '"partition": 0' in row.fix
    assert W.W_COVERED_SA in classes(found)


def test_a_pod_below_the_partition_is_not_made_again_well() -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker")
    cluster.workload(kind="StatefulSet", held="web-1")
    revision(cluster, 1, "quay").pod(name="web-0", controller=Owner("StatefulSet", "web"))

    (renewal,) = cluster.judged().renewals

    assert not renewal.ready


def test_the_revision_of_a_statefulset_without_replicas_wants_no_pods_either() -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker")
    cluster.workload(kind="StatefulSet", held="web-1", dormant=True)

    assert only(revision(cluster, 1, "quay").found(), "W_DORMANT").severity is Severity.WARNING


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_other_revisions_come_back_only_by_a_rollback(kind: str) -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker")
    cluster.workload(kind=kind)
    revision(revision(cluster, 1, "quay", owner=kind), 2, owner=kind)

    found = only(cluster.found(), "W_DORMANT")

    assert (found.kind, found.examples) == (kind, ("web-1",))
    assert "delete controllerrevision web-1" in found.fix


def test_a_revision_without_its_controller_is_nothing() -> None:
    assert W.W_DORMANT not in classes(revision(Cluster().account(), 1, "quay").found())


def test_without_revisions_a_partition_is_in_doubt_and_rollbacks_are_not_judged() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker")
    cluster.workload(kind="StatefulSet", held="web-1").workload(kind="DaemonSet", name="agent")
    cluster.judge.revisions_unread = "forbidden"

    found = cluster.found()

    held, lists = only(found, "W_UNKNOWN"), only(found, "C_UNREADABLE")
    assert (held.name, held.severity, held.doubt) == ("web", Severity.BLOCKING, True)
    assert (lists.name, lists.severity) == ("controllerrevisions", Severity.WARNING)


def test_without_revisions_and_without_what_has_any_nothing_is_said() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload()
    cluster.judge.revisions_unread = "forbidden"

    assert classes(cluster.found()) == {W.W_COVERED_SA}


def test_a_held_revision_whose_image_admission_replaces_is_judged() -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker")
    cluster.workload(kind="StatefulSet", held="web-1")
    revision(cluster, 1, "quay", image=OTHER_IMAGE)
    proof = AdmissionProof("team", "ControllerRevision", "web-1", ("quay",), images=(IMAGE,))

    assert W.W_TEMPLATE_SECRETS in classes(cluster.found(admissions=[proof]))


def test_an_older_replicaset_whose_image_admission_replaces_otherwise_is_judged() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload()
    cluster.workload(kind="ReplicaSet", name="web-1", controller=DEPLOYMENT)
    images = ("registry.example.com/other/app:1",)
    proof = AdmissionProof("team", "ReplicaSet", "web-1", ("docker",), images=images)

    assert {found.kind for found in cluster.found(admissions=[proof]) if found.name == "web-1"}


def test_beside_the_held_revision_others_come_back_only_by_a_rollback() -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker")
    cluster.workload(kind="StatefulSet", held="web-2")
    revision(revision(revision(cluster, 1, "quay"), 2, "docker"), 3)

    found = cluster.found()

    assert only(found, "W_DORMANT").examples == ("web-1",)
    assert not any(each.blocks for each in found)
