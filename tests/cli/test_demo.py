"""The parts of the demo that need no control plane."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.demo.service import CREDENTIAL, service, write_credential
from cli.demo.workloads import (
    OTHERS_ACCOUNT,
    OTHERS_ENTRY,
    OTHERS_SECRETS,
    STUBBORN,
    WORKLOADS,
    image_references,
    manifests,
)
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

    with service(
        tmp_path,
        tmp_path / "kubeconfig",
        tmp_path / "credentials",
        0,
        registries=tmp_path / "registries.yaml",
    ) as target:
        assert (target.url, target.token) == ("http://127.0.0.1:1", "t")

    assert "the user's" not in (tmp_path / "seen").read_text()


def test_says_why_the_service_does_not_come_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its log is in the message."""
    stand_in(tmp_path, monkeypatch, "raise SystemExit('no port left')")

    with (
        pytest.raises(CliError, match="no port left"),
        service(
            tmp_path,
            tmp_path / "kubeconfig",
            tmp_path / "credentials",
            0,
            registries=tmp_path / "registries.yaml",
        ),
    ):
        pass


def test_the_credential_is_private_and_made_up(tmp_path: Path) -> None:
    """As workers read it, with another password each time."""
    login = write_credential(tmp_path / "one", "127.0.0.1:5000")
    write_credential(tmp_path / "two", "127.0.0.1:5000")

    files = sorted((tmp_path / "one" / CREDENTIAL).iterdir())
    assert [path.name for path in files] == ["password", "registry", "username"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    other = (tmp_path / "two" / CREDENTIAL / "password").read_text()
    assert files[0].read_text() == login.password
    assert files[0].read_text() != other
    assert files[1].read_text() == "127.0.0.1:5000"
    assert login.password not in repr(login)


def test_the_fleet_has_something_of_everything() -> None:
    """Pods of all makers and of none, accounts of one's own, and what somebody else put there."""
    by_kind: dict[str, list[dict[str, object]]] = {}
    for manifest in manifests("127.0.0.1:5000"):
        by_kind.setdefault(manifest["kind"], []).append(manifest)

    assert list(by_kind)[:3] == ["Namespace", "Secret", "ServiceAccount"]
    assert set(by_kind) >= {"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Pod"}
    assert [item["metadata"] for item in by_kind["Secret"]] == [
        {"name": name, "namespace": namespace} for namespace, name in OTHERS_SECRETS
    ]
    others = [account for account in by_kind["ServiceAccount"] if "imagePullSecrets" in account]
    namespace, name = OTHERS_ACCOUNT
    assert [(item["metadata"], item["imagePullSecrets"]) for item in others] == [
        ({"name": name, "namespace": namespace}, [{"name": OTHERS_ENTRY}])
    ]


def test_exactly_one_template_has_a_list_of_its_own() -> None:
    """The one that patching ServiceAccounts cannot help."""
    own = [
        manifest["metadata"]["name"]
        for manifest in manifests("127.0.0.1:5000")
        if '"imagePullSecrets"' in json.dumps(manifest.get("spec"))
    ]

    assert own == [STUBBORN.name]


def test_every_image_named_is_one_that_is_pushed() -> None:
    pushed = {f"127.0.0.1:5000/{repository}:{tag}" for repository, tag in image_references()}

    text = json.dumps(manifests("127.0.0.1:5000"))
    named = set(re.findall(r'"image": "([^"]+)"', text))

    assert named == pushed
    assert len(named) == len(WORKLOADS) + 1  # one of them has an init container


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
    assert told.stdout.count("✔") == 9
    assert "✘" not in told.stdout
    assert re.search(r"login at 127\.0\.0\.1:\d+: works, by its shadow", told.stdout)
    assert list(tmp_path.glob("remediator-*")) == []
