"""Contexts of a real service: insecure ones, several of one API server, and one whose plugin fails."""

import hashlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.cluster import Cluster
from tests.e2e.fleet import REGISTRY, Space, grant_least_privilege
from tests.e2e.service import ROOT, Service, own_environment, until

VERSION = "client.authentication.k8s.io/v1"
INSECURE = {"insecure-skip-tls-verify": True}


def write(path: Path, contexts: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Write a kubeconfig of contexts, each with the entries of its cluster and user."""
    document = {
        "clusters": [{"name": name, "cluster": each[0]} for name, each in contexts.items()],
        "users": [{"name": name, "user": each[1]} for name, each in contexts.items()],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name}} for name in contexts
        ],
    }
    path.write_text(yaml.safe_dump(document))


def verified(cluster: Cluster) -> dict[str, Any]:
    return {"server": cluster.server, "certificate-authority": str(cluster.ca_file)}


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, clusters: tuple[Cluster, ...], credentials: Path
) -> Iterator[Service]:
    """A service with three names for alpha, of which one is insecure and allowed, and one is neither."""
    folder = tmp_path_factory.mktemp("contexts")
    alpha, beta = clusters
    token, other = {"token": grant_least_privilege(alpha)}, {"token": grant_least_privilege(beta)}
    plugin = folder / "company-login"
    plugin.write_text(
        "#!/bin/sh\necho 'token expired, run: company-login --cluster eu' >&2\nexit 1\n"
    )
    plugin.chmod(0o755)
    sso = {"exec": {"apiVersion": VERSION, "command": str(plugin), "interactiveMode": "Never"}}
    write(
        folder / "kubeconfig",
        {
            "eu": (verified(alpha), token),
            "lab-eu": ({"server": alpha.server, **INSECURE}, token),
            "lost": (
                {"server": alpha.server, **INSECURE, "tls-server-name": "x.example.com"},
                token,
            ),
            "prod-eu": (verified(alpha), token),
            "sso": (verified(beta), sso),
            "us": (verified(beta), other),
        },
    )
    environment = {"REMEDIATOR_INSECURE_CONTEXTS": "lab-*"}
    running = Service(folder / "up", [folder / "kubeconfig"], credentials, environment)
    try:
        until(lambda: clusters_of(running)["us"]["uid"], "the uids of the API servers")
        until(lambda: clusters_of(running)["sso"]["warning"], "the failure of the plugin")
        until(lambda: len(clusters_of(running)["eu"]["same_as"]) == 2, "the names of alpha")
        yield running
    finally:
        running.stop()


def clusters_of(service: Service) -> dict[str, Any]:
    return {item["name"]: item for item in service.http.get("/clusters").json()["items"]}


def test_the_list_of_clusters_says_what_each_context_is(fleet: Service):
    items = clusters_of(fleet)

    assert items["eu"]["same_as"] == ["lab-eu", "prod-eu"]
    assert (items["lab-eu"]["insecure"], items["lab-eu"]["status"]) == (True, "ready")
    assert items["lost"]["status"] == "invalid"
    assert "REMEDIATOR_INSECURE_CONTEXTS" in items["lost"]["reason"]
    assert "company-login' ended with code 1: token expired, run: comp" in items["sso"]["warning"]
    table = fleet.cli("clusters").stdout
    assert "insecure: the certificate of its API server is not verified" in table
    assert "the same API server as eu, prod-eu; '*' counts it once" in table


def test_a_plan_over_all_counts_an_api_server_once_and_passes_over_nothing_else(
    fleet: Service, space: Space
):
    space.namespace("n")

    outcome = fleet.remediate(clusters=["*"], namespaces=[space.pattern], dry_run=True).body

    found = {each["name"]: each["status"] for each in outcome["clusters"]}
    assert found == {
        "eu": "succeeded",
        "lost": "unreachable",
        "sso": "unreachable",
        "us": "succeeded",
    }
    assert outcome["summary"]["namespaces"]["total"] == 1
    (warning,) = [each for each in outcome["warnings"] if each["code"] == "same_api_server"]
    assert warning["detail"].startswith("lab-eu, prod-eu are the same API server as eu")


def test_an_insecure_context_is_written_to_and_shown_in_the_run_and_the_audit_trail(
    fleet: Service, space: Space
):
    name = space.namespace("n")

    outcome = fleet.remediate(clusters=["lab-eu"], namespaces=[name]).body

    assert outcome["status"] == "succeeded"
    assert space.pull_secrets(name, "default") == ["docker"]
    assert [each["code"] for each in outcome["warnings"]] == ["insecure_cluster"]
    lines = (fleet.directory / "data" / "audit.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines if outcome["id"] in line]
    details = {each["action"]: each["details"] for each in told}
    assert details["remediation.create"]["insecure_clusters"] == ["lab-eu"]
    assert details["run.begin"]["insecure"] is True


def test_runs_by_two_names_of_one_api_server_go_one_after_the_other(fleet: Service, space: Space):
    name = space.namespace("n")

    outcome = fleet.remediate(clusters=["eu", "prod-eu"], namespaces=[name])

    assert outcome.status == "succeeded"
    assert [(row["cluster"], row["outcome"]) for row in outcome.rows] == [
        ("eu", "changed"),
        ("prod-eu", "unchanged"),
    ]


def test_what_protects_one_name_of_an_api_server_protects_them_all(fleet: Service, space: Space):
    name = space.namespace("n")
    access = fleet.directory / "data" / "access.yaml"
    before = access.read_text()
    access.write_text(yaml.safe_dump(yaml.safe_load(before) | {"protected_clusters": ["prod-*"]}))
    try:

        def waits() -> bool:
            body = fleet.post(clusters=["eu"], namespaces=[name]).json()
            fleet.http.post(f"/remediations/{body['id']}/cancel")
            return bool(body["approval"]) and body["approval"]["state"] == "pending"

        until(waits, "the protection")
        assert not fleet.post(clusters=["us"], namespaces=[name], dry_run=True).json()["approval"]
    finally:
        access.write_text(before)


def test_a_name_that_means_another_api_server_by_now_has_nothing_written(
    fleet: Service, space: Space, clusters: tuple[Cluster, ...]
):
    """Accepted for one server; when its turn comes the name leads to the other one: run, dry run, undo and check."""
    name, other = space.namespace("n"), space.namespace("m")
    space.namespace("m", cluster=1)
    done = fleet.remediate(clusters=["eu"], namespaces=[name]).body
    path = fleet.directory.parent / "kubeconfig"
    before = path.read_text()
    alpha, beta = (clusters_of(fleet)[each]["uid"] for each in ("eu", "us"))
    body = {"clusters": ["us"], "namespaces": [other]}
    asked = body | {"registry": REGISTRY, "credential": "harbor", "evidence": "L0"}
    fleet.http.post("/system/pause", json={"reason": "swap"}).raise_for_status()
    try:
        held = [
            fleet.post(**body).json()["id"],
            fleet.post(**body, dry_run=True).json()["id"],
            fleet.http.post(f"/remediations/{done['id']}/undo").json()["id"],
        ]
        checked = fleet.http.post("/readiness-checks", json=asked)
        assert checked.status_code == 202, checked.text
        swap(path, "eu", "us")
        until(lambda: clusters_of(fleet)["us"]["uid"] == alpha, "the swapped names")
        versions = space.versions(), space.versions(cluster=1)
        fleet.http.post("/system/resume").raise_for_status()
        ended = [fleet.wait(each) for each in held]
        url = f"/readiness-checks/{checked.json()['id']}"
        until(lambda: fleet.http.get(url, params={"wait": "60"}).json()["terminal"], "check")
        judged = fleet.http.get(url).json()

        assert [each.status for each in ended] == ["failed"] * 3
        assert (space.versions(), space.versions(cluster=1)) == versions
        errors = [each.body["clusters"][0]["error"] for each in ended]
        assert [each["code"] for each in errors] == ["cluster_changed"] * 3
        assert all(
            f"'{us}'" in each["detail"] for us, each in zip(("us", "us", "eu"), errors, strict=True)
        )
        assert all(alpha in each["detail"] and beta in each["detail"] for each in errors)
        assert (judged["verdict"], judged["clusters"][0]["error"]["code"]) == (
            "unknown",
            "cluster_changed",
        )
        again = fleet.http.post(f"/remediations/{held[0]}/retry").json()["id"]
        assert fleet.wait(again).body["clusters"][0]["error"]["code"] == "cluster_changed"
    finally:
        fleet.http.post("/system/resume")
        path.write_text(before)
        until(lambda: clusters_of(fleet)["us"]["uid"] == beta, "the names as they were")
    retried = [
        fleet.wait(fleet.http.post(f"/remediations/{each}/retry").json()["id"])
        for each in (again, held[2])
    ]
    assert [each.outcomes() for each in retried] == [{other: "changed"}, {name: "changed"}]
    assert space.pull_secrets(name, "default") == []


def swap(path: Path, *names: str) -> None:
    """Have two contexts lead to each other's server."""
    document = yaml.safe_load(path.read_text())
    first, second = [each for each in document["contexts"] if each["name"] in names]
    first["context"], second["context"] = second["context"], first["context"]
    path.write_text(yaml.safe_dump(document))


def fingerprint_of(cluster: Cluster) -> str:
    host, _, port = cluster.server.removeprefix("https://").partition(":")
    pem = ssl.get_server_certificate((host, int(port)))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def pinned(answer: str, *arguments: str) -> tuple[int, str]:
    """Run the command on a terminal of its own, give an answer, and return exit code and screen."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "cli", "kubeconfig", "pin", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=own_environment(), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        screen = b""
        try:
            while b"[y/N]" not in screen:
                screen += os.read(ours, 4096)
            os.write(ours, f"{answer}\n".encode())
            while chunk := os.read(ours, 4096):
                screen += chunk
        except OSError:  # it has ended
            pass
        code = process.wait(60)
    os.close(ours)
    return code, screen.decode()


def test_a_certificate_is_pinned_on_a_terminal_once_somebody_says_yes(
    tmp_path: Path, clusters: tuple[Cluster, ...]
):
    alpha = clusters[0]
    path = tmp_path / "config"
    write(path, {"a": ({"server": alpha.server, **INSECURE}, {"token": "x"})})
    before = path.read_text()

    code, screen = pinned("n", "a", "--kubeconfig", str(path))
    assert (code, "the answer is not yes; nothing was changed" in screen) == (7, True), screen
    assert [each.name for each in tmp_path.iterdir()] == ["config"]
    assert path.read_text() == before
    code, screen = pinned("y", "a", "--kubeconfig", str(path))

    assert code == 0, screen
    assert fingerprint_of(alpha) in screen.lower().replace(":", "")
    assert "openssl x509 -noout -fingerprint -sha256" in screen
    entry = yaml.safe_load(path.read_text())["clusters"][0]["cluster"]
    assert entry.keys() == {"server", "certificate-authority-data"}


def test_a_script_pins_with_the_fingerprint_and_the_context_is_served_from_then_on(
    fleet: Service, clusters: tuple[Cluster, ...], space: Space
):
    path = fleet.directory.parent / "kubeconfig"
    path.chmod(0o640)
    before = yaml.safe_load(path.read_text())

    def pin(*more: str) -> tuple[int, str]:
        done = fleet.cli("kubeconfig", "pin", "lost", "--kubeconfig", str(path), *more)
        return done.returncode, done.stdout + done.stderr

    name = ("--tls-server-name", "kubernetes")
    right = ("--fingerprint", f"SHA256:{fingerprint_of(clusters[0])}")
    for more, says in [
        (right, "it would not be trusted as 'x.example.com'"),
        (right, "add --tls-server-name kubernetes"),
        (name, "no terminal to ask on"),
        ((*name, "--fingerprint", "00" * 32), "another certificate than --fingerprint says"),
    ]:
        code, told = pin(*more)
        assert (code, says in told) == (2, True), told
    assert yaml.safe_load(path.read_text()) == before

    code, told = pin(*name, *right)

    assert code == 0, told
    after = yaml.safe_load(path.read_text())
    changed = {"certificate-authority-data", "insecure-skip-tls-verify", "tls-server-name"}
    for was, now in zip(before["clusters"], after["clusters"], strict=True):
        if was["name"] == "lost":
            assert {k: v for k, v in was["cluster"].items() if k not in changed} == {
                k: v for k, v in now["cluster"].items() if k not in changed
            }
            assert "insecure-skip-tls-verify" not in now["cluster"]
            assert now["cluster"]["tls-server-name"] == "kubernetes"
        else:
            assert was == now
    assert (before["users"], before["contexts"]) == (after["users"], after["contexts"])
    (kept,) = path.parent.glob(".kubeconfig.before-pin-*")
    assert yaml.safe_load(kept.read_text()) == before
    assert {each.stat().st_mode & 0o777 for each in (path, kept)} == {0o640}
    until(lambda: clusters_of(fleet)["lost"]["status"] == "ready", "the pinned context")
    namespace = space.namespace("n")
    assert fleet.remediate(clusters=["lost"], namespaces=[namespace]).status == "succeeded"
    code, told = pin()
    assert (code, "verified already" in told) == (0, True), told
    assert len(list(path.parent.glob(".kubeconfig.before-pin-*"))) == 1


def test_a_pin_of_what_is_not_there_says_what_is(fleet: Service):
    path = fleet.directory.parent / "kubeconfig"

    done = fleet.cli("kubeconfig", "pin", "lots", "--kubeconfig", str(path))

    assert done.returncode == 2
    assert "no context 'lots'; there are: eu, lab-eu, lost, prod-eu, sso, us" in done.stderr
