"""Idempotency-Key: one remediation for one key, whatever is sent again."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.idempotency import REPLAYED, made_once
from api.problems import Problem
from remediation.api_key import ENTROPY_BYTES, new_api_key
from remediation.outcome import Outcome
from store import keys
from store.idempotency import RequestKey
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_row, an_entry

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
BODY: dict[str, Any] = {"clusters": ["eu-1"], "credential": CREDENTIAL}


@pytest.fixture(autouse=True)
def _announced(announce: Announce) -> None:
    announce("eu-1", "eu-2")


def post(client: FlaskClient, key: str = KEY, **body: Any) -> TestResponse:
    return client.post(f"{API}/remediations", json=BODY | body, headers={"Idempotency-Key": key})


def made(store: Store) -> int:
    return int(store.redis.zcard(keys.REMEDIATIONS))


def test_the_same_request_again_is_answered_with_what_was_made_of_it(
    client: FlaskClient, store: Store, work: Work
) -> None:
    first = post(client)
    assert "Idempotency-Replayed" not in first.headers
    work.run(first.get_json()["id"], [a_row("shop")])

    again = post(client)

    assert again.status_code == 202
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.get_json()["id"] == first.get_json()["id"]
    assert again.get_json()["status"] == "succeeded"
    assert made(store) == 1


def test_the_order_of_members_and_quotes_around_the_key_mean_nothing(
    client: FlaskClient, store: Store
) -> None:
    post(client)
    turned = json.dumps(dict(reversed(BODY.items())))

    again = client.post(
        f"{API}/remediations",
        data=turned,
        content_type="application/json",
        headers={"Idempotency-Key": f'"{KEY}"'},
    )

    assert again.headers["Idempotency-Replayed"] == "true"
    assert made(store) == 1


def test_another_request_under_the_key_is_refused(client: FlaskClient, store: Store) -> None:
    first = post(client).get_json()["id"]

    answer = post(client, clusters=["eu-2"])

    assert answer.status_code == 422
    assert answer.get_json()["code"] == "idempotency-key-reuse"
    assert first in answer.get_json()["detail"]
    assert made(store) == 1


def test_a_request_that_was_refused_leaves_the_key_free(client: FlaskClient, store: Store) -> None:
    assert post(client, clusters=["nowhere"]).status_code == 422

    assert post(client).status_code == 202
    assert made(store) == 1


def test_a_replay_does_not_depend_on_what_is_known_by_now(
    client: FlaskClient, store: Store
) -> None:
    first = post(client).get_json()["id"]
    for worker in store.inventory.workers():
        store.inventory.leave(worker.worker_id)

    assert post(client).get_json()["id"] == first


@pytest.fixture
def other(app: Flask, access_file: Path) -> FlaskClient:
    """Return the client of another caller."""
    key = new_api_key(os.urandom(ENTROPY_BYTES))
    access = json.loads(access_file.read_text())
    access["keys"].append(an_entry(key, "portal"))
    access_file.write_text(json.dumps(access))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    return client


def test_a_key_belongs_to_its_caller(client: FlaskClient, other: FlaskClient) -> None:
    assert post(client).get_json()["id"] != post(other).get_json()["id"]


@pytest.mark.parametrize("text", ["short", "x" * 256, "with space", '"', "ä" * 9])
def test_a_key_of_another_form_is_refused(client: FlaskClient, store: Store, text: str) -> None:
    answer = post(client, key=text.encode().decode("latin-1"))

    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.get_json()["detail"]
    assert made(store) == 0


def test_no_text_of_the_caller_is_in_a_redis_key_and_the_record_runs_out(
    client: FlaskClient, store: Store
) -> None:
    post(client)

    (record,) = store.redis.scan_iter(match="*idempotency*")
    assert KEY not in str(record)
    assert 0 < store.redis.ttl(record) <= 24 * 3600


def test_without_a_key_each_request_makes_one(client: FlaskClient, store: Store) -> None:
    ids = {client.post(f"{API}/remediations", json=BODY).get_json()["id"] for _ in range(2)}

    assert len(ids) == 2
    assert made(store) == 2


VERBS = ["cancel", "retry", "undo"]


@pytest.fixture
def follow(client: FlaskClient, work: Work) -> Callable[[str, str], str]:
    """Return a function that makes a remediation which the verb can be said to, and returns its address."""

    def follow(verb: str, key: str) -> str:
        identity = str(post(client, key).get_json()["id"])
        if verb != "cancel":
            outcome = Outcome.FAILED if verb == "retry" else Outcome.CHANGED
            work.run(identity, [a_row("shop", outcome)])
        return f"{API}/remediations/{identity}/{verb}"

    return follow


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_carried_out_once(
    client: FlaskClient, store: Store, follow: Callable[[str, str], str], verb: str
) -> None:
    path = follow(verb, "the-first-one")
    header = {"Idempotency-Key": KEY}

    first, again = (client.post(path, headers=header) for _ in range(2))
    other = client.post(path, headers=header, json={"reason": "another request"})

    assert first.status_code == 202
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.get_json()["id"] == first.get_json()["id"]
    assert made(store) == (1 if verb == "cancel" else 2)
    assert other.status_code == 422
    assert other.get_json()["code"] == "idempotency-key-reuse"


@pytest.mark.parametrize("verb", VERBS)
def test_a_key_belongs_to_what_it_was_said_to(
    client: FlaskClient, follow: Callable[[str, str], str], verb: str
) -> None:
    header = {"Idempotency-Key": KEY}
    one, two = follow(verb, "the-first-one"), follow(verb, "the-second-one")
    ids = {client.post(path, headers=header).get_json()["id"] for path in (one, two)}

    assert len(ids) == 2


@pytest.mark.parametrize("verb", VERBS)
def test_a_key_of_one_caller_is_new_for_another(
    client: FlaskClient, other: FlaskClient, follow: Callable[[str, str], str], verb: str
) -> None:
    path = follow(verb, "the-first-one")
    header = {"Idempotency-Key": KEY}
    client.post(path, headers=header)

    assert "Idempotency-Replayed" not in other.post(path, headers=header).headers


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("refused", ["a key of another form", "an unknown member"])
def test_what_is_refused_is_not_carried_out(
    client: FlaskClient, store: Store, follow: Callable[[str, str], str], verb: str, refused: str
) -> None:
    path = follow(verb, "the-first-one")
    before = made(store)
    bad_key = refused == "a key of another form"

    answer = client.post(
        path,
        headers={"Idempotency-Key": "short" if bad_key else KEY},
        json={} if bad_key else {"raeson": "x"},
    )

    assert answer.status_code == (400 if bad_key else 422)
    assert made(store) == before
    assert client.get(path.rpartition("/")[0]).get_json()["status"] != "cancelled"
    assert "Idempotency-Replayed" not in client.post(path, headers={"Idempotency-Key": KEY}).headers


def test_what_its_twin_has_made_is_found_where_that_is_in_the_way(app: Flask, store: Store) -> None:
    key = RequestKey("client:ci", "POST /x", "key-of-both", "same")

    def overtaken() -> tuple[str, dict[str, str]]:
        store.idempotency.keep(key, "made")
        raise Problem("invalid-state", "too many are open")

    with app.app_context():
        assert made_once(key, overtaken, str.upper) == ("MADE", REPLAYED)


def test_a_refusal_stands_where_nothing_was_made(app: Flask) -> None:
    key = RequestKey("client:ci", "POST /x", "key-of-one", "same")

    def refused() -> tuple[str, dict[str, str]]:
        raise Problem("invalid-state", "too many are open")

    with app.app_context(), pytest.raises(Problem):
        made_once(key, refused, str.upper)
