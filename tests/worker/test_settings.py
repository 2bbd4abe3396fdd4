"""Every variable of the worker: its default, a right value, and one line for a wrong one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from remediation.sealing import KeyKind, format_key
from worker.settings import Settings, SettingsError


def test_an_empty_environment_gives_the_defaults(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))

    settings = Settings.from_environment({})

    assert settings.kubeconfigs == (tmp_path / ".kube/config",)
    assert settings.contexts == ("*",)
    assert (settings.pool, settings.processes, settings.concurrency) == ("default", 4, 32)
    assert settings.credentials_dir is None
    assert settings.sealing_key_file is None
    assert settings.registries_file is None


def test_reads_every_variable():
    settings = Settings.from_environment(
        {
            "REDIS_URL": "rediss://worker:pw@redis:6380/2",
            "REMEDIATOR_KUBECONFIG": "/a:/b",
            "KUBECONFIG": "/ignored",
            "REMEDIATOR_CONTEXTS": "prod-*, stage",
            "REMEDIATOR_POOL": "eu-west",
            "REMEDIATOR_CREDENTIALS_DIR": "/creds",
            "REMEDIATOR_SEALING_KEY_FILE": "/keys/sealing.key",
            "REMEDIATOR_REGISTRIES_FILE": "/registries.yaml",
            "REMEDIATOR_PROCESSES": "2",
            "REMEDIATOR_CONCURRENCY": "16",
            "REMEDIATOR_RETENTION_DAYS": "7",
            "REMEDIATOR_LOG_FORMAT": "json",
            "REMEDIATOR_LOG_LEVEL": "debug",
        }
    )

    assert settings.redis_url == "rediss://worker:pw@redis:6380/2"
    assert settings.kubeconfigs == (Path("/a"), Path("/b"))
    assert settings.contexts == ("prod-*", "stage")
    assert (settings.pool, settings.processes, settings.concurrency) == ("eu-west", 2, 16)
    assert settings.credentials_dir == Path("/creds")
    assert settings.sealing_key_file == Path("/keys/sealing.key")
    assert settings.registries_file == Path("/registries.yaml")
    assert settings.retention_seconds == 7 * 24 * 3600
    assert (settings.log_format, settings.log_level) == ("json", "DEBUG")


def test_inside_a_pod_without_a_kubeconfig_the_pods_account_is_meant(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "REMEDIATOR_CLUSTER_NAME": "home"}

    settings = Settings.from_environment(environment)

    assert settings.kubeconfigs == ()
    assert settings.cluster_name == "home"


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("REDIS_URL", "http://somewhere", "redis://127.0.0.1:6379/0"),
        ("REMEDIATOR_POOL", "Not A Pool", "eu-west"),
        ("REMEDIATOR_PROCESSES", "0", "example 4"),
        ("REMEDIATOR_PROCESSES", "many", "example 4"),
        ("REMEDIATOR_CONCURRENCY", "-1", "example 32"),
        ("REMEDIATOR_CONTEXTS", "a\tb", "prod-*"),
        ("REMEDIATOR_CONTEXTS", ",", "prod-*"),
        ("REMEDIATOR_CONTEXTS", "prod-*,", "prod-*"),
        ("REMEDIATOR_LOG_FORMAT", "xml", "text, json"),
        ("REMEDIATOR_LOG_LEVEL", "loud", "DEBUG"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_name_and_an_example(name, value, example):
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({name: value})

    message = str(caught.value)
    assert message.startswith(name)
    assert example in message
    assert "\n" not in message


def test_a_wrong_redis_url_is_not_repeated_for_it_may_hold_a_password():
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"REDIS_URL": "http://user:hunter2@host"})

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Settings.from_environment({"REDIS_URL": "redis://u:hunter2@h"}))


@pytest.mark.parametrize("content", [None, "", format_key(KeyKind.PUBLIC, b"k" * 32), "hunter2"])
def test_a_sealing_key_that_cannot_be_used_ends_the_process_with_one_line(tmp_path, content):
    path = tmp_path / "sealing.key"
    if content is not None:
        path.write_text(content)

    ended = subprocess.run(
        [sys.executable, "-m", "worker"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"REMEDIATOR_SEALING_KEY_FILE": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith("remediator worker: REMEDIATOR_SEALING_KEY_FILE")
    assert "`remediator keys create`" in ended.stderr
    assert "hunter2" not in ended.stderr
    assert ended.stderr.count("\n") == 1
