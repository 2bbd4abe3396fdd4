"""API servers with one thing wrong: what it touches fails, with the name of the culprit, and the rest is done."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from controlplane.cluster import Cluster
from tests.e2e.etcd import undecryptable
from tests.e2e.fleet import Space
from tests.e2e.readiness import Place, found, judged
from tests.e2e.service import Service, until

ADMISSION = "/apis/admissionregistration.k8s.io/v1"


def test_secrets_that_cannot_be_decrypted_cost_no_more_than_their_namespaces(
    service: Service, space: Space
):
    """A lost key makes every list of the kind fail; `broken` has another Secret that is, `ours` the Secret itself."""
    good, broken, ours = (space.namespace(name) for name in ("good", "broken", "ours"))
    alpha = space.clusters[0]
    with undecryptable(alpha, f"secrets/{broken}/other", f"secrets/{ours}/docker"):
        done = service.remediate(clusters=["alpha"], namespaces=[space.pattern])
        named = service.remediate(clusters=["alpha"], namespaces=[good, broken, ours], dry_run=True)

    assert done.status == named.status == "partial", (done.body, done.rows)
    assert done.outcomes() == {good: "changed", broken: "changed", ours: "failed"}
    assert named.outcomes() == {good: "unchanged", broken: "unchanged", ours: "failed"}
    (warning,) = done.row(broken)["warnings"]
    assert (warning["code"], warning["object"]) == ("unlisted", f"secrets/{broken}/other")
    assert "encryption configuration" in warning["hint"]
    (summed,) = done.body["warnings"]
    assert (summed["code"], summed["name"]) == ("unlisted", "secrets")
    assert not done.row(good)["warnings"]
    for outcome in (done, named):
        error = outcome.row(ours)["error"]
        assert error["code"] == "internal"
        assert error["object"] == f"secrets/{ours}/docker"
        assert "cannot decrypt" in error["detail"]
        assert "encryption configuration" in error["hint"]
    again = service.wait(service.http.post(f"/remediations/{done.body['id']}/retry").json()["id"])
    assert again.outcomes() == {ours: "changed"}

    with undecryptable(alpha, f"secrets/{good}/docker"):
        undone = service.wait(
            service.http.post(f"/remediations/{done.body['id']}/undo").json()["id"]
        )

    assert undone.outcomes() == {good: "failed", broken: "changed"}
    assert space.pull_secrets(good, "default") == ["docker"]


def test_a_service_account_that_cannot_be_decrypted_costs_its_namespace(
    service: Service, space: Space
):
    good, bad = space.namespace("good"), space.namespace("bad")
    with undecryptable(space.clusters[0], f"serviceaccounts/{bad}/web"):
        planned = service.remediate(clusters=["alpha"], namespaces=[space.pattern], dry_run=True)

    assert planned.outcomes() == {good: "would_change", bad: "failed"}
    detail = planned.row(bad)["error"]["detail"]
    assert f"/registry/serviceaccounts/{bad}/web" in detail


def test_readiness_is_unknown_for_what_cannot_be_decrypted_and_for_nothing_else(
    service: Service, space: Space
):
    well, ours, pods = (Place.at(space, space.namespace(name)) for name in ("a", "b", "c"))
    for place in (well, ours, pods):
        place.secret().pod("docker")
    names = [place.name for place in (well, ours, pods)]
    places = (
        f"secrets/{well.name}/other",
        f"secrets/{ours.name}/docker",
        f"pods/{pods.name}/lost",
    )
    with undecryptable(space.clusters[0], *places):
        check = judged(service, namespaces=names)

    assert check["verdict"] == "unknown"
    unread = found(check, "P_UNKNOWN")
    assert (unread["namespace"], unread["severity"]) == (ours.name, "blocking")
    assert "cannot decrypt" in unread["explanation"]
    assert "let the worker get" not in unread["fix"]
    unlisted = {
        row["namespace"]: row for row in check["findings"] if row["class"] == "C_UNREADABLE"
    }
    assert {name: row["severity"] for name, row in unlisted.items()} == {
        pods.name: "blocking",
        "": "warning",  # of the namespaces that are not judged
    }
    assert f"/registry/{places[2]}" in unlisted[pods.name]["explanation"]
    assert "encryption configuration" in unlisted[pods.name]["fix"]
    covered = [row["namespace"] for row in check["findings"] if row["class"] == "P_COVERED"]
    assert covered == [well.name]


@contextmanager
def configured(cluster: Cluster, resource: str, body: dict[str, Any]) -> Iterator[None]:
    """Have an object of the admission API be there, and end it."""
    path = f"{ADMISSION}/{resource}"
    cluster.http.post(path, json=body).raise_for_status()
    try:
        yield
    finally:
        cluster.http.delete(f"{path}/{body['metadata']['name']}").raise_for_status()


def test_a_webhook_without_a_backend_is_named_with_its_configuration(
    service: Service, space: Space
):
    good, bad = space.namespace("good"), space.namespace("bad")
    alpha = space.clusters[0]
    hook = {
        "name": "validate.policy.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"service": {"name": "policy", "namespace": bad, "path": "/validate"}},
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["secrets"],
                "operations": ["*"],
            }
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bad}},
    }
    name = f"{space.prefix}policy"
    with configured(
        alpha, "validatingwebhookconfigurations", {"metadata": {"name": name}, "webhooks": [hook]}
    ):
        secret = {"metadata": {"name": "asked"}}

        def refuses() -> bool:
            path = f"/api/v1/namespaces/{bad}/secrets"
            return alpha.http.post(path, json=secret, params={"dryRun": "All"}).is_error

        until(refuses, "webhook in force")
        done = service.remediate(clusters=["alpha"], namespaces=[space.pattern])

    assert done.outcomes() == {good: "changed", bad: "failed"}
    error = done.row(bad)["error"]
    assert error["detail"] == (
        "admission webhook 'validate.policy.example.com' cannot be called "
        "(at policy." + bad + ".svc:443, service 'policy' is not there)"
    )
    assert f"ValidatingWebhookConfiguration '{name}'" in error["hint"]
    assert error["retryable"]
    assert done.row(bad)["attempts"] == 3
    assert json.dumps(done.rows).count("dockerconfigjson") == 0


def test_where_the_provider_manages_a_namespace_no_role_is_asked_for(
    service: Service, space: Space
):
    good, managed = space.namespace("good"), space.namespace("managed")
    alpha = space.clusters[0]
    name = "aks-managed-protect-system-namespaces"
    policy = {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["secrets", "serviceaccounts"],
                        "operations": ["CREATE", "UPDATE"],
                    }
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": managed}},
            },
            "validations": [{"expression": "false", "message": "it is managed"}],
        },
    }
    binding = {
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    with (
        configured(alpha, "validatingadmissionpolicies", policy),
        configured(alpha, "validatingadmissionpolicybindings", binding),
    ):
        path = f"/api/v1/namespaces/{managed}/secrets"
        asked = {"metadata": {"name": "asked"}}
        until(
            lambda: alpha.http.post(path, json=asked, params={"dryRun": "All"}).is_error,
            "policy in force",
        )
        planned = service.remediate(clusters=["alpha"], namespaces=[space.pattern], dry_run=True)
        done = service.remediate(clusters=["alpha"], namespaces=[space.pattern])

    assert planned.outcomes() == {good: "would_change", managed: "failed"}
    assert planned.row(managed)["error"] == done.row(managed)["error"]
    assert planned.row(managed)["secret"]["action"] == "none"
    assert done.outcomes() == {good: "changed", managed: "failed"}
    error = done.row(managed)["error"]
    assert error["code"] == "admission_denied"
    assert f"'{name}'" in error["detail"]
    assert error["hint"].startswith("AKS manages this namespace")


def test_quotas_are_named_and_one_that_is_not_counted_yet_is_waited_for(
    service: Service, space: Space
):
    full, new = space.namespace("full"), space.namespace("new")
    hard = {"count/secrets": "0"}
    _quota(space, full, "tight", {"hard": hard, "used": hard})
    _quota(space, new, "fresh", {"hard": {"count/secrets": "5"}})

    started = service.post(clusters=["alpha"], namespaces=[space.pattern]).json()["id"]
    until(
        lambda: service.http.get(f"/remediations/{started}").json()["summary"]["namespaces"][
            "done"
        ],
        "row of the full namespace",
    )
    _count(space, new, "fresh", {"hard": {"count/secrets": "5"}, "used": hard})
    done = service.wait(started)

    assert done.outcomes() == {full: "failed", new: "changed"}
    assert done.row(new)["attempts"] > 1
    error = done.row(full)["error"]
    assert error["code"] == "quota_exceeded"
    assert error["detail"].startswith("ResourceQuota 'tight' leaves no room for the Secret (")
    assert "used: count/secrets=0, limited: count/secrets=0" in error["detail"]


def _quota(space: Space, namespace: str, name: str, status: dict[str, Any]) -> None:
    http = space.clusters[0].http
    body = {"metadata": {"name": name}, "spec": {"hard": status["hard"]}}
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    http.post(path, json=body).raise_for_status()
    _count(space, namespace, name, status)
    probe = {"metadata": {"name": "probe"}}
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    until(
        lambda: http.post(secrets, json=probe, params={"dryRun": "All"}).is_error,
        f"quota {name} in force",
    )


def _count(space: Space, namespace: str, name: str, status: dict[str, Any]) -> None:
    """Write the status of a quota, as kube-controller-manager does."""
    http = space.clusters[0].http
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/{name}"
    body = http.get(path).raise_for_status().json() | {"status": status}
    http.put(f"{path}/status", json=body).raise_for_status()
