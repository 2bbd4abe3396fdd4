"""What logs in with pull Secrets by itself and tries one login, on a real API server; the kubelet tries all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.cluster import Cluster
from tests.e2e.custom import kinds, resource
from tests.e2e.fleet import Space, docker_config
from tests.e2e.readiness import IMAGE, Place, judged
from tests.e2e.service import Service

DIGEST = f"registry.example.com/team/app@sha256:{'1' * 64}"
OTHER_LOGIN = docker_config(username="team-a", password="another")
KINDS = {
    "services.serving.knative.dev": "Service",
    "configurations.serving.knative.dev": "Configuration",
    "revisions.serving.knative.dev": "Revision",
    "images.caching.internal.knative.dev": "Image",
    "imagerepositories.image.toolkit.fluxcd.io": "ImageRepository",
    "ocirepositories.source.toolkit.fluxcd.io": "OCIRepository",
    "repositories.kuik.enix.io": "*Repository",
    "cachedimages.kuik.enix.io": "*CachedImage",
    "applications.argoproj.io": "Application",
}


@pytest.fixture(scope="module", autouse=True)
def custom_kinds(clusters: tuple[Cluster, ...]) -> Iterator[None]:
    with kinds(clusters[0], KINDS):
        yield


def place_with(space: Space, *names: str) -> Place:
    """Return a namespace whose account names these Secrets; all but ours hold another login for the registry."""
    place = Place(space, names).secret()
    for name in names:
        if name != "docker":
            place.secret(OTHER_LOGIN, name=name)
    return place


def knative(place: Place, image: str = IMAGE, **pod: Any) -> None:
    """Make a Knative Service and all that Knative makes of it: the Deployment has a digest by then."""
    note = {"client.knative.dev/user-image": image}
    spec: dict[str, Any] = {"containers": [{"image": image}], **pod}
    annotated: dict[str, Any] = {"annotations": note}
    template = {"template": {"metadata": annotated, "spec": spec}}
    owner = resource(place, "services.serving.knative.dev", "Service", "hello", template)
    owned: dict[str, Any] = {"metadata": {"ownerReferences": [owner]}}
    made = "configurations.serving.knative.dev"
    owner = resource(place, made, "Configuration", "hello", template, **owned)
    owned = {"metadata": {"ownerReferences": [owner], "annotations": note}}
    owner = resource(place, "revisions.serving.knative.dev", "Revision", "h-1", spec, **owned)
    owned = {"metadata": {"ownerReferences": [owner]}}
    cached = {"image": DIGEST, "serviceAccountName": "default"}
    resource(place, "images.caching.internal.knative.dev", "Image", "h-1-cache", cached, **owned)
    body = {
        "selector": {"matchLabels": {"app": "h-1"}},
        "template": {
            "metadata": {"labels": {"app": "h-1"}},
            "spec": {"containers": [{"name": "user-container", "image": DIGEST}], **pod},
        },
    }
    path = f"/apis/apps/v1/namespaces/{place.name}/deployments"
    metadata = {"name": "h-1-deployment", "ownerReferences": [owner]}
    place.post(path, {"metadata": metadata, "spec": body})


def others(check: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is said of other objects than pods and templates."""
    return [row for row in check["findings"] if row["class"] == "W_OTHER"]


def test_a_knative_service_is_explained_by_a_deployment_with_a_digest(
    deep: Service, space: Space
) -> None:
    place = place_with(space, "docker")
    knative(place)

    check = judged(deep, namespaces=[place.name])

    assert {row["kind"] for row in others(check)} == {
        "Service",
        "Configuration",
        "Revision",
        "Image",
    }
    assert {row["severity"] for row in others(check)} == {"info"}
    assert check["verdict"] == "safe"


def test_the_tag_of_a_knative_service_is_in_doubt_with_two_logins_of_which_the_first_is_tried(
    deep: Service, space: Space
) -> None:
    place = place_with(space, "team-a", "docker")
    knative(place)

    check = judged(deep, namespaces=[place.name])
    list_ = {"imagePullSecrets": [{"name": "docker"}, {"name": "team-a"}]}
    place.patch("/api/v1/namespaces/{}/serviceaccounts/default", list_)
    after = judged(deep, namespaces=[place.name])

    (row,) = [row for row in others(check) if row["severity"] != "info"]
    assert (row["kind"], row["doubt"], row["severity"]) == ("Service", True, "blocking")
    assert "tries one login" in row["explanation"]
    assert "'team-a'" in row["explanation"]
    assert check["verdict"] == "unknown"
    assert after["verdict"] == "safe"


def test_a_knative_service_with_a_digest_has_no_tag_to_look_up(deep: Service, space: Space) -> None:
    place = place_with(space, "team-a", "docker")
    knative(place, DIGEST)

    assert judged(deep, namespaces=[place.name])["verdict"] == "safe"


def test_a_knative_service_of_another_repository_stays_in_doubt_for_its_resolver(
    deep: Service, space: Space
) -> None:
    place = place_with(space, "docker")
    knative(place, "registry.example.com/team/other:1")

    check = judged(deep, namespaces=[place.name])

    row = next(row for row in others(check) if row["kind"] == "Service")
    assert (row["doubt"], "tries one login" in row["explanation"]) == (True, True)
    assert check["verdict"] == "unknown"


def polled(place: Place, **annotations: str) -> None:
    """Have keel poll the registry for the Deployment web."""
    marks = {"keel.sh/policy": "minor", "keel.sh/trigger": "poll", **annotations}
    path = "/apis/apps/v1/namespaces/{}/deployments/web"
    place.patch(path, {"metadata": {"annotations": marks}})


