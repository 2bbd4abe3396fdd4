"""Tools that write a ServiceAccount's list, or a Secret's content, again after us: on a real API server."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import pytest

from tests.e2e.fleet import Space, docker_config
from tests.e2e.readiness import Place, found, judged
from tests.e2e.service import Outcome, Service, until

APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}
OPENSHIFT = "openshift.io/image-registry-pull-secrets_service-account-controller"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
QUAY = docker_config(registry="quay.io", username="u", password="p")
RIGHT = docker_config()


class Owner:
    """The tools of a namespace's owner: ServiceAccount `app`, and a CronJob that uses it."""

    def __init__(self, space: Space) -> None:
        self.place = Place(space)
        self.name = self.place.name
        self.http = self.place.cluster.http
        self.account = f"/api/v1/namespaces/{self.name}/serviceaccounts/app"
        self.secret = f"/api/v1/namespaces/{self.name}/secrets/docker"

    def used(self) -> Owner:
        self.place.workload(kind="CronJob", serviceAccountName="app")
        return self

    def apply(self, manager: str, *names: str, force: bool = True, **meta: Any) -> Owner:
        """Apply the ServiceAccount server-side with this list; without names the manifest has none."""
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "app", **meta},
        }
        if names:
            body["imagePullSecrets"] = [{"name": name} for name in names]
        return self._patch(self.account, body, APPLY, manager, force=force)

    def update(self, manager: str, *names: str, **meta: Any) -> Owner:
        """Write the list as a client without server-side apply does; no names remove it."""
        if not self.http.get(self.account).is_success:
            # One with nothing but a name has no managedFields, and gets none by updates.
            body = {"metadata": {"name": "app", "labels": {"team": "x"}}}
            path = self.account.removesuffix("/app")
            self.http.post(path, json=body, params={"fieldManager": "kubectl-create"})
        listed = [{"name": name} for name in names] or None
        return self._patch(
            self.account, {"metadata": meta, "imagePullSecrets": listed}, MERGE, manager
        )

    def secret_by(self, manager: str, content: Any, *, apply: bool = False, **meta: Any) -> Owner:
        """Write the Secret with this content, by server-side apply or not."""
        if not apply and not self.http.get(self.secret).is_success:
            path = self.secret.removesuffix("/docker")
            body = self._secret(content, meta)
            self.http.post(path, json=body, params={"fieldManager": manager}).raise_for_status()
            return self
        kind = APPLY if apply else MERGE
        return self._patch(self.secret, self._secret(content, meta), kind, manager, force=apply)

    def _secret(self, content: Any, meta: dict[str, Any]) -> dict[str, Any]:
        data = base64.b64encode(json.dumps(content).encode()).decode()
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "docker", **meta},
            "data": {".dockerconfigjson": data},
        }

    def _patch(
        self, path: str, body: Any, kind: dict[str, str], manager: str, *, force: bool = False
    ) -> Owner:
        params = {"fieldManager": manager} | ({"force": "true"} if force else {})
        answer = self.http.patch(path, content=json.dumps(body), headers=kind, params=params)
        assert answer.is_success, answer.text
        return self

    def remediate(self, service: Service, **body: Any) -> Outcome:
        usual = {"clusters": ["alpha"], "namespaces": [self.name], "service_accounts": ["app"]}
        return service.remediate(**{**usual, **body})

    def listed(self) -> list[str]:
        return self.place.space.pull_secrets(self.name, "app")

    def check(self, service: Service) -> dict[str, Any]:
        return judged(service, namespaces=[self.name])


@pytest.fixture
def owner(space: Space) -> Owner:
    return Owner(space)


def drift(check: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in check["findings"] if row["class"] == "W_DRIFT"]


def manifest(*names: str) -> dict[str, str]:
    """Return the annotation that `kubectl apply` leaves."""
    listed = {"imagePullSecrets": [{"name": name} for name in names]} if names else {}
    return {LAST_APPLIED: json.dumps({"kind": "ServiceAccount", **listed})}


