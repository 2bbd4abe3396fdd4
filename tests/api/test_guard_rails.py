"""Guard rails over HTTP: quotas, sizes, the pause, and the second person."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.guard_rails import GuardRails, GuardRailsError, Limits, guard_rails
from remediation.api_key import ENTROPY_BYTES, ApiKey, new_api_key
from remediation.inventory import AnnouncedCluster, AnnouncedCredential
from store import clock, keys
from store.recovery import recover
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_row, an_entry

BODY = {"clusters": ["*"], "credential": CREDENTIAL}


@pytest.fixture
def second(key: ApiKey, app: Flask) -> FlaskClient:
    """Return the client of 'bob', whom `rails` lets in."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {BOB.token}"
    return client


BOB = new_api_key(os.urandom(ENTROPY_BYTES))

Rails = Callable[..., None]


@pytest.fixture
def rails(access_file: Path, key: ApiKey) -> Rails:
    """Return a function that writes guard rails into the access file, which lets 'ci' and 'bob' in."""

    def write(**sections: Any) -> None:
        entries = [an_entry(known, subject) for known, subject in ((key, "ci"), (BOB, "bob"))]
        bound = {"subjects": ["client:ci", "client:bob"], "role": "admin"}
        everywhere = {name: ["*"] for name in ("clusters", "namespaces", "credentials")}
        access_file.write_text(
            json.dumps({"keys": entries, "bindings": [bound | everywhere], **sections})
        )

    return write


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Return a problem that is as it should be."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.get_json()
    assert body["code"] == code
    return body


