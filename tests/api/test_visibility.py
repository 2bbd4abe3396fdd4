"""What a caller may not see is not there for it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from remediation.api_key import ENTROPY_BYTES, ApiKey, new_api_key
from remediation.outcome import Error, ErrorCode, Outcome
from remediation.permission import Binding, Grant, Policy, Role
from remediation.registry.check import CheckResult, RegistryReport
from remediation.registry.verdict import Verdict
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_finding, a_row, an_entry

SECRET_CLUSTER, SECRET_SPACE, SECRET_CREDENTIAL = "us-hidden", "vault", "hidden-login"
HIDDEN = (SECRET_CLUSTER, SECRET_SPACE, SECRET_CREDENTIAL)
TEAM = {
    "subjects": ["client:team"],
    "role": "operator",
    "clusters": ["eu-*"],
    "namespaces": ["team-*"],
    "credentials": [CREDENTIAL],
}
Bind = Callable[..., None]


@pytest.fixture
def team_key() -> ApiKey:
    """Return the key of a caller who may see a part only."""
    return new_api_key(os.urandom(ENTROPY_BYTES))


@pytest.fixture
def bind(access_file: Path, key: ApiKey, team_key: ApiKey) -> Bind:
    """Return a function that says what the team may do; 'ci' may do everything."""

    def bind(*bindings: dict[str, Any]) -> None:
        everything = {name: ["*"] for name in ("clusters", "namespaces", "credentials")}
        admin = {"subjects": ["client:ci"], "role": "admin", **everything}
        entries = [an_entry(key, "ci"), an_entry(team_key, "team")]
        access_file.write_text(json.dumps({"keys": entries, "bindings": [admin, *bindings]}))

    bind(TEAM)
    return bind


@pytest.fixture
def team(app: Flask, bind: Bind, team_key: ApiKey) -> FlaskClient:
    """Return the client of the team."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {team_key.token}"
    return client


@pytest.fixture(autouse=True)
def _announced(announce: Announce) -> None:
    announce("eu-1", "eu-2", SECRET_CLUSTER, credentials=(CREDENTIAL, SECRET_CREDENTIAL))
    announce("eu-1", pool="broken", problems=(f"context '{SECRET_CLUSTER}' has no server",))


def made(client: FlaskClient, *clusters: str, **more: Any) -> str:
    body = {"clusters": list(clusters), "credential": CREDENTIAL, **more}
    answer = client.post(f"{API}/remediations", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["id"])


@pytest.fixture
def mixed(client: FlaskClient, bind: Bind, work: Work) -> str:
    """Return a remediation by 'ci' of which the team may see a part: five rows of fourteen on its clusters."""
    identity = made(
        client,
        "eu-1",
        "eu-2",
        SECRET_CLUSTER,
        namespaces=["*", "team-a", SECRET_SPACE],
        ignore=[SECRET_SPACE, "team-x"],
        service_accounts=["*", f"{SECRET_SPACE}/default", "team-a/default"],
    )
    failed = Error(ErrorCode.TIMEOUT, f"no answer about {SECRET_SPACE}")
    rows = [
        a_row("team-a"),
        a_row("team-b", Outcome.FAILED, error=Error(ErrorCode.TIMEOUT, "too slow")),
        a_row("team-c"),
        *(a_row(f"{SECRET_SPACE}-{number}") for number in range(3)),
        a_row(SECRET_SPACE, Outcome.FAILED, error=failed),
    ]
    for cluster in ("eu-1", "eu-2", SECRET_CLUSTER):
        work.missing[cluster] = ("team-x", SECRET_SPACE)
    work.run(identity, rows, clusters=["eu-1"])
    work.run(identity, rows[1:], clusters=["eu-2", SECRET_CLUSTER])
    return identity


def test_a_remediation_shows_what_may_be_seen(
    client: FlaskClient, team: FlaskClient, mixed: str
) -> None:
    answer = team.get(f"{API}/remediations/{mixed}")
    body = answer.get_json()

    assert [each["name"] for each in body["clusters"]] == ["eu-1", "eu-2"]
    assert [each["summary"]["namespaces"]["total"] for each in body["clusters"]] == [3, 2]
    spaces = body["summary"]["namespaces"]
    assert {name: spaces[name] for name in ("total", "done", "changed", "failed")} == {
        "total": 5,
        "done": 5,
        "changed": 3,
        "failed": 2,
    }
    assert body["summary"]["service_accounts"]["changed"] == 3
    assert [warning["name"] for warning in body["warnings"]] == ["team-x"]
    assert body["request"]["clusters"] == ["eu-1", "eu-2"]
    assert body["request"]["namespaces"] == ["*", "team-a"]
    assert body["request"]["ignore"] == ["team-x"]
    assert body["request"]["service_accounts"] == ["*", "team-a/default"]
    assert not any(name in answer.text for name in HIDDEN)
    assert (
        client.get(f"{API}/remediations/{mixed}").get_json()["summary"]["namespaces"]["total"] == 19
    )


