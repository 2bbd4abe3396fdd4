"""The gate: open only for what is safe, in time, and found again by somebody who looks now."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from remediation.readiness.finding import Finding, FindingClass, Severity
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_finding

CHECKS = f"{API}/readiness-checks"


@contextmanager
def somebody_looks(store: Store, work: Work, *findings: Finding, **more: Any) -> Iterator[None]:
    """Have somebody judge whatever check comes, until the end of the block."""
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            for run in store.runs.active():
                work.judge(run.remediation_id, *findings, **more)
            time.sleep(0.01)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def codes(answer: Any) -> list[str]:
    """Return the codes of the reasons."""
    assert answer.status_code == 412, answer.text
    assert answer.get_json()["code"] == "gate-closed"
    return [error["code"] for error in answer.get_json()["errors"]]


@pytest.fixture
def safe(ask: Callable[..., str], work: Work) -> str:
    """Return a check that is safe."""
    identity = ask()
    work.judge(identity)
    return identity


def test_it_opens_when_the_same_is_found_again(
    client: FlaskClient, safe: str, store: Store, work: Work
) -> None:
    with somebody_looks(store, work):
        answer = client.get(f"{CHECKS}/{safe}/gate")

    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert (body["id"], body["verdict"]) == (safe, "safe")
    confirmed = client.get(f"{CHECKS}/{body['confirmed_by']}").get_json()
    assert confirmed["confirms"] == safe
    listed = [item["id"] for item in client.get(CHECKS).get_json()["items"]]
    assert listed == [safe], "the second look is in no list"
    (noted,) = client.get(f"{API}/audit-events?action=readiness.gate").get_json()["items"]
    assert (noted["outcome"], noted["details"]["check_id"]) == ("done", safe)


def test_it_says_what_it_takes_for_granted(
    client: FlaskClient, ask: Callable[..., str], store: Store, work: Work
) -> None:
    granted = a_finding(
        finding_class=FindingClass.R_UNPROVEN, severity=Severity.WARNING, count=3, doubt=True
    )
    check = ask()
    work.judge(check, granted)

    with somebody_looks(store, work, granted):
        body = client.get(f"{CHECKS}/{check}/gate").get_json()

    assert (body["verdict"], body["evidence"], body["unproven"]) == ("safe", "L0", 3)


def test_it_stays_closed_without_anybody_who_looks(client: FlaskClient, safe: str) -> None:
    assert codes(client.get(f"{CHECKS}/{safe}/gate?wait=1")) == ["not_confirmed"]


def test_it_stays_closed_without_a_worker(client: FlaskClient, safe: str, store: Store) -> None:
    store.inventory.leave("default-1")

    assert codes(client.get(f"{CHECKS}/{safe}/gate?wait=1")) == ["not_confirmed"]


def test_it_stays_closed_before_the_end(client: FlaskClient, ask: Callable[..., str]) -> None:
    assert codes(client.get(f"{CHECKS}/{ask()}/gate")) == ["not_ended"]


def test_it_stays_closed_for_another_verdict(
    client: FlaskClient, ask: Callable[..., str], work: Work
) -> None:
    check = ask()
    work.judge(check, a_finding())

    answer = client.get(f"{CHECKS}/{check}/gate")

    assert codes(answer) == ["not_safe", "W_SA_UNPATCHED"]
    assert "Deployment/web" in answer.get_json()["errors"][1]["detail"]


def test_it_stays_closed_for_doubt(
    client: FlaskClient, ask: Callable[..., str], work: Work
) -> None:
    check = ask()
    work.judge(check, a_finding(doubt=True))

    assert codes(client.get(f"{CHECKS}/{check}/gate")) == ["unknown", "W_SA_UNPATCHED"]


def test_it_closes_with_time(client: FlaskClient, ask: Callable[..., str], work: Work) -> None:
    check = ask()
    work.judge(check, valid_for=timedelta(seconds=-1))

    assert codes(client.get(f"{CHECKS}/{check}/gate")) == ["expired"]


def test_it_closes_when_something_would_break_now(
    client: FlaskClient, safe: str, store: Store, work: Work
) -> None:
    with somebody_looks(store, work, a_finding()):
        answer = client.get(f"{CHECKS}/{safe}/gate")

    assert codes(answer) == ["changed", "W_SA_UNPATCHED"]


def test_it_closes_when_something_changed_that_is_safe_as_well(
    client: FlaskClient, safe: str, store: Store, work: Work
) -> None:
    with somebody_looks(store, work, basis="sha256:2"):
        answer = client.get(f"{CHECKS}/{safe}/gate")

    assert codes(answer) == ["changed"]


def test_a_look_that_was_taken_for_another_answer_counts_no_more(
    client: FlaskClient, safe: str, store: Store, work: Work
) -> None:
    with somebody_looks(store, work):
        first = client.get(f"{CHECKS}/{safe}/gate").get_json()["confirmed_by"]
        second = client.get(f"{CHECKS}/{safe}/gate").get_json()["confirmed_by"]
    assert first != second

    alone = client.get(f"{CHECKS}/{safe}/gate?wait=1")

    assert codes(alone) == ["not_confirmed"], "nobody looked again"


def test_callers_of_the_same_moment_share_a_look(
    client: FlaskClient, safe: str, store: Store
) -> None:
    client.get(f"{CHECKS}/{safe}/gate?wait=0")
    client.get(f"{CHECKS}/{safe}/gate?wait=0")

    assert len(store.runs.active()) == 1


@pytest.mark.parametrize("when", ["away", "later"])
def test_a_cluster_that_the_check_passed_over_closes_it(
    client: FlaskClient, announce: Announce, store: Store, work: Work, when: str
) -> None:
    """A glob finds what a worker announces at that moment; one that restarts takes its clusters out of it."""
    if when == "away":
        announce("eu-2", pool="second")
        store.inventory.leave("second-1")
    announce("eu-1")
    body = {"clusters": ["eu-*"], "registry": "registry.example.com", "credential": CREDENTIAL}
    identity = client.post(CHECKS, json=body).get_json()["id"]
    work.judge(identity)
    if when == "later":
        announce("eu-2", pool="second")
    announce("us-1", pool="third")

    answer = client.get(f"{CHECKS}/{identity}/gate?wait=0")

    assert codes(answer) == ["not_judged"]
    assert answer.get_json()["errors"][0]["detail"].startswith("eu-2 is among the clusters")


def test_another_cluster_under_the_same_name_closes_it(
    client: FlaskClient, safe: str, store: Store, work: Work
) -> None:
    with somebody_looks(store, work, uid="uid-2"):
        answer = client.get(f"{CHECKS}/{safe}/gate")

    assert codes(answer) == ["changed"]
    assert "eu-1 is another cluster" in answer.get_json()["errors"][0]["detail"]
