"""GET /remediations/{id}."""

import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.services import services_of
from api.waiting import MAX_WAITS
from remediation.outcome import Error, ErrorCode, Outcome
from store.events import Events
from store.ids import check_after
from store.store import Store
from tests.api.conftest import API, Work, a_row

Start = Callable[..., str]


def url(identity: str, query: str = "") -> str:
    """Return the address of a remediation."""
    return f"{API}/remediations/{identity}{query}"


def test_shows_what_came_of_it(client: FlaskClient, start: Start, work: Work) -> None:
    identity = start("eu-1", "eu-2")
    work.run(identity, [a_row("shop"), a_row("zoo", Outcome.UNCHANGED)], clusters=["eu-1"])
    work.fail(
        identity,
        "eu-2",
        Error(ErrorCode.UNREACHABLE, "nobody answers", "look at its address", None, None),
    )

    answer = client.get(url(identity))

    body = answer.get_json()
    assert answer.status_code == 200
    assert "Retry-After" not in answer.headers
    assert body["status"] == "partial"
    assert body["terminal"] is True
    assert body["started_at"] <= body["finished_at"]
    assert body["summary"] == {
        "namespaces": {
            "total": 2,
            "done": 2,
            "changed": 1,
            "unchanged": 1,
            "would_change": 0,
            "ignored": 0,
            "skipped": 0,
            "failed": 0,
            "cancelled": 0,
        },
        "service_accounts": {"total": 2, "changed": 1, "unchanged": 1, "failed": 0},
        "secrets": {
            "created": 1,
            "updated": 0,
            "merged": 0,
            "replaced": 0,
            "unchanged": 0,
            "failed": 0,
            "deleted": 0,
        },
    }
    first, second = body["clusters"]
    assert (first["name"], first["status"], first["attempt"]) == ("eu-1", "succeeded", 1)
    assert first["summary"]["namespaces"]["changed"] == 1
    assert first["error"] is None
    assert (second["name"], second["status"]) == ("eu-2", "unreachable")
    assert second["error"] == {
        "code": "unreachable",
        "detail": "nobody answers",
        "hint": "look at its address",
        "retryable": True,
        "http_status": None,
        "object": None,
    }
    assert body["kind"] == "run"
    assert body["retry_of"] is None
    assert body["undo_of"] is None
    follower = check_after(identity)
    assert body["links"] == {
        "self": url(identity),
        "results": url(identity, "/results"),
        "readiness": f"/api/v1/readiness-checks/{follower}",
    }


@pytest.mark.parametrize(
    "identity",
    ["rem_01M85B1ZWBXX38VXNACNJSV9CR", "rem_01m85b1zwbxx38vxnacnjsv9cr", "x", "*", "rem_x:events"],
)
def test_one_that_is_not_there(client: FlaskClient, identity: str) -> None:
    answer = client.get(url(identity))

    assert answer.status_code == 404
    assert identity in answer.text


def test_the_etag_changes_with_every_change(client: FlaskClient, start: Start, work: Work) -> None:
    identity = start()
    before = client.get(url(identity)).headers["ETag"]
    assert client.get(url(identity)).headers["ETag"] == before

    work.run(identity, [a_row("shop")])

    assert client.get(url(identity)).headers["ETag"] != before


def test_not_modified(client: FlaskClient, start: Start) -> None:
    identity = start()
    etag = client.get(url(identity)).headers["ETag"]

    for condition in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = client.get(url(identity), headers={"If-None-Match": condition})
        assert answer.status_code == 304
        assert answer.headers["ETag"] == etag
        assert answer.headers["Retry-After"]
        assert answer.data == b""
    assert client.get(url(identity), headers={"If-None-Match": '"x"'}).status_code == 200


def test_waits_until_it_has_ended(client: FlaskClient, start: Start, work: Work) -> None:
    identity = start("eu-1", "eu-2")

    def carry_out() -> None:
        for cluster in ("eu-1", "eu-2"):
            time.sleep(0.3)
            work.run(identity, [a_row("shop")], clusters=[cluster])

    worker = threading.Thread(target=carry_out)
    worker.start()
    answer = client.get(url(identity, "?wait=30s"))
    worker.join()

    assert answer.get_json()["status"] == "succeeded"


