"""Examples in JSON and YAML are what the service takes, writes and answers."""

import base64
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import orjson
import pytest
import yaml

from api.access_file import read_access_file
from api.guard_rails import GuardRails, Limits, guard_rails
from api.remediation_request import RemediationRequestSchema, to_request
from controlplane.cluster import Cluster
from remediation.audit import Action, Entry, Verdict
from remediation.credential import credential_from_docker_config
from remediation.permission import Permission, Requester, Rights
from remediation.readiness.facts_file import parse_facts
from remediation.registry.rules import parse_rules
from remediation.request import InlineCredential
from tests.docs.pages import PAGES, ROOT, Example, examples_of
from tests.e2e.fleet import ACCESS, PASSWORD, READINESS_ACCESS
from tests.e2e.service import Service
from tests.worker.registry_lab import MANIFEST, Lab, push
from worker.kubeconfigs import load

EXAMPLES = [
    example for page in PAGES for example in examples_of(page) if example.kind in ("json", "yaml")
]
OPENAPI = yaml.safe_load((ROOT / "openapi.yaml").read_text())


def the(note: str) -> Example:
    """Return the one example with this check."""
    (found,) = (example for example in EXAMPLES if example.note == note)
    return found


def documents(example: Example) -> list[Any]:
    """Return the documents of an example in YAML."""
    return list(yaml.safe_load_all(example.text))


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_can_be_read(example: Example) -> None:
    read: Callable[[str], Any] = orjson.loads if example.kind == "json" else yaml.safe_load

    assert [read(text) for text in example.text.split("---\n")]


def test_every_example_is_checked() -> None:
    checks = Path(__file__).read_text()
    others = [e for e in EXAMPLES if not (e.note or "").startswith("recipe ")]

    # Recipes of registries have a test of their own (test_registry_recipes.py), which takes all of them.
    assert [f"{e}: {e.note}" for e in others if f'the("{e.note}")' not in checks] == []


def test_the_request_is_taken() -> None:
    body = RemediationRequestSchema().load(orjson.loads(the("RemediationRequest").text))

    assert to_request(body).credential == "harbor"


def test_the_request_with_a_login_is_taken() -> None:
    body = RemediationRequestSchema().load(orjson.loads(the("request with a login").text))

    assert to_request(body).inline_credential == InlineCredential("registry.example.com", "robot")


def test_the_row_and_the_problem_are_as_the_reference_says() -> None:
    for example, schema in ((the("ResultRow"), "ResultRow"), (the("Problem"), "Problem")):
        described = OPENAPI["components"]["schemas"][schema]
        value = orjson.loads(example.text)

        jsonschema.validate(value, {**described, "components": OPENAPI["components"]})
        assert described["required"] == [name for name in described["required"] if name in value]


def test_the_registries_file_says_what_it_seems_to_say() -> None:
    rules = parse_rules(yaml.safe_load(the("registries file").text))

    named = rules.of("registry.example.com")
    assert named.realm_hosts == ("auth.example.com",)
    assert named.shadow == "https://shadow.example.com:5001"
    assert rules.of("localhost:5000").plain_http


