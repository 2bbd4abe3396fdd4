"""Objects that are being deleted: nothing is covered by them, and nothing is written to them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlplane.cluster import Cluster
from tests.e2e.fleet import Space, docker_config
from tests.e2e.lifecycle import HOLD, classes, hold, old_set, owned, release, template, uid_of
from tests.e2e.readiness import Place, found, judged
from tests.e2e.service import Service, until


def test_a_secret_that_is_being_deleted_covers_nothing(service: Service, space: Space) -> None:
    place = Place(space, ("docker",)).secret().workload().pod("docker")
    path = hold(place, "/api/v1/namespaces/{}/secrets/docker")

    check = judged(service, namespaces=[place.name])

    assert check["verdict"] == "unknown"
    row = found(check, "W_DANGLING")
    assert (row["severity"], row["doubt"], row["coverage"]) == ("blocking", True, "DELETING")
    assert HOLD in row["explanation"]
    assert found(check, "P_UNKNOWN")["severity"] == "blocking"
    assert service.http.get(f"/readiness-checks/{check['id']}/gate").status_code == 412
    release(place, path)
    place.secret()
    assert judged(service, namespaces=[place.name])["verdict"] == "safe", "the fix cures it"


def test_a_secret_whose_owner_is_being_deleted_covers_nothing(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).workload(kind="CronJob")
    place.post(
        "/apis/apps/v1/namespaces/{}/deployments".replace("{}", place.name),
        {
            "metadata": {"name": "owner"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template(image="elsewhere.example.com/a:1"),
            },
        },
    )
    uid = uid_of(place, "/apis/apps/v1/namespaces/{}/deployments/owner")
    place.secret()
    place.patch(
        "/api/v1/namespaces/{}/secrets/docker", {"metadata": owned("Deployment", "owner", uid)}
    )
    assert judged(service, namespaces=[place.name])["verdict"] == "safe"
    hold(place, "/apis/apps/v1/namespaces/{}/deployments/owner")

    check = judged(service, namespaces=[place.name])

    assert check["verdict"] == "unknown"
    assert "owner" in found(check, "W_DANGLING")["explanation"]


@pytest.mark.parametrize("name", ["default", "builder"])
def test_a_serviceaccount_that_is_being_deleted_covers_nothing(
    service: Service, space: Space, name: str
) -> None:
    place = Place(space, ("docker",)).secret()
    if name != "default":
        space.account(place.name, name, "docker")
    place.workload(kind="CronJob", serviceAccountName=name)
    assert judged(service, namespaces=[place.name])["verdict"] == "safe"
    hold(place, "/api/v1/namespaces/{}/serviceaccounts/" + name)

    check = judged(service, namespaces=[place.name])

    row = found(check, "W_SA_MISSING")
    assert (row["severity"], row["doubt"]) == ("blocking", True)
    assert check["verdict"] == "unknown"


def test_a_template_with_its_own_secrets_does_not_care_about_its_account(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret().workload("docker")
    hold(place, "/api/v1/namespaces/{}/serviceaccounts/default")

    assert judged(service, namespaces=[place.name])["verdict"] == "safe"


def test_a_workload_that_is_being_deleted_makes_no_pods(service: Service, space: Space) -> None:
    place = Place(space).secret().workload("elsewhere")
    hold(place, "/apis/apps/v1/namespaces/{}/deployments/web")

    check = judged(service, namespaces=[place.name])

    assert not [name for name in classes(check) if name.startswith("W_")]
    assert check["verdict"] == "safe"


def test_a_replicaset_outlives_a_deployment_that_is_being_deleted(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret().workload("quay")
    uid = uid_of(place, "/apis/apps/v1/namespaces/{}/deployments/web")
    old_set(place, "web-1", uid, "quay", replicas=1)
    hold(place, "/apis/apps/v1/namespaces/{}/deployments/web")

    row = found(judged(service, namespaces=[place.name]), "W_UNKNOWN")

    assert (row["kind"], row["name"], row["severity"]) == ("ReplicaSet", "web-1", "blocking")


def test_a_secret_that_is_being_deleted_is_not_written_to(service: Service, space: Space) -> None:
    place = Place(space).secret()
    path = hold(place, "/api/v1/namespaces/{}/secrets/docker")
    before = space.get(f"namespaces/{place.name}/secrets/docker")

    planned = service.remediate(clusters=["alpha"], namespaces=[place.name], dry_run=True)
    done = service.remediate(clusters=["alpha"], namespaces=[place.name])

    for outcome in (planned, done):
        row = outcome.row(place.name)
        assert row["outcome"] == "failed"
        assert row["error"]["code"] == "secret_terminating"
        assert row["error"]["retryable"] is True
        assert HOLD in row["error"]["detail"]
        assert row["secret"]["action"] == "none"
    assert space.pull_secrets(place.name, "default") == []
    assert space.get(f"namespaces/{place.name}/secrets/docker") == before
    release(place, path)
    again = service.http.post(f"/remediations/{done.body['id']}/retry")
    assert again.status_code == 202, again.text
    assert service.wait(again.json()["id"]).row(place.name)["outcome"] == "changed"


def test_our_own_secret_that_is_being_deleted_is_not_updated(
    service: Service, space: Space
) -> None:
    ours = {"app.kubernetes.io/managed-by": "remediator"}
    place = Place(space)
    metadata = {"name": "docker", "labels": ours}
    place.secret(docker_config(password="an-older-one"), metadata=metadata)
    hold(place, "/api/v1/namespaces/{}/secrets/docker")

    row = service.remediate(clusters=["alpha"], namespaces=[place.name]).row(place.name)

    assert (row["outcome"], row["error"]["code"]) == ("failed", "secret_terminating")
    assert "an-older-one" in json.dumps(space.content(place.name)), "it is as it was"
    assert "an-older-one" not in json.dumps(row)


def test_a_serviceaccount_that_is_being_deleted_is_left_alone_and_named(
    service: Service, space: Space
) -> None:
    place = Place(space).secret()
    space.account(place.name, "builder")
    hold(place, "/api/v1/namespaces/{}/serviceaccounts/builder")

    planned = service.remediate(clusters=["alpha"], namespaces=[place.name], dry_run=True)
    done = service.remediate(clusters=["alpha"], namespaces=[place.name])

    for outcome in (planned, done):
        row = outcome.row(place.name)
        assert "builder" in row["reason"]
        assert "being deleted" in row["reason"]
        assert row["service_accounts"]["ignored"] == 1
    assert space.pull_secrets(place.name, "builder") == []


def test_an_undo_says_that_the_secret_is_on_its_way_out(service: Service, space: Space) -> None:
    place = Place(space)
    done = service.remediate(clusters=["alpha"], namespaces=[place.name])
    hold(place, "/api/v1/namespaces/{}/secrets/docker")

    undone = undo(service, done.body["id"])

    row = undone.row(place.name)
    assert row["secret"]["action"] == "unchanged"
    assert "being deleted" in row["reason"]
    assert space.pull_secrets(place.name, "default") == []


def test_an_undo_does_not_call_deleted_what_a_finalizer_keeps(
    service: Service, space: Space, clusters: tuple[Cluster, ...]
) -> None:
    """A finalizer that is there from the start, put in by admission, does not change the version."""
    place = Place(space)
    name = f"{space.prefix}hold"
    expression = f'Object{{metadata: Object.metadata{{finalizers: ["{HOLD}"]}}}}'
    group = "/apis/admissionregistration.k8s.io/v1"
    rules = [
        {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["secrets"],
        }
    ]
    match = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.name}},
        "resourceRules": rules,
    }
    http = clusters[0].http
    policy = {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": match,
            "reinvocationPolicy": "Never",
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {"expression": expression},
                }
            ],
        },
    }
    http.post(f"{group}/mutatingadmissionpolicies", json=policy).raise_for_status()
    binding = {"metadata": {"name": name}, "spec": {"policyName": name}}
    http.post(f"{group}/mutatingadmissionpolicybindings", json=binding).raise_for_status()
    try:
        until_held(place)
        done = service.remediate(clusters=["alpha"], namespaces=[place.name])
        undone = undo(service, done.body["id"])
    finally:
        http.delete(f"{group}/mutatingadmissionpolicybindings/{name}")
        http.delete(f"{group}/mutatingadmissionpolicies/{name}")

    row = undone.row(place.name)
    assert row["secret"]["action"] == "deleted"
    assert HOLD in row["reason"]


def until_held(place: Place) -> None:
    """Return when the policy works: admission is told of it a moment later."""
    path = f"/api/v1/namespaces/{place.name}/secrets"

    def there() -> bool:
        probe = {"metadata": {"generateName": "probe-"}}
        answer = place.cluster.http.post(path, json=probe, params={"dryRun": "All"})
        return bool(answer.json()["metadata"].get("finalizers"))

    until(there, "finalizer by admission")


def undo(service: Service, remediation_id: str) -> Any:
    """Take a remediation back and wait for the end of it."""
    answer = service.http.post(f"/remediations/{remediation_id}/undo")
    assert answer.status_code == 202, answer.text
    return service.wait(answer.json()["id"])
