"""The environment, read once and checked."""

from pathlib import Path

import pytest

from api.settings import Address, LogFormat, LogLevel, Settings, SettingsError


def test_every_variable_has_a_default() -> None:
    settings = Settings.from_environment({})

    assert settings == Settings()
    assert str(settings.listen) == "127.0.0.1:8080"
    assert settings.retention_seconds == 30 * 24 * 3600


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_environment({"REMEDIATOR_LISTEN": "", "REDIS_URL": ""}) == Settings()


def test_reads_every_variable() -> None:
    settings = Settings.from_environment(
        {
            "REDIS_URL": "rediss://user:secret@redis.example:6380/2",
            "REMEDIATOR_LISTEN": "[::1]:0",
            "REMEDIATOR_PUBLIC_URL": "https://ops.example/remediator/",
            "REMEDIATOR_ACCESS_FILE": "/nowhere/access.yaml",
            "REMEDIATOR_SEALING_PUBLIC_KEY_FILE": "/nowhere/sealing.pub",
            "REMEDIATOR_RETENTION_DAYS": "7",
            "REMEDIATOR_LOG_FORMAT": "JSON",
            "REMEDIATOR_LOG_LEVEL": "debug",
        }
    )

    assert settings == Settings(
        redis_url="rediss://user:secret@redis.example:6380/2",
        listen=Address("::1", 0),
        public_url="https://ops.example/remediator",
        access_file=Path("/nowhere/access.yaml"),
        sealing_public_key_file=Path("/nowhere/sealing.pub"),
        retention_days=7,
        log_format=LogFormat.JSON,
        log_level=LogLevel.DEBUG,
    )
    assert str(settings.listen) == "[::1]:0"
    assert settings.url("/x") == "https://ops.example/remediator/x"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "http://localhost"),
        ("REDIS_URL", "redis://localhost:port/0"),
        ("REDIS_URL", "redis://localhost/first"),
        ("REDIS_URL", "redis://localhost?no_such_option=1"),
        ("REMEDIATOR_LISTEN", "8080"),
        ("REMEDIATOR_LISTEN", ":8080"),
        ("REMEDIATOR_LISTEN", "::1:8080"),
        ("REMEDIATOR_LISTEN", "host:99999"),
        ("REMEDIATOR_PUBLIC_URL", "ops.example"),
        ("REMEDIATOR_PUBLIC_URL", "https://user@ops.example"),
        ("REMEDIATOR_PUBLIC_URL", "https://ops.example:port"),
        ("REMEDIATOR_ACCESS_FILE", "/"),
        ("REMEDIATOR_RETENTION_DAYS", "0"),
        ("REMEDIATOR_RETENTION_DAYS", "a month"),
        ("REMEDIATOR_LOG_FORMAT", "xml"),
        ("REMEDIATOR_LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_variable_and_an_example(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({name: value})

    text = str(caught.value)
    assert text.startswith(f"{name} ")
    assert f"; example: {name}=" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@redis",
        "redis://user:hunter2@redis:port",
        "redis://:hunter2/@redis:6379/0",
        "redis://:hunter2@redis?no_such_option=1",
    ],
)
def test_a_wrong_redis_url_is_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"REDIS_URL": url})

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_settings_do_not_show_the_password() -> None:
    assert "hunter2" not in repr(Settings(redis_url="redis://:hunter2@redis"))