def test_the_shadow_serves_what_is_public_behind_a_login(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    config = yaml.safe_load(the("shadow registry").text)
    with lab.registry() as host:
        push(host, "team/app")
    config["storage"]["filesystem"]["rootdirectory"] = str(tmp_path / "images")
    config["http"]["addr"] = "127.0.0.1:0"
    config["auth"]["htpasswd"] |= lab.htpasswd(robot=PASSWORD)["htpasswd"]

    with lab.serve(config) as shadow:
        url = f"http://{shadow}/v2/team/app"
        headers = {"Accept": MANIFEST}
        with httpx.Client(trust_env=False, headers=headers) as client:
            login = ("robot", PASSWORD)
            assert client.head(f"{url}/manifests/1.0").status_code == 401
            assert client.head(f"{url}/manifests/1.0", auth=login).status_code == 200
            assert client.post(f"{url}/blobs/uploads/", auth=login).status_code == 405


def test_the_access_file_lets_a_key_in(tmp_path: Path) -> None:
    file = tmp_path / "access.yaml"
    file.write_text(the("access file").text)

    access = read_access_file(file)

    (key,) = access.keys.values()
    rights = Rights(access.policy.grants_of(Requester(f"client:{key.subject}", key.groups)))
    create = Permission.CREATE_REMEDIATIONS
    assert rights.uncovered(create, ["eu-1"], ["payments-eu"], "harbor") == []
    assert rights.uncovered(create, ["eu-1"], ["*"], "harbor")
    assert access.oidc
    assert access.kubernetes


def test_the_facts_are_facts() -> None:
    facts = parse_facts(yaml.safe_load(the("readiness facts").text))

    assert facts.of("prod-eu").kubelet_logins[0].nodes.matches({"pool": "gpu"})
    assert [rule.waiver.owner for rule in facts.waivers] == ["platform@example.com"]


def test_the_guard_rails_are_those_of_the_page() -> None:
    rails = guard_rails(yaml.safe_load(the("guard rails").text))

    assert rails.limits_of(["requester"]) == Limits(5, 200, 10, 3)
    assert rails.protected_clusters == ("prod-*",)
    assert rails.approval_minutes == GuardRails().approval_minutes


def test_the_approval_is_as_the_reference_says() -> None:
    described = OPENAPI["components"]["schemas"]["Approval"]
    value = orjson.loads(the("Approval").text)

    jsonschema.validate(value, {**described, "components": OPENAPI["components"]})
    assert set(described["required"]) == set(value)


def test_the_audit_line_is_one_of_ours() -> None:
    value = orjson.loads(the("audit line").text)
    entry = Entry(**value)

    assert set(value) <= {item.name for item in fields(Entry)}
    assert Action(entry.action) is Action.WRITE
    assert Verdict(entry.outcome) is Verdict.DONE
    assert orjson.loads(entry.text()) == value


def test_the_docker_config_is_a_credential() -> None:
    credential = credential_from_docker_config("everything", the("docker config").text.encode())

    assert len(credential.registries) == 2
    assert credential.usernames == ("robot", "team-a")


def test_the_served_kubeconfig_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    plugin = tmp_path / "bin" / "get-token"
    plugin.write_text("#!/bin/sh\n")
    plugin.chmod(0o755)
    monkeypatch.setenv("PATH", str(plugin.parent))
    file = tmp_path / "fleet.yaml"
    file.write_text(the("kubeconfig served").text)

    contexts = load((file,), ("*",), ("get-token",))

    assert set(contexts.usable) == {"eu-prod", "eu-stage"}
    assert contexts.problems == ()


def test_the_refused_kubeconfig_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(the("kubeconfig refused").text)

    contexts = load((file,), ("*",))

    assert "insecure-skip-tls-verify" in contexts.broken["eu-prod"]


def test_the_page_shows_the_role_that_is_used() -> None:
    assert documents(the("the role")) == list(yaml.safe_load_all(ACCESS.read_text()))


def test_the_page_shows_the_roles_of_readiness() -> None:
    shown = documents(the("the readiness roles"))

    assert shown == list(yaml.safe_load_all(READINESS_ACCESS.read_text()))


def test_the_rule_for_other_names_is_that_of_the_role() -> None:
    ((rule,),) = documents(the("rule"))
    (secrets,) = (
        known
        for known in yaml.safe_load(ACCESS.read_text())["rules"]
        if known["resources"] == ["secrets"]
    )

    assert secrets["resourceNames"] == rule["resourceNames"][:1]
    assert rule | {"resourceNames": []} == secrets | {"resourceNames": []}


def test_the_bound_account_may_do_what_the_page_says_and_no_more(tmp_path: Path) -> None:
    spaces, secrets = "/api/v1/namespaces", "/api/v1/namespaces/team/secrets"
    body = {"metadata": {"name": "docker"}, "type": "Opaque"}
    apply = {"Content-Type": "application/apply-patch+yaml"}
    named, applied = "?fieldSelector=metadata.name=docker", "?fieldManager=remediator"

    def document(name: str) -> bytes:
        return orjson.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}})

    with Cluster.start("bound", tmp_path / "bound") as cluster:
        cluster.apply(*yaml.safe_load_all(ACCESS.read_text()), *documents(the("apply")))
        cluster.apply({"kind": "Namespace", "metadata": {"name": "team"}})
        token = cluster.service_account_token("kube-system", "remediator")
        with cluster.client(token) as http:
            allowed = [
                http.get(spaces),
                http.get("/api/v1/serviceaccounts"),
                http.get(f"/api/v1/secrets{named}"),
                http.patch(f"{secrets}/docker{applied}", content=document("docker"), headers=apply),
                http.get(f"{secrets}/docker"),
                http.delete(f"{secrets}/docker"),
                http.get("/api/v1/pods"),
            ]
            refused = [
                http.get("/api/v1/secrets"),
                http.get(f"{spaces}/team/pods/one"),
                http.post(secrets, json=body),
                http.patch(f"{secrets}/other{applied}", content=document("other"), headers=apply),
                http.get(f"{secrets}/other"),
                http.delete(f"{secrets}/other"),
                http.delete(f"{spaces}/team"),
            ]

    assert [answer.status_code for answer in allowed] == [200, 200, 200, 201, 200, 200, 200]
    assert {answer.status_code for answer in refused} == {403}


def test_the_written_secret_is_as_shown(service: Service, clusters: tuple[Cluster, ...]) -> None:
    (shown,) = documents(the("written Secret"))

    service.remediate(clusters=["eu-prod"], namespaces=["payments"])
    found = clusters[0].http.get("/api/v1/namespaces/payments/secrets/docker").json()

    assert found["type"] == shown["type"]
    assert found["metadata"]["labels"] == shown["metadata"]["labels"]
    assert found["metadata"]["annotations"].keys() == shown["metadata"]["annotations"].keys()
    assert found["data"].keys() == shown["data"].keys()
    managers = [(f["manager"], f["operation"]) for f in found["metadata"]["managedFields"]]
    assert managers == [("remediator", "Apply")]


def test_only_replace_takes_over_what_another_tool_wrote(
    service: Service, clusters: tuple[Cluster, ...]
) -> None:
    path = "/api/v1/namespaces/checkout/secrets/docker"
    asked = {"clusters": ["us-prod"], "namespaces": ["checkout"]}
    service.remediate(**asked)
    theirs = the("docker config").text.replace("robot", "somebody").encode()
    edit = {"data": {".dockerconfigjson": base64.b64encode(theirs).decode()}}
    merge_patch = {"Content-Type": "application/merge-patch+json"}
    edited = clusters[1].http.patch(f"{path}?fieldManager=edit", json=edit, headers=merge_patch)
    edited.raise_for_status()

    rows = [
        service.remediate(**asked, on_conflict=on_conflict).row("checkout")
        for on_conflict in ("fail", "merge", "replace")
    ]

    assert [row["outcome"] for row in rows] == ["failed", "failed", "changed"]
    assert {row["error"]["code"] for row in rows[:2]} == {"secret_conflict"}