def test_a_workload_that_keel_polls_for_is_in_doubt_with_two_logins(
    deep: Service, space: Space
) -> None:
    place = place_with(space, "team-a", "docker").workload()
    before = judged(deep, namespaces=[place.name])
    polled(place)
    check = judged(deep, namespaces=[place.name])
    polled(place, **{"keel.sh/imagePullSecret": "docker"})
    after = judged(deep, namespaces=[place.name])

    assert before["verdict"] == "safe"
    (row,) = others(check)
    assert (row["kind"], row["doubt"], row["severity"]) == ("Deployment", True, "blocking")
    assert "keel" in row["explanation"]
    assert "keel.sh/imagePullSecret" in row["fix"]
    assert check["verdict"] == "unknown"
    assert [row["severity"] for row in others(after)] == ["info"]
    assert after["verdict"] == "safe"


def test_a_secret_that_keel_alone_is_told_of_is_judged(deep: Service, space: Space) -> None:
    place = place_with(space, "docker").workload().secret(OTHER_LOGIN, name="team-a")
    polled(place, **{"keel.sh/imagePullSecret": "team-a"})

    check = judged(deep, namespaces=[place.name])

    (row,) = others(check)
    assert (row["doubt"], "'team-a'" in row["explanation"]) == (True, True)
    assert check["verdict"] == "unknown"


def test_a_workload_that_keel_is_told_to_update_by_webhooks_only_is_no_trouble(
    deep: Service, space: Space
) -> None:
    place = place_with(space, "team-a", "docker").workload()
    polled(place, **{"keel.sh/trigger": "default"})

    check = judged(deep, namespaces=[place.name])

    assert (others(check), check["verdict"]) == ([], "safe")


@pytest.mark.parametrize(
    ("plural", "kind", "named"),
    [
        ("imagerepositories.image.toolkit.fluxcd.io", "ImageRepository", {"image": IMAGE[:-2]}),
        ("ocirepositories.source.toolkit.fluxcd.io", "OCIRepository", {"url": f"oci://{IMAGE}"}),
    ],
    ids=["ImageRepository", "OCIRepository"],
)
@pytest.mark.parametrize(
    ("login", "verdict"),
    [
        ({}, "unknown"),
        ({"secretRef": {"name": "docker"}}, "safe"),
        ({"secretRef": {"name": "team-a"}}, "unknown"),
        ({"serviceAccountName": "default"}, "unknown"),
    ],
    ids=["none", "ours", "another", "account with two"],
)
def test_what_flux_asks_the_registry_with_is_judged(
    deep: Service,
    space: Space,
    plural: str,
    kind: str,
    named: dict[str, Any],
    login: dict[str, Any],
    verdict: str,
) -> None:
    place = place_with(space, "team-a", "docker").workload()
    resource(place, plural, kind, "app", {**named, **login})

    check = judged(deep, namespaces=[place.name])

    (row,) = others(check)
    assert "Flux" in row["explanation"]
    assert row["doubt"] is (verdict == "unknown")
    assert check["verdict"] == verdict


@pytest.mark.parametrize(
    ("pull", "verdict"),
    [(None, "unknown"), ("docker", "safe"), ("team-a", "unknown")],
    ids=["none", "ours", "another"],
)
def test_what_argocd_image_updater_asks_with_is_judged(
    deep: Service, space: Space, pull: str | None, verdict: str
) -> None:
    place = place_with(space, "team-a", "docker").workload()
    notes = {"argocd-image-updater.argoproj.io/image-list": f"app={IMAGE}"}
    if pull:
        secret = f"pullsecret:{place.name}/{pull}"
        notes["argocd-image-updater.argoproj.io/app.pull-secret"] = secret
    more = {"metadata": {"annotations": notes}}
    resource(place, "applications.argoproj.io", "Application", "web", {"project": "x"}, **more)

    check = judged(deep, namespaces=[place.name])

    (row,) = others(check)
    assert "Argo CD Image Updater" in row["explanation"]
    assert check["verdict"] == verdict


def clustered(place: Place, plural: str, kind: str, spec: dict[str, Any]) -> str:
    """Make a resource of kube-image-keeper, which has no namespace; return its path."""
    path = f"/apis/kuik.enix.io/v1/{plural}"
    body = {
        "apiVersion": "kuik.enix.io/v1",
        "kind": kind,
        "metadata": {"name": place.name},
        "spec": spec,
    }
    place.post(path, body)
    return f"{path}/{place.name}"


@pytest.mark.parametrize(
    ("secrets", "verdict"),
    [(["docker"], "safe"), (["team-a", "docker"], "unknown"), ([], "unknown")],
    ids=["ours", "two", "none"],
)
def test_what_kube_image_keeper_pulls_with_is_judged(
    deep: Service, space: Space, secrets: list[str], verdict: str
) -> None:
    place = place_with(space, "team-a", "docker").workload()
    pull = {"pullSecretNames": secrets, "pullSecretsNamespace": place.name}
    spec = {"name": "registry.example.com/team/app", **pull}
    paths = [
        clustered(place, "repositories", "Repository", spec),
        clustered(place, "cachedimages", "CachedImage", {"sourceImage": IMAGE}),
    ]
    try:
        check = judged(deep, namespaces=[place.name])
    finally:
        for path in paths:
            place.cluster.http.delete(path)

    assert {row["kind"] for row in others(check)} == {"Repository", "CachedImage"}
    assert all("kube-image-keeper" in row["explanation"] for row in others(check))
    assert check["verdict"] == verdict
