"""One pod or template of every class on a real API server, judged with the documented rights and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.e2e.conftest import write_login
from tests.e2e.fleet import (
    PASSWORD,
    REGISTRY,
    Space,
    docker_config,
    until_allowed,
    write_least_privileged,
)
from tests.e2e.readiness import IMAGE, Place, found, judged
from tests.e2e.registry import known_registry
from tests.e2e.service import Service, until
from tests.worker.registry_behaviour import PASSWORD as STAGE_PASSWORD
from tests.worker.registry_behaviour import USER, Behaviour, Stage

SERVED = "served.example.com"
LABELLED = "labelled.example.com"
DEEP = ("remediator-readiness-secrets", "remediator-readiness-admission")
LEGACY = "kubernetes.io/dockercfg"


def backing_off() -> dict[str, Any]:
    """Return the state of a container whose image cannot be pulled."""
    return {"waiting": {"reason": "ImagePullBackOff"}}


POISON = {"auths": {"other.example.com": {"auth": "%%%"}}}
ELSEWHERE = docker_config(registry="other.example.com")
OLD = docker_config(password="an-older-one")

CASES: dict[str, tuple[Callable[[Space], Place], str, str]] = {
    "P_COVERED": (lambda s: Place(s).secret().pod("docker"), "info", ""),
    "P_NODE": (
        lambda s: Place(s).pod(annotations={"kubernetes.io/config.mirror": "x"}),
        "blocking",
        "node_credentials",
    ),
    "P_BREAKS_ON_FLIP": (
        lambda s: Place(s).pod(pulled=False, state=backing_off()),
        "blocking",
        "create it again",
    ),
    "P_RISK_RESTART": (lambda s: Place(s).pod(), "blocking", "create it again"),
    "P_RISK_LOW": (lambda s: Place(s).pod(policy="IfNotPresent"), "warning", "create it again"),
    "P_NO_PULL": (lambda s: Place(s).pod(restart="Never"), "info", ""),
    "P_POISONED": (lambda s: Place(s).secret(POISON).pod("docker"), "blocking", "correct or empty"),
    "P_UNKNOWN": (
        lambda s: Place(s).secret(name="theirs").pod("theirs"),
        "blocking",
        "let the worker get Secret",
    ),
    "W_COVERED_SA": (lambda s: Place(s, ("docker",)).secret().workload(), "info", ""),
    "W_COVERED_TEMPLATE": (lambda s: Place(s).secret().workload("docker"), "info", ""),
    "W_TEMPLATE_SECRETS": (
        lambda s: Place(s, ("docker",)).secret().workload(""),
        "blocking",
        "kubectl --context alpha",
    ),
    "W_SA_UNPATCHED": (lambda s: Place(s).secret().workload(), "blocking", "remediator run"),
    "W_DANGLING": (lambda s: Place(s, ("docker",)).workload(), "blocking", "remediator run"),
    "W_WRONG_TYPE": (
        lambda s: Place(s, ("docker",)).secret("x", kind="Opaque", key="x").workload(),
        "blocking",
        "type cannot be changed",
    ),
    "W_KEY": (
        lambda s: Place(s, ("docker",)).secret(ELSEWHERE).workload(),
        "blocking",
        "--on-conflict merge",
    ),
    "W_STALE": (
        lambda s: Place(s, ("docker",)).secret(OLD).workload(),
        "blocking",
        "--on-conflict merge",
    ),
    "W_POISONED": (
        lambda s: Place(s, ("docker",)).secret(POISON).workload(),
        "blocking",
        "correct or empty",
    ),
    "W_UNKNOWN": (
        lambda s: Place(s, ("docker", "theirs")).secret().secret(name="theirs").workload(),
        "blocking",
        "let the worker get Secret",
    ),
    "W_SA_MISSING": (
        lambda s: Place(s).secret().workload(serviceAccountName="absent"),
        "warning",
        "create serviceaccount absent",
    ),
    "W_ENFORCED": (lambda s: enforced(Place(s).secret().workload("docker")), "blocking", "run"),
    "W_DRIFT": (lambda s: applied(Place(s, ("docker",)).secret().workload()), "blocking", "in"),
    "W_DORMANT": (lambda s: Place(s).secret().workload(replicas=0), "warning", "remediator run"),
    "SA_UNUSED_UNPATCHED": (lambda s: beside_a_user(Place(s)), "warning", "remediator run"),
}


def beside_a_user(place: Place) -> Place:
    """Have another ServiceAccount than `default` use the registry, and be in line."""
    place.space.account(place.name, "builder", "docker")
    return place.secret().workload(serviceAccountName="builder")


def annotated(place: Place, annotations: dict[str, str]) -> Place:
    """Write annotations on the ServiceAccount `default`."""
    place.cluster.http.patch(
        f"/api/v1/namespaces/{place.name}/serviceaccounts/default",
        content=json.dumps({"metadata": {"annotations": annotations}}),
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    return place


def enforced(place: Place) -> Place:
    """Have the ServiceAccount allow only what it lists, which is nothing."""
    return annotated(place, {"kubernetes.io/enforce-mountable-secrets": "true"})


def applied(place: Place) -> Place:
    """Have the ServiceAccount look as if a manifest that names the list was applied."""
    manifest = json.dumps({"imagePullSecrets": [{"name": "mine"}]})
    return annotated(place, {"kubectl.kubernetes.io/last-applied-configuration": manifest})


@pytest.mark.parametrize("name", CASES)
def test_every_class_is_found_on_a_real_cluster(service: Service, space: Space, name: str) -> None:
    make, severity, fix = CASES[name]
    place = make(space)
    # What is made after the last remediation of a cluster, by whatever test, is told as a race.
    service.remediate(clusters=["alpha"], namespaces=[space.namespace("elsewhere")])

    check = judged(service, namespaces=[place.name])

    row = found(check, name)
    assert (row["severity"], row["namespace"]) == (severity, place.name)
    assert fix in row["fix"], row["fix"]
    assert bool(row["fix"]) is bool(fix)
    blocking = severity == "blocking"
    doubt = row["doubt"]
    assert check["verdict"] == (("unknown" if doubt else "not_safe") if blocking else "safe")
    assert check["clusters"][0]["certificate"]["resource_versions"]["pods"]


@pytest.mark.parametrize(
    "kind",
    ["StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"],
)
def test_templates_of_every_kind_are_judged(service: Service, space: Space, kind: str) -> None:
    place = Place(space).secret().workload(kind=kind)

    row = found(judged(service, namespaces=[place.name]), "W_SA_UNPATCHED")

    assert (row["kind"], row["name"]) == (kind, "web")


@pytest.mark.parametrize(
    "part",
    [
        {"initContainers": [{"name": "first", "image": IMAGE}]},
        {"initContainers": [{"name": "first", "image": IMAGE, "restartPolicy": "Always"}]},
        {"volumes": [{"name": "data", "image": {"reference": IMAGE}}]},
    ],
    ids=["init", "sidecar", "volume"],
)
def test_images_of_every_kind_count(service: Service, space: Space, part: dict[str, Any]) -> None:
    place = Place(space).secret().workload(image="elsewhere.example.com/app:1", **part)

    assert found(judged(service, namespaces=[place.name]), "W_SA_UNPATCHED")["image"] == IMAGE


def test_an_ephemeral_container_of_a_pod_counts(service: Service, space: Space) -> None:
    place = Place(space).pod(image="elsewhere.example.com/app:1")
    path = f"/api/v1/namespaces/{place.name}/pods/web/ephemeralcontainers"
    debug = {"name": "debug", "image": IMAGE}
    place.cluster.http.patch(
        path,
        content=json.dumps({"spec": {"ephemeralContainers": [debug]}}),
        headers={"Content-Type": "application/strategic-merge-patch+json"},
    ).raise_for_status()

    row = found(judged(service, namespaces=[place.name]), "P_BREAKS_ON_FLIP")

    assert row["image"] == IMAGE


def test_an_ignored_namespace_that_uses_the_registry_is_named(
    service: Service, space: Space
) -> None:
    place = Place(space).workload()
    other = space.namespace("other")

    check = judged(service, namespaces=[place.name, other], ignore=[place.name])

    left_out = {row["namespace"]: row for row in check["findings"] if row["class"] == "N_IGNORED"}
    assert "ignore list" in left_out[place.name]["explanation"]
    assert left_out[place.name]["severity"] == "warning"
    assert check["verdict"] == "safe"


def test_without_a_credential_nothing_is_safe(service: Service, space: Space) -> None:
    place = Place(space, ("docker",)).secret().workload()

    answer = service.http.post(
        "/readiness-checks",
        params={"wait": "60"},
        json={"clusters": ["alpha"], "registry": REGISTRY, "namespaces": [place.name]},
    ).json()

    assert answer["verdict"] == "unknown"
    assert answer["summary"]["classes"]["C_NO_CREDENTIAL"] == 1


def test_a_cluster_that_does_not_answer_is_unknown_and_holds_up_nobody(
    service: Service, space: Space, tmp_path: Path, credentials: Path
) -> None:
    """Neither does one whose context is refused, nor one that has its name from two files."""
    good = (service.directory / "kubeconfig").read_text()
    document = json.loads(good.replace(space.clusters[1].server, "https://127.0.0.1:1"))
    document["contexts"].append({"name": "gamma", "context": {"cluster": "alpha"}})
    here = tmp_path / "kubeconfig"
    here.write_text(json.dumps(document))
    again = tmp_path / "again.yaml"
    away = json.loads(good.replace(space.clusters[0].server, "https://127.0.0.1:1"))
    away["contexts"] = [item for item in away["contexts"] if item["name"] == "alpha"]
    again.write_text(json.dumps(away))
    other = Service(tmp_path / "service", [here, again], credentials)
    try:
        place = Place(space, ("docker",)).secret().workload()
        check = judged(other, clusters=["*"], namespaces=[place.name])
        gate = other.http.get(f"/readiness-checks/{check['id']}/gate")
    finally:
        other.stop()

    by_name = {cluster["name"]: cluster for cluster in check["clusters"]}
    assert check["verdict"] == "unknown"
    assert by_name["alpha"]["verdict"] == "safe"
    assert by_name["beta"]["status"] == "unreachable"
    assert by_name["beta"]["error"]["code"] == "unreachable"
    unread = [row for row in check["findings"] if row["class"] == "C_UNREADABLE"]
    assert [(row["cluster"], row["severity"]) for row in unread] == [
        ("alpha@again", "blocking"),
        ("beta", "blocking"),
        ("gamma", "blocking"),
    ]
    assert by_name["gamma"]["status"] == "unreachable"
    assert "the context names no user" in unread[2]["explanation"]
    assert gate.status_code == 412
    assert "C_UNREADABLE beta" in gate.text


def test_lists_that_may_not_be_read_are_never_left_out_in_silence(
    space: Space, tmp_path: Path, clusters: tuple[Cluster, ...], credentials: Path
) -> None:
    account = {"name": "base-only", "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
    clusters[0].apply(
        {"kind": "ServiceAccount", "metadata": account},
        {
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "base-only"},
            "roleRef": reference | {"name": "remediator"},
            "subjects": [{"kind": "ServiceAccount"} | account],
        },
    )
    token = clusters[0].service_account_token("default", "base-only")
    path = tmp_path / "kubeconfig"
    context = ContextSpec(clusters[0].server, clusters[0].ca_file, token)
    write_kubeconfig(path, {"alpha": context})
    other = Service(tmp_path / "service", [path], credentials)
    try:
        place = Place(space, ("docker",)).secret()
        check = judged(other, namespaces=[place.name])
    finally:
        other.stop()

    unread = {row["name"] for row in check["findings"] if row["class"] == "C_UNREADABLE"}
    assert unread >= {"nodes", "deployments", "replicasets", "cronjobs", "jobs"}
    assert check["verdict"] == "unknown"


def test_a_custom_resource_that_names_the_registry_needs_somebodys_word(
    service: Service, space: Space, clusters: tuple[Cluster, ...]
) -> None:
    place = Place(space)
    name = f"{space.prefix.rstrip('-')}widgets"
    http = clusters[0].http
    definition = {
        "metadata": {"name": f"{name}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": name, "singular": name[:-1], "kind": "Widget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    }
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    http.post(crds, json=definition).raise_for_status()
    path = f"/apis/example.com/v1/namespaces/{place.name}/{name}"
    until(lambda: http.get(path).is_success, "kind of custom resource")
    try:
        refused = judged(service, namespaces=[place.name])
        assert found(refused, "C_UNREADABLE")["name"] == "customresources"
        assert refused["verdict"] == "unknown"
        role: dict[str, Any] = {
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [{"apiGroups": ["example.com"], "resources": [name], "verbs": ["list"]}],
        }
        subject = {"kind": "ServiceAccount", "name": "remediator", "namespace": "default"}
        reference = {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": name,
        }
        clusters[0].apply(role)
        binding = {"kind": "ClusterRoleBinding", "metadata": {"name": name}}
        clusters[0].apply(binding | {"roleRef": reference, "subjects": [subject]})
        until_allowed(clusters[0], "remediator", role["rules"][0])
        body = {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "metadata": {"name": "one"},
            "spec": {"deep": [{"image": IMAGE}]},
        }
        http.post(path, json=body).raise_for_status()

        check = judged(service, namespaces=[place.name])

        row = found(check, "W_OTHER")
        assert (row["kind"], row["name"], row["doubt"]) == ("Widget", "one", True)
        assert "spec.deep[0].image" in row["explanation"]
        assert check["verdict"] == "unknown"
    finally:
        http.delete(f"{crds}/{name}.example.com")


@pytest.fixture(scope="module")
def deep(
    tmp_path_factory: pytest.TempPathFactory, clusters: tuple[Cluster, ...], credentials: Path
) -> Iterator[Service]:
    """A service with the optional roles and a file of declared facts."""
    directory = tmp_path_factory.mktemp("deep")
    kubeconfig = write_least_privileged(directory / "kubeconfig", clusters, *DEEP)
    facts = directory / "facts.yaml"
    facts.write_text(
        json.dumps(
            {
                "clusters": [
                    {
                        "names": ["*"],
                        "node_credentials": [
                            {"registry": SERVED},
                            {"registry": LABELLED, "nodes": "!remediator.dev/bare"},
                        ],
                    }
                ],
                "waivers": [
                    {
                        "classes": ["W_SA_UNPATCHED"],
                        "namespaces": ["*waived*", "t*-waived"],
                        "owner": "sre",
                        "reason": "goes away",
                        "expires_at": "2099-01-01",
                    }
                ],
            }
        )
    )
    with known_registry(directory / "known") as environment:
        facts_file = {"REMEDIATOR_FACTS_FILE": str(facts)}
        running = Service(directory, [kubeconfig], credentials, environment | facts_file)
        yield running
        running.stop()


def test_in_deep_mode_other_secrets_are_read(deep: Service, space: Space) -> None:
    place = Place(space).secret(name="theirs").secret(name="legacy", kind=LEGACY, key=".dockercfg")
    place.workload("theirs")

    assert judged(deep, namespaces=[place.name])["verdict"] == "safe"


def test_in_deep_mode_a_missing_secret_is_missing(deep: Service, space: Space) -> None:
    place = Place(space).workload("nowhere")

    assert found(judged(deep, namespaces=[place.name]), "W_DANGLING")["coverage"] == "MISSING"


def test_declared_logins_of_nodes_count(deep: Service, space: Space) -> None:
    place = Place(space).workload(image=f"{SERVED}/app:1")

    check = judged(deep, namespaces=[place.name], registry=SERVED, credential=None)

    assert found(check, "W_NODE")["severity"] == "info"
    assert check["verdict"] == "safe"


def test_logins_that_labels_of_nodes_promise_say_nothing_of_nodes_to_come(
    deep: Service, space: Space
) -> None:
    place = Place(space).workload(image=f"{LABELLED}/app:1")
    place.post("/api/v1/nodes", {"metadata": {"name": f"node-{place.name}"}})

    check = judged(deep, namespaces=[place.name], registry=LABELLED, credential=None)
    place.cluster.http.delete(f"/api/v1/nodes/node-{place.name}").raise_for_status()

    assert found(check, "W_NODE")["doubt"] is True
    assert check["verdict"] == "unknown"


def test_a_waiver_is_shown_and_opens_the_verdict(deep: Service, space: Space) -> None:
    name = space.namespace("waived")
    Place.at(space, name).workload()

    check = judged(deep, namespaces=[name])

    assert check["verdict"] == "safe"
    assert found(check, "W_SA_UNPATCHED")["waiver"]["owner"] == "sre"
    assert (check["summary"]["blocking"], check["summary"]["waived"]) == (0, 1)


def waive(deep: Service, name: str, until: datetime) -> None:
    """Add a waiver for an unpatched ServiceAccount of a namespace, with its end in the time of Tokyo."""
    facts = deep.directory / "facts.yaml"
    declared = json.loads(facts.read_text())
    end = until.astimezone(timezone(timedelta(hours=9))).isoformat()
    waiver = {"classes": ["W_SA_UNPATCHED"], "namespaces": [name], "owner": "sre", "reason": "soon"}
    others = [each for each in declared["waivers"] if each["namespaces"] != [name]]
    facts.write_text(json.dumps(declared | {"waivers": [*others, waiver | {"expires_at": end}]}))


def test_a_verdict_ends_with_the_waiver_that_ends_first_whatever_its_time_zone(
    deep: Service, space: Space
) -> None:
    """Of two clusters; and a gate that rests on a waiver that was shortened meanwhile tells the new end."""
    place = Place(space).workload()
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=4)
    waive(deep, place.name, end)

    check = judged(deep, clusters=["alpha", "beta"], namespaces=[place.name])
    waive(deep, place.name, end - timedelta(minutes=2))
    shortened = deep.http.get(f"/readiness-checks/{check['id']}/gate", params={"wait": "60"})
    waive(deep, place.name, datetime.now(UTC) - timedelta(minutes=1))
    over = deep.http.get(f"/readiness-checks/{check['id']}/gate", params={"wait": "60"})

    assert check["verdict"] == "safe", check["findings"]
    assert datetime.fromisoformat(check["valid_until"]) == end
    assert check["valid_until"].endswith("Z")
    assert shortened.status_code == 200, shortened.text
    told = datetime.fromisoformat(shortened.json()["valid_until"])
    assert told == end - timedelta(minutes=2)
    assert over.status_code == 412


def test_admission_is_proven_and_refusals_are_told(deep: Service, space: Space) -> None:
    place = Place(space, ("docker",)).secret().workload()
    good = judged(deep, namespaces=[place.name], evidence="L3")
    row = found(good, "W_COVERED_SA")
    assert "L3" in row["evidence"]
    before = place.cluster.http.get(f"/api/v1/namespaces/{place.name}/pods").json()["items"]
    assert before == [], "nothing was made"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    place.cluster.apply({"kind": "Namespace", "metadata": {"name": place.name, "labels": labels}})
    pods = f"/api/v1/namespaces/{place.name}/pods"
    probe = {
        "metadata": {"name": "probe"},
        "spec": {"containers": [{"name": "app", "image": IMAGE}]},
    }
    until(
        lambda: place.cluster.http.post(pods, json=probe, params={"dryRun": "All"}).is_error,
        "effect of the label",
    )

    refused = judged(deep, namespaces=[place.name], evidence="L3")

    row = found(refused, "W_ADMISSION")
    assert row["severity"] == "blocking"
    assert "PodSecurity" in row["explanation"]
    assert refused["verdict"] == "unknown"


def test_without_the_right_to_ask_admission_is_not_proven(service: Service, space: Space) -> None:
    place = Place(space, ("docker",)).secret().workload()

    check = judged(service, namespaces=[place.name], evidence="L3")

    assert found(check, "W_ADMISSION")["doubt"] is True
    assert check["verdict"] == "unknown"


def test_the_registry_is_asked(deep: Service, space: Space) -> None:
    """The registry behind the name knows the login and has no image: the login is accepted, the right not shown."""
    place = Place(space, ("docker",)).secret().workload()

    accepted = judged(deep, namespaces=[place.name], evidence="L1")
    unproven = judged(deep, namespaces=[place.name], evidence="L2")

    assert accepted["verdict"] == "safe"
    assert "L1" in found(accepted, "W_COVERED_SA")["evidence"]
    assert found(unproven, "R_UNPROVEN")["doubt"] is True
    assert unproven["verdict"] == "unknown"


def test_without_a_wish_the_registry_is_asked_as_far_as_it_answers(
    deep: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret().workload()

    check = judged(deep, namespaces=[place.name], evidence=None)

    assert check["verdict"] == "safe"
    assert "L1" in found(check, "W_COVERED_SA")["evidence"]


def test_the_registry_is_asked_as_the_nodes_of_the_pods_ask(
    tmp_path: Path, space: Space, clusters: tuple[Cluster, ...]
) -> None:
    """K17: the front door lets everybody in, so CRI-O sends no login to the manifest that wants one."""
    kubeconfig = write_least_privileged(tmp_path / "kubeconfig", clusters)
    with Stage.open() as stage:
        stage.door = ()
        stage.behaviours["team"] = Behaviour()
        folder = tmp_path / "credentials"
        folder.mkdir()
        write_login(folder / "harbor", stage.registry.host, USER, STAGE_PASSWORD)
        rules = {"plain_http": True, "realm_hosts": [stage.tokens.host]}
        known = tmp_path / "registries.yaml"
        known.write_text(json.dumps({"registries": {stage.registry.host: rules}}))
        environment = {"REMEDIATOR_REGISTRIES_FILE": str(known)}
        running = Service(tmp_path / "service", [kubeconfig], folder, environment)
        login = docker_config(stage.registry.host, USER, STAGE_PASSWORD)
        image = f"{stage.registry.host}/team/app:1"
        place = Place(space).secret(login).pod("docker", image=image)
        asked = {"namespaces": [place.name], "registry": stage.registry.host, "evidence": "L2"}
        try:
            by_containerd = judged(running, **asked)
            place.pod("docker", image=image, runtime="cri-o", name="other")
            by_both = judged(running, **asked)
        finally:
            running.stop()

    assert by_containerd["verdict"] == "safe"
    assert by_both["verdict"] != "safe"


def test_a_login_that_the_registry_refuses_is_told(
    tmp_path: Path, space: Space, clusters: tuple[Cluster, ...]
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    entry = folder / "harbor"
    entry.mkdir()
    password = "mistaken-horse-battery"
    for name, value in (("registry", REGISTRY), ("username", "robot"), ("password", password)):
        (entry / name).write_text(value)
    kubeconfig = write_least_privileged(tmp_path / "kubeconfig", clusters)
    wrong = docker_config(password=password)
    with known_registry(tmp_path / "known") as environment:
        running = Service(tmp_path / "service", [kubeconfig], folder, environment)
        try:
            place = Place(space, ("docker",)).secret(wrong).workload()
            check = judged(running, namespaces=[place.name], evidence=None)
        finally:
            running.stop()

    assert found(check, "R_REFUSED")["severity"] == "blocking"
    assert found(check, "W_REFUSED")["severity"] == "blocking"
    assert check["verdict"] == "not_safe"
    assert PASSWORD not in json.dumps(check)
    assert password not in (tmp_path / "service" / "up.log").read_text()


def test_a_service_account_made_after_the_remediation_is_told(
    service: Service, space: Space
) -> None:
    name = space.namespace("old")
    service.remediate(clusters=["alpha"], namespaces=[name])
    for number in range(50):  # times of Kubernetes are whole seconds
        space.account(name, f"late-{number}")
        check = judged(service, namespaces=[name])
        if any(row["class"] == "N_RACE" for row in check["findings"]):
            break

    assert found(check, "N_RACE")["severity"] == "warning"
