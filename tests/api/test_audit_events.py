"""The audit trail over HTTP: every decision and every refusal is in it, and auditors can read and verify it."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.strangers import _STRANGERS_A_MINUTE
from remediation.audit import Trail
from store import keys
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_row

BODY = {"clusters": ["*"], "credential": CREDENTIAL}


def events(client: FlaskClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"{API}/audit-events", query_string=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.get_json()["items"]
    return items


def test_what_is_taken_in_is_noted(
    client: FlaskClient, announce: Announce, capfd: pytest.CaptureFixture[str]
) -> None:
    announce("eu-1", "eu-2")
    answer = client.post(
        f"{API}/remediations",
        json={**BODY, "reason": "flip"},
        headers={"X-Request-Id": "incident-7"},
    )

    (event,) = events(client, action="remediation.create")

    assert event["outcome"] == "done"
    assert event["subject"] == "client:ci"
    assert event["key_id"]
    assert event["address"] == "127.0.0.1"
    assert event["request_id"] == "incident-7"
    assert event["remediation_id"] == answer.get_json()["id"]
    assert event["reason"] == "flip"
    assert event["details"]["clusters"] == ["*"]
    assert event["details"]["resolved_clusters"] == 2
    assert event["details"]["credential"] == CREDENTIAL
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["id"] for line in lines if line["action"] == "remediation.create"] == [event["id"]]


def test_the_request_id_goes_along_to_the_worker(
    client: FlaskClient, announce: Announce, store: Store
) -> None:
    announce("eu-1")
    answer = client.post(f"{API}/remediations", json=BODY, headers={"X-Request-Id": "req-9"})

    orders = store.remediations.orders(answer.get_json()["id"])
    assert (orders.requested_by, orders.request_id) == ("client:ci", "req-9")


def test_a_replay_decides_nothing(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1")
    for _ in range(2):
        client.post(f"{API}/remediations", json=BODY, headers={"Idempotency-Key": "incident-1"})

    assert len(events(client, action="remediation.create")) == 1


def test_refusals_are_noted(client: FlaskClient, anonymous: FlaskClient) -> None:
    client.post(f"{API}/remediations", json={})
    client.post(f"{API}/remediations/rem_{26 * '0'}/cancel")
    client.post(f"{API}/system/resume")
    anonymous.get(f"{API}/remediations")

    found = [
        (event["action"], event["code"], event["subject"])
        for event in events(client, outcome="refused")
    ]
    assert found == [
        ("access.authenticate", "unauthenticated", None),
        ("service.resume", "invalid-state", "client:ci"),
        ("remediation.cancel", "not-found", "client:ci"),
        ("remediation.create", "validation-error", "client:ci"),
    ]


def test_what_a_caller_may_not_read_is_noted(client: FlaskClient, access_file: Path) -> None:
    everything = json.loads(access_file.read_text())
    viewer = {**everything["bindings"][0], "role": "viewer"}
    access_file.write_text(json.dumps({**everything, "bindings": [viewer]}))
    assert client.get(f"{API}/audit-events").status_code == 403
    access_file.write_text(json.dumps(everything))

    (found,) = events(client, action="access.authorize")

    assert (found["outcome"], found["code"]) == ("refused", "forbidden")
    assert found["subject"] == "client:ci"
    assert found["details"] == {"method": "GET", "path": f"{API}/audit-events"}


def test_cancel_retry_undo_and_the_pause_are_noted(
    client: FlaskClient, start: Callable[..., str], work: Work
) -> None:
    identity = start("eu-1")
    client.post(f"{API}/remediations/{identity}/cancel")
    client.post(f"{API}/remediations/{identity}/cancel")
    client.post(f"{API}/remediations/{identity}/retry")
    client.post(f"{API}/system/pause", json={"reason": "storm"})
    client.post(f"{API}/system/pause", json={"reason": "storm"})
    client.post(f"{API}/system/resume")

    found = [(event["action"], event["outcome"]) for event in events(client)]
    assert [each for each in found if not each[0].startswith("access")] == [
        ("service.resume", "done"),
        ("service.pause", "done"),
        ("remediation.retry", "done"),
        ("remediation.cancel", "done"),
        ("remediation.create", "done"),
    ]


def test_the_access_file_is_noted_when_it_is_read(
    client: FlaskClient, access_file: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client.get(f"{API}/whoami")
    access_file.write_text("keys: 7")

    found = events(client, action="access.load")

    assert [event["outcome"] for event in found] == ["refused", "done"]
    assert found[1]["reason"] == "1 keys, 1 bindings"
    assert "keys" in found[0]["reason"]


def test_strangers_do_not_push_out_what_others_did(
    client: FlaskClient, anonymous: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(_STRANGERS_A_MINUTE + 5):
        anonymous.get(f"{API}/whoami")

    kept = events(client, action="access.authenticate", limit=1000)
    lines = [line for line in capfd.readouterr().out.splitlines() if "access.authenticate" in line]
    assert len(kept) == _STRANGERS_A_MINUTE
    assert len(lines) == _STRANGERS_A_MINUTE + 5


def test_no_token_is_noted(client: FlaskClient, store: Store, anonymous: FlaskClient) -> None:
    anonymous.get(f"{API}/whoami", headers={"Authorization": "Bearer rmd_stolen-token"})

    texts = [link.text for _, link in store.audit.newest_first(Trail.DECISIONS)]
    assert texts
    assert not any("stolen-token" in text for text in texts)


def test_pages_go_on_and_filters_hold(client: FlaskClient, anonymous: FlaskClient) -> None:
    for _ in range(5):
        client.post(f"{API}/system/resume")
        anonymous.get(f"{API}/whoami")

    first = client.get(f"{API}/audit-events?action=service.resume&limit=3")
    cursor = first.get_json()["next_cursor"]
    rest = client.get(
        f"{API}/audit-events?action=service.resume&limit=3", query_string=None
    ).get_json()
    second = client.get(
        f"{API}/audit-events",
        query_string={"action": "service.resume", "limit": 3, "cursor": cursor},
    ).get_json()

    assert 'rel="next"' in first.headers["Link"]
    assert [item["action"] for item in [*rest["items"], *second["items"]]] == 5 * ["service.resume"]
    assert "next_cursor" not in second
    other = client.get(f"{API}/audit-events", query_string={"cursor": cursor})
    assert other.get_json()["errors"][0]["code"] == "invalid_cursor"


def test_times_limit_what_is_read(client: FlaskClient) -> None:
    client.post(f"{API}/system/resume")
    (event,) = events(client, action="service.resume")

    assert events(client, action="service.resume", since=event["at"]) == [event]
    assert events(client, action="service.resume", until=event["at"]) == []
    assert events(client, since="2999-01-01T00:00:00Z") == []


def test_auditors_get_it_as_they_like(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1")
    client.post(f"{API}/remediations", json={**BODY, "reason": "=1+1"})
    query = {"action": "remediation.create"}
    (event,) = events(client, **query)

    lines = client.get(f"{API}/audit-events", query_string={**query, "format": "ndjson"}).text
    rows = list(
        csv.DictReader(
            io.StringIO(
                client.get(f"{API}/audit-events", query_string={**query, "format": "csv"}).text
            )
        )
    )
    table = client.get(f"{API}/audit-events", query_string={**query, "format": "table"}).text

    assert [json.loads(line) for line in lines.splitlines()] == [event]
    assert rows[0]["reason"] == "'=1+1"  # no formula
    assert json.loads(rows[0]["details"])["clusters"] == ["*"]
    assert table.splitlines()[0].split() == [
        "AT",
        "ACTION",
        "KIND",
        "OUTCOME",
        "SUBJECT",
        "REMEDIATION_ID",
        "CLUSTER",
        "NAMESPACE",
        "CODE",
    ]


def test_the_trail_can_be_verified(client: FlaskClient, store: Store) -> None:
    client.post(f"{API}/system/resume")
    whole = client.get(f"{API}/audit-events/verification").get_json()
    head = whole["head"]
    client.post(f"{API}/system/resume")

    anchored = client.get(f"{API}/audit-events/verification?anchor={head}").get_json()
    strange = client.get(f"{API}/audit-events/verification?anchor={64 * '0'}").get_json()

    assert (whole["verified"], whole["anchored"], whole["problem"]) == (True, None, None)
    assert whole["last"] == whole["entries"] > 0
    assert (anchored["verified"], anchored["anchored"]) == (True, True)
    assert (strange["verified"], strange["anchored"]) == (False, False)

    redis: Any = store.redis
    oldest = redis.xrange(keys.audit(Trail.DECISIONS), count=1)[0][0]
    redis.xdel(keys.audit(Trail.DECISIONS), oldest)
    broken = client.get(f"{API}/audit-events/verification").get_json()
    assert broken["verified"] is False
    assert "the first entry is 2" in broken["problem"]


def test_a_row_that_was_written_stays_out_of_the_decisions(
    client: FlaskClient, start: Callable[..., str], work: Work
) -> None:
    identity = start("eu-1")
    work.run(identity, [a_row("a")])

    assert events(client, trail="writes") == []


def test_checks_and_what_the_gate_said_are_noted(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1")
    check = {"clusters": ["*"], "registry": "registry.example.com", "credential": CREDENTIAL}
    made = client.post(f"{API}/readiness-checks", json=check).get_json()["id"]
    client.post(f"{API}/readiness-checks", json=check | {"credential": "unknown"})
    client.get(f"{API}/readiness-checks/{made}/gate")

    refused, done = events(client, action="readiness.check")
    (closed,) = events(client, action="readiness.gate")

    assert (done["outcome"], done["details"]["check_id"]) == ("done", made)
    assert done["details"]["clusters"] == ["eu-1"]
    assert (refused["outcome"], refused["code"]) == ("refused", "validation-error")
    assert (closed["outcome"], closed["code"]) == ("refused", "gate-closed")
    assert made in closed["details"]["path"]