FLUX: dict[str, Any] = {"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}


@pytest.mark.parametrize(
    ("manager", "meta"),
    [("kustomize-controller", FLUX), ("terraform", {}), ("argocd-controller", {})],
)
def test_an_applier_that_lost_its_list_to_us_takes_it_back(
    service: Service, owner: Owner, manager: str, meta: dict[str, Any]
) -> None:
    """Only our own record knows: our write took the field from the applier."""
    owner.apply(manager, "pull-two", **meta).used().remediate(service)
    assert owner.listed() == ["pull-two", "docker"]

    check = owner.check(service)

    assert check["verdict"] == "not_safe"
    row = found(check, "W_DRIFT")
    assert (row["severity"], row["name"]) == ("blocking", "app")
    assert manager in row["explanation"]
    assert "imagePullSecrets:\n- name: pull-two\n- name: docker" in row["fix"]


@pytest.mark.parametrize("manager", ["kustomize-controller", "terraform", "argocd-controller"])
def test_a_finding_goes_away_when_its_fix_is_carried_out(
    service: Service, owner: Owner, manager: str
) -> None:
    owner.apply(manager, "pull-two").used().remediate(service)

    owner.apply(manager, "pull-two", "docker")

    check = owner.check(service)
    assert (check["verdict"], drift(check)) == ("safe", [])


def test_an_applier_that_names_no_list_is_no_drift(service: Service, owner: Owner) -> None:
    owner.apply("kustomize-controller", **FLUX).used().remediate(service)

    check = owner.check(service)

    assert (check["verdict"], drift(check)) == ("safe", [])


@pytest.mark.parametrize("names", [("docker",), ("pull-two", "docker")])
def test_a_manifest_that_names_our_secret_is_no_drift(
    service: Service, owner: Owner, names: tuple[str, ...]
) -> None:
    owner.update("kubectl-client-side-apply", *names, annotations=manifest(*names)).used()
    owner.remediate(service)

    check = owner.check(service)

    assert (check["verdict"], drift(check)) == ("safe", [])


def test_a_manifest_without_our_secret_is_drift(service: Service, owner: Owner) -> None:
    owner.update("kubectl-client-side-apply", "pull-two", annotations=manifest("pull-two")).used()
    owner.remediate(service)

    row = found(owner.check(service), "W_DRIFT")

    assert (row["severity"], "kubectl apply" in row["explanation"]) == ("blocking", True)


@pytest.mark.parametrize(
    "meta",
    [
        {"annotations": {"team": "x"}},
        {"labels": {"app.kubernetes.io/instance": "shop"}},
        {"labels": {"argocd.argoproj.io/instance": "shop"}},
    ],
)
def test_an_applier_of_which_nothing_is_recorded_is_a_warning(
    service: Service, owner: Owner, meta: dict[str, Any]
) -> None:
    """Another installation wrote the list, or the records have run out."""
    owner.apply("argocd-controller", "pull-two", **meta).used()
    owner.update("remediator", "pull-two", "docker")
    owner.place.secret()

    check = owner.check(service)

    assert (check["verdict"], found(check, "W_DRIFT")["severity"]) == ("safe", "warning")
    assert "ignoreDifferences" in found(check, "W_DRIFT")["fix"]


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}, "Flux"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "x"}}, "Flux"),
        ({"annotations": {"objectset.rio.cattle.io/id": "x"}}, "Rancher Fleet"),
        ({"labels": {"olm.owner": "op.v1"}}, "OLM"),
        ({"labels": {"crossplane.io/composite": "c"}}, "Crossplane"),
        ({"labels": {"kapp.k14s.io/app": "1"}}, "kapp"),
        ({"annotations": {"configmanagement.gke.io/managed": "enabled"}}, "Config Sync"),
        (
            {
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "shop"},
            },
            "Helm release shop",
        ),
    ],
)
def test_a_tool_that_manages_the_account_is_a_warning(
    service: Service, owner: Owner, meta: dict[str, Any], words: str
) -> None:
    owner.update("tool", "docker", **meta).used()
    owner.update("tool")  # the tool does not own the list
    owner.remediate(service)

    check = owner.check(service)

    row = found(check, "W_DRIFT")
    assert (check["verdict"], row["severity"]) == ("safe", "warning")
    assert words in row["explanation"]


@pytest.mark.parametrize("manager", ["HashiCorp", "Terraform", "my-operator"])
def test_a_client_that_owned_the_list_before_us_is_a_warning(
    service: Service, owner: Owner, manager: str
) -> None:
    owner.update(manager, "pull-two").used().remediate(service)

    check = owner.check(service)

    row = found(check, "W_DRIFT")
    assert (check["verdict"], row["severity"]) == ("safe", "warning")
    assert manager in row["explanation"]


