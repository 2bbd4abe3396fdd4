"""The gate and work that was accepted: as long as it may write on a cluster of the check, the gate is closed."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from remediation.approval import Approval
from remediation.inventory import AnnouncedCluster
from remediation.request import RemediationRequest
from store import clock
from store.ids import new_remediation_id
from store.records import Terms
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_row
from tests.api.test_gate import CHECKS, codes, somebody_looks

Start = Callable[..., str]


@pytest.fixture
def safe(ask: Callable[..., str], work: Work) -> str:
    """Return a check that is safe."""
    identity = ask()
    work.judge(identity)
    return identity


def closed(client: FlaskClient, check: str) -> list[str]:
    """Return why the gate is closed: for work alone, and at once."""
    answer = client.get(f"{CHECKS}/{check}/gate?wait=0")
    assert set(codes(answer)) == {"may_write"}
    assert "RateLimit-Policy" not in answer.headers
    return [error["detail"] for error in answer.get_json()["errors"]]


def test_a_queued_remediation_closes_it_until_it_has_ended(
    client: FlaskClient, safe: str, start: Start, store: Store, work: Work
) -> None:
    identity = start()
    (why,) = closed(client, safe)
    work.run(identity, [a_row("shop")])
    with somebody_looks(store, work):
        after = client.get(f"{CHECKS}/{safe}/gate")

    assert why.startswith(f"{identity}, a remediation, may still write on eu-1: it is queued. Wait")
    assert after.status_code == 200, after.text


def test_a_running_one_closes_it_and_one_that_is_cancelled_does_until_its_worker_has_stopped(
    client: FlaskClient, safe: str, start: Start, store: Store
) -> None:
    identity = start()
    assert store.claims.take(f"{identity}-0")
    (running,) = closed(client, safe)
    client.post(f"{API}/remediations/{identity}/cancel")
    (ending,) = closed(client, safe)

    assert "it is running" in running
    assert "it is being cancelled" in ending


def test_an_undo_closes_it(client: FlaskClient, safe: str, start: Start, work: Work) -> None:
    identity = start()
    work.run(identity, [a_row("shop")])
    undo = client.post(f"{API}/remediations/{identity}/undo").get_json()["id"]

    (why,) = closed(client, safe)

    assert why.startswith(f"{undo}, an undo, may still write on eu-1")


def test_while_the_service_is_paused_it_says_to_resume_it(
    client: FlaskClient, safe: str, start: Start
) -> None:
    client.post(f"{API}/system/pause", json={"reason": "night"})
    start()

    (why,) = closed(client, safe)

    assert "it is queued, and the service is paused. Resume the service and wait" in why


def test_what_waits_for_approval_closes_it(client: FlaskClient, safe: str, store: Store) -> None:
    approval = Approval("sha256:1", "client:ci", clock.later(clock.now(), 60))
    request = RemediationRequest(clusters=("eu-1",), credential=CREDENTIAL)
    places = [("eu-1", "default")]
    store.intake.remediation(
        new_remediation_id(), request, "client:ci", places, terms=Terms(approval=approval)
    )

    (why,) = closed(client, safe)

    assert "it waits for approval. Approve it and wait" in why


def test_work_of_a_worker_that_is_away_closes_it(
    client: FlaskClient, safe: str, start: Start, store: Store
) -> None:
    start()
    store.inventory.leave("default-1")

    closed(client, safe)


def test_work_under_another_name_of_the_api_server_closes_it(
    client: FlaskClient, announce: Announce, work: Work
) -> None:
    announce(AnnouncedCluster("eu", uid="u1"), AnnouncedCluster("lab", uid="u1"), "us")
    body = {"registry": "registry.example.com", "credential": CREDENTIAL}
    check = client.post(CHECKS, json={"clusters": ["eu"], **body}).get_json()["id"]
    work.judge(check, uid="u1")
    for name in ("us", "lab"):
        client.post(f"{API}/remediations", json={"clusters": [name], "credential": CREDENTIAL})

    (why,) = closed(client, check)

    assert "may still write on lab:" in why


@pytest.mark.parametrize(
    "body",
    [{"dry_run": True}, {"namespaces": ["other"]}, {"ignore": ["shop"]}, {"clusters": ["us-1"]}],
)
def test_what_cannot_write_where_the_check_looked_leaves_it_open(
    client: FlaskClient,
    ask: Callable[..., str],
    announce: Announce,
    store: Store,
    work: Work,
    body: dict[str, Any],
) -> None:
    check = ask(namespaces=["shop"])
    work.judge(check)
    announce("eu-1", "us-1")
    usual = {"clusters": ["eu-1"], "credential": CREDENTIAL}
    answer = client.post(f"{API}/remediations", json=usual | body)
    assert answer.status_code == 202, answer.text

    with somebody_looks(store, work):
        gate = client.get(f"{CHECKS}/{check}/gate")

    assert gate.status_code == 200, gate.text


def test_what_is_accepted_during_the_second_look_closes_it_though_it_has_ended(
    client: FlaskClient,
    safe: str,
    start: Start,
    store: Store,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge, came = Work.judge, list[str]()

    def with_company(self: Work, check_id: str, *more: Any, **other: Any) -> None:
        if not came:
            came.append(start())
            work.run(came[0], [a_row("shop")])
        judge(self, check_id, *more, **other)

    monkeypatch.setattr(Work, "judge", with_company)
    with somebody_looks(store, work):
        during = client.get(f"{CHECKS}/{safe}/gate")
        after = client.get(f"{CHECKS}/{safe}/gate")

    assert codes(during) == ["may_write"]
    assert came[0] in during.get_json()["errors"][0]["detail"]
    assert after.status_code == 200, after.text
