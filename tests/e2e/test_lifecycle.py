"""Pods that come back: of suspended Jobs, of old revisions, of workloads that an autoscaler wakes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.e2e import custom
from tests.e2e.custom import kinds
from tests.e2e.fleet import READINESS_ACCESS, Space, grant_least_privilege, until_allowed
from tests.e2e.lifecycle import classes, hold, old_set, owned, template, uid_of
from tests.e2e.readiness import Place, found, judged
from tests.e2e.service import Service

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NO_REPLICAS = {"spec": {"replicas": 0}}


def test_a_suspended_job_of_a_cronjob_is_judged_by_its_own_template(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret().workload(kind="CronJob")
    suspended_job(place)

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_DORMANT")
    assert (row["kind"], row["name"], row["severity"]) == ("Job", "web-1", "warning")
    place.patch("/apis/batch/v1/namespaces/{}/jobs/web-1", {"spec": {"suspend": False}})
    assert judged(service, namespaces=[place.name])["verdict"] != "safe"


def test_a_job_that_a_queue_holds_back_is_judged_like_one_that_runs(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret().workload(kind="CronJob")
    suspended_job(place, labels={"kueue.x-k8s.io/queue-name": "team"})

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_UNKNOWN")
    assert (row["name"], row["severity"]) == ("web-1", "blocking")
    assert "Kueue" in row["explanation"]
    assert check["verdict"] == "unknown"


def suspended_job(place: Place, **metadata: Any) -> None:
    """Make a suspended Job of CronJob web with a Secret of its own."""
    uid = uid_of(place, "/apis/batch/v1/namespaces/{}/cronjobs/web")
    spec = template("quay")
    spec["spec"]["restartPolicy"] = "Never"
    body = {
        "metadata": {"name": "web-1", **owned("CronJob", "web", uid, "batch/v1"), **metadata},
        "spec": {"suspend": True, "template": spec},
    }
    place.post(f"/apis/batch/v1/namespaces/{place.name}/jobs", body)


def test_old_replicasets_that_a_rollback_revives_are_one_warning(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret().workload()
    uid = uid_of(place, "/apis/apps/v1/namespaces/{}/deployments/web")
    revision = "deployment.kubernetes.io/revision"
    old_set(place, "web-1", uid, "quay", annotations={revision: "1"})
    old_set(place, "web-2", uid, "quay", annotations={revision: "2"})
    old_set(place, "web-3", uid, "docker", annotations={revision: "3"})
    old_set(place, "web-4", uid, annotations={revision: "4"})

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_DORMANT")
    assert (row["kind"], row["name"], row["severity"]) == ("Deployment", "web", "warning")
    assert row["count"] == 2
    assert row["examples"] == ["web-2", "web-1"]
    assert "rollback" in row["explanation"]
    assert "2, 1" in row["explanation"]
    assert check["verdict"] == "safe"


def stateful(place: Place, now: tuple[str, ...], before: tuple[str, ...], **spec: Any) -> None:
    """Make StatefulSet web in the middle of a rollout, with both its revisions."""
    path = f"/apis/apps/v1/namespaces/{place.name}"
    body = {
        "metadata": {"name": "web"},
        "spec": {
            "serviceName": "web",
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(*now),
        }
        | spec,
    }
    place.post(f"{path}/statefulsets", body)
    revisions(place, "StatefulSet", before, now)
    status = {
        "replicas": 0,
        "observedGeneration": 1,
        "currentRevision": "web-rev1",
        "updateRevision": "web-rev2",
    }
    place.patch(f"{path}/statefulsets/web/status", {"status": status})


def revisions(place: Place, kind: str, *templates: tuple[str, ...]) -> None:
    """Make the ControllerRevisions of web, the oldest first."""
    path = f"/apis/apps/v1/namespaces/{place.name}"
    uid = uid_of(place, f"{path}/{kind.lower()}s/web")
    for number, own in enumerate(templates, 1):
        place.post(
            f"{path}/controllerrevisions",
            {
                "metadata": {"name": f"web-rev{number}", **owned(kind, "web", uid)},
                "revision": number,
                "data": {"spec": {"template": {**template(*own), "$patch": "replace"}}},
            },
        )


def partitioned(partition: int) -> dict[str, Any]:
    """Return an update strategy."""
    return {
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
    }


def test_a_partition_makes_pods_of_the_older_revision_though_none_is_there(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret()
    stateful(place, (), ("quay",), **partitioned(3))

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_UNKNOWN")
    assert (row["kind"], row["name"], row["severity"]) == ("StatefulSet", "web", "blocking")
    assert "web-rev1" in row["explanation"]
    assert check["verdict"] == "unknown"
    place.patch("/apis/apps/v1/namespaces/{}/statefulsets/web", {"spec": partitioned(0)})
    assert judged(service, namespaces=[place.name])["verdict"] == "safe", "the fix cures it"


def test_a_partition_whose_older_revision_is_covered_is_safe(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret()
    stateful(place, ("docker",), (), **partitioned(1))

    check = judged(service, namespaces=[place.name])

    assert check["verdict"] == "safe"
    assert set(classes(check)) >= {"W_COVERED_SA", "W_COVERED_TEMPLATE"}


@pytest.mark.parametrize("strategy", [partitioned(0), {"updateStrategy": {"type": "OnDelete"}}])
def test_without_a_partition_only_a_rollback_brings_the_older_revision_back(
    service: Service, space: Space, strategy: dict[str, Any]
) -> None:
    place = Place(space, ("docker",)).secret()
    stateful(place, (), ("quay",), **strategy)

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_DORMANT")
    assert (row["kind"], row["name"], row["severity"]) == ("StatefulSet", "web", "warning")
    assert row["examples"] == ["web-rev1"]
    assert check["verdict"] == "safe"


def test_an_older_revision_of_a_daemonset_comes_back_by_a_rollback(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret().workload(kind="DaemonSet")
    revisions(place, "DaemonSet", ("quay",), ())

    row = found(judged(service, namespaces=[place.name]), "W_DORMANT")

    assert (row["kind"], row["name"], row["examples"]) == ("DaemonSet", "web", ["web-rev1"])


def scaler(place: Place, minimum: int | None = None, **metadata: Any) -> None:
    """Make a HorizontalPodAutoscaler for Deployment web."""
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "maxReplicas": 5,
    }
    if minimum is not None:
        spec["minReplicas"] = minimum
    path = f"/apis/autoscaling/v2/namespaces/{place.name}/horizontalpodautoscalers"
    place.post(path, {"metadata": {"name": "web", **metadata}, "spec": spec})


def test_an_autoscaler_is_off_while_there_are_no_replicas(service: Service, space: Space) -> None:
    place = Place(space).secret().workload(replicas=0)
    scaler(place, 1)

    row = found(judged(service, namespaces=[place.name]), "W_DORMANT")

    assert row["severity"] == "warning"
    assert "HorizontalPodAutoscaler 'web'" in row["explanation"]


def test_a_deployment_that_keda_scales_from_zero_is_judged_like_one_that_runs(
    service: Service, space: Space
) -> None:
    place = Place(space).secret().workload(replicas=0)
    scaler(place, 1, **owned("ScaledObject", "web", "1-2-3", "keda.sh/v1alpha1"))

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_SA_UNPATCHED")
    assert row["severity"] == "blocking"
    assert "ScaledObject 'web'" in row["explanation"]
    assert check["verdict"] == "not_safe"


def test_an_autoscaler_that_scaled_to_zero_scales_up_again(service: Service, space: Space) -> None:
    place = Place(space).secret().workload(replicas=0)
    scaler(place, 1)
    path = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/web/status"
    condition = {"type": "ScaledToZero", "status": "True", "reason": "ScaledToZero"}
    place.patch(
        path, {"status": {"desiredReplicas": 0, "currentReplicas": 0, "conditions": [condition]}}
    )

    assert judged(service, namespaces=[place.name])["verdict"] == "not_safe"


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"annotations": {"downscaler/original-replicas": "3"}}, "kube-downscaler"),
        (
            {"annotations": {"idling.alpha.openshift.io/idled-at": "2026-01-01T00:00:00Z"}},
            "OpenShift",
        ),
        ({"labels": {"sablier.enable": "true"}}, "Sablier"),
        ({"annotations": {"hibernator.devtron.ai/replicas": "2"}}, "hibernator.devtron.ai"),
    ],
)
def test_a_workload_that_only_sleeps_is_judged_like_one_that_runs(
    service: Service, space: Space, what: dict[str, Any], told: str
) -> None:
    place = Place(space).secret().workload(replicas=0)
    place.patch("/apis/apps/v1/namespaces/{}/deployments/web", {"metadata": what})

    row = found(judged(service, namespaces=[place.name]), "W_SA_UNPATCHED")

    assert row["severity"] == "blocking"
    assert told in row["explanation"]


def test_a_deployment_of_a_knative_revision_is_judged_like_one_that_runs(
    service: Service, space: Space
) -> None:
    place = Place(space).secret().workload(replicas=0)
    place.patch(
        "/apis/apps/v1/namespaces/{}/deployments/web",
        {"metadata": owned("Revision", "web-00001", "1-2-3", "serving.knative.dev/v1")},
    )

    row = found(judged(service, namespaces=[place.name]), "W_SA_UNPATCHED")

    assert row["severity"] == "blocking"
    assert "Knative" in row["explanation"]


def flux_applies(place: Place, replicas: int) -> None:
    """Apply Deployment web server-side."""
    path = f"/apis/apps/v1/namespaces/{place.name}/deployments/web"
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
        },
    }
    place.cluster.http.patch(
        path,
        content=json.dumps(body),
        headers={"Content-Type": "application/apply-patch+yaml"},
        params={"fieldManager": "kustomize-controller", "force": "true"},
    ).raise_for_status()


def test_an_applier_brings_back_the_replicas_that_somebody_scaled_away(
    service: Service, space: Space
) -> None:
    place = Place(space).secret()
    flux_applies(place, 2)
    place.patch(f"/apis/apps/v1/namespaces/{place.name}/deployments/web/scale", NO_REPLICAS)

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_SA_UNPATCHED")
    assert (row["severity"], row["doubt"]) == ("blocking", True)
    assert "kustomize-controller" in row["explanation"]
    assert check["verdict"] == "unknown"


def test_an_applier_that_wants_no_replicas_itself_brings_none_back(
    service: Service, space: Space
) -> None:
    place = Place(space).secret()
    flux_applies(place, 2)
    flux_applies(place, 0)

    check = judged(service, namespaces=[place.name])

    assert found(check, "W_DORMANT")["severity"] == "warning"
    assert check["verdict"] == "safe"


@pytest.mark.parametrize(
    ("kind", "path", "spec", "wanted"),
    [
        ("Deployment", "/apis/apps/v1", NO_REPLICAS, {"replicas": 3}),
        ("StatefulSet", "/apis/apps/v1", NO_REPLICAS, {"replicas": 3}),
        ("CronJob", "/apis/batch/v1", {"spec": {"suspend": True}}, {"suspend": False}),
    ],
)
def test_the_manifest_of_kubectl_apply_wants_pods_that_are_not_wanted_now(
    service: Service,
    space: Space,
    kind: str,
    path: str,
    spec: dict[str, Any],
    wanted: dict[str, Any],
) -> None:
    place = Place(space).secret().workload(kind=kind)
    applied = {LAST_APPLIED: json.dumps({"kind": kind, "spec": wanted})}
    thing = f"{path}/namespaces/{place.name}/{kind.lower()}s/web"
    place.patch(thing, {"metadata": {"annotations": applied}} | spec)

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_SA_UNPATCHED")
    assert (row["severity"], row["doubt"]) == ("blocking", True)
    assert "kubectl apply" in row["explanation"]
    assert check["verdict"] == "unknown"


def test_a_custom_resource_may_scale_up_the_deployment_that_it_controls(
    service: Service, space: Space
) -> None:
    place = Place(space).secret().workload(replicas=0)
    place.patch(
        "/apis/apps/v1/namespaces/{}/deployments/web",
        {"metadata": owned("Kafka", "events", "1-2-3", "kafka.strimzi.io/v1beta2")},
    )

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_SA_UNPATCHED")
    assert (row["severity"], row["doubt"]) == ("blocking", True)
    assert "Kafka 'events'" in row["explanation"]
    assert check["verdict"] == "unknown"


def test_pods_of_a_namespace_that_hangs_in_termination_are_named(
    service: Service, space: Space
) -> None:
    place = Place(space).pod()
    path = f"/api/v1/namespaces/{place.name}"
    place.cluster.http.delete(path).raise_for_status()  # no controller is there to finish it

    check = judged(service, namespaces=[place.name])

    (row,) = [row for row in check["findings"] if row["namespace"] == place.name]
    assert (row["class"], row["severity"]) == ("N_IGNORED", "warning")
    assert row["examples"] == ["web"]
    assert "web" in row["explanation"]


SCALING = {
    "scaledobjects.keda.sh": "ScaledObject",
    "revisions.serving.knative.dev": "Revision",
    "externalsecrets.external-secrets.io": "ExternalSecret",
}


@pytest.fixture(scope="module")
def scaling(clusters: tuple[Cluster, ...]) -> Iterator[None]:
    """The kinds of custom resources that scale workloads, or make Secrets."""
    with kinds(clusters[0], SCALING):
        yield


@pytest.mark.usefixtures("scaling")
def test_a_scaled_object_wakes_what_it_names_unless_it_is_paused(
    service: Service, space: Space
) -> None:
    place = Place(space).secret().workload(replicas=0)
    target = {"scaleTargetRef": {"name": "web"}, "minReplicaCount": 0}
    custom.resource(place, "scaledobjects.keda.sh", "ScaledObject", "web", target)

    awake = judged(service, namespaces=[place.name])
    path = "/apis/keda.sh/v1/namespaces/{}/scaledobjects/web"
    place.patch(path, {"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}})
    paused = judged(service, namespaces=[place.name])

    assert awake["verdict"] == "not_safe"
    assert "ScaledObject 'web'" in found(awake, "W_SA_UNPATCHED")["explanation"]
    assert paused["verdict"] == "safe"
    assert "paused" in found(paused, "W_DORMANT")["explanation"]


@pytest.mark.usefixtures("scaling")
def test_a_knative_revision_that_gets_no_requests_is_only_a_warning(
    service: Service, space: Space
) -> None:
    place = Place(space).secret().workload(replicas=0)
    state = {"serving.knative.dev/routingState": "reserve"}
    owner = custom.resource(
        place, "revisions.serving.knative.dev", "Revision", "web-1", {}, metadata={"labels": state}
    )
    path = "/apis/apps/v1/namespaces/{}/deployments/web"
    place.patch(path, {"metadata": {"ownerReferences": [owner]}})

    reserve = judged(service, namespaces=[place.name])
    active = {"metadata": {"labels": {"serving.knative.dev/routingState": "active"}}}
    place.patch("/apis/serving.knative.dev/v1/namespaces/{}/revisions/web-1", active)
    routed = judged(service, namespaces=[place.name])

    assert reserve["verdict"] == "safe"
    assert found(reserve, "W_DORMANT")["severity"] == "warning"
    assert routed["verdict"] == "not_safe"


@pytest.mark.usefixtures("scaling")
def test_a_secret_goes_with_the_custom_resource_that_owns_it(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret().workload(kind="CronJob")
    owner = custom.resource(
        place, "externalsecrets.external-secrets.io", "ExternalSecret", "docker", {}
    )
    place.patch("/api/v1/namespaces/{}/secrets/docker", {"metadata": {"ownerReferences": [owner]}})
    before = judged(service, namespaces=[place.name])
    path = "/apis/external-secrets.io/v1/namespaces/{}/externalsecrets/docker"
    hold(place, path)

    check = judged(service, namespaces=[place.name])

    assert "W_DANGLING" not in classes(before)
    row = found(check, "W_DANGLING")
    assert (row["severity"], row["doubt"]) == ("blocking", True)
    assert "externalsecrets.external-secrets.io 'docker'" in row["explanation"]


def test_without_the_newer_rights_only_what_they_would_tell_is_in_doubt(
    tmp_path: Path, clusters: tuple[Cluster, ...], credentials: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    beta = clusters[1]  # where other tests have no custom resources
    context = ContextSpec(beta.server, beta.ca_file, older_rights(beta))
    write_kubeconfig(kubeconfig, {"beta": context})
    plain, asleep, held = (Place(Space((beta,)), ("docker",)).secret() for _ in range(3))
    plain.workload(kind="DaemonSet")
    asleep.workload("quay", replicas=0)
    stateful(held, (), ("quay",), **partitioned(3))
    other = Service(tmp_path / "service", [kubeconfig], credentials)
    try:
        checks = [
            judged(other, clusters=["beta"], namespaces=[each.name])
            for each in (plain, asleep, held)
        ]
    finally:
        other.stop()

    assert [check["verdict"] for check in checks] == ["safe", "unknown", "unknown"]
    assert found(checks[0], "C_UNREADABLE")["severity"] == "warning"
    assert "horizontalpodautoscalers" in found(checks[1], "W_UNKNOWN")["explanation"]
    assert "controllerrevisions" in found(checks[2], "W_UNKNOWN")["explanation"]


def older_rights(cluster: Cluster) -> str:
    """Give an account the documented rights but for the newest; return its token."""
    grant_least_privilege(cluster)
    role = next(
        role
        for role in yaml.safe_load_all(READINESS_ACCESS.read_text())
        if role["metadata"]["name"] == "remediator-readiness"
    )
    role["metadata"]["name"] = "older-readiness"
    newer = {"controllerrevisions", "horizontalpodautoscalers"}
    for rule in role["rules"]:
        rule["resources"] = [name for name in rule["resources"] if name not in newer] or ["none"]
    account = {"name": "older", "namespace": "default"}
    cluster.apply({"kind": "ServiceAccount", "metadata": account}, role)
    for name in ("remediator", "older-readiness"):
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        binding = {"kind": "ClusterRoleBinding", "metadata": {"name": f"{name}-older"}}
        subjects = [{"kind": "ServiceAccount"} | account]
        cluster.apply(binding | {"roleRef": reference, "subjects": subjects})
    for rule in role["rules"]:
        if rule["resources"] != ["none"]:
            until_allowed(cluster, "older", rule)
    return cluster.service_account_token("default", "older")