def test_openshifts_controller_is_believed_when_our_entry_stands(
    service: Service, owner: Owner
) -> None:
    """It answers each change at once: what stands after a minute it leaves alone, what it takes out is gone."""
    owner.apply(OPENSHIFT, "pull-two").used().remediate(service)
    check = owner.check(service)
    assert (check["verdict"], found(check, "W_DRIFT")["doubt"]) == ("unknown", True)

    owner.apply(OPENSHIFT, "pull-two")

    check = owner.check(service)
    assert check["verdict"] == "not_safe"
    row = found(check, "W_DRIFT")
    assert (row["severity"], OPENSHIFT in row["explanation"]) == ("blocking", True)


def test_an_entry_that_was_taken_out_once_is_drift_also_when_it_is_back(
    service: Service, owner: Owner
) -> None:
    owner.update("widget-operator", "pull-two").used().remediate(service)
    owner.update("widget-operator", "pull-two")
    gone = owner.check(service)
    assert gone["verdict"] == "not_safe"
    assert "widget-operator" in found(gone, "W_DRIFT")["explanation"]

    owner.remediate(service)

    back = owner.check(service)
    assert back["verdict"] == "not_safe"
    assert found(back, "W_DRIFT")["severity"] == "blocking"


def test_nothing_is_said_of_a_list_that_was_written_untracked(
    service: Service, owner: Owner
) -> None:
    """The API server notes no managers of a ServiceAccount that was created with its name alone."""
    owner.place.space.account(owner.name, "app")
    owner.update("HashiCorp", "pull-two").used().remediate(service)

    check = owner.check(service)

    assert (check["verdict"], drift(check)) == ("safe", [])

    owner.update("HashiCorp", "pull-two")
    gone = owner.check(service)
    assert "another tool removed 'docker'" in found(gone, "W_DRIFT")["explanation"]


def test_an_operator_that_answers_within_seconds_is_never_found_safe(
    service: Service, owner: Owner
) -> None:
    """The check looks again before it trusts what such an operator has had no time to take out."""
    controller = {
        "apiVersion": "pkg.crossplane.io/v1",
        "kind": "ProviderRevision",
        "name": "p",
        "uid": "5f0c7f1e-1d4c-4a55-9a3a-7e6b9f3f0a13",
        "controller": True,
    }
    owner.update("crossplane", ownerReferences=[controller]).used()

    def operate() -> None:
        while not stop.wait(0.3):
            if owner.listed():
                owner.update("crossplane")

    stop = threading.Event()
    operator = threading.Timer(0, operate)
    operator.start()
    try:
        done = owner.remediate(service, readiness=True)
        path = f"/readiness-checks/{readiness_of(service, done)}"
        check = service.http.get(path, params={"wait": "60"}).json()
    finally:
        stop.set()
        operator.join()

    assert check["verdict"] == "not_safe"
    owner.remediate(service)  # with the operator at rest: the entry is back
    assert found(owner.check(service), "W_DRIFT")["severity"] == "blocking"


def readiness_of(service: Service, done: Outcome) -> str:
    """Return the id of the check that followed a remediation by itself."""

    def there() -> Any:
        path = f"/remediations/{done.body['id']}"
        return (service.http.get(path).json()["readiness"] or {}).get("check_id")

    until(there, "check that follows")
    return str(there())


def test_a_second_remediation_notices_by_itself_that_the_entry_was_taken_out(
    service: Service, owner: Owner
) -> None:
    owner.update("widget-operator", "pull-two").used().remediate(service)
    owner.update("widget-operator")
    owner.remediate(service)

    assert found(owner.check(service), "W_DRIFT")["severity"] == "blocking"


def test_an_operator_that_writes_our_entry_itself_has_taken_it_over(
    service: Service, owner: Owner
) -> None:
    owner.update("widget-operator", "pull-two").used().remediate(service)
    owner.update("widget-operator", "pull-two")
    owner.check(service)

    owner.update("widget-operator", "pull-two", "docker")

    check = owner.check(service)
    assert (check["verdict"], drift(check)) == ("safe", [])


def test_what_we_took_back_ourselves_was_taken_out_by_no_other(
    service: Service, owner: Owner
) -> None:
    first = owner.update("widget-operator", "pull-two").used().remediate(service)
    undo = service.http.post(f"/remediations/{first.body['id']}/undo", json={})
    assert undo.status_code == 202, undo.text
    service.wait(undo.json()["id"])
    assert owner.listed() == ["pull-two"]
    assert drift(owner.check(service)) == []

    owner.remediate(service)

    assert [row["severity"] for row in drift(owner.check(service))] == ["warning"]


