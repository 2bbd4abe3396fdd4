"""The credential is proven at a real registry before anything is written into a real cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.e2e.conftest import write_login
from tests.e2e.fleet import PASSWORD, USERNAME, Space, grant_least_privilege
from tests.e2e.service import Outcome, Service
from tests.worker.registry_lab import Lab, push

WRONG = "wrong-horse-battery"
DEAD = "127.0.0.1:9"
REPOSITORY = "team/app"


@dataclass
class Place:
    """The service with a private registry, an open one, and one that is open and has a shadow."""

    service: Service
    rules: Path
    credentials: Path
    private: str
    open: str
    shadowed: str

    def run(self, space: Space, credential: str, **body: Any) -> Outcome:
        """Remediate the namespaces of a test on the first cluster."""
        usual: dict[str, Any] = {"clusters": ["alpha"], "registry_check": "require"}
        return self.service.remediate(
            **usual | {"namespaces": [space.pattern], "credential": credential} | body
        )


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, clusters: tuple[Cluster, ...]
) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("registry-check")
    lab = Lab(directory)
    with ExitStack() as stack:
        known = lab.htpasswd(**{USERNAME: PASSWORD})
        open_host, shadowed = (stack.enter_context(lab.registry()) for _ in range(2))
        push(open_host, REPOSITORY)
        private = stack.enter_context(lab.registry(**known))
        shadow = stack.enter_context(lab.registry(readonly=True, **known))
        plain: dict[str, Any] = {host: {"plain_http": True} for host in (open_host, private, DEAD)}
        plain[shadowed] = {"plain_http": True, "shadow": f"http://{shadow}"}
        rules = directory / "registries.yaml"
        rules.write_text(yaml.safe_dump({"registries": plain}))
        credentials = directory / "credentials"
        credentials.mkdir()
        for name, host in {"private": private, "open": open_host, "shadowed": shadowed}.items():
            write_login(credentials / f"{name}-right", host, USERNAME, PASSWORD)
            write_login(credentials / f"{name}-wrong", host, USERNAME, WRONG)
        write_login(credentials / "dead", DEAD, USERNAME, PASSWORD)
        service = Service(
            directory / "service",
            [_kubeconfig(directory / "kubeconfig", clusters[0])],
            credentials,
            {"REMEDIATOR_REGISTRIES_FILE": str(rules)},
        )
        stack.callback(service.stop)
        yield Place(service, rules, credentials, private, open_host, shadowed)


def _kubeconfig(path: Path, cluster: Cluster) -> Path:
    """Write two contexts of one cluster: in the second, the worker may not list pods."""
    token = grant_least_privilege(cluster)
    account = {"name": "blind", "namespace": "default"}
    rules = [
        rule
        for rule in cluster.http.get(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/remediator"
        ).json()["rules"]
        if rule["resources"] != ["pods"]
    ]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "blind"},
        "rules": rules,
    }
    binding = {
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "blind"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "blind",
        },
        "subjects": [{"kind": "ServiceAccount"} | account],
    }
    cluster.apply(role, {"kind": "ServiceAccount", "metadata": account}, binding)
    blind = cluster.service_account_token("default", "blind")
    write_kubeconfig(
        path,
        {
            "alpha": ContextSpec(cluster.server, cluster.ca_file, token),
            "blind": ContextSpec(cluster.server, cluster.ca_file, blind),
        },
    )
    return path


def pod(space: Space, namespace: str, image: str) -> None:
    """Make a pod that uses an image; there is no scheduler, so it stays as it is."""
    spec = {"containers": [{"name": "app", "image": image}]}
    answer = space.clusters[0].http.post(
        f"/api/v1/namespaces/{namespace}/pods", json={"metadata": {"name": "app"}, "spec": spec}
    )
    answer.raise_for_status()


def namespace_with_pod(space: Space, host: str, tag: str = "1.0") -> str:
    name = space.namespace("shop")
    pod(space, name, f"{host}/{REPOSITORY}:{tag}")
    return name


def said(outcome: Outcome, cluster: str = "alpha") -> dict[str, Any]:
    """Return what the registry said."""
    found = outcome.clusters[cluster]["registry_check"]
    assert found, outcome.body
    return dict(found)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_wrong_login_is_not_written(place: Place, space: Space, dry_run: bool) -> None:
    name = namespace_with_pod(space, place.private)
    before = space.versions()

    outcome = place.run(space, "private-wrong", dry_run=dry_run)

    error = outcome.clusters["alpha"]["error"]
    assert outcome.status == "failed"
    assert error["code"] == "credential_rejected"
    assert error["detail"].startswith(f"wrong_credential at {place.private}/{REPOSITORY}")
    assert said(outcome)["verdict"] == "wrong_credential"
    assert said(outcome)["login"] == "refused"
    assert space.versions() == before
    assert not space.exists(f"namespaces/{name}/secrets/docker")


@pytest.mark.parametrize(("dry_run", "open_row"), [(True, "would_change"), (False, "failed")])
def test_a_wrong_login_hides_nothing_of_what_was_seen(
    place: Place, space: Space, dry_run: bool, open_row: str
) -> None:
    name = namespace_with_pod(space, place.private)
    taken = space.namespace("taken")
    space.secret(taken, "a", kind="Opaque", key="a")
    left = space.namespace("left")
    asked = [space.pattern, f"{name}x"]

    outcome = place.run(space, "private-wrong", dry_run=dry_run, namespaces=asked, ignore=[left])

    assert outcome.status == "failed"
    assert outcome.outcomes() == {name: open_row, taken: "failed", left: "ignored"}
    assert outcome.row(taken)["error"]["code"] == "secret_type_mismatch"
    assert outcome.body["summary"]["namespaces"]["total"] == 3
    (slip,) = [w for w in outcome.body["warnings"] if w["code"] == "namespace_not_found"]
    assert "not looked at" not in slip["detail"]
    retry = f"/remediations/{outcome.body['id']}/retry"
    again = place.service.wait(place.service.http.post(retry).json()["id"])
    assert (again.status, again.row(name)["outcome"]) == ("failed", open_row)


def test_a_right_login_is_written_once_it_is_proven(place: Place, space: Space) -> None:
    name = namespace_with_pod(space, place.private)

    outcome = place.run(space, "private-right")

    check = said(outcome)
    assert outcome.status == "succeeded"
    assert (check["verdict"], check["registry"]) == ("works", place.private)
    assert (check["repositories"], check["login"]) == (1, "accepted")
    assert check["registries"] == [
        {key: value for key, value in check.items() if key not in ("registries", "checked_at")}
    ]
    assert space.exists(f"namespaces/{name}/secrets/docker")


def test_an_image_that_is_gone_does_not_hold_up(place: Place, space: Space) -> None:
    namespace_with_pod(space, place.private, tag="gone")

    outcome = place.run(space, "private-right")

    assert outcome.status == "succeeded"
    assert said(outcome)["verdict"] == "accepted_no_such_image"


def test_a_warning_writes_all_the_same(place: Place, space: Space) -> None:
    name = namespace_with_pod(space, place.private)

    outcome = place.run(space, "private-wrong", registry_check="warn")

    assert outcome.status == "succeeded"
    assert said(outcome)["verdict"] == "wrong_credential"
    assert space.exists(f"namespaces/{name}/secrets/docker")


def test_who_skips_the_check_does_not_ask(place: Place, space: Space) -> None:
    name = namespace_with_pod(space, place.private)

    outcome = place.run(space, "private-wrong", registry_check="skip")

    assert outcome.clusters["alpha"]["registry_check"] is None
    assert space.exists(f"namespaces/{name}/secrets/docker")


@pytest.mark.parametrize("credential", ["open-right", "open-wrong"])
def test_an_open_registry_proves_nothing_and_holds_nobody_up(
    place: Place, space: Space, credential: str
) -> None:
    namespace_with_pod(space, place.open)

    outcome = place.run(space, credential)

    assert outcome.status == "succeeded"
    assert said(outcome)["verdict"] == "not_proven_public"
    assert said(outcome)["login"] == "not_checked"


def test_its_shadow_tells_the_logins_apart(place: Place, space: Space) -> None:
    name = namespace_with_pod(space, place.shadowed)

    wrong = place.run(space, "shadowed-wrong")
    assert not space.exists(f"namespaces/{name}/secrets/docker")
    right = place.run(space, "shadowed-right")

    assert (wrong.status, said(wrong)["verdict"]) == ("failed", "wrong_credential")
    assert (right.status, said(right)["verdict"]) == ("succeeded", "works")
    assert said(right)["via_shadow"] is True


def test_a_registry_that_is_not_there_stops_the_run(place: Place, space: Space) -> None:
    name = namespace_with_pod(space, DEAD)

    outcome = place.run(space, "dead")

    assert outcome.status == "failed"
    assert said(outcome)["verdict"] == "unreachable"
    assert not space.exists(f"namespaces/{name}/secrets/docker")


def test_nobody_is_asked_where_nothing_is_to_be_written(place: Place, space: Space) -> None:
    namespace_with_pod(space, place.private)
    place.run(space, "private-right")

    again = place.run(space, "private-right")

    assert again.summary["namespaces"]["unchanged"] == 1
    assert again.clusters["alpha"]["registry_check"] is None


def test_an_undo_asks_nobody(place: Place, space: Space) -> None:
    name = namespace_with_pod(space, place.private)
    written = place.run(space, "private-wrong", registry_check="warn")

    answer = place.service.http.post(f"/remediations/{written.body['id']}/undo")
    undone = place.service.wait(answer.json()["id"])

    assert undone.status == "succeeded"
    assert undone.clusters["alpha"]["registry_check"] is None
    assert not space.exists(f"namespaces/{name}/secrets/docker")


def test_what_was_refused_wrote_nothing_to_undo_and_can_be_retried(
    place: Place, space: Space
) -> None:
    name = namespace_with_pod(space, place.private)
    write_login(place.credentials / "mended", place.private, USERNAME, WRONG)
    place.service.wait_for_credential("mended")
    refused = place.run(space, "mended")
    http = place.service.http

    undo = http.post(f"/remediations/{refused.body['id']}/undo")
    (place.credentials / "mended" / "password").write_text(PASSWORD)
    retry = place.service.wait(http.post(f"/remediations/{refused.body['id']}/retry").json()["id"])

    assert (undo.status_code, undo.json()["code"]) == (409, "nothing-to-undo")
    assert refused.status == "failed"
    assert retry.status == "succeeded"
    assert space.exists(f"namespaces/{name}/secrets/docker")


@pytest.mark.parametrize(
    ("credential", "status", "verdict"),
    [
        ("private-right", "succeeded", "accepted_no_such_image"),
        ("private-wrong", "failed", "wrong_credential"),
    ],
)
def test_who_may_not_list_pods_proves_the_login_and_says_so(
    place: Place, space: Space, credential: str, status: str, verdict: str
) -> None:
    namespace_with_pod(space, place.private)

    outcome = place.run(space, credential, clusters=["blind"])

    check = said(outcome, "blind")
    assert (outcome.status, check["verdict"], check["repositories"]) == (status, verdict, 0)
    assert "the worker may not list pods" in check["detail"]


def test_images_of_namespaces_that_are_left_alone_do_not_count(place: Place, space: Space) -> None:
    space.namespace("mine")
    other = space.namespace("other")
    pod(space, other, f"{place.private}/{REPOSITORY}:1.0")

    outcome = place.run(space, "private-right", ignore=[other])

    assert said(outcome)["repositories"] == 0
    assert "no pod there uses an image of it" in said(outcome)["detail"]


def test_rules_are_read_again_and_a_broken_file_changes_nothing(place: Place, space: Space) -> None:
    good = place.rules.read_text()
    namespace_with_pod(space, place.private)
    try:
        place.rules.write_text("registries: {}")
        strict = place.run(space, "private-right", dry_run=True)
        place.rules.write_text(good)
        first = place.run(space, "private-right", dry_run=True)
        place.rules.write_text("registries: [")
        broken = place.run(space, "private-right", dry_run=True)
    finally:
        place.rules.write_text(good)

    assert said(strict)["verdict"] == "unreachable"
    assert "plain_http" in said(strict)["hint"]
    assert (said(first)["verdict"], said(broken)["verdict"]) == ("works", "works")


def test_the_command_line_says_it(place: Place, space: Space) -> None:
    namespace_with_pod(space, place.private)
    arguments = ("run", "--clusters", "alpha", "--namespaces", space.pattern)

    refused = place.service.cli(*arguments, "--credential", "private-wrong")
    written = place.service.cli(
        *arguments, "--credential", "private-wrong", "--registry-check", "warn"
    )

    line = f"login at {place.private}: wrong_credential"
    assert refused.returncode == 1
    assert line in refused.stdout
    assert "--registry-check warn writes all the same" in refused.stdout
    assert written.returncode == 0
    assert line in written.stdout


def test_no_password_is_told_anywhere(place: Place, space: Space) -> None:
    namespace_with_pod(space, place.private)
    told = [json.dumps(place.run(space, name).body) for name in ("private-wrong", "private-right")]
    told.append(place.service.log.read_text())

    assert "wrong_credential" in told[0]
    assert not any(secret in text for text in told for secret in (PASSWORD, WRONG))
