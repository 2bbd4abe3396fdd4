"""What wants no pods now, and what makes it want some again."""

from typing import Any

import pytest

from remediation.readiness.finding import FindingClass, Severity
from remediation.readiness.observation import Container, Owner, Rollout, Waker, Wakes, Workload
from remediation.readiness.wakers import KNATIVE, waker_by_marks
from tests.remediation.readiness.cluster import IMAGE, Cluster, only

W = FindingClass
YES, MAYBE, NO = (Waker("something wakes it", wakes) for wakes in Wakes)
ROLLOUT = Owner("Rollout", "web", "argoproj.io")
REVISION = Owner("Revision", "web-00001", KNATIVE)


def asleep(**fields: Any) -> Cluster:
    """Return a cluster with a workload that wants no pods and is not covered."""
    return Cluster().account().workload(dormant=True, **fields)


@pytest.mark.parametrize(
    ("waker", "expected", "doubt"),
    [
        (None, W.W_DORMANT, False),
        (NO, W.W_DORMANT, False),
        (MAYBE, W.W_SA_UNPATCHED, True),
        (YES, W.W_SA_UNPATCHED, False),
    ],
)
def test_what_wakes_by_itself_is_judged_as_if_it_ran(
    waker: Waker | None, expected: FindingClass, doubt: bool
) -> None:
    cluster = asleep()
    if waker:
        cluster.judge.scalers.add("team", "Deployment", "web", waker)

    found = only(cluster.found(), "W_")

    assert (found.finding_class, found.doubt) == (expected, doubt)
    assert (found.severity is Severity.BLOCKING) is (expected is W.W_SA_UNPATCHED)
    assert (waker.told if waker else "") in found.explanation


def test_of_several_the_likeliest_counts() -> None:
    cluster = asleep(waker=MAYBE)
    for waker in (NO, YES, NO):
        cluster.judge.scalers.add("team", "Deployment", "web", waker)

    assert only(cluster.found(), "W_SA_UNPATCHED").doubt is False


def test_what_is_covered_may_sleep() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload(dormant=True, waker=YES)

    assert only(cluster.found(), "W_").finding_class is W.W_COVERED_SA


def test_unread_autoscalers_leave_a_doubt_where_there_are_no_replicas() -> None:
    cluster = asleep().workload(kind="CronJob", name="nightly", dormant=True)
    cluster.judge.scalers.unread = "forbidden"

    found = cluster.found()

    row = only(found, "W_SA_UNPATCHED")
    assert (row.name, row.doubt) == ("web", True)
    assert "horizontalpodautoscalers" in row.explanation
    assert only(found, "W_DORMANT").name == "nightly", "it is suspended, not scaled"


def sets_of_rollout(*revisions: int) -> Cluster:
    """Return a cluster with ReplicaSets of an Argo Rollout that want no pods and are not covered."""
    cluster = Cluster().account()
    for number in revisions:
        cluster.workload(
            kind="ReplicaSet",
            name=f"web-{number}",
            dormant=True,
            controller=ROLLOUT,
            revision=number,
        )
    return cluster


def test_only_replicasets_that_a_rollout_still_uses_wake() -> None:
    cluster = sets_of_rollout(7, 8, 9, 10)
    cluster.judge.scalers.add_rollout("team", "web", frozenset({"7", "Healthy"}))

    rows = [row for row in cluster.found() if row.finding_class is W.W_SA_UNPATCHED]

    assert [(row.name, row.doubt) for row in rows] == [("web-10", True), ("web-7", True)]
    assert "Rollout 'web'" in rows[0].explanation


def test_what_is_scaled_wakes_the_replicasets_in_use_for_certain() -> None:
    cluster = sets_of_rollout(9, 10)
    cluster.judge.scalers.add_rollout("team", "web", frozenset())
    assert ("team", "Rollout", "web") in cluster.judge.asleep()
    cluster.judge.scalers.add("team", "Rollout", "web", YES)

    found = only(cluster.found(), "W_SA_UNPATCHED")

    assert (found.name, found.doubt) == ("web-10", False)


