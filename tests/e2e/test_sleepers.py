"""Workloads that want no pods now and are not covered: what hints that something wakes them makes a doubt.

Each case has a namespace of its own, and one check judges all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from controlplane.cluster import Cluster
from tests.e2e import custom
from tests.e2e.custom import kinds
from tests.e2e.fleet import Space, docker_config
from tests.e2e.lifecycle import owned, template, uid_of
from tests.e2e.readiness import Place, judged
from tests.e2e.service import Service

KINDS = {
    "scaledobjects.keda.sh": "ScaledObject",
    "sleepinfos.kube-green.com": "SleepInfo",
    "rollouts.argoproj.io": "Rollout",
    "applications.argoproj.io": "Application",
    "canaries.flagger.app": "Canary",
    "naps.example.com": "Nap",
    "clusternaps.example.com": "*ClusterNap",
    "servicemonitors.monitoring.coreos.com": "ServiceMonitor",
}
DEPLOYMENT = "/apis/apps/v1/namespaces/{}/deployments/bad"
REFERENCE = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "bad"}
MERGE = "application/merge-patch+json"
Setting = Callable[[Place], None]


@pytest.fixture(scope="module")
def sleeping(clusters: tuple[Cluster, ...]) -> Iterator[None]:
    """Kinds of custom resources that name workloads."""
    with kinds(clusters[0], KINDS):
        yield


def workload(place: Place, *own: str, kind: str = "Deployment", **spec: Any) -> str:
    """Make workload `bad`, which wants no pods; return its uid."""
    pods = template(*(own or ("pull-two",)))
    body: dict[str, Any] = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}}
    body |= {"template": pods} | spec
    group = "apps"
    if kind == "StatefulSet":
        body["serviceName"] = "bad"
    if kind in ("Job", "CronJob"):
        group, pods["spec"]["restartPolicy"] = "batch", "Never"
        body = {"suspend": True, "template": pods}
    if kind == "CronJob":
        jobs = {"spec": {"template": pods}}
        body = {"suspend": True, "schedule": "0 0 1 1 *", "jobTemplate": jobs}
    path = f"/apis/{group}/v1/namespaces/{place.name}/{kind.lower()}s"
    place.post(path, {"metadata": {"name": "bad"}, "spec": body})
    return uid_of(place, f"{path}/bad")


def marked(kind: str = "Deployment", **metadata: dict[str, str]) -> Setting:
    """Have a workload with labels or annotations."""

    def setting(place: Place) -> None:
        workload(place, kind=kind)
        group = "batch" if kind in ("Job", "CronJob") else "apps"
        path = f"/apis/{group}/v1/namespaces/{place.name}/{kind.lower()}s/bad"
        place.patch(path, {"metadata": metadata})

    return setting


def beside(
    plural: str,
    spec: dict[str, Any],
    kind: str = "Deployment",
    metadata: dict[str, Any] | None = None,
) -> Setting:
    """Have a custom resource beside a workload."""

    def setting(place: Place) -> None:
        workload(place, kind=kind)
        custom.resource(place, plural, KINDS[plural], "x", spec, metadata=metadata or {})

    return setting


def scaled(marks: dict[str, str]) -> Setting:
    """Have a ScaledObject of KEDA with annotations."""
    annotations = {f"autoscaling.keda.sh/{key}": value for key, value in marks.items()}
    metadata = {"annotations": annotations}
    return beside("scaledobjects.keda.sh", {"scaleTargetRef": {"name": "bad"}}, metadata=metadata)


def put_to_sleep(manager: str, *, scale: bool = False) -> Setting:
    """Have a field manager write that a workload wants no pods.

    By its scale no manager is recorded of a zero: the API server (1.36) leaves it out of what is written there.
    """

    def setting(place: Place) -> None:
        workload(place, replicas=1)
        place.cluster.http.patch(
            DEPLOYMENT.replace("{}", place.name) + ("/scale" if scale else ""),
            content=json.dumps({"spec": {"replicas": 0}}),
            headers={"Content-Type": MERGE},
            params={"fieldManager": manager},
        ).raise_for_status()

    return setting


def of_the_cluster(place: Place) -> None:
    """A custom resource without a namespace that names the workload and its namespace."""
    workload(place)
    path = "/apis/example.com/v1/clusternaps"
    spec = {"targets": [f"{place.name}/bad"]}
    place.post(path, {"apiVersion": "example.com/v1", "kind": "ClusterNap"} | _named(place, spec))


def _named(place: Place, spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": place.name}, "spec": spec}


def scaled_by_a_cron_job(place: Place) -> None:
    """A CronJob that scales it with kubectl."""
    workload(place)
    run = ["kubectl", "scale", "deployment", "bad", "--replicas=1"]
    container = {"name": "main", "image": "quay.io/tools/kubectl:1", "command": run}
    pods = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"schedule": "0 8 * * 1-5", "jobTemplate": {"spec": {"template": pods}}}
    path = f"/apis/batch/v1/namespaces/{place.name}/cronjobs"
    place.post(path, {"metadata": {"name": "morning"}, "spec": spec})


def scheduled_namespace(place: Place) -> None:
    """A schedule for all that is in the namespace."""
    workload(place)
    place.patch("/api/v1/namespaces/{}", {"metadata": {"annotations": {"x.io/week": "Mon-Fri"}}})


def paused_deployment(place: Place) -> None:
    """A paused Deployment that KEDA scales by its newest, older ReplicaSet."""
    uid = workload(place, "docker", paused=True)
    metadata: dict[str, Any] = {"name": "bad-1", **owned("Deployment", "bad", uid)}
    metadata["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    replica_set(place, metadata, "pull-two", 0)
    scaled_object(place, "Deployment")


def replica_set(place: Place, metadata: dict[str, Any], own: str, replicas: int) -> None:
    """Make a ReplicaSet."""
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}}
    path = f"/apis/apps/v1/namespaces/{place.name}/replicasets"
    place.post(path, {"metadata": metadata, "spec": spec | {"template": template(own)}})


def held_revision(place: Place) -> None:
    """A StatefulSet that KEDA scales, with an older revision below its partition."""
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    uid = workload(place, "docker", kind="StatefulSet", updateStrategy=rolling)
    path = f"/apis/apps/v1/namespaces/{place.name}"
    data = {"spec": {"template": template("pull-two") | {"$patch": "replace"}}}
    metadata = {"name": "bad-1", **owned("StatefulSet", "bad", uid)}
    place.post(f"{path}/controllerrevisions", {"metadata": metadata, "revision": 1, "data": data})
    status: dict[str, Any] = {"replicas": 0, "observedGeneration": 1}
    status |= {"currentRevision": "bad-1", "updateRevision": "bad-2"}
    place.patch(f"{path}/statefulsets/bad/status", {"status": status})
    scaled_object(place, "StatefulSet")


def scaled_object(place: Place, kind: str) -> None:
    """Have KEDA scale the workload."""
    target = {"scaleTargetRef": {"kind": kind, "name": "bad"}}
    custom.resource(place, "scaledobjects.keda.sh", "ScaledObject", "x", target)


def rollout(*used: str) -> Setting:
    """Have a ReplicaSet without pods of a Rollout, the second of three."""

    def setting(place: Place) -> None:
        spec = {"replicas": 2}
        status: dict[str, Any] = {"stableRS": "3", "currentPodHash": "3", "hashes": used}
        owner = custom.resource(place, "rollouts.argoproj.io", "Rollout", "r", spec, status=status)
        for number, own, replicas in ((2, "pull-two", 0), (3, "docker", 1)):
            metadata: dict[str, Any] = {"name": f"r-{number}", "ownerReferences": [owner]}
            metadata["annotations"] = {"rollout.argoproj.io/revision": str(number)}
            replica_set(place, metadata, own, replicas)

    return setting


def deployed_by_argo(place: Place) -> None:
    """A Deployment at zero by hand that an Application has in its status."""
    workload(place)
    resources = [{"kind": "Deployment", "namespace": place.name, "name": "bad"}]
    spec = {"syncPolicy": {"automated": {"selfHeal": True}}}
    custom.resource(
        place, "applications.argoproj.io", "Application", "x", spec, status={"resources": resources}
    )


MON_FRI = {"weekdays": "1-5", "sleepAt": "20:00", "wakeUpAt": "08:00"}
HELM = {"app.kubernetes.io/managed-by": "Helm", "helm.toolkit.fluxcd.io/name": "bad"}
TRACKED = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/bad"}
HARMLESS = {
    "deployment.kubernetes.io/revision": "3",
    "kubernetes.io/change-cause": "scaled to 0",
    "app.kubernetes.io/version": "1.2.3",
    "example.com/contact": "the shop's team",
}
# What hints at a waker, and what is certain to wake.
DOUBTS: dict[str, Setting] = {
    "a note in camel case": marked(annotations={"kube-ns-suspender/originalReplicas": "3"}),
    "a note of another word": marked(annotations={"kubecloudscaler.cloud/original-value": "3"}),
    "a note of a state": marked("CronJob", annotations={"example.com/was": "false"}),
    "a schedule": marked(annotations={"zalando.org/schedule-actions": '[{"replicas":"3"}]'}),
    "vcluster": marked("StatefulSet", annotations={"loft.sh/paused-replicas": "1"}),
    "a label of Kueue": marked("Job", labels={"kueue.x-k8s.io/prebuilt-workload-name": "w"}),
    "a namespace's schedule": scheduled_namespace,
    "a CronJob that scales": scaled_by_a_cron_job,
    "kube-green on a CronJob": beside(
        "sleepinfos.kube-green.com", MON_FRI | {"suspendCronJobs": True}, "CronJob"
    ),
    "workloadRef": beside("rollouts.argoproj.io", {"workloadRef": REFERENCE}),
    "targetRef": beside("canaries.flagger.app", {"targetRef": REFERENCE}),
    "a list of names": beside("naps.example.com", {"deployments": [{"name": "bad"}]}),
    "labels": beside("naps.example.com", {"selector": {"matchLabels": {"app": "web"}}}),
    "a name in the cluster": of_the_cluster,
    "a manager": put_to_sleep("napper"),
    "Flux without a record": marked(labels=HELM),
    "Argo CD without a record": marked(annotations=TRACKED),
    "Argo CD without a label": deployed_by_argo,
    "a ReplicaSet in use": rollout("2"),
    "KEDA, paused at no number": scaled({"paused-replicas": "few"}),
}
CERTAIN: dict[str, Setting] = {
    "KEDA, paused at two": scaled({"paused-replicas": "2"}),
    "KEDA, not paused": scaled({"paused": "False"}),
    "a paused Deployment": paused_deployment,
    "a held revision": held_revision,
}
PLAIN: dict[str, Setting] = {
    "kubectl scale": put_to_sleep("kubectl-scale", scale=True),
    "harmless marks": marked(annotations=HARMLESS, labels={"app": "web2"}),
    "kube-green without CronJobs": beside("sleepinfos.kube-green.com", MON_FRI, "CronJob"),
    "KEDA, paused": scaled({"paused": "1"}),
    "KEDA, paused at none": scaled({"paused-replicas": "0"}),
    "a monitor": beside(
        "servicemonitors.monitoring.coreos.com", {"selector": {"matchLabels": {"app": "web"}}}
    ),
    "a Service": beside("naps.example.com", {"target": {"kind": "Service", "name": "bad"}}),
    "an old ReplicaSet": rollout(),
}


@pytest.mark.usefixtures("sleeping")
def test_what_may_be_woken_is_judged_as_if_it_ran(
    service: Service, clusters: tuple[Cluster, ...]
) -> None:
    cases = DOUBTS | CERTAIN | PLAIN
    places = {name: Place(Space(clusters), ("docker",)) for name in cases}
    for name, place in places.items():
        place.secret().secret(docker_config("quay.io"), name="pull-two")
        cases[name](place)

    check = judged(service, namespaces=[place.name for place in places.values()])

    found = {name: (row["severity"], row["doubt"]) for name, row in worst(check, places).items()}
    assert found == {
        **dict.fromkeys(DOUBTS, ("blocking", True)),
        **dict.fromkeys(CERTAIN, ("blocking", False)),
        **dict.fromkeys(PLAIN, ("warning", False)),
    }


def worst(check: dict[str, Any], places: dict[str, Place]) -> dict[str, dict[str, Any]]:
    """Return the worst finding of each namespace, by its case."""
    rows = sorted(check["findings"], key=lambda row: row["severity"] == "blocking")
    by_namespace = {row["namespace"]: row for row in rows if row["severity"] != "info"}
    return {name: by_namespace.get(place.name, {}) for name, place in places.items()}
