"""Custom resources and admission on a real API server: what cannot be seen to be covered is never called safe."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.cluster import Cluster
from tests.e2e.custom import kinds, mutating_policy, resource
from tests.e2e.fleet import Space, docker_config
from tests.e2e.readiness import IMAGE, Place, found, judged
from tests.e2e.service import Service

BUSYBOX = "docker.io/library/busybox:1"
PROXY = "registry.example.com/infra/proxy:1"
KINDS = {
    "clusters.db.example.com": "Cluster",
    "clusters.other.example.com": "Cluster",
    "clonesets.apps.kruise.io": "CloneSet",
    "rollouts.argoproj.io": "Rollout",
    "policies.kyverno.io": "Policy",
    "scaledobjects.keda.sh": "ScaledObject",
}


@pytest.fixture(scope="module", autouse=True)
def custom_kinds(clusters: tuple[Cluster, ...]) -> Iterator[None]:
    with kinds(clusters[0], KINDS):
        yield


def in_line(space: Space) -> Place:
    """Return a namespace whose account names the Secret, which holds the login."""
    return Place(space, ("docker",)).secret()


def owned(place: Place, owner: dict[str, Any], name: str = "db", **spec: Any) -> Place:
    """Make a StatefulSet that a custom resource controls."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": IMAGE}], **spec},
    }
    body = {"selector": {"matchLabels": {"app": name}}, "serviceName": name, "template": template}
    metadata = {"name": name, "ownerReferences": [owner]}
    path = f"/apis/apps/v1/namespaces/{place.name}/statefulsets"
    place.post(path, {"metadata": metadata, "spec": body})
    return place


def test_a_plain_custom_resource_is_explained_by_what_it_owns(
    service: Service, space: Space
) -> None:
    place = in_line(space)
    owned(place, resource(place, "clusters.db.example.com", "Cluster", "db", {"image": IMAGE}))

    check = judged(service, namespaces=[place.name])

    assert found(check, "W_OTHER")["severity"] == "info"
    assert check["verdict"] == "safe"


def test_a_second_field_with_the_image_is_another_use(service: Service, space: Space) -> None:
    place = in_line(space)
    space.account(place.name, "backup")
    backup = {"schedule": "0 3 * * *", "image": IMAGE, "serviceAccountName": "backup"}
    spec = {"image": IMAGE, "backup": backup}
    owned(place, resource(place, "clusters.db.example.com", "Cluster", "db", spec))

    check = judged(service, namespaces=[place.name])

    rows = [row for row in check["findings"] if row["class"] == "W_OTHER"]
    assert sorted(row["severity"] for row in rows) == ["blocking", "info"]
    assert "spec.backup.image" in next(r for r in rows if r["doubt"])["explanation"]
    assert check["verdict"] == "unknown"


def test_the_pull_configuration_of_the_resource_counts(service: Service, space: Space) -> None:
    place = in_line(space)
    template = {
        "spec": {
            "imagePullSecrets": [{"name": "quay-pull"}],
            "containers": [{"name": "main", "image": IMAGE}],
        }
    }
    spec = {"paused": True, "template": template}
    owner = resource(place, "clonesets.apps.kruise.io", "CloneSet", "cs", spec)
    place.pod("docker", ownerReferences=[owner])

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_OTHER")
    assert (row["severity"], row["doubt"]) == ("blocking", True)
    assert "quay-pull" in row["explanation"]
    assert check["verdict"] == "unknown"
    assert not [row for row in check["findings"] if row["class"] == "W_COVERED_SA"]