def test_replicasets_of_an_unknown_controller_may_all_wake() -> None:
    rows = [row for row in sets_of_rollout(9, 10).found() if row.doubt]

    assert {row.name for row in rows} == {"web-9", "web-10"}


def test_a_newer_replicaset_with_pods_makes_those_before_it_old() -> None:
    cluster = sets_of_rollout(9)
    cluster.judge.scalers.add_rollout("team", "web", frozenset())
    cluster.workload("docker", kind="ReplicaSet", name="web-10", controller=ROLLOUT, revision=10)

    assert "web-9" not in {row.name for row in cluster.found()}


@pytest.mark.parametrize("waker", [None, YES, MAYBE])
def test_a_paused_deployment_wakes_with_the_newest_of_its_replicasets(waker: Waker | None) -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere", ghcr="elsewhere").account("docker")
    cluster.workload(dormant=True, rollout=Rollout.PAUSED, waker=waker)
    for number, own in ((2, "quay"), (9, "quay"), (10, "ghcr"), (4, "quay")):
        cluster.workload(
            own,
            kind="ReplicaSet",
            name=f"web-{number}",
            dormant=True,
            controller=Owner("Deployment", "web"),
            revision=number,
        )

    rows = [row for row in cluster.found() if row.kind == "ReplicaSet"]

    expected = [("web-10", waker is MAYBE)] if waker else []
    assert [(row.name, row.doubt) for row in rows] == expected


def test_a_stateful_set_wakes_with_the_revision_below_its_partition() -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker")
    cluster.workload(kind="StatefulSet", dormant=True, held="web-1", waker=YES)
    before = Workload(
        *("team", "ControllerRevision", "web-1", (Container("main", IMAGE),), ("quay",)),
        controller=Owner("StatefulSet", "web"),
        revision=1,
    )
    cluster.judge.add_revision(before)

    found = only([row for row in cluster.found() if row.severity is Severity.BLOCKING], "W_")

    assert "revision web-1" in found.explanation


@pytest.mark.parametrize(
    ("known", "expected"), [(None, W.W_SA_UNPATCHED), (NO, W.W_DORMANT), (YES, W.W_SA_UNPATCHED)]
)
def test_a_knative_revision_wakes_unless_no_request_reaches_it(
    known: Waker | None, expected: FindingClass
) -> None:
    cluster = asleep(controller=REVISION, waker=waker_by_marks("Deployment", {}, REVISION))
    if known:
        cluster.judge.scalers.add("team", "Revision", REVISION.name, known)

    assert only(cluster.found(), "W_").finding_class is expected


def test_a_scheduler_of_a_namespace_may_wake_what_is_in_it() -> None:
    cluster = asleep()
    cluster.judge.scalers.add("team", "Deployment", "web", NO)
    cluster.judge.scalers.add_for_all("team", MAYBE)

    assert only(cluster.found(), "W_SA_UNPATCHED").doubt


def test_nothing_is_asked_about_where_nothing_sleeps() -> None:
    cluster = Cluster().account().workload().workload(kind="DaemonSet", name="each")

    assert not cluster.judge.asleep()


