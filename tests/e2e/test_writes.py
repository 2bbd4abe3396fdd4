"""What plan, run and undo say of their own writes, on real API servers: nothing better than what happens."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import write_login
from tests.e2e.fleet import PASSWORD, REGISTRY, Space, docker_config
from tests.e2e.readiness import Place, judged
from tests.e2e.service import Outcome, Service, until
from tests.e2e.test_retry_and_undo import follow_up

APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}
FLUX = "kustomize-controller"


def patch(space: Space, path: str, body: dict[str, Any], manager: str = "kubectl-edit") -> None:
    """Change an object as `kubectl edit` does."""
    answer = space.clusters[0].http.patch(
        f"/api/v1/{path}", content=json.dumps(body), headers=MERGE, params={"fieldManager": manager}
    )
    answer.raise_for_status()


def apply(space: Space, path: str, body: dict[str, Any], manager: str = FLUX) -> None:
    """Server-side apply an object, taking fields over as GitOps tools do."""
    kind = {"serviceaccounts": "ServiceAccount", "secrets": "Secret"}[path.split("/")[2]]
    whole = {"apiVersion": "v1", "kind": kind, "metadata": {"name": path.split("/")[3]}} | body
    answer = space.clusters[0].http.patch(
        f"/api/v1/{path}",
        content=json.dumps(whole),
        headers=APPLY,
        params={"fieldManager": manager, "force": "true"},
    )
    answer.raise_for_status()


def listed(*names: str) -> dict[str, Any]:
    return {"imagePullSecrets": [{"name": name} for name in names]}


def encoded(content: Any) -> dict[str, str]:
    return {".dockerconfigjson": base64.b64encode(json.dumps(content).encode()).decode()}


def created_again(space: Space, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    space.clusters[0].http.delete(f"{path}/app").raise_for_status()
    space.account(namespace, "app", "docker")


def applied_by_flux(space: Space, namespace: str) -> None:
    apply(space, f"namespaces/{namespace}/serviceaccounts/app", listed("docker", "team"))


def applied_alike(space: Space, namespace: str) -> None:
    apply(space, f"namespaces/{namespace}/serviceaccounts/app", listed("docker"))


def edited(space: Space, namespace: str) -> None:
    patch(space, f"namespaces/{namespace}/serviceaccounts/app", listed("docker", "team"))


@pytest.mark.parametrize(
    ("takes_over", "reason"),
    [
        (created_again, "created again"),
        (applied_by_flux, FLUX),
        (applied_alike, FLUX),
        (edited, "kubectl-edit"),
    ],
)
def test_an_undo_leaves_what_another_writer_made_or_took_over(
    service: Service, space: Space, takes_over: Any, reason: str
):
    name = space.namespace("n")
    # The API server keeps managedFields of an object that was made with any field but its name.
    space.clusters[0].apply(
        {
            "kind": "ServiceAccount",
            "metadata": {"name": "app", "namespace": name, "labels": {"app": "web"}},
        }
    )
    done = service.remediate(clusters=["alpha"], namespaces=[name])
    takes_over(space, name)
    before = space.pull_secrets(name, "app")

    dry = follow_up(service, done.body["id"], "undo", dry_run=True)
    undone = follow_up(service, done.body["id"], "undo")

    assert space.pull_secrets(name, "app") == before
    assert space.pull_secrets(name, "default") == []
    assert space.exists(f"namespaces/{name}/secrets/docker")
    for outcome in (dry, undone):
        row = outcome.row(name)
        assert reason in row["reason"]
        assert "the Secret stays: ServiceAccounts still name it" in row["reason"]
        assert row["changed_service_accounts"] == ["default"]
        assert row["warnings"][0]["code"] == "entry_kept"
        assert [each["code"] for each in outcome.body["warnings"]] == ["entry_kept"]


def test_a_secret_that_another_manager_took_over_outlives_the_undo(service: Service, space: Space):
    name = space.namespace("n")
    done = service.remediate(clusters=["alpha"], namespaces=[name])
    apply(
        space,
        f"namespaces/{name}/secrets/docker",
        {"type": "kubernetes.io/dockerconfigjson", "data": encoded(docker_config())},
        "external-secrets",
    )

    dry = follow_up(service, done.body["id"], "undo", dry_run=True)
    undone = follow_up(service, done.body["id"], "undo")

    assert space.exists(f"namespaces/{name}/secrets/docker")
    assert dry.row(name)["reason"] == undone.row(name)["reason"]
    assert "the Secret stays" in undone.row(name)["reason"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_namespace_without_its_default_service_account_says_so(
    service: Service, space: Space, dry_run: bool
):
    name = space.namespace("n", ())
    whole = space.namespace("whole")

    done = service.remediate(clusters=["alpha"], namespaces=[name, whole], dry_run=dry_run)

    assert "ServiceAccount default does not exist yet" in done.row(name)["reason"]
    assert done.row(name)["warnings"][0]["code"] == "service_account_missing"
    assert done.row(whole)["warnings"] == []
    (warning,) = done.body["warnings"]
    assert warning["code"] == "service_account_missing"
    assert "do not exist yet in 1 namespace:" in warning["detail"]


OLD = docker_config(password="an-older-one")


def outdate(space: Space, namespace: str, manager: str = "remediator", content: Any = OLD) -> None:
    """Write another password, by us or by another tool that applies."""
    labels = {"app.kubernetes.io/managed-by": "remediator"}
    body = {
        "metadata": {"name": "docker", "labels": labels},
        "type": "kubernetes.io/dockerconfigjson",
        "data": encoded(content),
    }
    apply(space, f"namespaces/{namespace}/secrets/docker", body, manager)


def by_edit(space: Space, namespace: str) -> None:
    patch(space, f"namespaces/{namespace}/secrets/docker", {"data": encoded(OLD)})


def by_apply(space: Space, namespace: str) -> None:
    outdate(space, namespace, "external-secrets")


def by_annotation(space: Space, namespace: str) -> None:
    path = f"namespaces/{namespace}/secrets/docker"
    patch(space, path, {"metadata": {"annotations": {"remediator.dev/credential": "x"}}})
    outdate(space, namespace)


@pytest.mark.parametrize("writes", [by_edit, by_apply, by_annotation])
def test_a_dry_run_foretells_what_field_ownership_will_refuse(
    service: Service, space: Space, writes: Any
):
    name = space.namespace("n")
    service.remediate(clusters=["alpha"], namespaces=[name])
    writes(space, name)

    dry = service.remediate(clusters=["alpha"], namespaces=[name], dry_run=True)
    real = service.remediate(clusters=["alpha"], namespaces=[name])

    for outcome in (real, dry):
        assert outcome.row(name)["outcome"] == "failed", outcome.row(name)
        assert outcome.row(name)["error"]["code"] == "secret_conflict"
    wanted = {"clusters": ["alpha"], "namespaces": [name], "on_conflict": "replace"}
    assert service.remediate(**wanted, dry_run=True).row(name)["outcome"] == "would_change"
    assert service.remediate(**wanted).row(name)["outcome"] == "changed"
    assert PASSWORD in json.dumps(space.content(name))


def test_an_outdated_secret_of_ours_that_is_ours_alone_is_updated(service: Service, space: Space):
    name = space.namespace("n")
    service.remediate(clusters=["alpha"], namespaces=[name])
    outdate(space, name)
    path = f"namespaces/{name}/secrets/docker"
    patch(space, path, {"metadata": {"labels": {"team": "web"}}})  # a field that we do not write

    dry = service.remediate(clusters=["alpha"], namespaces=[name], dry_run=True)
    real = service.remediate(clusters=["alpha"], namespaces=[name])

    assert (dry.row(name)["outcome"], real.row(name)["outcome"]) == ("would_change", "changed")


HELM = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "x"},
}
TEAM = docker_config(username="team", password="narrower")


def codes(outcome: Outcome, namespace: str) -> list[str]:
    return [each["code"] for each in outcome.row(namespace)["warnings"]]


@pytest.mark.parametrize("on_conflict", ["merge", "replace"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_secret_of_a_helm_release_and_its_lost_login_are_named(
    service: Service, space: Space, on_conflict: str, dry_run: bool
):
    name = space.namespace("n")
    space.secret(name, TEAM, metadata={"name": "docker", **HELM})

    done = service.remediate(
        clusters=["alpha"], namespaces=[name], on_conflict=on_conflict, dry_run=dry_run
    )

    own = [code for code in codes(done, name) if code in ("helm_owned", "login_lost")]
    assert own == ["helm_owned", "login_lost"]
    lost = done.row(name)["warnings"][codes(done, name).index("login_lost")]
    assert REGISTRY in lost["detail"]
    assert "narrower" not in json.dumps(done.rows)
    summed = {each["code"] for each in done.body["warnings"]}
    assert {"helm_owned", "login_lost"} <= summed


def test_an_update_names_the_login_for_another_registry_that_it_loses(
    service: Service, space: Space
):
    name = space.namespace("n")
    service.remediate(clusters=["alpha"], namespaces=[name])
    both = {"auths": TEAM["auths"] | docker_config("quay.io")["auths"]}
    outdate(space, name, content=both)

    done = service.remediate(clusters=["alpha"], namespaces=[name], dry_run=True)

    assert codes(done, name) == ["login_lost"]
    assert "quay.io" in done.row(name)["warnings"][0]["detail"]


def test_a_merged_login_of_docker_hub_replaces_the_other_spelling(
    service: Service, space: Space, credentials: Path
):
    write_login(credentials / "hub", "index.docker.io", "robot", "hub-password")
    service.wait_for_credential("hub")
    name = space.namespace("n")
    space.secret(name, {"auths": {"docker.io": TEAM["auths"][REGISTRY], "*.io": {"auth": "eDp5"}}})

    done = service.remediate(
        clusters=["alpha"], namespaces=[name], credential="hub", on_conflict="merge"
    )
    again = service.remediate(
        clusters=["alpha"], namespaces=[name], credential="hub", on_conflict="merge"
    )

    assert done.row(name)["secret"]["action"] == "merged"
    assert again.row(name)["secret"]["action"] == "unchanged"
    content = space.content(name)["auths"]
    assert content["docker.io"]["username"] == "robot"  # it comes before the glob
    assert "*.io" in content


def test_a_login_that_no_pod_uses_is_named(service: Service, space: Space, credentials: Path):
    write_login(credentials / "endpoint", "registry-1.docker.io", "robot", "hub-password")
    service.wait_for_credential("endpoint")
    name = space.namespace("n")

    done = service.remediate(clusters=["alpha"], namespaces=[name], credential="endpoint")

    assert codes(done, name) == ["login_without_effect"]
    assert "registry-1.docker.io" in done.row(name)["warnings"][0]["detail"]


@pytest.mark.parametrize(
    ("key", "image", "verdict"),
    [
        (f"{REGISTRY}:443", f"{REGISTRY}:443/team/app:1", "safe"),
        (REGISTRY, f"{REGISTRY}/team/app:1", "safe"),
        # The kubelet compares texts: a key with the port matches no image without, and the other way round.
        (f"{REGISTRY}:443", f"{REGISTRY}/team/app:1", "not_safe"),
        (REGISTRY, f"{REGISTRY}:443/team/app:1", "not_safe"),
    ],
)
def test_one_registry_with_and_without_its_port_is_judged_by_the_kubelets_rule(
    service: Service, space: Space, key: str, image: str, verdict: str
):
    place = Place(space, ("docker",)).secret(docker_config(key)).workload(image=image)
    service.remediate(clusters=["alpha"], namespaces=[space.namespace("elsewhere")])

    check = judged(service, namespaces=[place.name])

    assert check["verdict"] == verdict, check["findings"]


SHARD = {
    "apiVersion": "planetscale.com/v2",
    "kind": "VitessShard",
    "name": "shop",
    "uid": "6f1b1a4e-0000-4000-8000-000000000000",
    "controller": True,
}


@pytest.mark.parametrize(
    ("owner", "own", "warned"),
    [
        (SHARD, (), True),
        (SHARD, ("theirs",), False),  # the operator sets them itself
        (SHARD | {"apiVersion": "apps/v1", "kind": "ReplicaSet"}, (), False),
        (SHARD | {"controller": False}, (), False),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_pods_whose_operator_may_take_the_entry_for_drift_are_named(
    service: Service,
    space: Space,
    owner: dict[str, Any],
    own: tuple[str, ...],
    warned: bool,
    dry_run: bool,
):
    place = Place(space).pod(*own, ownerReferences=[owner])
    name = place.name

    done = service.remediate(clusters=["alpha"], namespaces=[name], dry_run=dry_run)

    assert codes(done, name) == (["operator_drift"] if warned else [])
    if warned:
        warning = done.row(name)["warnings"][0]
        assert warning["object"] == f"serviceaccounts/{name}/default"
        assert "VitessShard" in warning["detail"]
        assert f"{name}/default" in warning["hint"]
        assert done.body["warnings"][0]["name"] == "VitessShard"
        # What is in line is not written, and nothing is said of it.
        again = service.remediate(clusters=["alpha"], namespaces=[name])
        assert codes(again, name) == (["operator_drift"] if dry_run else [])


def test_an_undo_counts_what_names_the_secret_before_it_deletes_it(service: Service, space: Space):
    place = Place(space)
    name = place.name
    done = service.remediate(clusters=["alpha"], namespaces=[name])
    place.workload("docker").workload("docker", kind="CronJob").pod("docker")
    place.space.account(name, "own", "docker")

    dry = follow_up(service, done.body["id"], "undo", dry_run=True)
    undone = follow_up(service, done.body["id"], "undo")

    wanted = "1 pod, 2 templates (CronJob web, Deployment web), 1 ServiceAccount (own)"
    for outcome in (dry, undone):
        assert wanted in outcome.row(name)["reason"]
        assert codes(outcome, name) == ["secret_in_use"]
        assert [each["code"] for each in outcome.body["warnings"]] == ["secret_in_use"]
    assert not space.exists(f"namespaces/{name}/secrets/docker")


def mounted() -> dict[str, Any]:
    return {"volumes": [{"name": "login", "secret": {"secretName": "docker"}}]}


def projected() -> dict[str, Any]:
    sources = [{"secret": {"name": "docker"}}]
    return {"volumes": [{"name": "login", "projected": {"sources": sources}}]}


def in_a_variable() -> dict[str, Any]:
    source = {"secretKeyRef": {"name": "docker", "key": ".dockerconfigjson"}}
    variable = {"name": "LOGIN", "valueFrom": source}
    return {"containers": [{"name": "app", "image": "app", "env": [variable]}]}


@pytest.mark.parametrize("way", [mounted, projected, in_a_variable])
def test_an_undo_counts_what_reads_the_secret_in_another_way(
    service: Service, space: Space, way: Any
):
    """As builders of images do: without the Secret their pods do not start."""
    place = Place(space)
    done = service.remediate(clusters=["alpha"], namespaces=[place.name])
    place.workload(**way()).pod(**way())

    dry = follow_up(service, done.body["id"], "undo", dry_run=True)

    assert codes(dry, place.name) == ["secret_in_use"]
    assert "by 1 pod, 1 template (Deployment web)" in dry.row(place.name)["reason"]


def test_a_namespace_that_fails_in_part_keeps_the_warnings_about_what_was_written(
    service: Service, space: Space
):
    name = space.namespace("n")
    manifest = json.dumps(listed("team"))
    space.clusters[0].apply(
        {
            "kind": "ServiceAccount",
            "metadata": {
                "name": "app",
                "namespace": name,
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": manifest},
            },
        }
    )
    space.account(name, "refused")
    wanted = {"clusters": ["alpha"], "namespaces": [name]}

    dry = service.remediate(**wanted, dry_run=True)
    with refusing(space, name, "refused"):
        done = service.remediate(**wanted)
    shown = service.cli("results", done.body["id"], "-o", "csv").stdout

    row = done.row(name)
    assert (row["outcome"], row["error"]["code"]) == ("failed", "admission_denied")
    assert "app" in row["changed_service_accounts"]
    assert row["warnings"] == dry.row(name)["warnings"]
    assert codes(done, name) == ["drift"]
    assert [each["code"] for each in done.body["warnings"]] == ["drift"]
    assert "kubectl apply removes 'docker'" in shown


@contextmanager
def refusing(space: Space, namespace: str, account: str) -> Iterator[None]:
    """Have a policy refuse each update of one ServiceAccount."""
    http = space.clusters[0].http
    group = "/apis/admissionregistration.k8s.io/v1"
    name = f"refuse-{namespace}"
    where = f"object.metadata.namespace == '{namespace}' && object.metadata.name == '{account}'"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["serviceaccounts"],
    }
    kind = "validatingadmissionpolicies"
    policy = {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": f"!({where})"}],
        },
    }
    binding = {
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    http.post(f"{group}/{kind}", json=policy).raise_for_status()
    http.post(f"{group}/validatingadmissionpolicybindings", json=binding).raise_for_status()

    def refuses() -> bool:
        answer = http.patch(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}",
            content=json.dumps({"metadata": {"labels": {"a": "b"}}}),
            headers=MERGE,
            params={"dryRun": "All"},
        )
        return answer.status_code == 422

    try:
        until(refuses, "refusal by the policy")
        yield
    finally:
        http.delete(f"{group}/validatingadmissionpolicybindings/{name}").raise_for_status()
        http.delete(f"{group}/{kind}/{name}").raise_for_status()


def test_all_that_an_undo_leaves_is_counted(service: Service, space: Space):
    name = space.namespace("n")
    for number in range(15):
        meta = {"name": f"app{number}", "namespace": name, "labels": {"app": "web"}}
        space.clusters[0].apply({"kind": "ServiceAccount", "metadata": meta})
    done = service.remediate(clusters=["alpha"], namespaces=[name])
    for number in range(15):
        apply(space, f"namespaces/{name}/serviceaccounts/app{number}", listed("docker"))

    undone = follow_up(service, done.body["id"], "undo", dry_run=True)

    assert "the entry stays in 15 objects" in undone.body["warnings"][0]["detail"]


def test_what_an_undo_could_not_list_is_not_known(service: Service, space: Space):
    """The documented role for writes alone does not list workloads."""
    role = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/remediator-readiness-remediator"
    http = space.clusters[0].http
    name = space.namespace("n")
    done = service.remediate(clusters=["alpha"], namespaces=[name])
    binding = http.get(role).raise_for_status().json()
    http.delete(role).raise_for_status()
    try:
        undone = follow_up(service, done.body["id"], "undo", dry_run=True)
    finally:
        kept = {key: binding["metadata"][key] for key in ("name",)}
        restored = {**binding, "metadata": kept}
        http.post(role.rpartition("/")[0], json=restored).raise_for_status()

    assert codes(undone, name) == ["use_unknown"]
    assert "could not list" in undone.row(name)["reason"]
    assert "deployments" in undone.row(name)["reason"]
    assert "pods" not in undone.row(name)["reason"]  # these the role for writes lists


def test_an_undo_of_what_nothing_names_warns_of_nothing(service: Service, space: Space):
    name = space.namespace("n")
    done = service.remediate(clusters=["alpha"], namespaces=[name])

    undone = follow_up(service, done.body["id"], "undo")

    assert (codes(undone, name), undone.row(name)["reason"]) == ([], None)
