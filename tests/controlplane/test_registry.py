"""The real registry."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from controlplane.image import MANIFEST_TYPE, push_all
from controlplane.process import StartError
from controlplane.registry import Registry

MANIFESTS = {"Accept": MANIFEST_TYPE}


def test_an_open_registry_lets_everyone_in(tmp_path: Path) -> None:
    with Registry.start(tmp_path) as registry:
        assert httpx.get(f"http://{registry.host}/v2/", trust_env=False).status_code == 200


def test_a_private_one_wants_the_password(tmp_path: Path) -> None:
    with Registry.start(tmp_path, htpasswd={"robot": "made-up"}) as registry:
        url = f"http://{registry.host}/v2/"

        assert httpx.get(url, trust_env=False).status_code == 401
        assert httpx.get(url, trust_env=False, auth=("robot", "wrong")).status_code == 401
        assert httpx.get(url, trust_env=False, auth=("robot", "made-up")).status_code == 200


def test_becomes_private_under_the_same_host_with_the_same_images(tmp_path: Path) -> None:
    with Registry.start(tmp_path) as registry:
        host = registry.host
        upload = httpx.post(f"http://{host}/v2/web/blobs/uploads/", trust_env=False)

        registry.restart(htpasswd={"robot": "made-up"})

        assert upload.status_code == 202
        assert registry.host == host
        assert httpx.get(f"http://{host}/v2/", trust_env=False).status_code == 401


def test_stop_leaves_no_process(tmp_path: Path) -> None:
    registry = Registry.start(tmp_path)
    pid = registry.pid

    registry.stop()
    registry.stop()

    assert not Path(f"/proc/{pid}").exists()


def test_a_shadow_serves_the_same_images_behind_passwords_and_takes_none(tmp_path: Path) -> None:
    with (
        Registry.start(tmp_path / "live") as live,
        live.shadow(tmp_path / "shadow", htpasswd={"robot": "made-up"}) as shadow,
    ):
        images = push_all(live.host, [("team/app", "1")])
        url = f"http://{shadow.host}/v2/team/app/"
        login = ("robot", "made-up")

        refused = httpx.get(f"{url}manifests/1", headers=MANIFESTS, trust_env=False)
        found = httpx.get(f"{url}manifests/1", headers=MANIFESTS, trust_env=False, auth=login)
        push = httpx.post(f"{url}blobs/uploads/", trust_env=False, auth=login)

        assert refused.status_code == 401
        assert found.headers["Docker-Content-Digest"] == images["team/app", "1"].digest
        assert push.status_code == 405


def test_a_shadow_stays_one_when_its_passwords_change(tmp_path: Path) -> None:
    with (
        Registry.start(tmp_path / "live") as live,
        live.shadow(tmp_path / "shadow", htpasswd={"robot": "made-up"}) as shadow,
    ):
        push_all(live.host, [("team/app", "1")])

        shadow.restart(htpasswd={"robot": "another"})

        url = f"http://{shadow.host}/v2/team/app/manifests/1"
        answer = httpx.get(url, headers=MANIFESTS, trust_env=False, auth=("robot", "another"))
        assert answer.status_code == 200


def test_nothing_in_the_environment_changes_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_STORAGE_MAINTENANCE_READONLY", "{enabled: true}")
    monkeypatch.setenv("REGISTRY_HTTP_ADDR", "127.0.0.1:1")

    with Registry.start(tmp_path) as registry:
        push_all(registry.host, [("team/app", "1")])


def test_says_what_a_registry_with_passwords_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)

    with pytest.raises(StartError, match="needs the package bcrypt"):
        Registry.start(tmp_path, htpasswd={"robot": "made-up"})
