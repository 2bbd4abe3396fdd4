"""Idempotency-Key: one remediation for one key, whatever is sent again."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from remediation.api_key import ENTROPY_BYTES, new_api_key
from store import keys
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_row, an_entry

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
BODY: dict[str, Any] = {"clusters": ["eu-1"], "credential": CREDENTIAL}
POSTS = 50


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


def test_many_at_once_make_one(app: Flask, client: FlaskClient, store: Store) -> None:
    bearer = client.environ_base["HTTP_AUTHORIZATION"]
    ready = Barrier(POSTS)

    def send(_: int) -> tuple[int, str]:
        own = app.test_client()
        own.environ_base["HTTP_AUTHORIZATION"] = bearer
        ready.wait()
        answer = post(own)
        return answer.status_code, answer.get_json().get("id")

    with ThreadPoolExecutor(POSTS) as threads:
        answers = set(threads.map(send, range(POSTS)))

    assert len(answers) == 1
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


def test_a_key_belongs_to_its_caller(app: Flask, client: FlaskClient, access_file: Path) -> None:
    other = new_api_key(os.urandom(ENTROPY_BYTES))
    access = json.loads(access_file.read_text())
    access["keys"].append(an_entry(other, "portal"))
    access_file.write_text(json.dumps(access))
    own = app.test_client()
    own.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {other.token}"

    assert post(client).get_json()["id"] != post(own).get_json()["id"]


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
