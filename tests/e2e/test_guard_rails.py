"""Guard rails and the audit trail on real clusters, with real processes that are killed and started again."""

import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from controlplane.cluster import Cluster
from remediation.api_key import ENTROPY_BYTES, digest, new_api_key
from store import keys
from tests.e2e.fleet import PASSWORD, Space, write_least_privileged
from tests.e2e.service import Service, until
from tests.e2e.test_inline_credential import marks_of, usual
from tests.leaks import leaks, values_in

PATIENCE_SECONDS = 120


class Guarded:
    """A service of its own whose access file lets a second person in, and can be written."""

    def __init__(self, directory: Path, clusters: tuple[Cluster, ...], credentials: Path) -> None:
        self.directory = directory
        self.credentials = credentials
        self.kubeconfig = write_least_privileged(directory / "kubeconfig", clusters)
        self.bob = new_api_key(os.urandom(ENTROPY_BYTES))
        self.start()

    def start(self) -> None:
        slow = {"REMEDIATOR_CONCURRENCY": "1"}
        self.service = Service(self.directory / "up", [self.kubeconfig], self.credentials, slow)

    def rails(self, **sections: Any) -> None:
        """Write the guard rails."""
        path = self.service.directory / "data" / "access.yaml"
        document = yaml.safe_load(path.read_text())
        others = [entry for entry in document["keys"] if entry["subject"] != "bob"]
        entry = {
            "id": self.bob.id,
            "subject": "bob",
            "sha256": digest(self.bob.token),
            "expires_at": "never",
        }
        bound = {name: ["*"] for name in ("clusters", "namespaces", "credentials")}
        bob = {"subjects": ["client:bob"], "role": "operator", **bound}
        bindings = [each for each in document["bindings"] if each["role"] != "operator"]
        path.write_text(
            yaml.safe_dump({"keys": [*others, entry], "bindings": [*bindings, bob], **sections})
        )

    def revoke(self) -> None:
        """Take all that bob may do from him; return when the workers know it."""
        path = self.service.directory / "data" / "access.yaml"
        document = yaml.safe_load(path.read_text())
        rest = [each for each in document["bindings"] if each["subjects"] != ["client:bob"]]
        path.write_text(yaml.safe_dump({**document, "bindings": rest}))
        with self.service.redis() as redis:
            eventually(lambda: b"client:bob" not in bytes(redis.get(keys.POLICY) or b""))

    def second(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask as bob."""
        headers = {"Authorization": f"Bearer {self.bob.token}"}
        return self.service.http.request(method, path, headers=headers, **more)

    def body(self, remediation_id: str) -> dict[str, Any]:
        return dict(self.service.http.get(f"/remediations/{remediation_id}").json())

    def trail(self, action: str) -> list[dict[str, Any]]:
        """Return the lines of the audit trail on standard output."""
        text = (self.service.directory / "data" / "audit.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        return [line for line in lines if line["action"] == action]

    def restart(self) -> None:
        self.service.stop()
        self.start()


@pytest.fixture
def own(tmp_path: Path, clusters: tuple[Cluster, ...], credentials: Path) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path, clusters, credentials)
    yield guarded
    guarded.service.stop()


def eventually(claim: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not claim():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def test_every_write_is_in_the_audit_trail(own: Guarded, space: Space):
    names = [space.namespace(f"n{number}", ("default", "web")) for number in range(5)]
    answer = own.service.http.post(
        "/remediations",
        json={
            "clusters": ["alpha"],
            "namespaces": [space.pattern],
            "credential": "harbor",
            "registry_check": "skip",
        },
        headers={"X-Request-Id": "incident-4711"},
    )
    done = own.service.wait(answer.json()["id"])
    assert done.status == "succeeded"

    lines = own.trail("cluster.write")

    for name in names:
        written = [line for line in lines if line["namespace"] == name]
        assert {line["details"]["object"] for line in written} == {
            f"secrets/{name}/docker",
            f"serviceaccounts/{name}/default",
            f"serviceaccounts/{name}/web",
        }
        for line in written:
            kind, namespace, thing = line["details"]["object"].split("/")
            found = space.get(f"namespaces/{namespace}/{kind}/{thing}")
            assert line["details"]["resource_version"] == found["metadata"]["resourceVersion"]
            assert line["details"]["verb"] == "patch"
            assert line["details"]["fields"]
            assert line["outcome"] == "done"
            assert line["subject"] == "client:local"
            assert line["cluster"] == "alpha"
            assert line["request_id"] == "incident-4711"
            assert line["remediation_id"] == answer.json()["id"]
    (begun,) = own.trail("run.begin")
    assert begun["at"] <= min(line["at"] for line in lines)

    query = {"trail": "writes", "action": "cluster.namespace", "limit": "1000"}
    kept = own.service.http.get("/audit-events", params=query).json()["items"]
    assert sorted(item["namespace"] for item in kept) == sorted(names)
    told = [write["object"] for item in kept for write in item["details"]["writes"]]
    assert sorted(told) == sorted(line["details"]["object"] for line in lines)
    for trail in ("decisions", "writes"):
        verified = own.service.cli("audit", "verify", "--trail", trail)
        assert verified.returncode == 0, verified.stdout
    text = (own.service.directory / "data" / "audit.jsonl").read_text()
    assert PASSWORD not in text + json.dumps(kept)


def test_what_needs_no_write_leaves_none_in_the_trail(own: Guarded, space: Space):
    name = space.namespace("n")
    own.service.remediate(clusters=["alpha"], namespaces=[name])
    before = len(own.trail("cluster.write"))

    own.service.remediate(clusters=["alpha"], namespaces=[name])
    own.service.remediate(clusters=["alpha"], namespaces=[space.pattern], dry_run=True)

    assert before == 2
    assert len(own.trail("cluster.write")) == before


def forbid_secrets(cluster: Cluster, namespace: str) -> None:
    """Allow no Secret in a namespace; no quota controller runs here, so its status is given as well."""
    place = f"/api/v1/namespaces/{namespace}"
    hard = {"count/secrets": "0"}
    quota = {"metadata": {"name": "none"}, "spec": {"hard": hard}}
    cluster.http.post(f"{place}/resourcequotas", json=quota).raise_for_status()
    cluster.http.patch(
        f"{place}/resourcequotas/none/status",
        json={"status": {"hard": hard, "used": {"count/secrets": "0"}}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    secret = {"metadata": {"name": "asked"}, "data": {}}

    def refused() -> bool:
        answer = cluster.http.post(f"{place}/secrets", json=secret, params={"dryRun": "All"})
        return "exceeded quota" in answer.text

    until(refused, "quota")


def test_a_refused_write_is_in_the_trail_too(own: Guarded, space: Space):
    name = space.namespace("n")
    forbid_secrets(space.clusters[0], name)
    own.service.remediate(clusters=["alpha"], namespaces=[name])

    lines = own.trail("cluster.write")

    assert lines
    for line in lines:
        assert (line["outcome"], line["code"]) == ("refused", "quota_exceeded")
        assert line["details"]["object"] == f"secrets/{name}/docker"
        assert "resource_version" not in line["details"]


def test_an_undo_is_in_the_trail(own: Guarded, space: Space):
    name = space.namespace("n")
    done = own.service.remediate(clusters=["alpha"], namespaces=[name])
    undone = own.service.http.post(f"/remediations/{done.body['id']}/undo").json()
    own.service.wait(undone["id"])

    verbs = [
        (line["details"]["verb"], line["details"]["object"].split("/")[0])
        for line in own.trail("cluster.write")
        if line["remediation_id"] == undone["id"]
    ]

    assert verbs == [("patch", "serviceaccounts"), ("delete", "secrets")]


@pytest.mark.parametrize("dry_run", [False, True])
def test_more_namespaces_than_allowed_are_all_left_alone(own: Guarded, space: Space, dry_run: bool):
    names = [space.namespace(f"n{number}") for number in range(4)]
    own.rails(limits={"admin": {"namespaces": 3}})
    before = space.versions()

    done = own.service.remediate(clusters=["alpha"], namespaces=[space.pattern], dry_run=dry_run)

    error = done.clusters["alpha"]["error"]
    assert done.status == "failed"
    assert error["code"] == "too_many_namespaces"
    assert "4 namespaces" in error["detail"]
    assert "allows 3" in error["detail"]
    assert done.rows == []
    assert space.versions() == before
    assert own.trail("cluster.write") == []
    fewer = own.service.remediate(clusters=["alpha"], namespaces=[space.pattern], ignore=[names[0]])
    assert fewer.status == "succeeded"
    assert len(fewer.rows) == 4


def test_nothing_begins_while_paused_and_all_goes_on_afterwards(own: Guarded, space: Space):
    for number in range(250):
        space.namespace(f"n{number:03}", ("default", "web", "job"))
    http = own.service.http
    worker = http.get("/system").json()["workers"][0]["pid"]
    running = own.service.post(clusters=["alpha"], namespaces=[space.pattern]).json()["id"]
    eventually(lambda: own.body(running)["summary"]["namespaces"]["changed"])

    # A run that has lost its worker waits like one that was never begun.
    held = http.post("/system/pause", json={"reason": "registry is down"})
    assert held.status_code == 200, held.text
    os.kill(worker, signal.SIGKILL)
    again = own.service.cli("pause", "--reason", "of no interest")
    assert again.returncode == 0, again.stderr
    # The announcement of the one that was killed lives for a while.
    eventually(
        lambda: {worker} != {each["pid"] for each in http.get("/system").json()["workers"]} != set()
    )
    queued = own.service.post(clusters=["beta"], namespaces=["default"], dry_run=True).json()["id"]
    time.sleep(5)  # longer than a lease and a wake-up take
    lost = own.body(running)
    assert lost["clusters"][0]["attempt"] == 1
    assert not lost["terminal"]
    waiting = own.body(queued)
    assert waiting["status"] == "queued"
    assert "registry is down" in waiting["clusters"][0]["reason"]
    assert "registry is down" in own.service.cli("system").stdout

    own.restart()  # a pause outlives all processes
    assert own.body(queued)["status"] == "queued"
    assert own.service.cli("resume").returncode == 0

    assert own.service.wait(queued).status == "succeeded"
    done = own.service.wait(running)
    assert done.status == "succeeded"
    assert len(done.rows) == 250
    assert done.clusters["alpha"]["attempt"] >= 2


def test_a_protected_cluster_is_written_only_when_a_second_person_agrees(
    own: Guarded, space: Space
):
    name = space.namespace("n")
    own.rails(protected_clusters=["alp*"], approval_minutes=30)
    before = space.versions()
    held = own.service.post(clusters=["alpha"], namespaces=[name]).json()
    own.restart()
    time.sleep(3)
    assert own.body(held["id"])["status"] == "queued"
    assert space.versions() == before

    alone = own.service.cli("approve", held["id"], "--yes")
    together = own.service.cli("approve", held["id"], "--yes", REMEDIATOR_TOKEN=own.bob.token)

    assert alone.returncode == 4
    assert "self-approval" in alone.stderr
    assert together.returncode == 0, together.stderr
    done = own.service.wait(held["id"])
    assert done.status == "succeeded"
    assert done.body["approval"]["decided_by"] == "client:bob"
    assert space.pull_secrets(name, "default") == ["docker"]
    decided = [
        (line["action"], line["outcome"], line["subject"])
        for line in own.trail("remediation.approve")
    ]
    assert decided == [
        ("remediation.approve", "refused", "client:local"),
        ("remediation.approve", "done", "client:bob"),
    ]


def test_what_is_rejected_is_never_begun(own: Guarded, space: Space):
    name = space.namespace("n")
    own.rails(protected_clusters=["alpha"])
    before = space.versions()
    held = own.service.post(clusters=["alpha"], namespaces=[name]).json()
    body = {"digest": held["approval"]["digest"], "comment": "not now"}

    own.second("POST", f"/remediations/{held['id']}/reject", json=body)

    done = own.service.wait(held["id"])
    assert (done.status, done.body["approval"]["state"]) == ("cancelled", "rejected")
    assert done.rows == []
    assert space.versions() == before


def held_with_login(own: Guarded, name: str, password: str) -> dict[str, Any]:
    """Ask for a remediation of a protected cluster with a login of one's own."""
    own.rails(protected_clusters=["alpha"])
    body = usual(password) | {"clusters": ["alpha"], "namespaces": [name]}
    answer = own.service.http.post("/remediations", json=body)
    assert answer.status_code == 202, answer.text
    held: dict[str, Any] = answer.json()
    assert held["approval"]["state"] == "pending"
    return held


def test_a_login_that_came_along_is_there_after_a_wait_and_a_pause(own: Guarded, space: Space):
    name, password = space.namespace("n"), f"p {secrets.token_hex(12)}"
    held = held_with_login(own, name, password)
    path = f"/remediations/{held['id']}/approve"
    own.service.http.post("/system/pause", json={"reason": "storm"}).raise_for_status()

    approved = own.second("POST", path, json={"digest": held["approval"]["digest"]})
    assert approved.status_code == 202, approved.text
    with own.service.redis() as redis:
        assert redis.ttl(keys.sealed(held["id"])) == -1
        own.service.http.post("/system/resume").raise_for_status()
        done = own.service.wait(held["id"])

        assert (done.status, done.outcomes()) == ("succeeded", {name: "changed"})
        assert space.pull_secrets(name, "default") == ["docker"]
        assert not redis.exists(keys.sealed(held["id"]))
        assert leaks(values_in(redis), marks_of(password)) == 0


def test_a_login_that_came_along_goes_with_a_rejection(own: Guarded, space: Space):
    name, password = space.namespace("n"), f"p {secrets.token_hex(12)}"
    held = held_with_login(own, name, password)
    with own.service.redis() as redis:
        assert redis.exists(keys.sealed(held["id"]))
        body = {"digest": held["approval"]["digest"]}

        own.second("POST", f"/remediations/{held['id']}/reject", json=body).raise_for_status()

        assert not redis.exists(keys.sealed(held["id"]))
        assert leaks(values_in(redis), marks_of(password)) == 0
    assert own.service.wait(held["id"]).status == "cancelled"


def test_who_loses_the_right_while_the_run_waits_has_nothing_written(own: Guarded, space: Space):
    name = space.namespace("n")
    own.rails()
    own.service.http.post("/system/pause", json={"reason": "storm"}).raise_for_status()
    body = {"clusters": ["alpha"], "namespaces": [name], "credential": "harbor"}
    asked = own.second("POST", "/remediations", json=body | {"registry_check": "skip"})
    assert asked.status_code == 202, asked.text
    before = space.versions()

    own.revoke()
    own.service.http.post("/system/resume").raise_for_status()
    done = own.service.wait(asked.json()["id"])

    assert done.status == "failed"
    assert done.clusters["alpha"]["error"]["code"] == "not_permitted"
    assert done.rows == []
    assert space.versions() == before
    assert own.second("GET", f"/remediations/{asked.json()['id']}").status_code == 403
