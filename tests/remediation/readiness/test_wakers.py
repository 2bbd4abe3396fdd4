"""What wants no pods now, and what makes it want some again."""

from typing import Any

import pytest

from remediation.readiness.finding import FindingClass, Severity
from remediation.readiness.observation import Owner, Waker, Wakes
from remediation.readiness.wakers import KNATIVE, waker_by_marks
from tests.remediation.readiness.cluster import Cluster, only

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


def test_only_the_newest_replicaset_of_what_is_scaled_wakes() -> None:
    cluster = Cluster().account()
    for number in (9, 10):
        cluster.workload(
            kind="ReplicaSet",
            name=f"web-{number}",
            dormant=True,
            controller=ROLLOUT,
            revision=number,
        )
    assert ("team", "Rollout", "web") in cluster.judge.asleep()
    cluster.judge.scalers.add("team", "Rollout", "web", YES)

    assert only(cluster.found(), "W_SA_UNPATCHED").name == "web-10"


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
    cluster = Cluster().account().workload().workload(kind="CronJob", name="n", dormant=True)

    assert cluster.judge.asleep() == frozenset()


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
        ("Deployment", {"downscaler/uptime": "Mon-Fri 08:00-18:00 UTC"}, None, "", None),
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
        ("Deployment", {"example.com/max-replicas": "9"}, None, "", None),
        ("Deployment", {"autoscaling.example.com/minReplicas": "1"}, None, "", None),
        ("ReplicaSet", {"deployment.kubernetes.io/desired-replicas": "3"}, None, "", None),
        ("Deployment", {"example.com/replicas-note": "3"}, None, "", None),
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
