"""The connection, and what is said about it."""

import contextlib
import socket

import pytest
from redis.exceptions import RedisError

from store import connection, keys
from store.connection import PATIENT, PROMPT, StoreUnavailable, connect, safe_url
from store.store import Store
from tests.conftest import keep_append_only_file


def test_the_probe_writes_and_leaves_nothing_for_long(store: Store) -> None:
    store.ping()

    assert 0 < store.redis.ttl(keys.PROBE) <= 60


def test_a_store_that_is_away_says_so() -> None:
    away = Store.open("unix:///tmp/rmd-nobody-listens-here.sock", retries=0)

    with pytest.raises(StoreUnavailable):
        away.ping()
    away.close()


def test_durability_is_the_append_only_file(store: Store) -> None:
    try:
        for value, durable in (("yes", True), ("no", False)):
            store.redis.config_set("appendonly", value)
            assert store.condition().durable is durable
    finally:
        keep_append_only_file(store.redis)  # as the fixture starts it


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost"])
def test_a_url_that_cannot_be_read_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Store.open(url, retries=PROMPT)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hunter2@redis:6379/3", "redis://redis:6379/3"),
        ("rediss://:hunter2@redis", "rediss://redis"),
        ("redis://redis:6379/0?password=hunter2", "redis://redis:6379/0"),
        ("unix:///run/redis.sock?password=hunter2&db=1", "unix:///run/redis.sock"),
        ("redis://user:hunter2@[::1]:6379", "redis://[::1]:6379"),
        ("redis://user:hun@ter2@redis", "redis://redis"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert safe_url(url) == shown


def test_connections_retry_for_as_long_as_they_should() -> None:
    """`from_url` alone has no retries, and a restart of Redis must be a pause only."""
    for retries in (PATIENT, PROMPT):
        redis = connect("redis://127.0.0.1:1/0", retries=retries)
        retry = redis.get_retry()
        assert retry
        assert retry.get_retries() == retries
        redis.close()


def test_a_redis_that_says_nothing_is_asked_once_for_a_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A caller waits for all the tries together: four of them took a minute, and one thread of the API each."""
    monkeypatch.setattr(connection, "_PROMPT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        redis = connect(f"redis://127.0.0.1:{mute.getsockname()[1]}/0", retries=PROMPT)
        with pytest.raises(StoreUnavailable):
            redis.ping()
        redis.close()

        mute.settimeout(0)
        asked = []
        with contextlib.suppress(BlockingIOError):
            while True:
                asked.append(mute.accept()[0])
        for each in asked:
            each.close()
    assert len(asked) == 1


def test_errors_of_redis_are_the_store_being_unavailable() -> None:
    assert issubclass(RedisError, StoreUnavailable)