EXTERNAL: dict[str, Any] = {
    "ownerReferences": [
        {
            "apiVersion": "external-secrets.io/v1",
            "kind": "ExternalSecret",
            "name": "regcred",
            "uid": "5f0c7f1e-1d4c-4a55-9a3a-7e6b9f3f0a11",
            "controller": True,
        }
    ],
    "labels": {"reconcile.external-secrets.io/managed": "true"},
}
SEALED: dict[str, Any] = {
    "ownerReferences": [
        {
            "apiVersion": "bitnami.com/v1alpha1",
            "kind": "SealedSecret",
            "name": "docker",
            "uid": "5f0c7f1e-1d4c-4a55-9a3a-7e6b9f3f0a12",
            "controller": True,
        }
    ]
}
VAULT: dict[str, Any] = {
    "ownerReferences": [
        {
            "apiVersion": "secrets.hashicorp.com/v1beta1",
            "kind": "VaultStaticSecret",
            "name": "docker",
            "uid": "5f0c7f1e-1d4c-4a55-9a3a-7e6b9f3f0a13",
        }
    ]
}
VAULT_LABEL: dict[str, Any] = {
    "labels": {
        "app.kubernetes.io/name": "vault-secrets-operator",
        "app.kubernetes.io/managed-by": "hashicorp-vso",
        "app.kubernetes.io/component": "secret-sync",
    }
}
REFLECTED: dict[str, Any] = {
    "annotations": {"reflector.v1.k8s.emberstack.com/reflects": "infra/regcred"}
}
GENERATED: dict[str, Any] = {
    "labels": {
        "app.kubernetes.io/managed-by": "kyverno",
        "generate.kyverno.io/policy-name": "sync-secrets",
    }
}
RELEASE: dict[str, Any] = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": "shop"},
}


@pytest.mark.parametrize("how", ["merge", "replace"])
@pytest.mark.parametrize(
    ("manager", "apply", "meta", "words"),
    [
        ("external-secrets", False, EXTERNAL, "ExternalSecret regcred"),
        ("externalsecrets.external-secrets.io/docker", True, EXTERNAL, "ExternalSecret regcred"),
        ("controller", False, SEALED, "SealedSecret docker"),
        ("manager", False, VAULT, "VaultStaticSecret docker"),
        ("manager", False, VAULT_LABEL, "vault-secrets-operator"),
        ("reflector", False, REFLECTED, "infra/regcred"),
        ("helm", False, RELEASE, "Helm release shop"),
        ("kustomize-controller", True, {}, "kustomize-controller"),
        ("terraform", True, {}, "terraform"),
        ("kyverno-background-controller", False, GENERATED, "Kyverno policy sync-secrets"),
        ("manager", False, {"labels": {"hnc.x-k8s.io/inherited-from": "org"}}, "HNC org"),
    ],
)
def test_a_secret_that_its_maker_writes_again_is_drift(
    service: Service,
    owner: Owner,
    manager: str,
    apply: bool,
    meta: dict[str, Any],
    words: str,
    how: str,
) -> None:
    owner.secret_by(manager, QUAY, apply=apply, **meta)
    owner.update("kubectl-create").used().remediate(service, on_conflict=how)

    check = owner.check(service)

    assert check["verdict"] == "not_safe"
    row = found(check, "W_DRIFT")
    assert (row["severity"], row["kind"], row["name"]) == ("blocking", "Secret", "docker")
    assert words in row["explanation"]

    owner.secret_by(manager, QUAY | {"auths": QUAY["auths"] | RIGHT["auths"]}, apply=apply)

    check = owner.check(service)
    assert (check["verdict"], drift(check)) == ("safe", [])


def test_a_secret_whose_maker_says_nothing_of_itself_is_in_doubt(
    service: Service, owner: Owner
) -> None:
    """Until it writes the Secret with the login."""
    owner.secret_by("pull-secret-sync", QUAY)
    owner.update("kubectl-create").used().remediate(service, on_conflict="replace")

    check = owner.check(service)

    assert check["verdict"] == "unknown"
    row = found(check, "W_DRIFT")
    assert (row["severity"], row["doubt"]) == ("blocking", True)
    assert "pull-secret-sync" in row["explanation"]

    owner.secret_by("pull-secret-sync", QUAY | {"auths": QUAY["auths"] | RIGHT["auths"]})

    assert owner.check(service)["verdict"] == "safe"