@pytest.mark.parametrize(("namespaces", "told"), [(["team-a"], True), (["team-a", "*"], False)])
def test_what_the_registry_said_is_for_those_who_see_all_namespaces(
    client: FlaskClient, team: FlaskClient, store: Store, namespaces: list[str], told: bool
) -> None:
    identity = made(client, "eu-1", namespaces=namespaces)
    claim = store.claims.take(f"{identity}-0")
    assert claim
    said = RegistryReport("registry.example.com", Verdict.WORKS, "ok", repository="vault/unsealer")
    store.claims.checked(claim, CheckResult((said,), "2026-01-31T12:00:00.000Z"))

    answer = team.get(f"{API}/remediations/{identity}")

    assert ("vault/unsealer" in answer.text) is told
    assert "vault/unsealer" in client.get(f"{API}/remediations/{identity}").text


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "table"])
def test_the_rows_are_those_that_may_be_seen(team: FlaskClient, mixed: str, form: str) -> None:
    answer = team.get(f"{API}/remediations/{mixed}/results?format={form}")

    assert answer.text.count("team-") == 5
    assert not any(name in answer.text for name in HIDDEN)


@pytest.mark.parametrize(
    "query",
    [f"namespace={SECRET_SPACE}", f"namespace={SECRET_SPACE}*", f"cluster={SECRET_CLUSTER}"],
)
def test_asking_for_what_is_hidden_finds_nothing(team: FlaskClient, mixed: str, query: str) -> None:
    assert team.get(f"{API}/remediations/{mixed}/results?{query}").get_json() == {"items": []}


def test_pages_hold_what_may_be_seen_and_a_cursor_opens_nothing(
    client: FlaskClient, team: FlaskClient, mixed: str, bind: Bind
) -> None:
    path = f"{API}/remediations/{mixed}/results?limit=2"
    seen, cursor = [], ""
    while cursor is not None:
        page = team.get(f"{path}&cursor={cursor}" if cursor else path).get_json()
        seen += [(row["cluster"], row["namespace"]) for row in page["items"]]
        cursor = page.get("next_cursor")
    assert seen == [
        ("eu-1", "team-a"),
        ("eu-1", "team-b"),
        ("eu-1", "team-c"),
        ("eu-2", "team-b"),
        ("eu-2", "team-c"),
    ]

    foreign = client.get(path).get_json()["next_cursor"]
    assert team.get(f"{path}&cursor={foreign}").status_code == 422
    own = team.get(path).get_json()["next_cursor"]
    bind({**TEAM, "namespaces": ["team-c"]})
    assert team.get(f"{path}&cursor={own}").status_code == 422


def test_findings_about_namespaces_that_are_hidden_are_not_shown(
    team: FlaskClient, work: Work
) -> None:
    body = {"clusters": ["eu-1"], "namespaces": ["team-a"], "registry": "registry.example.com"}
    identity = team.post(f"{API}/readiness-checks", json=body).get_json()["id"]
    work.judge(identity, *(a_finding(namespace=name) for name in ("team-a", SECRET_SPACE, "")))
    path = f"{API}/readiness-checks/{identity}"

    for form in ("json", "ndjson", "csv", "table"):
        answer = team.get(f"{path}/findings?format={form}")
        assert "team-a" in answer.text
        assert SECRET_SPACE not in answer.text
    assert len(team.get(f"{path}/findings").get_json()["items"]) == 2
    closed = team.get(f"{path}/gate")
    assert closed.status_code == 412
    assert "team-a" in closed.text
    assert SECRET_SPACE not in closed.text


@pytest.mark.parametrize(
    "hidden",
    [
        {"clusters": ["eu-1", SECRET_CLUSTER], "namespaces": ["team-a"]},
        {"clusters": ["eu-1"], "namespaces": ["team-a", SECRET_SPACE]},
    ],
)
def test_a_readiness_check_is_seen_as_a_whole_or_not_at_all(
    client: FlaskClient, team: FlaskClient, hidden: dict[str, Any]
) -> None:
    body = {"registry": "registry.example.com", **hidden}
    identity = client.post(f"{API}/readiness-checks", json=body).get_json()["id"]

    for path in ("", "/findings", "/restart-plan", "/gate"):
        assert team.get(f"{API}/readiness-checks/{identity}{path}").status_code == 404
    assert team.get(f"{API}/readiness-checks").get_json()["items"] == []


