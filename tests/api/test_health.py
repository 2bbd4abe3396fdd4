"""Probes."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.app import create_app
from api.services import services_of
from api.settings import Settings
from store.store import Store
from tests.conftest import keep_append_only_file


@pytest.fixture
def without_redis() -> Iterator[FlaskClient]:
    """Return a client of an application whose Redis is away."""
    store = Store.open("unix:///nowhere/redis.sock", retries=0)
    yield create_app(Settings(), store).test_client()
    store.close()


def test_alive_and_ready(anonymous: FlaskClient) -> None:
    assert anonymous.get("/livez").text == "ok\n"
    assert anonymous.get("/readyz").text == "ok\n"


def test_verbose_lists_the_checks(anonymous: FlaskClient) -> None:
    answer = anonymous.get("/readyz?verbose")

    assert answer.status_code == 200
    assert answer.text == (
        "[+]shutdown ok\n[+]access ok\n[+]redis ok\n[+]persistence ok\n[+]eviction ok\n"
        "[+]pause ok\nreadyz check passed\n"
    )


def test_alive_without_redis(without_redis: FlaskClient) -> None:
    assert without_redis.get("/livez").status_code == 200


def test_not_ready_without_redis(without_redis: FlaskClient) -> None:
    answer = without_redis.get("/readyz")

    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Retry-After"]
    verbose = without_redis.get("/readyz?verbose")
    assert verbose.status_code == 503
    assert "[-]redis" in verbose.text


def test_a_redis_that_forgets_is_a_warning(anonymous: FlaskClient, store: Store) -> None:
    store.redis.config_set("appendonly", "no")
    try:
        answer = anonymous.get("/readyz?verbose=1")
    finally:
        keep_append_only_file(store.redis)

    assert answer.status_code == 200
    assert "[+]persistence warning: Redis keeps no append-only file" in answer.text


def test_not_ready_when_it_is_about_to_end(app: Flask, anonymous: FlaskClient) -> None:
    services_of(app).waits.stop()

    assert anonymous.get("/readyz").status_code == 503
    assert anonymous.get("/livez").status_code == 200
