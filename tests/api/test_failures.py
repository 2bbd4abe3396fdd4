"""Failed authentications: limited for each key and address, without locking out anybody who has a valid token."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.failures import Failures
from api.services import services_of
from api.settings import Settings
from remediation.api_key import ENTROPY_BYTES, ApiKey, new_api_key
from remediation.audit import Trail
from store.connection import PROMPT
from store.store import Store
from tests.api.conftest import API

MOST = 3


@pytest.fixture
def stranger(access_file: Path, store: Store) -> FlaskClient:
    """Return a client of a service that looks at three failures a minute."""
    app = create_app(Settings(access_file=access_file, failures_per_minute=MOST), store)
    return app.test_client()


def ask(client: FlaskClient, token: str, address: str = "192.0.2.1") -> Any:
    return client.get(
        f"{API}/whoami",
        headers={"Authorization": f"Bearer {token}"},
        environ_base={"REMOTE_ADDR": address},
    )


def a_key() -> ApiKey:
    return new_api_key(os.urandom(ENTROPY_BYTES))


def forged(key: ApiKey) -> str:
    """Return a token with the id of a key and another secret, well-formed."""
    head = base64.b32decode(key.id.upper())
    made = new_api_key(head + os.urandom(ENTROPY_BYTES - len(head)))
    assert made.id == key.id
    return made.token


def test_failures_from_one_address_are_limited(stranger: FlaskClient) -> None:
    answers = [ask(stranger, a_key().token) for _ in range(MOST + 2)]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    refused = answers[-1]
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.get_json()["code"] == "too-many-failures"
    assert ask(stranger, "no key at all").status_code == 429
    assert ask(stranger, a_key().token, "192.0.2.2").status_code == 401


def test_a_valid_token_passes_whatever_others_try(stranger: FlaskClient, key: ApiKey) -> None:
    for _ in range(MOST + 2):
        ask(stranger, a_key().token)

    assert [ask(stranger, key.token).status_code for _ in range(2 * MOST)] == [200] * 2 * MOST


def test_failures_with_one_key_id_are_limited_wherever_they_come_from(
    stranger: FlaskClient, key: ApiKey
) -> None:
    answers = [ask(stranger, forged(key), f"192.0.2.{number}") for number in range(MOST + 1)]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert ask(stranger, key.token).status_code == 200
    assert ask(stranger, a_key().token, "192.0.2.1").status_code == 401


def test_a_call_without_a_token_is_none_that_failed(stranger: FlaskClient) -> None:
    answers = [stranger.get(f"{API}/whoami") for _ in range(MOST + 2)]

    assert {answer.status_code for answer in answers} == {401}


def test_a_full_minute_costs_redis_nothing(stranger: FlaskClient, store: Store) -> None:
    failures = Failures(store.quotas, MOST)
    assert [failures.count("address x") for _ in range(MOST)] == [None] * MOST
    assert failures.count("address x")
    before = commands(store)

    assert all(failures.count("address x") for _ in range(50))

    assert commands(store) - before <= 1  # the question itself


def test_room_comes_back(store: Store) -> None:
    now = 0.0
    failures = Failures(store.quotas, MOST, lambda: now)
    seconds = [failures.count("address x") for _ in range(MOST + 1)][-1]
    assert seconds
    store.redis.flushdb()  # a minute later

    assert failures.count("address x")
    now = float(seconds)
    assert failures.count("address x") is None


def test_processes_count_together(store: Store) -> None:
    one, other = Failures(store.quotas, MOST), Failures(store.quotas, MOST)
    assert [one.count("address x") for _ in range(MOST)] == [None] * MOST

    assert other.count("address x")


def test_without_redis_a_wrong_token_is_still_just_wrong(access_file: Path, key: ApiKey) -> None:
    away = Store.open("redis://127.0.0.1:1/0", retries=PROMPT)
    app = create_app(Settings(access_file=access_file, failures_per_minute=MOST), away)

    assert ask(app.test_client(), a_key().token).status_code == 401


def test_strangers_do_not_push_out_what_others_did_by_failing_a_decision(
    stranger: FlaskClient, store: Store
) -> None:
    services = services_of(stranger.application)
    for _ in range(MOST + 2):
        headers = {"Authorization": f"Bearer {a_key().token}"}
        stranger.post(f"{API}/system/pause", headers=headers, json={"reason": "x"})

    texts = [link.text for _, link in services.audit.newest_first(Trail.DECISIONS)]
    assert sum("too-many-failures" in text for text in texts) == 2
    assert not any("service.pause" in text for text in texts)


def commands(store: Store) -> int:
    """Return how many commands Redis has carried out."""
    return int(store.redis.info("stats")["total_commands_processed"])