def test_at_l3_a_custom_resource_that_cannot_be_asked_about_is_a_finding_of_its_own(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret()
    spec = {"template": {"spec": {"containers": [{"name": "main", "image": IMAGE}]}}}
    owner = resource(place, "clonesets.apps.kruise.io", "CloneSet", "cs", spec)
    place.pod("docker", ownerReferences=[owner])

    check = judged(service, namespaces=[place.name], evidence="L3")

    row = next(
        row for row in check["findings"] if row["name"] == "cs" and row["class"] == "W_ADMISSION"
    )
    assert (row["namespace"], row["kind"], row["doubt"]) == (place.name, "CloneSet", True)
    assert "waive" in row["fix"]
    assert check["verdict"] == "unknown"


def test_the_template_of_a_rollout_is_not_that_of_its_older_replicaset(
    service: Service, space: Space
) -> None:
    place = in_line(space)
    template = {
        "spec": {
            "imagePullSecrets": [{"name": "quay-pull"}],
            "containers": [{"name": "main", "image": IMAGE}],
        }
    }
    spec = {"paused": True, "template": template}
    owner = resource(place, "rollouts.argoproj.io", "Rollout", "ro", spec)
    body = {
        "selector": {"matchLabels": {"app": "ro"}},
        "template": {
            "metadata": {"labels": {"app": "ro"}},
            "spec": {"containers": [{"name": "main", "image": IMAGE}]},
        },
    }
    path = f"/apis/apps/v1/namespaces/{place.name}/replicasets"
    place.post(path, {"metadata": {"name": "ro-1", "ownerReferences": [owner]}, "spec": body})

    assert judged(service, namespaces=[place.name])["verdict"] == "unknown"


def test_the_same_kind_of_another_group_explains_nothing(service: Service, space: Space) -> None:
    place = in_line(space)
    resource(place, "clusters.db.example.com", "Cluster", "db", {"image": IMAGE})
    other = resource(place, "clusters.other.example.com", "Cluster", "db", {"size": 1})
    owned(place, other)

    assert judged(service, namespaces=[place.name])["verdict"] == "unknown"


REPLACE = (
    '[JSONPatch{op: "replace", path: "/spec/containers/0/image", value: "registry.example.com'
    '/team/app:1"}]'
)
ADD = (
    '[JSONPatch{op: "add", path: "/spec/containers/-",'
    f' value: Object.spec.containers{{name: "proxy", image: "{PROXY}"}}}}]'
)


def test_images_that_admission_rewrites_are_judged_at_l3(deep: Service, space: Space) -> None:
    place = Place(space).secret().workload(kind="CronJob", image=BUSYBOX)
    with mutating_policy(place, REPLACE, probe=IMAGE):
        check = judged(deep, namespaces=[place.name], evidence="L3")

    row = found(check, "W_SA_UNPATCHED")
    assert (row["kind"], row["image"]) == ("CronJob", IMAGE)
    assert check["verdict"] == "not_safe"


def test_the_key_of_an_image_that_admission_adds_is_looked_at(deep: Service, space: Space) -> None:
    place = Place(space, ("docker",)).secret(docker_config("registry.example.com/team"))
    place.workload(kind="CronJob")
    with mutating_policy(place, ADD, probe=PROXY):
        check = judged(deep, namespaces=[place.name], evidence="L3")

    assert found(check, "W_KEY")["image"] == PROXY
    assert check["verdict"] == "not_safe"


@pytest.mark.parametrize("expression", [REPLACE, ADD], ids=["replace", "add"])
def test_a_policy_that_names_the_registry_is_seen_below_l3(
    service: Service, space: Space, expression: str
) -> None:
    place = in_line(space).workload(kind="CronJob", image=BUSYBOX)
    with mutating_policy(place, expression) as name:
        check = judged(service, namespaces=[place.name])

    row = found(check, "W_OTHER")
    assert (row["kind"], row["name"], row["doubt"]) == ("MutatingAdmissionPolicy", name, True)
    assert "L3" in row["fix"]
    assert check["verdict"] == "unknown"


def test_a_policy_for_other_namespaces_is_no_trouble(service: Service, space: Space) -> None:
    elsewhere, place = Place(space), Place.at(space, space.namespace("more", []))
    space.account(place.name, "default", "docker")
    place.secret().workload(kind="CronJob")
    with mutating_policy(elsewhere, REPLACE):
        assert judged(service, namespaces=[place.name])["verdict"] == "safe"


def test_a_left_out_namespace_with_nothing_but_a_custom_resource_is_named(
    service: Service, space: Space
) -> None:
    place = Place(space)
    resource(place, "clusters.db.example.com", "Cluster", "db", {"image": IMAGE})

    check = judged(service, namespaces=[place.name], ignore=[place.name])

    rows = {row["namespace"]: row for row in check["findings"] if row["class"] == "N_IGNORED"}
    assert rows[place.name]["severity"] == "warning"
    assert "1 more objects" in rows[place.name]["explanation"]


def test_what_is_past_the_bound_of_one_object_is_unknown(service: Service, space: Space) -> None:
    place = in_line(space)
    spec = {"a": [IMAGE] * 2000, "z": {"image": "registry.example.com/other/app:9"}}
    owned(place, resource(place, "clusters.db.example.com", "Cluster", "db", spec))

    check = judged(service, namespaces=[place.name])

    rows = [row for row in check["findings"] if row["class"] == "W_OTHER"]
    assert any("more fields than are looked at" in row["explanation"] for row in rows)
    assert check["verdict"] == "unknown"


SHOUTED = base64.b64encode(b"image: REGISTRY.EXAMPLE.COM/team/app:1").decode()
ENCODED = base64.b64encode(f'{{"image": "{IMAGE}"}}'.encode()).decode()


@pytest.mark.parametrize(
    ("spec", "more"),
    [
        ({"payload": ENCODED}, {}),
        ({"payload": SHOUTED}, {}),
        ({"registry": {"host": "registry"}, "global": {"domain": "example.com"}}, {}),
        ({"host": "registry", "domain": "example.com", "repository": "team/app"}, {}),
        ({"size": 1}, {"metadata": {"annotations": {"db.example.com/image": IMAGE}}}),
        ({"registry": "registry.example.com", "repository": "team/app", "tag": "1"}, {}),
    ],
    ids=[
        "base64",
        "upper case in base64",
        "host in two objects",
        "host in two fields",
        "annotation",
        "image in three fields",
    ],
)
def test_the_registry_is_seen_in_other_forms(
    service: Service, space: Space, spec: Any, more: dict[str, Any]
) -> None:
    place = in_line(space)
    resource(place, "clusters.db.example.com", "Cluster", "db", spec, **more)

    check = judged(service, namespaces=[place.name])

    assert found(check, "W_OTHER")["doubt"] is True
    assert check["verdict"] == "unknown"


def test_a_word_and_a_domain_of_something_else_are_no_registry(
    service: Service, space: Space
) -> None:
    place = in_line(space).workload()
    spec = {
        "secretName": "registry",
        "issuer": {"host": "registry"},
        "dns": {"domain": "example.com"},
    }
    resource(place, "clusters.db.example.com", "Cluster", "db", spec)

    assert judged(service, namespaces=[place.name])["verdict"] == "safe"


def test_a_registry_with_a_port_of_its_own_is_seen_in_two_fields(
    service: Service, space: Space
) -> None:
    place = in_line(space)
    spec = {"registry": {"host": "registry.example.com", "port": 5000}}
    resource(place, "clusters.db.example.com", "Cluster", "db", spec)

    asked = {"registry": "registry.example.com:5000", "credential": None}
    check = judged(service, namespaces=[place.name], **asked)

    assert found(check, "W_OTHER")["doubt"] is True


def test_what_kubectl_has_applied_is_no_field(service: Service, space: Space) -> None:
    place = in_line(space)
    applied = {"kubectl.kubernetes.io/last-applied-configuration": f'{{"image": "{IMAGE}"}}'}
    more = {"metadata": {"annotations": applied}}
    db = resource(place, "clusters.db.example.com", "Cluster", "db", {"image": IMAGE}, **more)
    owned(place, db)

    assert judged(service, namespaces=[place.name])["verdict"] == "safe"


def test_an_image_in_three_fields_is_explained_as_one(service: Service, space: Space) -> None:
    place = in_line(space)
    spec = {"image": {"registry": "registry.example.com", "repository": "team/app", "tag": "1"}}
    owned(place, resource(place, "clusters.db.example.com", "Cluster", "db", spec))

    assert judged(service, namespaces=[place.name])["verdict"] == "safe"


SECRETS = '[JSONPatch{op: "add", path: "/spec/imagePullSecrets", value: [{"name": "policy-cred"}]}]'


def test_a_policy_that_writes_secrets_leaves_templates_in_doubt_below_l3(
    service: Service, deep: Service, space: Space
) -> None:
    place = in_line(space).workload(kind="CronJob")
    with mutating_policy(place, SECRETS, probe="policy-cred") as name:
        below = judged(service, namespaces=[place.name])
        asked = judged(deep, namespaces=[place.name], evidence="L3")

    row = found(below, "W_OTHER")
    assert (row["name"], row["doubt"], row["count"]) == (name, True, 1)
    assert below["verdict"] == "unknown"
    row = found(asked, "W_ADMISSION")
    assert (row["severity"], row["doubt"], row["coverage"]) == ("blocking", False, "MISSING")
    assert asked["verdict"] == "not_safe"
    # Pods that are made by hand are changed as well, and no one asked about them.
    row = found(asked, "W_OTHER")
    assert (row["name"], row["severity"], row["doubt"]) == (name, "warning", False)


TOLD_APART: list[dict[str, Any]] = [
    {"expression": SECRETS, "condition": "!request.dryRun"},
    {"expression": REPLACE, "condition": "has(object.metadata.ownerReferences)"},
    {
        "expression": SECRETS,
        "selector": {"matchExpressions": [{"key": "job-name", "operator": "Exists"}]},
    },
]


@pytest.mark.parametrize("when", TOLD_APART, ids=["dry run", "owner", "selector"])
def test_a_policy_that_tells_a_dry_run_from_a_real_pod_is_unknown_at_l3(
    deep: Service, space: Space, when: dict[str, Any]
) -> None:
    place = in_line(space).workload(kind="CronJob")
    with mutating_policy(place, **when) as name:
        check = judged(deep, namespaces=[place.name], evidence="L3")

    row = found(check, "W_OTHER")
    assert (row["name"], row["severity"], row["doubt"]) == (name, "blocking", True)


def test_a_policy_that_looks_at_labels_of_templates_is_asked_at_l3(
    deep: Service, space: Space
) -> None:
    place = in_line(space).workload(kind="CronJob")
    condition = "object.metadata.?labels[?'team'].orValue('') == 'one' && request.namespace != 'x'"
    with mutating_policy(place, SECRETS, condition=condition):
        check = judged(deep, namespaces=[place.name], evidence="L3")

    assert found(check, "W_OTHER")["severity"] == "warning"


def test_what_wakes_a_workload_with_an_image_of_admission_is_seen(
    deep: Service, space: Space
) -> None:
    place = Place(space).workload(image=BUSYBOX, replicas=0)
    scaler = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}
    resource(place, "scaledobjects.keda.sh", "ScaledObject", "so", scaler)
    with mutating_policy(place, REPLACE, probe=IMAGE):
        check = judged(deep, namespaces=[place.name], evidence="L3")

    assert found(check, "W_SA_UNPATCHED")["severity"] == "blocking"