def test_a_cursor_of_readiness_checks_opens_nothing(team: FlaskClient, bind: Bind) -> None:
    body = {"clusters": ["eu-1"], "namespaces": ["team-a"], "registry": "registry.example.com"}
    for _ in range(2):
        assert team.post(f"{API}/readiness-checks", json=body).status_code == 202
    path = f"{API}/readiness-checks?limit=1"
    cursor = team.get(path).get_json()["next_cursor"]
    assert team.get(f"{path}&cursor={cursor}").status_code == 200

    bind({**TEAM, "clusters": ["eu-?"]})

    assert team.get(f"{path}&cursor={cursor}").status_code == 422


def test_the_list_holds_what_may_be_seen(
    client: FlaskClient, team: FlaskClient, mixed: str
) -> None:
    hidden = made(client, SECRET_CLUSTER, credential=SECRET_CREDENTIAL)

    answer = team.get(f"{API}/remediations")

    assert [item["id"] for item in answer.get_json()["items"]] == [mixed]
    assert not any(name in answer.text for name in (*HIDDEN, hidden))
    assert team.get(f"{API}/remediations?cluster={SECRET_CLUSTER}").get_json()["items"] == []
    assert team.get(f"{API}/remediations?cluster=eu-2").get_json()["items"]


def test_the_name_of_a_hidden_credential_is_left_out(
    client: FlaskClient, team: FlaskClient
) -> None:
    body = {"namespaces": ["team-a"], "credential": SECRET_CREDENTIAL}
    for path in (f"/{made(client, 'eu-1', **body)}", ""):
        answer = team.get(f"{API}/remediations{path}")

        assert "team-a" in answer.text
        assert SECRET_CREDENTIAL not in answer.text


def test_what_is_hidden_is_not_there(client: FlaskClient, team: FlaskClient) -> None:
    hidden = made(client, SECRET_CLUSTER)
    nowhere = "rem_01M85B1ZWBXX38VXNACNJSV9CR"

    for path in ("", "/results"):
        answers = [team.get(f"{API}/remediations/{each}{path}") for each in (hidden, nowhere)]
        assert [answer.status_code for answer in answers] == [404, 404]
        details = [
            answer.get_json()["detail"].replace(each, "")
            for answer, each in zip(answers, (hidden, nowhere), strict=True)
        ]
        assert details[0] == details[1]


def test_the_inventory_holds_what_may_be_seen(client: FlaskClient, team: FlaskClient) -> None:
    clusters, credentials = (team.get(f"{API}/{kind}") for kind in ("clusters", "credentials"))

    assert [item["name"] for item in clusters.get_json()["items"]] == ["eu-1", "eu-2"]
    assert [item["name"] for item in credentials.get_json()["items"]] == [CREDENTIAL]
    assert clusters.get_json()["problems"] == []
    assert client.get(f"{API}/clusters").get_json()["problems"]
    for kind in ("clusters", "credentials"):
        table = team.get(f"{API}/{kind}?format=table")
        assert not any(name in table.text for name in HIDDEN)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"clusters": ["*"]}, "cluster-not-permitted"),
        ({"clusters": ["eu-1", SECRET_CLUSTER]}, "cluster-not-permitted"),
        ({"clusters": ["us-nowhere"]}, "cluster-not-permitted"),
        ({"namespaces": ["*"]}, "forbidden"),
        ({"namespaces": ["team-a", SECRET_SPACE]}, "forbidden"),
        ({"credential": SECRET_CREDENTIAL}, "forbidden"),
        ({"credential": "no-such"}, "forbidden"),
    ],
)
def test_too_wide_a_request_is_refused_and_told_what_is_not_covered(
    team: FlaskClient, store: Store, body: dict[str, Any], code: str
) -> None:
    asked = {"clusters": ["eu-1"], "namespaces": ["team-a"], "credential": CREDENTIAL, **body}

    answer = team.post(f"{API}/remediations", json=asked)

    assert answer.status_code == 403
    problem = answer.get_json()
    assert problem["code"] == code
    (sent,) = body.values()
    named = sent if isinstance(sent, str) else sent[-1]
    assert f"'{named}'" in problem["detail"]
    assert "'eu-*'" in problem["detail"]
    assert "'team-*'" in problem["detail"]
    assert list(store.remediations.newest_first()) == []
    if isinstance(sent, list):
        field = next(iter(body))
        assert problem["errors"] == [
            {
                "pointer": f"#/{field}/{len(sent) - 1}",
                "detail": f"'{named}' is not covered",
                "code": "not_permitted",
            }
        ]