@pytest.mark.parametrize(
    ("manager", "apply", "meta", "hand"),
    [
        ("external-secrets", False, EXTERNAL, "kubectl-client-side-apply"),
        ("manager", False, {}, "kubectl-edit"),
        ("kustomize-controller", True, {"labels": {"app": "x"}}, "kubectl-edit"),
    ],
)
def test_a_login_that_a_person_wrote_over_the_content_of_a_tool_is_in_doubt(
    service: Service, owner: Owner, manager: str, apply: bool, meta: dict[str, Any], hand: str
) -> None:
    owner.secret_by(manager, QUAY, apply=apply, **meta)
    owner.secret_by(hand, RIGHT)
    owner.update("kubectl-create", "docker").used()

    check = owner.check(service)

    assert (check["verdict"], found(check, "W_DRIFT")["doubt"]) == ("unknown", True)


def test_a_secret_of_a_synchronizer_that_holds_the_right_login_is_no_drift(
    service: Service, owner: Owner
) -> None:
    owner.secret_by("external-secrets", RIGHT, **EXTERNAL)
    owner.update("kubectl-create").used().remediate(service)

    check = owner.check(service)

    assert (check["verdict"], drift(check)) == ("safe", [])


@pytest.mark.parametrize(("content", "severities"), [(QUAY, ["blocking"]), (RIGHT, [])])
def test_the_manifest_of_a_secret_is_judged_by_its_content(
    service: Service, owner: Owner, content: Any, severities: list[str]
) -> None:
    text = json.dumps(content)
    applied = {
        LAST_APPLIED: json.dumps({"kind": "Secret", "stringData": {".dockerconfigjson": text}})
    }
    owner.secret_by("kubectl-client-side-apply", content, annotations=applied)
    owner.update("kubectl-create").used().remediate(service, on_conflict="merge")

    check = owner.check(service)

    assert [row["severity"] for row in drift(check)] == severities


def test_a_secret_that_pods_and_templates_name_is_judged_as_well(
    service: Service, owner: Owner
) -> None:
    owner.secret_by("external-secrets", QUAY, **EXTERNAL)
    owner.place.pod("docker")
    owner.remediate(service, on_conflict="merge")

    assert found(owner.check(service), "W_DRIFT")["kind"] == "Secret"


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_plan_names_who_writes_again_and_what_to_add(
    service: Service, owner: Owner, dry_run: bool
) -> None:
    owner.apply("kustomize-controller", "pull-two", **FLUX)
    owner.secret_by("external-secrets", QUAY, **EXTERNAL)

    done = owner.remediate(service, dry_run=dry_run, on_conflict="merge")

    warnings = done.row(owner.name)["warnings"]
    assert [(each["code"], each["object"]) for each in warnings] == [
        ("drift", f"secrets/{owner.name}/docker"),
        ("drift", f"serviceaccounts/{owner.name}/app"),
    ]
    assert "ExternalSecret regcred" in warnings[0]["detail"]
    assert "kustomize-controller" in warnings[1]["detail"]
    assert "- name: docker" in warnings[1]["hint"]
    assert [each["code"] for each in done.body["warnings"]] == ["drift", "drift"]


def test_a_run_forgets_service_accounts_that_are_gone(service: Service, space: Space):
    name = space.namespace("n")
    space.account(name, "stays")
    space.account(name, "goes")
    wanted = {"clusters": ["alpha"], "namespaces": [name]}
    service.remediate(**wanted)
    assert {"stays", "goes"} <= remembered(service, name)

    path = f"/api/v1/namespaces/{name}/serviceaccounts/goes"
    space.clusters[0].http.delete(path).raise_for_status()
    service.remediate(**wanted)

    assert remembered(service, name) == {"default", "stays"}


def remembered(service: Service, namespace: str) -> set[str]:
    """Return the ServiceAccounts of a namespace that are remembered of any cluster."""
    with service.redis() as redis:
        lines = [
            line
            for key in redis.scan_iter("rmd:memory:*")
            for line in (redis.hget(key, namespace) or b"").decode().splitlines()
        ]
    return {line.partition("/")[0] for line in lines}