def test_a_policy_that_changes_no_images_is_no_trouble(service: Service, space: Space) -> None:
    place = in_line(space).workload(kind="CronJob")
    labels = '[JSONPatch{op: "add", path: "/metadata/labels", value: {"a": "b"}}]'
    with mutating_policy(place, labels):
        assert judged(service, namespaces=[place.name])["verdict"] == "safe"


def running_pod(place: Place, *secrets: str, image: str = "elsewhere.example.com/app:1") -> None:
    """Make a pod of the ReplicaSet web."""
    http = place.cluster.http
    path = f"/apis/apps/v1/namespaces/{place.name}/replicasets/web"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "controller": True}
    owner["uid"] = http.get(path).json()["metadata"]["uid"]
    place.pod(*secrets, image=image, ownerReferences=[owner])


def test_a_running_pod_gives_away_that_lists_are_rewritten(service: Service, space: Space) -> None:
    place = in_line(space).workload(kind="CronJob")
    place.workload(kind="ReplicaSet", image="elsewhere.example.com/app:1")
    quiet = judged(service, namespaces=[place.name])
    running_pod(place, "policy-cred")

    check = judged(service, namespaces=[place.name])

    assert quiet["verdict"] == "safe"
    row = found(check, "W_ADMISSION")
    assert (row["kind"], row["name"], row["doubt"]) == ("Namespace", place.name, True)
    assert "policy-cred" in row["explanation"]
    assert check["verdict"] == "unknown"