def test_the_same_is_said_of_what_is_hidden_and_of_what_is_not_there(team: FlaskClient) -> None:
    def refused(**body: Any) -> str:
        asked = {"clusters": ["eu-1"], "namespaces": ["team-a"], "credential": CREDENTIAL, **body}
        return str(team.post(f"{API}/remediations", json=asked).get_json()["detail"])

    assert refused(clusters=[SECRET_CLUSTER]).replace(SECRET_CLUSTER, "us-nowhere") == refused(
        clusters=["us-nowhere"]
    )
    assert refused(credential=SECRET_CREDENTIAL).replace(SECRET_CREDENTIAL, "no-such") == refused(
        credential="no-such"
    )
    # What is covered and not there is told with the names of what is, and may be seen.
    assert "eu-1, eu-2" not in refused(clusters=["us-nowhere"])
    answer = team.post(
        f"{API}/remediations",
        json={"clusters": ["eu-9"], "namespaces": ["team-a"], "credential": CREDENTIAL},
    )
    assert answer.status_code == 422
    assert "eu-1, eu-2" in answer.text
    assert not any(name in answer.text for name in HIDDEN)


def test_a_dry_run_needs_what_the_real_one_needs(team: FlaskClient) -> None:
    body = {"clusters": ["*"], "credential": CREDENTIAL, "dry_run": True}

    assert team.post(f"{API}/remediations", json=body).status_code == 403


def test_a_follow_up_of_what_is_seen_in_part_is_refused_without_naming_the_rest(
    team: FlaskClient, mixed: str
) -> None:
    for call in ("retry", "undo", "cancel"):
        answer = team.post(f"{API}/remediations/{mixed}/{call}")

        assert answer.status_code == 403, call
        assert not any(name in answer.text for name in HIDDEN)


def test_a_retry_needs_todays_permission(team: FlaskClient, bind: Bind, work: Work) -> None:
    own = made(team, "eu-1", namespaces=["team-a"])
    work.run(own, [a_row("team-a", Outcome.FAILED, error=Error(ErrorCode.TIMEOUT, "slow"))])

    bind({**TEAM, "role": "viewer"}, {**TEAM, "clusters": ["eu-2"]})
    assert team.post(f"{API}/remediations/{own}/retry").status_code == 403

    bind(TEAM)
    assert team.post(f"{API}/remediations/{own}/retry").status_code == 202


def test_a_retry_needs_the_credential_too(team: FlaskClient, bind: Bind, work: Work) -> None:
    own = made(team, "eu-1", namespaces=["team-a"])
    work.run(own, [a_row("team-a", Outcome.FAILED, error=Error(ErrorCode.TIMEOUT, "slow"))])

    bind({**TEAM, "credentials": ["quay"]})

    assert team.post(f"{API}/remediations/{own}/retry").status_code == 403


def test_ones_own_may_be_cancelled_whatever_else_is_lost(team: FlaskClient, bind: Bind) -> None:
    own = made(team, "eu-1", namespaces=["team-a"])

    bind({**TEAM, "role": "requester", "namespaces": ["team-z"]})

    assert team.post(f"{API}/remediations/{own}/cancel").status_code in (200, 202)


def test_a_replay_shows_what_may_be_seen_by_now(team: FlaskClient, bind: Bind) -> None:
    body = {"clusters": ["eu-1"], "namespaces": ["team-a"], "credential": CREDENTIAL}
    headers = {"Idempotency-Key": "one-and-the-same"}
    first = team.post(f"{API}/remediations", json=body, headers=headers)
    assert first.status_code == 202

    bind({**TEAM, "clusters": ["eu-2"]})

    again = team.post(f"{API}/remediations", json=body, headers=headers)
    assert again.status_code == 404


def test_the_workers_are_told_what_counts(
    client: FlaskClient, team: FlaskClient, bind: Bind, store: Store
) -> None:
    def told() -> set[Role]:
        policy = store.policies.current()
        assert policy is not None
        return {binding.grant.role for binding in policy.bindings}

    made(team, "eu-1", namespaces=["team-a"])
    assert told() == {Role.ADMIN, Role.OPERATOR}

    bind({**TEAM, "role": "viewer"})
    store.redis.flushdb()
    app = client.application
    app.extensions["remediator"].publication.refresh()
    assert told() == {Role.ADMIN, Role.VIEWER}

    store.redis.flushdb()  # Redis came back empty
    app.extensions["remediator"].publication.refresh()
    assert told() == {Role.ADMIN, Role.VIEWER}


def test_without_an_access_file_nothing_is_told(
    app: Flask, access_file: Path, store: Store, client: FlaskClient
) -> None:
    access_file.unlink()
    grant = Grant(role=Role.ADMIN, clusters=("*",), namespaces=("*",), credentials=("*",))
    theirs = Policy((Binding(("*",), grant),))
    store.policies.publish(theirs)

    app.extensions["remediator"].publication.refresh()

    assert store.policies.current() == theirs