def test_a_caller_may_ask_so_often_in_a_minute(
    client: FlaskClient, second: FlaskClient, announce: Announce, rails: Rails
) -> None:
    rails(limits={"admin": {"remediations_per_minute": 2}})
    announce("eu-1")
    answers = [client.post(f"{API}/remediations", json=BODY) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"remediations";q=2;w=60'
    assert answers[0].headers["RateLimit"].startswith('"remediations";r=1;t=')
    problem(answers[2], 429, "quota-exceeded")
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert second.post(f"{API}/remediations", json=BODY).status_code == 202


def test_what_is_refused_and_what_is_sent_again_does_not_count(
    client: FlaskClient, announce: Announce, rails: Rails
) -> None:
    rails(limits={"admin": {"remediations_per_minute": 1}})
    announce("eu-1")
    header = {"Idempotency-Key": "incident-1"}

    assert client.post(f"{API}/remediations", json={}).status_code == 422
    assert client.post(f"{API}/remediations", json=BODY, headers=header).status_code == 202
    assert client.post(f"{API}/remediations", json=BODY, headers=header).status_code == 202
    assert client.post(f"{API}/remediations", json=BODY).status_code == 429


@pytest.mark.parametrize("path", ["remediations", "readiness-checks"])
def test_what_is_not_permitted_counts_as_asked(
    client: FlaskClient, announce: Announce, rails: Rails, path: str
) -> None:
    rails(
        limits={"requester": {"remediations_per_minute": 2}},
        bindings=[
            {
                "subjects": ["client:ci"],
                "role": "requester",
                "clusters": ["us-*"],
                "namespaces": ["*"],
                "credentials": ["*"],
            }
        ],
    )
    announce("eu-1")
    body = {"clusters": ["eu-1"], "credential": CREDENTIAL}
    body |= {"registry": "registry.example.com"} if path == "readiness-checks" else {}

    answers = [client.post(f"{API}/{path}", json=body) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [403, 403, 429]


def test_a_role_that_asks_for_nothing_lifts_no_limit(
    client: FlaskClient, announce: Announce, access_file: Path, key: ApiKey
) -> None:
    everywhere = {name: ["*"] for name in ("clusters", "namespaces", "credentials")}
    roles = ("viewer", "requester", "auditor")
    bindings = [{"subjects": ["client:ci"], "role": role, **everywhere} for role in roles]
    document = {"keys": [an_entry(key, "ci")], "bindings": bindings}
    access_file.write_text(json.dumps({**document, "limits": {"requester": {"clusters": 1}}}))
    announce("eu-1", "eu-2")

    problem(client.post(f"{API}/remediations", json=BODY), 403, "limit-exceeded")


def test_a_caller_has_so_many_open_remediations(
    client: FlaskClient, announce: Announce, rails: Rails, work: Work
) -> None:
    rails(limits={"admin": {"active": 1}})
    announce("eu-1")
    first = client.post(f"{API}/remediations", json=BODY).get_json()["id"]

    refused = client.post(f"{API}/remediations", json=BODY)

    assert int(refused.headers["Retry-After"]) > 0
    problem(refused, 429, "quota-exceeded")
    work.run(first, [a_row("a")])
    assert client.post(f"{API}/remediations", json=BODY).status_code == 202


def test_a_request_is_about_so_many_clusters_and_named_namespaces(
    client: FlaskClient, announce: Announce, rails: Rails, store: Store
) -> None:
    rails(limits={"admin": {"clusters": 2, "namespaces": 2}})
    announce("eu-1", "eu-2", "eu-3")
    named = {**BODY, "clusters": ["eu-1"], "namespaces": ["a", "b", "c"]}

    too_many = problem(client.post(f"{API}/remediations", json=BODY), 403, "limit-exceeded")
    too_wide = problem(client.post(f"{API}/remediations", json=named), 403, "limit-exceeded")

    assert "3 clusters" in too_many["detail"]
    assert "allows 2" in too_many["detail"]
    assert "3 namespaces" in too_wide["detail"]
    taken = client.post(f"{API}/remediations", json={**named, "namespaces": ["a", "b", "c*"]})
    assert taken.status_code == 202
    assert store.remediations.orders(taken.get_json()["id"]).most_namespaces == 2


def test_the_pause_is_shown_everywhere(
    client: FlaskClient, anonymous: FlaskClient, announce: Announce
) -> None:
    announce("eu-1")
    paused = client.post(f"{API}/system/pause", json={"reason": "registry is down"})
    accepted = client.post(f"{API}/remediations", json=BODY)

    held = paused.get_json()["paused"]
    assert paused.status_code == 200
    assert (held["reason"], held["by"]) == ("registry is down", "client:ci")
    assert client.get(f"{API}/system").get_json()["paused"] == held
    probe = anonymous.get("/readyz?verbose").text
    assert f"[+]pause warning: paused since {held['since']}" in probe
    assert "registry is down" not in probe
    assert accepted.status_code == 202
    why = accepted.get_json()["clusters"][0]["reason"]
    assert why == f"the service is paused since {held['since']} by client:ci: registry is down"

    assert client.post(f"{API}/system/resume").get_json() == {"paused": None}
    assert client.get(f"{API}/system").get_json()["paused"] is None
    assert "[+]pause ok" in anonymous.get("/readyz?verbose").text
    identity = accepted.get_json()["id"]
    fresh = client.get(f"{API}/remediations/{identity}")
    assert fresh.get_json()["clusters"][0]["reason"] is None
    assert fresh.headers["ETag"] != accepted.headers["ETag"]
    problem(client.post(f"{API}/system/resume"), 409, "invalid-state")


def test_a_pause_needs_a_reason(client: FlaskClient) -> None:
    problem(client.post(f"{API}/system/pause", json={}), 422, "validation-error")
    problem(client.post(f"{API}/system/pause", json={"reason": ""}), 422, "validation-error")


@pytest.fixture
def held(client: FlaskClient, announce: Announce, rails: Rails) -> dict[str, Any]:
    """Return a remediation of a protected cluster, which 'ci' asked for."""
    rails(protected_clusters=["prod-*"], approval_minutes=5)
    announce("prod-eu", "stage")
    answer = client.post(f"{API}/remediations", json={**BODY, "reason": "flip"})
    assert answer.status_code == 202
    body: dict[str, Any] = answer.get_json()
    return body


@pytest.mark.parametrize("away", [False, True])
def test_a_remediation_of_a_protected_api_server_waits_under_each_of_its_names(
    client: FlaskClient, announce: Announce, rails: Rails, store: Store, away: bool
) -> None:
    """Also while the worker of the protected name is away."""
    rails(protected_clusters=["prod-*"])
    prod = announce(AnnouncedCluster("prod-eu", uid="u1"), pool="prod")
    announce(AnnouncedCluster("lab", uid="u1"), AnnouncedCluster("stage", uid="u2"))
    if away:
        store.inventory.leave(prod.worker_id)

    def asked(cluster: str) -> Any:
        answer = client.post(f"{API}/remediations", json={**BODY, "clusters": [cluster]})
        assert answer.status_code == 202, answer.text
        return answer.get_json()["approval"]

    assert asked("lab")["state"] == "pending"
    assert asked("stage") is None


def decide(client: FlaskClient, held: dict[str, Any], verb: str, **more: Any) -> Any:
    """Send a decision about what was shown."""
    body = {"digest": held["approval"]["digest"], **more}
    return client.post(f"{API}/remediations/{held['id']}/{verb}", json=body)


def test_a_remediation_of_a_protected_cluster_waits(held: dict[str, Any], store: Store) -> None:
    approval = held["approval"]

    assert held["status"] == "queued"
    assert approval["required"] is True
    assert approval["state"] == "pending"
    assert approval["requested_by"] == "client:ci"
    assert approval["expires_at"] > clock.later(clock.now(), 200)
    assert "waits for approval by someone other than client:ci" in held["clusters"][0]["reason"]
    assert store.queue.waiting("default") == 0
    assert store.claims.take(f"{held['id']}-0") is None


def test_a_second_person_lets_it_begin(
    held: dict[str, Any], second: FlaskClient, store: Store
) -> None:
    answer = decide(second, held, "approve", comment="CHG-1881")
    again = decide(second, held, "approve")

    assert answer.status_code == 202
    approval = answer.get_json()["approval"]
    assert (approval["state"], approval["decided_by"]) == ("approved", "client:bob")
    assert approval["comment"] == "CHG-1881"
    assert again.status_code == 200
    assert store.queue.waiting("default") == 2
    assert store.claims.take(f"{held['id']}-0")


def test_who_asked_does_not_decide(held: dict[str, Any], client: FlaskClient, store: Store) -> None:
    problem(decide(client, held, "approve"), 403, "self-approval")
    problem(decide(client, held, "reject"), 403, "self-approval")

    assert store.claims.take(f"{held['id']}-0") is None


def test_who_asked_does_not_decide_with_another_key_either(
    held: dict[str, Any],
    client: FlaskClient,
    second: FlaskClient,
    access_file: Path,
) -> None:
    access = json.loads(access_file.read_text())
    for entry in access["keys"]:
        entry["owner"] = "user:mia"
    access_file.write_text(json.dumps(access))
    asked = client.post(f"{API}/remediations", json={**BODY, "namespaces": ["a"]}).get_json()

    assert asked["requested_by"] == "client:ci"
    assert asked["approval"]["requested_by"] == "user:mia"
    problem(decide(second, asked, "approve"), 403, "self-approval")

    access["keys"][1]["owner"] = "user:lea"
    access_file.write_text(json.dumps(access) + " ")
    answer = decide(second, asked, "approve")
    assert answer.status_code == 202
    assert answer.get_json()["approval"]["decided_by"] == "user:lea"


@pytest.mark.parametrize(
    "less", [{"credentials": ["quay"]}, {"clusters": ["prod-eu"]}, {"namespaces": ["team-*"]}]
)
def test_who_decides_has_to_be_bound_to_all_of_it(
    held: dict[str, Any], second: FlaskClient, access_file: Path, less: dict[str, Any]
) -> None:
    access = json.loads(access_file.read_text())
    (both,) = access["bindings"]
    bob = {**both, "subjects": ["client:bob"], **less}
    access["bindings"] = [{**both, "subjects": ["client:ci"]}, bob]
    access_file.write_text(json.dumps(access))

    problem(decide(second, held, "approve"), 403, "forbidden")
    problem(decide(second, held, "reject"), 403, "forbidden")


def test_what_is_rejected_ends_as_cancelled(held: dict[str, Any], second: FlaskClient) -> None:
    answer = decide(second, held, "reject", comment="not before the weekend")

    body = answer.get_json()
    assert answer.status_code == 202
    assert (body["status"], body["approval"]["state"]) == ("cancelled", "rejected")
    assert body["clusters"][0]["reason"] == "client:bob rejected it: not before the weekend"
    problem(decide(second, held, "approve"), 409, "invalid-state")


def test_what_nobody_decides_on_ends_as_cancelled(
    held: dict[str, Any], client: FlaskClient, second: FlaskClient, store: Store
) -> None:
    store.redis.zadd(keys.APPROVALS, {held["id"]: 1})
    store.redis.delete(keys.REAPER)
    recover(store)

    body = client.get(f"{API}/remediations/{held['id']}").get_json()
    assert (body["status"], body["approval"]["state"]) == ("cancelled", "expired")
    assert body["clusters"][0]["reason"].startswith("it was not approved by ")
    problem(decide(second, held, "approve"), 409, "invalid-state")


def test_another_login_has_to_be_looked_at_again(
    held: dict[str, Any], client: FlaskClient, second: FlaskClient, announce: Announce
) -> None:
    other = AnnouncedCredential(CREDENTIAL, ("registry.example.com",), ("somebody-else",))
    announce("prod-eu", "stage", credentials=[other])

    problem(decide(second, held, "approve"), 409, "approval-stale")

    fresh = client.get(f"{API}/remediations/{held['id']}").get_json()
    assert fresh["approval"]["digest"] != held["approval"]["digest"]
    assert decide(second, fresh, "approve").status_code == 202


def test_another_login_in_another_pool_has_to_be_looked_at_again(
    held: dict[str, Any], second: FlaskClient, announce: Announce
) -> None:
    """A run writes what its own worker holds."""
    other = AnnouncedCredential(CREDENTIAL, ("registry.example.com",), ("somebody-else",))
    announce("prod-us", pool="zone", credentials=[other])

    problem(decide(second, held, "approve"), 409, "approval-stale")


def test_the_same_login_in_another_pool_changes_nothing(
    held: dict[str, Any], second: FlaskClient, announce: Announce
) -> None:
    announce("prod-us", pool="zone")

    assert decide(second, held, "approve").status_code == 202


def test_the_workers_are_told_what_is_protected(held: dict[str, Any], store: Store) -> None:
    assert held["approval"]
    policy = store.policies.current()

    assert policy is not None
    assert policy.protected == ("prod-*",)


def test_nothing_is_approved_that_nobody_can_look_at(
    held: dict[str, Any], second: FlaskClient, store: Store
) -> None:
    store.inventory.leave("default-1")

    problem(decide(second, held, "approve"), 409, "cluster-unavailable")


def test_another_digest_is_refused(held: dict[str, Any], second: FlaskClient) -> None:
    wrong = "sha256:" + 64 * "0"

    problem(decide(second, held, "approve", digest=wrong), 409, "approval-stale")
    problem(decide(second, held, "reject", digest=wrong), 409, "approval-stale")
    problem(decide(second, held, "approve", digest="yes"), 422, "validation-error")


def test_dry_runs_and_other_clusters_need_nobody(
    held: dict[str, Any], client: FlaskClient, second: FlaskClient
) -> None:
    dry = client.post(f"{API}/remediations", json={**BODY, "dry_run": True})
    stage = client.post(f"{API}/remediations", json={**BODY, "clusters": ["stage"]})

    assert dry.get_json()["approval"] is None
    assert stage.get_json()["approval"] is None
    identity = stage.get_json()["id"]
    answer = second.post(
        f"{API}/remediations/{identity}/approve", json={"digest": held["approval"]["digest"]}
    )
    problem(answer, 409, "invalid-state")


def test_retry_and_undo_of_a_protected_cluster_need_somebody_again(
    held: dict[str, Any], client: FlaskClient, second: FlaskClient, store: Store, work: Work
) -> None:
    from remediation.outcome import Error, ErrorCode, Outcome

    decide(second, held, "approve")
    failed = a_row("b", Outcome.FAILED, error=Error(ErrorCode.FORBIDDEN, "no"))
    for run in store.remediations.get(held["id"]).runs:  # type: ignore[union-attr]
        claim = store.claims.take(run.id)
        assert claim
        from remediation.outcome import SecretAction
        from remediation.plan import Intent

        store.journal.note(claim, [("a", Intent(SecretAction.CREATED, ("default",)))])
        store.claims.observed(claim, 2, ())
        store.claims.report(claim, [a_row("a"), failed])
        store.claims.finish(claim)
    store.closing.close(held["id"])

    retried = client.post(f"{API}/remediations/{held['id']}/retry")
    undone = client.post(f"{API}/remediations/{held['id']}/undo")

    assert retried.get_json()["approval"]["state"] == "pending"
    assert undone.status_code == 202, undone.text
    assert undone.get_json()["approval"]["state"] == "pending"
    assert undone.get_json()["approval"]["digest"] != retried.get_json()["approval"]["digest"]
    assert decide(second, undone.get_json(), "approve").status_code == 202


def test_who_asked_can_cancel_what_waits(held: dict[str, Any], client: FlaskClient) -> None:
    body = client.post(f"{API}/remediations/{held['id']}/cancel").get_json()

    assert body["status"] == "cancelled"


def test_reads_the_sections() -> None:
    found = guard_rails(
        {
            "keys": [],
            "limits": {"requester": {"clusters": 3}, "operator": {"clusters": 9, "active": 2}},
            "protected_clusters": ["prod-*"],
            "approval_minutes": 30,
        }
    )

    assert found.protected_clusters == ("prod-*",)
    assert found.approval_minutes == 30
    assert found.limits_of(["requester"]) == Limits(clusters=3)
    assert found.limits_of(["requester", "operator"]) == Limits(clusters=9)
    assert found.limits_of(["requester", "admin"]) == Limits()
    assert guard_rails({}) == GuardRails()


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"limits": []}, "'limits' must map"),
        ({"limits": {"requestor": {"clusters": 3}}}, "'requestor', which is no role"),
        ({"limits": {"admin": {}}}, "'limits' of 'admin'"),
        ({"limits": {"admin": {"cluster": 3}}}, "clusters, namespaces"),
        ({"limits": {"admin": {"clusters": 0}}}, "'limits.admin.clusters' is 0"),
        ({"limits": {"admin": {"clusters": True}}}, "'limits.admin.clusters' is True"),
        ({"limits": {"admin": {"clusters": "3"}}}, "whole number"),
        ({"protected_clusters": "prod"}, "list of names"),
        ({"protected_clusters": [""]}, "must not be empty"),
        ({"approval_minutes": 0}, "'approval_minutes' is 0"),
        ({"approval_minutes": None}, "'approval_minutes' is None"),
    ],
)
def test_says_what_is_wrong_with_a_section(document: dict[str, Any], says: str) -> None:
    with pytest.raises(GuardRailsError, match=says):
        guard_rails(document)