def test_waits_for_any_change_with_an_etag(client: FlaskClient, start: Start, work: Work) -> None:
    identity = start("eu-1", "eu-2")
    etag = client.get(url(identity)).headers["ETag"]
    worker = threading.Timer(0.3, work.run, (identity, [a_row("shop")]), {"clusters": ["eu-1"]})
    worker.start()

    answer = client.get(url(identity, "?wait=30"), headers={"If-None-Match": etag})
    worker.join()

    assert answer.status_code == 200
    assert answer.get_json()["terminal"] is False


def test_a_wait_ends_in_time(client: FlaskClient, start: Start, waited: list[float]) -> None:
    identity = start()
    etag = client.get(url(identity)).headers["ETag"]

    answer = client.get(url(identity), headers={"If-None-Match": etag, "Prefer": "wait=1"})

    assert answer.status_code == 304
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert sum(waited) == 1


def test_what_has_ended_is_not_waited_for(
    client: FlaskClient, start: Start, work: Work, waited: list[float]
) -> None:
    identity = start()
    work.run(identity, [a_row("shop")])
    etag = client.get(url(identity)).headers["ETag"]

    answer = client.get(url(identity, "?wait=30"), headers={"If-None-Match": etag})

    assert answer.status_code == 304
    assert waited == []


def test_too_many_waits_are_answered_at_once(
    app: Flask,
    client: FlaskClient,
    start: Start,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting: set[int] = set()
    really = Events.wait

    def wait(events: Events, remediation_id: str, last_id: str, seconds: float) -> bool:
        waiting.add(threading.get_ident())
        return really(events, remediation_id, last_id, seconds)

    monkeypatch.setattr(Events, "wait", wait)
    identity = start()
    waits = services_of(app).waits
    found = store.remediations.get(identity)
    assert found is not None
    threads = [
        threading.Thread(
            target=waits.hold,
            args=(store, found, store.remediations.get, lambda _: False, 3600),
        )
        for _ in range(MAX_WAITS)
    ]
    for thread in threads:
        thread.start()
    while len(waiting) < MAX_WAITS:
        time.sleep(0.02)

    answer = client.get(url(identity, "?wait=20"))

    assert answer.status_code == 200
    assert answer.headers["Retry-After"]
    assert threading.get_ident() not in waiting
    waits.stop()
    for thread in threads:
        thread.join()  # for an hour if nobody told them


def test_a_named_namespace_that_is_nowhere_is_a_warning(
    client: FlaskClient, start: Start, store: Store
) -> None:
    identity = start("eu-1", "eu-2", namespaces=["shop", "shpo", "team-*"], ignore=["kube-sistem"])
    missing = {"eu-1": ("shpo", "kube-sistem"), "eu-2": ("shop", "shpo", "kube-sistem")}
    work = Work(store, missing)

    work.run(identity, [a_row("shop")], clusters=["eu-1"])
    assert client.get(url(identity)).get_json()["warnings"] == []

    work.run(identity, [a_row("team-a")], clusters=["eu-2"])
    warnings = client.get(url(identity)).get_json()["warnings"]
    assert [(warning["code"], warning["name"]) for warning in warnings] == [
        ("namespace_not_found", "kube-sistem"),
        ("namespace_not_found", "shpo"),
    ]


def test_a_cluster_that_was_not_looked_at_is_named_in_the_warning(
    client: FlaskClient, start: Start, store: Store
) -> None:
    identity = start("eu-1", "eu-2", namespaces=["shpo"])
    work = Work(store, {"eu-1": ("shpo",)})
    work.run(identity, [], clusters=["eu-1"])
    work.fail(identity, "eu-2", Error(ErrorCode.UNREACHABLE, "nobody answers"))

    (warning,) = client.get(url(identity)).get_json()["warnings"]

    assert warning["detail"] == "no selected cluster has a namespace 'shpo' (not looked at: eu-2)"


def test_a_mistyped_parameter_is_refused(client: FlaskClient, start: Start) -> None:
    answer = client.get(url(start(), "?wiat=10"))

    assert answer.status_code == 422
    assert "did you mean 'wait'?" in answer.text


def test_says_why_a_cluster_waits(client: FlaskClient, start: Start, work: Work) -> None:
    first = start("eu-1", "eu-2")
    second = start("eu-1")

    (waits,) = client.get(url(second)).get_json()["clusters"]
    assert waits["status"] == "queued"
    assert waits["reason"] == f"waits for {first}, which writes the same Secret there"
    assert all(each["reason"] is None for each in client.get(url(first)).get_json()["clusters"])

    work.run(first, [a_row("shop")], clusters=["eu-1"])

    assert client.get(url(second)).get_json()["clusters"][0]["reason"] is None