def test_a_pod_that_is_older_than_the_entry_gives_nothing_away(
    service: Service, space: Space
) -> None:
    place = in_line(space).workload(kind="CronJob")
    place.workload(kind="ReplicaSet", image="elsewhere.example.com/app:1")
    running_pod(place)
    path = f"/api/v1/namespaces/{place.name}/serviceaccounts/default"
    place.patch(path, {"imagePullSecrets": [{"name": "docker"}, {"name": "more"}]})
    place.secret(name="more")

    assert all(
        row["class"] != "W_ADMISSION"
        for row in judged(service, namespaces=[place.name])["findings"]
    )


def test_what_admission_refuses_is_unknown_where_something_changes_pods(
    deep: Service, space: Space
) -> None:
    place = Place(space).workload(kind="CronJob", image=BUSYBOX)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    place.patch("/api/v1/namespaces/{}", {"metadata": {"labels": labels}})
    with mutating_policy(place, REPLACE, probe="PodSecurity"):
        check = judged(deep, namespaces=[place.name], evidence="L3")

    row = found(check, "W_ADMISSION")
    assert "PodSecurity" in row["explanation"]
    assert check["verdict"] == "unknown"


def test_without_the_right_to_ask_templates_of_other_images_count_too(
    service: Service, space: Space
) -> None:
    place = Place(space).workload(kind="CronJob", image=BUSYBOX)

    check = judged(service, namespaces=[place.name], evidence="L3")

    assert found(check, "W_ADMISSION")["doubt"] is True
    assert check["verdict"] == "unknown"


