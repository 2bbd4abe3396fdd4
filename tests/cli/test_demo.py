"""The parts of the demo that need no control plane."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.demo.fleet import OTHERS_ACCOUNT, OTHERS_ENTRY, WORKLOADS, manifests
from cli.demo.service import CREDENTIAL, service, write_credential
from cli.errors import CliError

STAND_IN = """
import json, os, sys, time
open(os.environ["SEEN"], "w").write(json.dumps({"argv": sys.argv, "env": dict(os.environ)}))
print(json.dumps({"url": "http://127.0.0.1:1", "token": "t", "pid": os.getpid()}), flush=True)
time.sleep(300)
"""


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a script take the place of the command that the demo starts."""
    package = tmp_path / "modules" / "cli"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


def test_touches_nothing_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's clusters nor the user's Redis are in the environment of what is started."""
    stand_in(tmp_path, monkeypatch, STAND_IN)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    for name in ("KUBECONFIG", "REDIS_URL", "REMEDIATOR_KUBECONFIG", "REMEDIATOR_TOKEN"):
        monkeypatch.setenv(name, "the user's")

    with service(tmp_path, tmp_path / "kubeconfig", tmp_path / "credentials", 0) as target:
        assert (target.url, target.token) == ("http://127.0.0.1:1", "t")

    assert "the user's" not in (tmp_path / "seen").read_text()


def test_says_why_the_service_does_not_come_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its log is in the message."""
    stand_in(tmp_path, monkeypatch, "raise SystemExit('no port left')")

    with (
        pytest.raises(CliError, match="no port left"),
        service(tmp_path, tmp_path / "kubeconfig", tmp_path / "credentials", 0),
    ):
        pass


def test_the_credential_is_private_and_made_up(tmp_path: Path) -> None:
    """As workers read it, with another password each time."""
    write_credential(tmp_path / "one")
    write_credential(tmp_path / "two")

    files = sorted((tmp_path / "one" / CREDENTIAL).iterdir())
    assert [path.name for path in files] == ["password", "registry", "username"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    other = (tmp_path / "two" / CREDENTIAL / "password").read_text()
    assert files[0].read_text() != other


def test_the_fleet_has_something_of_everything() -> None:
    """Running pods, accounts of one's own, and an entry that somebody else put there."""
    by_kind: dict[str, list[dict[str, object]]] = {}
    for manifest in manifests():
        by_kind.setdefault(manifest["kind"], []).append(manifest)

    assert list(by_kind) == ["Namespace", "ServiceAccount", "Deployment"]
    assert len(by_kind["Deployment"]) == len(WORKLOADS)
    others = [account for account in by_kind["ServiceAccount"] if "imagePullSecrets" in account]
    namespace, name = OTHERS_ACCOUNT
    assert [(item["metadata"], item["imagePullSecrets"]) for item in others] == [
        ({"name": name, "namespace": namespace}, [{"name": OTHERS_ENTRY}])
    ]


def test_the_whole_story(tmp_path: Path) -> None:
    """Two real clusters, the real service, every check held, nothing left."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-P", "-m", "cli", "demo", "--once"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("✔") == 8
    assert "✘" not in told.stdout
    assert list(tmp_path.glob("remediator-*")) == []
