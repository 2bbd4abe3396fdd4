"""The real registry."""

from __future__ import annotations

from pathlib import Path

import httpx

from controlplane.registry import Registry


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
