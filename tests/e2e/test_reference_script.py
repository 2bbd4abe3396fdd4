"""Every row of what the reference script does, on real API servers, with the documented least privilege."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from remediation.docker_config import parse_docker_config
from tests.e2e.conftest import write_login
from tests.e2e.fleet import (
    PASSWORD,
    REGISTRY,
    USERNAME,
    Space,
    docker_config,
    grant_least_privilege,
    until_admitted_with,
)
from tests.e2e.gate import Gate
from tests.e2e.service import Service, until


def test_s1_every_context_of_the_kubeconfig_is_a_cluster(service: Service):
    items = service.http.get("/clusters").json()["items"]

    assert {item["name"]: item["status"] for item in items} == {"alpha": "ready", "beta": "ready"}


def test_s2_named_clusters_only_and_the_others_stay_untouched(service: Service, space: Space):
    here = space.namespace("n", cluster=0)
    space.namespace("n", cluster=1)

    done = service.remediate(clusters=["alpha"], namespaces=[space.pattern])

    assert set(done.clusters) == {"alpha"}
    assert space.pull_secrets(here, "default", cluster=0) == ["docker"]
    assert space.pull_secrets(here, "default", cluster=1) == []


def test_s2_all_clusters_are_one_word(service: Service, space: Space):
    name = space.namespace("n", cluster=0)
    space.namespace("n", cluster=1)

    done = service.remediate(clusters=["*"], namespaces=[space.pattern])

    assert done.status == "succeeded"
    assert {row["cluster"] for row in done.rows} == {"alpha", "beta"}
    assert space.pull_secrets(name, "default", cluster=1) == ["docker"]


def test_s2_an_unknown_cluster_is_refused_with_the_known_ones_and_the_nearest(service: Service):
    answer = service.post(clusters=["alpha", "betta"])

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "#/clusters/1"
    assert "did you mean 'beta'" in error["detail"]
    assert "alpha, beta" in error["detail"]


def test_s3_ignored_namespaces_have_a_row_with_the_reason_and_stay_untouched(
    service: Service, space: Space
):
    wanted = space.namespace("shop", labels={"team": "shop"})
    by_name = space.namespace("ignored", labels={"team": "shop"})
    by_glob = space.namespace("tmp-1", labels={"team": "shop"})
    by_annotation = space.namespace(
        "out", labels={"team": "shop"}, annotations={"remediator.dev/exclude": "true"}
    )
    not_selected = space.namespace("other", labels={"team": "other"})
    before = space.versions()

    done = service.remediate(
        clusters=["alpha"],
        namespaces=[space.pattern],
        ignore=[by_name, f"{space.prefix}tmp-*"],
        namespace_selector="team in (shop)",
    )

    assert done.outcomes() == {
        wanted: "changed",
        by_name: "ignored",
        by_glob: "ignored",
        by_annotation: "ignored",
    }
    assert done.row(by_glob)["reason"] == f"ignored by '{space.prefix}tmp-*'"
    assert "remediator.dev/exclude" in done.row(by_annotation)["reason"]
    after = space.versions()
    untouched = {key for key in before if wanted not in key}
    assert {key: after[key] for key in untouched} == {key: before[key] for key in untouched}
    assert not_selected not in done.outcomes()


def test_s3_a_name_that_exists_nowhere_is_reported(service: Service, space: Space):
    name = space.namespace("n")

    done = service.remediate(
        clusters=["alpha", "beta"], namespaces=[name, "no-such-namespace"], ignore=["kube-systm"]
    )

    assert done.status == "succeeded"
    named = {warning["name"] for warning in done.body["warnings"]}
    assert "no-such-namespace" in named


def test_s4_s5_the_secret_is_what_the_kubelet_reads(service: Service, space: Space):
    name = space.namespace("n")

    done = service.remediate(clusters=["alpha"], namespaces=[name])

    secret = space.get(f"namespaces/{name}/secrets/docker")
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert set(secret["data"]) == {".dockerconfigjson"}
    assert space.content(name) == docker_config()
    read = parse_docker_config(json.dumps(space.content(name)).encode())
    assert [(key, login.username, login.password) for key, login in read.logins] == [
        (REGISTRY, USERNAME, PASSWORD)
    ]
    meta = secret["metadata"]
    assert meta["labels"] == {"app.kubernetes.io/managed-by": "remediator"}
    assert meta["annotations"] == {
        "remediator.dev/remediation": done.body["id"],
        "remediator.dev/credential": "harbor",
    }
    assert [entry["manager"] for entry in meta["managedFields"]] == ["remediator"]


def test_s5_the_name_of_the_secret_is_a_field(service: Service, space: Space):
    name = space.namespace("n")

    service.remediate(clusters=["alpha"], namespaces=[name], secret_name="pull-two")

    assert space.content(name, "pull-two") == docker_config()
    assert space.pull_secrets(name, "default") == ["pull-two"]
    assert not space.exists(f"namespaces/{name}/secrets/docker")


THEIRS = {"auths": {"other.example.com": {"auth": "dTpw"}}}
STALE = docker_config(password="old")
BOTH = {"auths": THEIRS["auths"] | docker_config(REGISTRY)["auths"]}

EXISTING = {
    "same content": (docker_config(), "fail", "changed", "unchanged", docker_config()),
    "ours among theirs": (BOTH, "fail", "changed", "unchanged", BOTH),
    "another spelling of the registry": (
        docker_config(f"https://{REGISTRY}/v1/"),
        "fail",
        "changed",
        "unchanged",
        docker_config(f"https://{REGISTRY}/v1/"),
    ),
    "stale, refused": (STALE, "fail", "failed", "none", STALE),
    "stale, merged": (STALE, "merge", "changed", "merged", docker_config()),
    "stale, replaced": (STALE, "replace", "changed", "replaced", docker_config()),
    "theirs, refused": (THEIRS, "fail", "failed", "none", THEIRS),
    "theirs, merged": (THEIRS, "merge", "changed", "merged", BOTH),
    "theirs, replaced": (THEIRS, "replace", "changed", "replaced", docker_config()),
    "malformed, not merged": (
        {"auths": {"x.example.com": {"auth": "%"}}},
        "merge",
        "failed",
        "none",
        {"auths": {"x.example.com": {"auth": "%"}}},
    ),
}


@pytest.mark.parametrize(
    ("content", "on_conflict", "outcome", "action", "after"), EXISTING.values(), ids=EXISTING
)
def test_s6_an_existing_secret_is_judged_by_its_content(
    service: Service,
    space: Space,
    content: Any,
    on_conflict: str,
    outcome: str,
    action: str,
    after: Any,
):
    name = space.namespace("n")
    space.secret(name, content)
    uid = space.get(f"namespaces/{name}/secrets/docker")["metadata"]["uid"]

    done = service.remediate(clusters=["alpha"], namespaces=[name], on_conflict=on_conflict)

    row = done.row(name)
    assert (row["outcome"], row["secret"]["action"]) == (outcome, action), row
    assert space.content(name) == after
    assert space.get(f"namespaces/{name}/secrets/docker")["metadata"]["uid"] == uid
    if outcome == "failed":
        assert row["error"]["code"] == "secret_conflict"
        assert space.pull_secrets(name, "default") == []
    else:
        assert space.pull_secrets(name, "default") == ["docker"]


def test_s6_ours_from_before_is_updated_in_place_when_the_credential_changed(
    service: Service, space: Space, credentials
):
    name = space.namespace("n")
    login = credentials / "rotating"
    write_login(login, REGISTRY, USERNAME, "first")
    service.wait_for_credential("rotating")
    service.remediate(clusters=["alpha"], namespaces=[name], credential="rotating")
    uid = space.get(f"namespaces/{name}/secrets/docker")["metadata"]["uid"]

    (login / "password").write_text("second")
    done = service.remediate(clusters=["alpha"], namespaces=[name], credential="rotating")

    assert done.row(name)["secret"]["action"] == "updated"
    assert space.content(name) == docker_config(password="second")
    assert space.get(f"namespaces/{name}/secrets/docker")["metadata"]["uid"] == uid


def test_s6_a_secret_of_another_type_is_refused_with_a_hint(service: Service, space: Space):
    name = space.namespace("n")
    space.secret(name, "x", kind="Opaque", key="token")

    done = service.remediate(clusters=["alpha"], namespaces=[name], on_conflict="replace")

    error = done.row(name)["error"]
    assert error["code"] == "secret_type_mismatch"
    assert "secret_name" in error["hint"]
    assert space.pull_secrets(name, "default") == []


def test_s6_an_immutable_secret_is_refused(service: Service, space: Space):
    name = space.namespace("n")
    space.secret(name, STALE, immutable=True)

    done = service.remediate(clusters=["alpha"], namespaces=[name], on_conflict="replace")

    assert done.row(name)["error"]["code"] == "secret_conflict"
    assert space.content(name) == STALE


def test_s7_two_at_the_same_time_end_well_and_nothing_is_there_twice(
    service: Service, space: Space
):
    names = [space.namespace(f"n{number}", ("default", "web")) for number in range(20)]

    ids = [
        service.post(clusters=["alpha"], namespaces=[space.pattern]).json()["id"] for _ in range(3)
    ]
    done = [service.wait(remediation_id) for remediation_id in ids]

    assert [outcome.status for outcome in done] == ["succeeded"] * 3
    for name in names:
        assert space.pull_secrets(name, "default") == ["docker"]
        assert space.pull_secrets(name, "web") == ["docker"]


def test_s8_every_account_gets_the_name_last_and_keeps_every_entry_and_its_order(
    service: Service, space: Space
):
    name = space.namespace("n", ())
    space.account(name, "bare")
    space.account(name, "others", "b", "a")
    space.account(name, "odd", "b", "", "b")
    space.account(name, "has", "docker", "a")

    done = service.remediate(clusters=["alpha"], namespaces=[name])

    assert space.pull_secrets(name, "bare") == ["docker"]
    assert space.pull_secrets(name, "others") == ["b", "a", "docker"]
    assert space.pull_secrets(name, "odd") == ["b", "", "b", "docker"]
    assert space.pull_secrets(name, "has") == ["docker", "a"]
    row = done.row(name)
    assert row["service_accounts"] == {
        "total": 4,
        "changed": 3,
        "unchanged": 1,
        "ignored": 0,
        "failed": 0,
    }
    assert sorted(row["changed_service_accounts"]) == ["bare", "odd", "others"]


def test_s8_accounts_can_be_chosen(service: Service, space: Space):
    first = space.namespace("one", ("default", "web", "job"))
    second = space.namespace("two", ("default", "web", "job"))

    service.remediate(
        clusters=["alpha"],
        namespaces=[space.pattern],
        service_accounts=["default", f"{first}/w*", "job"],
        ignore_service_accounts=[f"{second}/job"],
    )

    assert space.pull_secrets(first, "web") == ["docker"]
    assert space.pull_secrets(second, "web") == []
    assert space.pull_secrets(first, "job") == ["docker"]
    assert space.pull_secrets(second, "job") == []
    assert space.pull_secrets(second, "default") == ["docker"]


def test_s9_one_bad_namespace_stops_nobody_and_says_why(service: Service, space: Space):
    good = [space.namespace(f"good-{number}") for number in range(5)]
    full = space.namespace("full")
    space.clusters[0].apply(
        {
            "kind": "ResourceQuota",
            "metadata": {"name": "q", "namespace": full},
            "spec": {"hard": {"count/secrets": "0"}},
        }
    )
    _wait_for_quota(space, full)
    leaving = space.namespace("leaving")
    space.clusters[0].http.delete(f"/api/v1/namespaces/{leaving}").raise_for_status()

    done = service.remediate(clusters=["alpha"], namespaces=[space.pattern])

    assert done.status == "partial"
    assert done.clusters["alpha"]["status"] == "partial"
    assert done.outcomes() == dict.fromkeys(good, "changed") | {full: "failed", leaving: "skipped"}
    error = done.row(full)["error"]
    assert (error["code"], error["retryable"]) == ("quota_exceeded", True)
    assert error["object"] == f"secrets/{full}/docker"
    assert space.pull_secrets(full, "default") == []
    assert done.summary["namespaces"] == {
        "total": 7,
        "done": 7,
        "changed": 5,
        "unchanged": 0,
        "would_change": 0,
        "ignored": 0,
        "skipped": 1,
        "failed": 1,
        "cancelled": 0,
    }


def test_s9_a_denied_service_account_leaves_the_others_their_chance(service: Service, space: Space):
    name = space.namespace("n", ("default", "guarded", "web"))
    policy = f"{space.prefix}deny"
    space.clusters[0].apply(
        {
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": policy},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "resourceRules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["UPDATE"],
                            "resources": ["serviceaccounts"],
                        }
                    ]
                },
                "validations": [
                    {
                        "expression": f"object.metadata.namespace != '{name}'"
                        " || object.metadata.name != 'guarded'",
                        "message": "hands off",
                    }
                ],
            },
        },
        {
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": policy},
            "spec": {"policyName": policy, "validationActions": ["Deny"]},
        },
    )
    _wait_until_denied(space, name, "guarded")

    done = service.remediate(clusters=["alpha"], namespaces=[name])

    row = done.row(name)
    assert row["outcome"] == "failed"
    assert row["error"]["code"] == "admission_denied"
    assert policy in row["error"]["detail"]
    assert row["service_accounts"]["failed"] == 1
    assert sorted(row["changed_service_accounts"]) == ["default", "web"]
    assert space.pull_secrets(name, "guarded") == []


@pytest.fixture
def half_way(
    clusters: tuple[Cluster, ...], credentials: Path, tmp_path: Path
) -> Iterator[tuple[Service, Gate]]:
    """A service whose way to the cluster is shut when half of 60 namespaces have their Secret."""
    with Gate(clusters[0], free=30) as gate:
        context = ContextSpec(gate.server, gate.cluster.ca_file, grant_least_privilege(clusters[0]))
        write_kubeconfig(tmp_path / "kubeconfig", {"alpha": context})
        running = Service(tmp_path / "service", [tmp_path / "kubeconfig"], credentials)
        yield running, gate
        gate.open.set()
        running.stop()


def test_s10_progress_can_be_followed_while_it_runs(half_way: tuple[Service, Gate], space: Space):
    service, gate = half_way
    for number in range(60):
        space.namespace(f"n{number:02}", ("default", "web"))
    answer = service.post(clusters=["alpha"], namespaces=[space.pattern])
    path = f"/remediations/{answer.json()['id']}"
    etag, seen = answer.headers["ETag"], [answer.json()]

    while not seen[-1]["terminal"]:
        changed = service.http.get(path, params={"wait": "60"}, headers={"If-None-Match": etag})
        assert changed.status_code == 200, changed.text
        etag = changed.headers["ETag"]
        seen.append(changed.json())
        if seen[-1]["summary"]["namespaces"]["done"]:
            gate.open.set()

    done = [body["summary"]["namespaces"]["done"] for body in seen]
    assert done == sorted(done)
    assert done[-1] == 60
    assert len(set(done)) > 2, f"only {done}"


def test_s11_a_pod_that_is_created_later_gets_the_secret_and_a_running_one_is_left_alone(
    service: Service, space: Space
):
    name = space.namespace("n")
    pod = {"metadata": {"name": "before"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pods = f"/api/v1/namespaces/{name}/pods"
    space.clusters[0].http.post(pods, json=pod).raise_for_status()
    before = space.get(f"namespaces/{name}/pods/before")

    service.remediate(clusters=["alpha"], namespaces=[name])

    until_admitted_with(space.clusters[0], name)
    after = pod | {"metadata": {"name": "after"}}
    created = space.clusters[0].http.post(pods, json=after).json()
    assert created["spec"]["imagePullSecrets"] == [{"name": "docker"}]
    assert space.get(f"namespaces/{name}/pods/before") == before


def test_other_writers_lose_no_entry(service: Service, space: Space):
    accounts = [f"a{number}" for number in range(6)]
    names = [space.namespace(f"n{number:02}", accounts) for number in range(25)]
    stop = threading.Event()
    added: dict[tuple[str, str], list[str]] = {}

    def write(writer: int) -> None:
        """Add entries of its own to the same ServiceAccounts, as a careful controller does."""
        with space.clusters[0].client(space.clusters[0].admin_token) as http:
            for round_number in range(3):
                for name in names[writer::4]:
                    for account in accounts:
                        entry = f"theirs-{writer}-{round_number}"
                        if stop.is_set():
                            return
                        _append(http, name, account, entry)
                        added.setdefault((name, account), []).append(entry)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    until(lambda: added, "entry of another writer")
    done = service.remediate(clusters=["alpha"], namespaces=[space.pattern])
    during = sum(len(entries) for entries in added.values())
    stop.set()
    for writer in writers:
        writer.join()

    assert done.status == "succeeded"
    assert during > 0
    for name in names:
        for account in accounts:
            held = space.pull_secrets(name, account)
            assert held.count("docker") == 1, (name, account, held)
            missing = [entry for entry in added.get((name, account), []) if entry not in held]
            assert not missing, (name, account, held)


def test_a_second_run_writes_nothing_at_all(service: Service, space: Space):
    for number in range(10):
        space.namespace(f"n{number}", ("default", "web"))
    foreign = space.namespace("foreign")
    space.secret(foreign, BOTH)
    service.remediate(clusters=["alpha"], namespaces=[space.pattern])
    before = space.versions()

    done = service.remediate(clusters=["alpha"], namespaces=[space.pattern])

    assert set(done.outcomes().values()) == {"unchanged"}
    assert space.versions() == before
    assert done.status == "succeeded"


def test_a_dry_run_says_what_would_be_and_writes_nothing(service: Service, space: Space):
    fresh = space.namespace("fresh", ("default", "web"))
    taken = space.namespace("taken")
    space.secret(taken, THEIRS)
    before = space.versions()

    planned = service.remediate(clusters=["alpha"], namespaces=[space.pattern], dry_run=True)
    assert space.versions() == before
    real = service.remediate(clusters=["alpha"], namespaces=[space.pattern])

    assert planned.outcomes() == {fresh: "would_change", taken: "failed"}
    assert planned.status == real.status == "partial"
    for name in (fresh, taken):
        would, did = planned.row(name), real.row(name)
        for field in ("secret", "service_accounts", "changed_service_accounts"):
            assert would[field] == did[field]
        assert would["error"] == did["error"]


def _wait_for_quota(space: Space, namespace: str) -> None:
    """Without a controller nobody fills in the quota's status, which admission goes by."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/q/status"
    body = {"status": {"hard": {"count/secrets": "0"}, "used": {"count/secrets": "0"}}}
    http = space.clusters[0].http
    headers = {"Content-Type": "application/merge-patch+json"}
    http.patch(path, json=body, headers=headers).raise_for_status()
    probe = {"metadata": {"name": "probe"}, "type": "Opaque"}

    def refused() -> bool:
        answer = http.post(
            f"/api/v1/namespaces/{namespace}/secrets", json=probe, params={"dryRun": "All"}
        )
        return answer.status_code == 403

    until(refused, "effect of the quota")


def _wait_until_denied(space: Space, namespace: str, account: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}"
    headers = {"Content-Type": "application/merge-patch+json"}

    def denied() -> bool:
        answer = space.clusters[0].http.patch(
            path,
            json={"metadata": {"labels": {"probe": "x"}}},
            params={"dryRun": "All"},
            headers=headers,
        )
        return answer.status_code == 422

    until(denied, "effect of the policy")


def _append(http: Any, namespace: str, account: str, entry: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}"
    while True:
        current = http.get(path).json()
        current["imagePullSecrets"] = [*current.get("imagePullSecrets", []), {"name": entry}]
        answer = http.put(path, json=current)
        if answer.status_code != 409:
            answer.raise_for_status()
            return