@pytest.mark.parametrize(
    ("kind", "marks", "controller", "managed_by", "expected"),
    [
        ("Job", {"kueue.x-k8s.io/queue-name": "team"}, None, "", Wakes.YES),
        ("Job", {}, None, "kueue.x-k8s.io/multikueue", Wakes.MAYBE),
        ("Job", {}, Owner("JobSet", "train", "jobset.x-k8s.io"), "", Wakes.MAYBE),
        ("Job", {}, Owner("CronJob", "nightly"), "", None),
        ("Job", {}, None, "", None),
        ("CronJob", {"downscaler/original-replicas": "1"}, None, "", Wakes.YES),
        ("CronJob", {}, None, "", None),
        ("Deployment", {"downscaler/original-replicas": "3"}, None, "", Wakes.YES),
        ("Deployment", {"downscaler/uptime": "Mon-Fri 08:00-18:00 UTC"}, None, "", Wakes.MAYBE),
        ("Deployment", {"sablier.enable": "false"}, None, "", None),
        ("Deployment", {"com.openfaas.scale.zero": "true"}, None, "", Wakes.YES),
        ("Deployment", {"hibernator.devtron.ai/replicas": "2"}, None, "", Wakes.MAYBE),
        ("StatefulSet", {"example.com/original-replicas": "2"}, None, "", Wakes.MAYBE),
        ("Deployment", {"example.com/previous-scale": "1"}, None, "", Wakes.MAYBE),
        (
            *("Deployment", {"dev.okteto.com/state-before-sleeping": '{"replicas":2}'}),
            *(None, "", Wakes.MAYBE),
        ),
        ("Deployment", {"example.com/replicas": "0"}, None, "", None),
        ("Deployment", {"example.com/max-replicas": "9"}, None, "", Wakes.MAYBE),
        ("Deployment", {"autoscaling.example.com/minReplicas": "1"}, None, "", Wakes.MAYBE),
        ("ReplicaSet", {"deployment.kubernetes.io/desired-replicas": "3"}, None, "", None),
        ("Deployment", {"example.com/replicas-note": "3"}, None, "", Wakes.MAYBE),
        ("Deployment", {"kube-ns-suspender/originalReplicas": "3"}, None, "", Wakes.MAYBE),
        ("StatefulSet", {"loft.sh/paused-replicas": "1"}, None, "", Wakes.MAYBE),
        ("CronJob", {"kubecloudscaler.cloud/original-value": "false"}, None, "", Wakes.MAYBE),
        ("Job", {"kueue.x-k8s.io/prebuilt-workload-name": "w"}, None, "", Wakes.MAYBE),
        ("Deployment", {"example.com/asleep": ""}, None, "", Wakes.MAYBE),
        ("Deployment", {"example.com/state": "Stopped"}, None, "", Wakes.MAYBE),
        ("Deployment", {"example.com/note": '{"was": "three"}'}, None, "", Wakes.MAYBE),
        ("Deployment", {"hours": "office-hours"}, None, "", Wakes.MAYBE),
        ("Deployment", {"example.com/contact": "the shop's team"}, None, "", None),
        ("Deployment", {"example.com/page": "https://example.com/wiki/42"}, None, "", None),
        ("Deployment", {"example.com/commit": "0123456789" * 4}, None, "", None),
        ("Deployment", {"app.kubernetes.io/version": "1.2.3"}, None, "", None),
        ("Deployment", {"app": "web2", "team": "42"}, None, "", None),
        ("Deployment", {"deployment.kubernetes.io/revision": "7"}, None, "", None),
        ("Deployment", {"kubernetes.io/change-cause": "scaled to 0"}, None, "", None),
        ("Deployment", {}, Owner("Kafka", "k", "kafka.strimzi.io"), "", Wakes.MAYBE),
        ("StatefulSet", {}, Owner("Redis", "r", "redis.example.com"), "", Wakes.MAYBE),
        ("ReplicaSet", {}, ROLLOUT, "", None),
        ("CronJob", {}, Owner("Backup", "b", "db.example.com"), "", Wakes.MAYBE),
    ],
)
def test_what_an_object_says_of_its_waking(
    kind: str,
    marks: dict[str, str],
    controller: Owner | None,
    managed_by: str,
    expected: Wakes | None,
) -> None:
    found = waker_by_marks(kind, marks, controller, managed_by)

    assert (found.wakes if found else None) == expected


def test_a_suspended_job_of_a_cronjob_is_judged_by_its_own_template() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload(kind="CronJob")
    cluster.workload(
        "quay", kind="Job", name="web-1", dormant=True, controller=Owner("CronJob", "web")
    )

    found = only(cluster.found(), "W_DORMANT")

    assert (found.kind, found.name) == ("Job", "web-1")


def test_a_suspended_job_like_its_cronjob_is_no_finding_of_its_own() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload(kind="CronJob")
    cluster.workload(kind="Job", name="web-1", dormant=True, controller=Owner("CronJob", "web"))

    assert only(cluster.found(), "W_").kind == "CronJob"
