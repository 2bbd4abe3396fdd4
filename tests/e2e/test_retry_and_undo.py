"""Repeating what failed and taking back what was done, on real API servers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import Space
from tests.e2e.service import Outcome, Service

FOREIGN = {"auths": {"theirs.example.com": {"auth": "dTpw"}}}


def follow_up(service: Service, remediation_id: str, verb: str, **body: Any) -> Outcome:
    """Ask for a retry or an undo and wait for its end."""
    answer = service.http.post(f"/remediations/{remediation_id}/{verb}", json=body)
    assert answer.status_code == 202, answer.text
    return service.wait(answer.json()["id"])


def refused(service: Service, remediation_id: str, verb: str) -> dict[str, Any]:
    """Ask for it in vain; return the problem."""
    answer = service.http.post(f"/remediations/{remediation_id}/{verb}")
    assert answer.status_code == 409, answer.text
    return dict(answer.json())


def objects(space: Space) -> dict[str, Any]:
    """Return every object of the test without what the API server itself changes with each write."""
    found = {}
    for kind in ("namespaces", "serviceaccounts", "secrets"):
        for item in space.get(kind)["items"]:
            meta = item["metadata"]
            if (meta.get("namespace") or meta["name"]).startswith(space.prefix):
                kept = {
                    k: v for k, v in meta.items() if k not in ("resourceVersion", "managedFields")
                }
                found[f"{kind}/{meta.get('namespace', '')}/{meta['name']}"] = item | {
                    "metadata": kept
                }
    return found


def test_a_retry_is_about_exactly_what_failed(service: Service, space: Space):
    good, bad = space.namespace("good"), space.namespace("bad")
    space.secret(bad, FOREIGN)
    first = service.remediate(clusters=["alpha"], namespaces=[space.pattern])
    assert first.outcomes() == {good: "changed", bad: "failed"}
    space.namespace("new")  # the pattern would match it; the retry is not about it
    space.clusters[0].http.delete(f"/api/v1/namespaces/{bad}/secrets/docker").raise_for_status()

    again = follow_up(service, first.body["id"], "retry", reason="their Secret is gone")

    assert again.body["retry_of"] == first.body["id"]
    assert again.body["request"]["reason"] == "their Secret is gone"
    assert (again.status, again.outcomes()) == ("succeeded", {bad: "changed"})
    assert space.pull_secrets(bad, "default") == ["docker"]
    assert refused(service, again.body["id"], "retry")["type"].endswith("nothing-to-retry")


def test_a_namespace_that_went_away_has_a_row_in_the_retry(service: Service, space: Space):
    bad, worse = space.namespace("bad"), space.namespace("worse")
    for name in (bad, worse):
        space.secret(name, FOREIGN)
    first = service.remediate(clusters=["alpha"], namespaces=[bad, worse])
    http = space.clusters[0].http
    http.delete(f"/api/v1/namespaces/{worse}").raise_for_status()
    finalized = {"metadata": {"name": worse}, "spec": {"finalizers": []}}
    http.put(f"/api/v1/namespaces/{worse}/finalize", json=finalized).raise_for_status()

    again = follow_up(service, first.body["id"], "retry")

    assert again.outcomes() == {bad: "failed", worse: "skipped"}
    assert again.row(worse)["reason"] == "the namespace is gone"


def test_an_undo_leaves_the_cluster_as_it_was(service: Service, space: Space):
    for number in range(3):
        name = space.namespace(f"n{number}", ("default", "web"))
        space.account(name, "listed", "theirs", "", "more")
    before = objects(space)
    done = service.remediate(clusters=["alpha"], namespaces=[space.pattern])
    assert objects(space) != before

    dry = follow_up(service, done.body["id"], "undo", dry_run=True)

    assert set(dry.outcomes().values()) == {"would_change"}
    assert dry.rows[0]["secret"]["action"] == "deleted"
    assert objects(space) != before

    undone = follow_up(service, done.body["id"], "undo")

    assert undone.body["undo_of"] == done.body["id"]
    assert undone.body["reason"] == f"undo of {done.body['id']}"
    assert [done.body["kind"], dry.body["kind"], undone.body["kind"]] == ["run", "undo", "undo"]
    assert {row["kind"] for row in undone.rows} == {"undo"}
    kept = service.http.get("/remediations", params={"kind": "undo"}).json()["items"]
    assert {item["kind"] for item in kept} == {"undo"}
    for trail in ("decisions", "writes"):
        asked = {"trail": trail, "remediation_id": undone.body["id"]}
        entries = service.http.get("/audit-events", params=asked).json()["items"]
        assert {entry["details"]["kind"] for entry in entries} == {"undo"}
    assert undone.status == "succeeded"
    assert objects(space) == before
    assert undone.summary["secrets"]["deleted"] == 3
    assert undone.summary["service_accounts"]["changed"] == 9
    assert "was undone by" in refused(service, done.body["id"], "undo")["detail"]
    assert "is an undo itself" in refused(service, undone.body["id"], "undo")["detail"]


def test_an_undo_takes_nothing_that_others_did(service: Service, space: Space):
    name = space.namespace("n", ("default", "taken", "own"))
    own = f"namespaces/{name}/serviceaccounts/own"
    merge = {"Content-Type": "application/merge-patch+json"}
    http = space.clusters[0].http
    named = json.dumps({"imagePullSecrets": [{"name": "docker"}]})
    http.patch(f"/api/v1/{own}", content=named, headers=merge).raise_for_status()
    done = service.remediate(clusters=["alpha"], namespaces=[name])
    both = json.dumps({"imagePullSecrets": [{"name": "docker"}, {"name": "later"}]})
    taken = f"/api/v1/namespaces/{name}/serviceaccounts/taken"
    http.patch(taken, content=both, headers=merge).raise_for_status()
    label = json.dumps({"metadata": {"labels": {"touched": "yes"}}})
    http.patch(
        f"/api/v1/namespaces/{name}/secrets/docker", content=label, headers=merge
    ).raise_for_status()

    undone = follow_up(service, done.body["id"], "undo")

    assert space.pull_secrets(name, "default") == []
    assert space.pull_secrets(name, "taken") == ["later"]
    assert space.pull_secrets(name, "own") == ["docker"]
    assert space.exists(f"namespaces/{name}/secrets/docker")
    assert "changed since" in undone.row(name)["reason"]
    assert undone.row(name)["changed_service_accounts"] == ["default", "taken"]


def test_an_updated_secret_stays_and_the_undo_says_so_before_and_after(
    service: Service, space: Space
):
    name = space.namespace("n")
    space.secret(name, FOREIGN)
    done = service.remediate(clusters=["alpha"], namespaces=[name], on_conflict="merge")

    dry = follow_up(service, done.body["id"], "undo", dry_run=True)
    undone = follow_up(service, done.body["id"], "undo")

    for outcome in (dry, undone):
        assert outcome.body["warnings"][0]["code"] == "secrets_kept"
        assert "what it held before was not kept" in outcome.row(name)["reason"]
    assert space.pull_secrets(name, "default") == []
    assert len(space.content(name)["auths"]) == 2


def test_what_a_later_remediation_stands_on_is_undone_after_it(service: Service, space: Space):
    name = space.namespace("n")
    first = service.remediate(clusters=["alpha"], namespaces=[name])
    space.account(name, "new")
    second = service.remediate(clusters=["alpha"], namespaces=[name])
    other = space.namespace("elsewhere")
    service.remediate(clusters=["alpha"], namespaces=[other])  # stands on nothing of these

    problem = refused(service, first.body["id"], "undo")

    assert problem["type"].endswith("later-remediation")
    assert second.body["id"] in problem["detail"]
    assert follow_up(service, second.body["id"], "undo").status == "succeeded"
    assert space.pull_secrets(name, "default") == ["docker"]
    assert follow_up(service, first.body["id"], "undo").status == "succeeded"
    assert space.pull_secrets(name, "default") == []
    assert space.pull_secrets(other, "default") == ["docker"]


@pytest.mark.parametrize("body", [{"dry_run": True}, {}], ids=["dry run", "nothing to do"])
def test_what_wrote_nothing_cannot_be_undone(service: Service, space: Space, body: dict[str, bool]):
    name = space.namespace("n")
    if not body:
        service.remediate(clusters=["alpha"], namespaces=[name])
    done = service.remediate(clusters=["alpha"], namespaces=[name], **body)

    assert refused(service, done.body["id"], "undo")["type"].endswith("nothing-to-undo")


def test_one_key_makes_one_undo(service: Service, space: Space, tmp_path: Path):
    name = space.namespace("n")
    done = service.remediate(clusters=["alpha"], namespaces=[name])
    key = {"Idempotency-Key": f"undo-{tmp_path.name}-{done.body['id']}"}
    path = f"/remediations/{done.body['id']}/undo"

    one, two = (service.http.post(path, headers=key, params={"wait": "30"}) for _ in range(2))

    assert (one.status_code, two.status_code) == (202, 202)
    assert one.json()["id"] == two.json()["id"]
    assert two.headers["Idempotency-Replayed"] == "true"