OPERAND = "registry.example.com/team/operand:2"


def said(place: Place, **container: Any) -> Place:
    """Make a Deployment of another registry whose container is told something."""
    main = {"name": "main", "image": "elsewhere.example.com/operator:1"} | container
    return place.workload(containers=[main])


@pytest.mark.parametrize(
    "container",
    [
        {"env": [{"name": "RELATED_IMAGE_OPERAND", "value": OPERAND}]},
        {"args": ["--operand-image", OPERAND]},
        {"command": ["operator", f"--image={OPERAND}"]},
    ],
    ids=["variable", "argument", "command"],
)
def test_an_image_that_an_operator_is_told_of_is_in_doubt_until_a_pod_of_an_operator_has_it(
    service: Service, space: Space, container: dict[str, Any]
) -> None:
    place = said(in_line(space), **container)

    place.pod("docker", image=OPERAND, name="application")
    before = judged(service, namespaces=[place.name])
    operand = {"apiVersion": "db.example.com/v1", "kind": "Cluster", "name": "db", "uid": "1"}
    owners = [operand | {"controller": True}]
    place.pod("docker", image=OPERAND, name="operand", ownerReferences=owners)
    after = judged(service, namespaces=[place.name])

    row = found(before, "W_OTHER")
    assert (row["kind"], row["doubt"]) == ("Deployment", True)
    assert before["verdict"] == "unknown"
    assert found(after, "W_OTHER")["severity"] == "info"
    assert after["verdict"] == "safe"


def test_an_address_of_the_registry_is_worth_a_look(service: Service, space: Space) -> None:
    url = {"name": "REGISTRY_URL", "value": "https://registry.example.com"}
    place = said(in_line(space), env=[url])

    check = judged(service, namespaces=[place.name])

    assert found(check, "W_OTHER")["severity"] == "warning"
    # Nothing else uses the registry here, which is a question of its own.
    assert all(row["class"] in ("W_OTHER", "C_UNUSED") for row in blocking_or_warned(check, place))


def blocking_or_warned(check: dict[str, Any], place: Place) -> list[dict[str, Any]]:
    """Return what is said of a namespace and is no good news."""
    return [
        row
        for row in check["findings"]
        if row["severity"] != "info"
        and row["namespace"] == place.name
        and row["class"] not in ("N_RACE", "SA_UNUSED_UNPATCHED")
    ]