def test_broken_guard_rails_keep_those_from_before(
    client: FlaskClient, announce: Announce, rails: Rails, caplog: pytest.LogCaptureFixture
) -> None:
    rails(limits={"admin": {"clusters": 1}})
    announce("eu-1", "eu-2")
    assert client.post(f"{API}/remediations", json=BODY).status_code == 403
    rails(limits={"admin": {"clusters": -1}})

    assert client.post(f"{API}/remediations", json=BODY).status_code == 403
    assert "'limits.admin.clusters' is -1" in caplog.text


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_decision_under_a_key_is_taken_once(
    client: FlaskClient, second: FlaskClient, held: dict[str, Any], verb: str
) -> None:
    header = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93"}
    path = f"{API}/remediations/{held['id']}/{verb}"
    body = {"digest": held["approval"]["digest"]}

    first, again = (second.post(path, json=body, headers=header) for _ in range(2))
    other = second.post(path, json=body | {"comment": "another"}, headers=header)

    assert (first.status_code, again.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.get_json()["approval"] == first.get_json()["approval"]
    problem(other, 422, "idempotency-key-reuse")


def test_a_refused_decision_leaves_the_key_free(
    client: FlaskClient, second: FlaskClient, held: dict[str, Any]
) -> None:
    header = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93"}
    path = f"{API}/remediations/{held['id']}/approve"
    wrong = second.post(path, json={"digest": "sha256:" + "0" * 64}, headers=header)
    right = second.post(path, json={"digest": held["approval"]["digest"]}, headers=header)

    problem(wrong, 409, "approval-stale")
    assert right.status_code == 202


def test_a_resume_that_is_sent_again_ends_no_later_pause(client: FlaskClient) -> None:
    header = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93"}
    client.post(f"{API}/system/pause", json={"reason": "the first"}, headers=header)
    repeated = client.post(f"{API}/system/pause", json={"reason": "the first"}, headers=header)
    client.post(f"{API}/system/resume", headers=header)
    client.post(f"{API}/system/pause", json={"reason": "the second"})

    again = client.post(f"{API}/system/resume", headers=header)

    assert repeated.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.get_json()["paused"]["reason"] == "the second"


def test_readiness_checks_have_a_minute_of_their_own(
    client: FlaskClient, announce: Announce, rails: Rails
) -> None:
    rails(limits={"admin": {"remediations_per_minute": 1, "clusters": 1}})
    announce("eu-1", "eu-2")
    check = {"clusters": ["eu-1"], "registry": "registry.example.com", "credential": CREDENTIAL}
    address = f"{API}/readiness-checks"

    problem(client.post(address, json=check | {"clusters": ["*"]}), 403, "limit-exceeded")
    first, second = (client.post(address, json=check) for _ in range(2))
    other = client.post(f"{API}/remediations", json=BODY | {"clusters": ["eu-1"]})

    assert (first.status_code, other.status_code) == (202, 202)
    assert first.headers["RateLimit-Policy"] == '"readiness-checks";q=1;w=60'
    problem(second, 429, "quota-exceeded")
