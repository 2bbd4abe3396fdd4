"""The gate: open only for what is safe, in time, and found again by somebody who looks now."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.terms import GATES_PER_MINUTE
from remediation.api_key import ApiKey
from remediation.readiness.finding import Finding, FindingClass, Severity
from store import clock
from store.ids import new_check_id
from store.intake import AlreadyConfirming
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_finding, an_entry

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


def test_it_counts_no_longer_than_what_confirmed_it(
    client: FlaskClient, safe: str, store: Store, work: Work
) -> None:
    """A waiver that the second look rests on may end before those of the check."""
    with somebody_looks(store, work, valid_for=timedelta(minutes=1)):
        answer = client.get(f"{CHECKS}/{safe}/gate")

    body = answer.get_json()
    confirmed = client.get(f"{CHECKS}/{body['confirmed_by']}").get_json()
    assert body["valid_until"] == confirmed["valid_until"]
    assert body["valid_until"] < client.get(f"{CHECKS}/{safe}").get_json()["valid_until"]


def test_what_confirmed_it_may_have_run_out(
    client: FlaskClient, safe: str, store: Store, work: Work
) -> None:
    with somebody_looks(store, work, valid_for=timedelta(seconds=-1)):
        answer = client.get(f"{CHECKS}/{safe}/gate")

    assert codes(answer) == ["expired"]


def test_the_clock_of_redis_ends_a_verdict_too(
    client: FlaskClient, safe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine's clock may be behind."""
    ahead = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(clock, "common", lambda _: ahead)

    assert codes(client.get(f"{CHECKS}/{safe}/gate")) == ["expired"]


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


def test_calls_that_have_the_clusters_read_again_count_against_a_quota(
    client: FlaskClient, access_file: Path, key: ApiKey, safe: str, store: Store, work: Work
) -> None:
    everywhere = {name: ["*"] for name in ("clusters", "namespaces", "credentials")}
    document = {
        "keys": [an_entry(key, "ci")],
        "bindings": [{"subjects": ["client:ci"], "role": "viewer", **everywhere}],
        "limits": {"viewer": {"remediations_per_minute": 2}},
    }
    access_file.write_text(json.dumps(document))
    with somebody_looks(store, work):
        answers = [client.get(f"{CHECKS}/{safe}/gate") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"gates";q=2;w=60'
    assert answers[2].get_json()["code"] == "quota-exceeded"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60


def test_roles_without_a_limit_have_a_quota_too(
    client: FlaskClient, safe: str, store: Store, work: Work
) -> None:
    with somebody_looks(store, work):
        answer = client.get(f"{CHECKS}/{safe}/gate")

    assert answer.headers["RateLimit-Policy"] == f'"gates";q={GATES_PER_MINUTE};w=60'


def test_a_gate_that_is_closed_anyway_costs_nothing(
    client: FlaskClient, ask: Callable[..., str], work: Work
) -> None:
    check = ask()
    work.judge(check, a_finding())

    answers = [client.get(f"{CHECKS}/{check}/gate") for _ in range(GATES_PER_MINUTE + 1)]

    assert {answer.status_code for answer in answers} == {412}
    assert "RateLimit-Policy" not in answers[0].headers


def test_callers_of_the_very_same_moment_share_a_look(
    client: FlaskClient, safe: str, store: Store
) -> None:
    """Each finds none that is queued when it looks, and only one is recorded."""
    check = store.checks.get(safe)
    assert check is not None
    places = [(run.cluster, run.pool) for run in check.runs]
    start, shared = threading.Barrier(8), []

    def ask_to_confirm(number: int) -> None:
        start.wait()
        try:
            store.intake.check(
                new_check_id(), check.request, f"client:{number}", places, confirms=safe
            )
        except AlreadyConfirming as already:
            shared.append(already.check_id)

    threads = [threading.Thread(target=ask_to_confirm, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(shared) == 7
    assert len(set(shared)) == len(store.runs.active()) == 1


def test_another_content_of_the_credential_closes_it(
    client: FlaskClient, ask: Callable[..., str], store: Store, work: Work
) -> None:
    check = ask()
    work.judge(check, fingerprint="hmac-sha256:1")
    with somebody_looks(store, work, fingerprint="hmac-sha256:1"):
        same = client.get(f"{CHECKS}/{check}/gate")
    with somebody_looks(store, work, fingerprint="hmac-sha256:2"):
        other = client.get(f"{CHECKS}/{check}/gate")

    assert same.status_code == 200
    assert codes(other) == ["changed"]
    assert "the credential has another content" in other.get_json()["errors"][0]["detail"]
