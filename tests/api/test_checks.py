"""Readiness checks over HTTP: asking, reading, findings in all formats, following a remediation."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from remediation.outcome import Error, ErrorCode
from remediation.readiness.finding import FindingClass, Severity
from store.recovery import recover
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_finding, a_row

CHECKS = f"{API}/readiness-checks"
BODY = {"clusters": ["*"], "registry": "registry.example.com", "credential": CREDENTIAL}


def test_a_check_is_recorded_and_its_workers_are_woken(
    client: FlaskClient, announce: Announce, store: Store
) -> None:
    announce("eu-1", "us-1")

    answer = client.post(CHECKS, json=BODY)

    body = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(f"{CHECKS}/{body['id']}")
    assert int(answer.headers["Retry-After"]) > 0
    assert body["id"].startswith("chk_")
    assert (body["status"], body["verdict"], body["valid_until"]) == ("queued", None, None)
    assert [cluster["name"] for cluster in body["clusters"]] == ["eu-1", "us-1"]
    assert (body["request"]["evidence"], body["evidence"]) == (None, "L0")
    assert store.queue.waiting_runs("default") == {f"{body['id']}-0", f"{body['id']}-1"}
    assert all(run.line is None for run in store.runs.active()), "it waits for no writer"


def test_a_credential_need_not_be_named(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1", credentials=())

    answer = client.post(CHECKS, json={"clusters": ["eu-1"], "registry": "registry.example.com"})

    assert answer.status_code == 202, answer.text
    assert answer.get_json()["request"]["credential"] is None


def test_the_same_request_under_one_key_makes_one_check(
    client: FlaskClient, announce: Announce
) -> None:
    announce("eu-1")
    key = {"Idempotency-Key": "12345678"}

    first = client.post(CHECKS, json=BODY, headers=key)
    second = client.post(CHECKS, json=BODY, headers=key)
    other = client.post(CHECKS, json=BODY | {"secret_name": "other"}, headers=key)

    assert first.get_json()["id"] == second.get_json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert other.get_json()["code"] == "idempotency-key-reuse"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("registry", "https://registry.example.com"),
        ("registry", "Registry.example.com"),
        ("registry", ""),
        ("clusters", []),
        ("clusters", ["eu-2"]),
        ("credential", "unknown"),
        ("evidence", "L4"),
        ("timeout_seconds", 0),
        ("timeout_seconds", 3601),
        ("dry_run", True),
        ("on_conflict", "fail"),
    ],
)
def test_a_wrong_field_is_pointed_at(
    client: FlaskClient, announce: Announce, field: str, value: Any
) -> None:
    announce("eu-1")

    answer = client.post(CHECKS, json=BODY | {field: value})

    assert answer.status_code == 422
    assert [error["pointer"].split("/")[1] for error in answer.get_json()["errors"]] == [field]


def test_what_it_came_to_is_shown(client: FlaskClient, ask: Callable[..., str], work: Work) -> None:
    check = ask("eu-1", "us-1")
    work.judge(check, a_finding())

    answer = client.get(f"{CHECKS}/{check}")

    body = answer.get_json()
    assert (body["status"], body["terminal"], body["verdict"]) == ("succeeded", True, "not_safe")
    assert body["summary"]["blocking"] == 2
    assert body["summary"]["classes"] == {"W_SA_UNPATCHED": 2}
    assert [cluster["verdict"] for cluster in body["clusters"]] == ["not_safe", "not_safe"]
    assert body["clusters"][0]["certificate"]["cluster_uid"] == "uid-of-eu-1"
    assert body["digest"].startswith("sha256:")
    unchanged = client.get(f"{CHECKS}/{check}", headers={"If-None-Match": answer.headers["ETag"]})
    assert unchanged.status_code == 304


def test_a_cluster_that_could_not_be_judged_makes_it_unknown(
    client: FlaskClient, ask: Callable[..., str], work: Work, store: Store
) -> None:
    check = ask("eu-1", "us-1")
    claim = store.claims.take(f"{check}-1")
    assert claim
    store.claims.finish(claim, Error(ErrorCode.UNREACHABLE, "gone"), status=None)
    only = store.claims.take(f"{check}-0")
    assert only
    store.claims.finish(only)
    store.closing.close(check)

    body = client.get(f"{CHECKS}/{check}").get_json()

    assert body["verdict"] == "unknown"
    assert body["clusters"][1]["error"]["code"] == "unreachable"


def test_findings_come_in_pages_and_filtered(
    client: FlaskClient, ask: Callable[..., str], work: Work
) -> None:
    check = ask()
    info = {"severity": Severity.INFO, "finding_class": FindingClass.W_COVERED_SA}
    work.judge(
        check,
        *(a_finding(f"web-{number}") for number in range(5)),
        a_finding("ok", namespace="other", **info),
    )
    url = f"{CHECKS}/{check}/findings"

    names = []
    page = client.get(url, query_string={"limit": 2}).get_json()
    names += [item["name"] for item in page["items"]]
    while cursor := page.get("next_cursor"):
        page = client.get(url, query_string={"limit": 2, "cursor": cursor}).get_json()
        names += [item["name"] for item in page["items"]]

    assert names == [*(f"web-{number}" for number in range(5)), "ok"]
    for query, expected in (
        ({"severity": "info"}, ["ok"]),
        ({"class": "W_COVERED_SA"}, ["ok"]),
        ({"namespace": "oth*"}, ["ok"]),
        ({"cluster": "us-1"}, []),
        ({"severity": "warning"}, []),
    ):
        items = client.get(url, query_string=query).get_json()["items"]
        assert [item["name"] for item in items] == expected, query
    assert client.get(url, query_string={"class": "P_NOTHING"}).status_code == 422


def test_findings_come_in_all_formats(
    client: FlaskClient, ask: Callable[..., str], work: Work
) -> None:
    check = ask()
    work.judge(check, a_finding(explanation="=1+1"))
    url = f"{CHECKS}/{check}/findings"

    lines = client.get(url, query_string={"format": "ndjson"}).text.splitlines()
    rows = list(csv.DictReader(io.StringIO(client.get(f"{url}?format=csv").text)))
    table = client.get(f"{url}?format=table").text

    assert json.loads(lines[0])["class"] == "W_SA_UNPATCHED"
    assert rows[0]["explanation"] == "'=1+1", "no spreadsheet takes it for a formula"
    assert table.startswith("SEVERITY  CLASS")


def test_nothing_of_a_run_shows_before_it_has_ended(
    client: FlaskClient, ask: Callable[..., str], work: Work, store: Store
) -> None:
    check = ask()
    other = ask()
    work.judge(other, a_finding())
    judged = store.checks.get(other)
    claim = store.claims.take(f"{check}-0")
    assert claim
    assert judged
    assert judged.runs[0].judged
    store.findings.report(claim, [a_finding().to_row()], {}, judged.runs[0].judged)

    assert client.get(f"{CHECKS}/{check}/findings").get_json()["items"] == []
    assert client.get(f"{CHECKS}/{check}").get_json()["verdict"] is None


def test_the_list_is_newest_first_and_filtered(
    client: FlaskClient, ask: Callable[..., str], work: Work
) -> None:
    first, second = ask("eu-1"), ask("us-1")
    work.judge(first)

    ids = [item["id"] for item in client.get(CHECKS).get_json()["items"]]
    safe = client.get(CHECKS, query_string={"verdict": "safe"}).get_json()["items"]
    here = client.get(CHECKS, query_string={"cluster": "us-*"}).get_json()["items"]

    assert ids == [second, first]
    assert [item["id"] for item in safe] == [first]
    assert [item["id"] for item in here] == [second]


def test_a_check_follows_a_remediation_and_is_named_by_it(
    client: FlaskClient, start: Callable[..., str], work: Work
) -> None:
    identity = start("eu-1", namespaces=["shop"], ignore=["x"])
    url = f"{API}/remediations/{identity}"
    assert client.get(url).get_json()["readiness"] is None

    work.run(identity, [a_row("shop")])  # nothing has looked at what is due since

    etag = client.get(url).headers["ETag"]
    told = client.get(url).get_json()
    check = told["readiness"]["check_id"]
    assert told["readiness"]["verdict"] is None
    asked = client.get(told["links"]["readiness"].removeprefix("http://localhost")).get_json()
    assert asked["remediation_id"] == identity
    assert asked["request"]["namespaces"] == ["shop"]
    assert asked["request"]["ignore"] == ["x"]
    assert asked["registries"] == ["registry.example.com"]
    work.judge(check)
    assert client.get(url).get_json()["readiness"]["verdict"] == "safe"
    assert client.get(url).headers["ETag"] != etag
    assert client.get(url).get_json()["status"] == "succeeded"


@pytest.mark.parametrize("body", [{"readiness": False}, {"dry_run": True}])
def test_no_check_follows_where_none_is_wanted(
    start: Callable[..., str], work: Work, store: Store, body: dict[str, Any]
) -> None:
    identity = start("eu-1", **body)
    work.run(identity, [a_row("shop")])

    recover(store)

    assert store.checks.due() == []
    assert list(store.checks.newest_first()) == []


def test_what_is_not_there_is_404(client: FlaskClient) -> None:
    for identity in ("chk_01JD0000000000000000000001", "rem_01JD0000000000000000000001", "x"):
        for tail in ("", "/findings", "/gate", "/restart-plan"):
            assert client.get(f"{CHECKS}/{identity}{tail}").status_code == 404