def test_a_volume_that_a_driver_fills_with_an_image_is_in_doubt(
    service: Service, space: Space
) -> None:
    csi = {"driver": "csi-image.warm-metal.tech", "volumeAttributes": {"image": IMAGE}}
    place = in_line(space).workload(volumes=[{"name": "data", "csi": csi}])

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_OTHER")
    assert (row["doubt"], "CSI driver" in row["explanation"]) == (True, True)
    assert check["verdict"] == "unknown"


def test_a_persistent_volume_that_names_an_image_is_in_doubt(
    service: Service, space: Space
) -> None:
    place = in_line(space).workload()
    name = f"{place.name}-data"
    csi = {
        "driver": "csi-image.warm-metal.tech",
        "volumeHandle": name,
        "volumeAttributes": {"image": IMAGE},
    }
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadOnlyMany"],
        "claimRef": {"namespace": place.name, "name": "data"},
        "csi": csi,
    }
    place.post("/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": spec})
    try:
        check = judged(service, namespaces=[place.name])
        other = judged(service, namespaces=[in_line(space_of(space)).workload().name])
    finally:
        place.cluster.http.delete(f"/api/v1/persistentvolumes/{name}")

    row = found(check, "W_OTHER")
    assert (row["kind"], row["name"], row["doubt"]) == ("PersistentVolume", name, True)
    assert check["verdict"] == "unknown"
    assert other["verdict"] == "safe"


def space_of(space: Space) -> Space:
    """Return another prefix on the same clusters."""
    return Space(space.clusters)


def test_a_pod_template_object_is_in_doubt(service: Service, space: Space) -> None:
    place = in_line(space).workload()
    template = {"spec": {"containers": [{"name": "main", "image": IMAGE}]}}
    path = f"/api/v1/namespaces/{place.name}/podtemplates"
    place.post(path, {"metadata": {"name": "spare"}, "template": template})

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_OTHER")
    assert (row["kind"], row["name"], row["doubt"]) == ("PodTemplate", "spare", True)


def verifying(place: Place, **check: Any) -> None:
    """Make a Kyverno policy of the namespace that verifies images."""
    rule = {"name": "signed", "verifyImages": [{"imageReferences": ["registry.*/*"]} | check]}
    spec = {"validationFailureAction": "Enforce", "rules": [rule]}
    resource(place, "policies.kyverno.io", "Policy", "signed", spec)


def test_a_verifier_without_a_login_is_in_doubt(service: Service, space: Space) -> None:
    place = in_line(space).workload()
    verifying(place)

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_ADMISSION")
    assert (row["kind"], row["name"], row["doubt"]) == ("Policy", "signed", True)
    assert "imageRegistryCredentials" in row["fix"]
    assert check["verdict"] == "unknown"


def test_a_verifier_with_a_login_is_worth_a_look(service: Service, space: Space) -> None:
    place = in_line(space).workload()
    verifying(
        place,
        imageReferences=["registry.example.com/*"],
        imageRegistryCredentials={"secrets": ["docker"]},
    )

    check = judged(service, namespaces=[place.name])

    assert found(check, "W_ADMISSION")["severity"] == "warning"
    assert check["verdict"] == "safe"


def test_a_verifier_of_other_images_is_no_trouble(service: Service, space: Space) -> None:
    place = in_line(space).workload()
    verifying(place, imageReferences=["ghcr.io/*"])

    check = judged(service, namespaces=[place.name])

    assert all(row["class"] != "W_ADMISSION" for row in check["findings"])


def test_a_webhook_of_a_known_verifier_is_worth_a_look(service: Service, space: Space) -> None:
    place = in_line(space).workload()
    name = f"{place.name}-connaisseur-webhook"
    hook = {
        "name": "connaisseur-svc.connaisseur.svc",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "clientConfig": {"url": "https://127.0.0.1:1/mutate"},
        "namespaceSelector": {"matchLabels": {"never": "there"}},
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["pods"],
            }
        ],
    }
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    place.post(path, {"metadata": {"name": name}, "webhooks": [hook]})
    try:
        check = judged(service, namespaces=[place.name])
    finally:
        place.cluster.http.delete(f"{path}/{name}")

    row = found(check, "W_ADMISSION")
    assert (row["severity"], row["name"]) == ("warning", name)
    assert check["verdict"] == "safe"
