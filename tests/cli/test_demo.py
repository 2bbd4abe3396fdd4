"""The parts of the demo that need no control plane."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.demo import chapters, command
from cli.demo.fleet import wait_until_running
from cli.demo.request import request_body
from cli.demo.service import CREDENTIAL, make_login, service, write_credential, write_registries
from cli.demo.stage import Stage
from cli.demo.teller import Teller
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
from cli.main import remediator
from remediation.docker_config import Login
from remediation.registry.rules import canonical_host
from worker.credentials import CredentialFolder
from worker.registries import load

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

    with service(tmp_path, *files(tmp_path), 0) as target:
        assert (target.url, target.token) == ("http://127.0.0.1:1", "t")

    seen = (tmp_path / "seen").read_text()
    assert "the user's" not in seen
    assert str(tmp_path / "registries.yaml") in seen


def test_says_why_the_service_does_not_come_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its log is in the message."""
    stand_in(tmp_path, monkeypatch, "raise SystemExit('no port left')")

    with (
        pytest.raises(CliError, match="no port left"),
        service(tmp_path, *files(tmp_path), 0),
    ):
        pass


def files(directory: Path) -> tuple[Path, Path, Path]:
    """Return where kubeconfig, credentials and rules of registries would be."""
    return directory / "kubeconfig", directory / "credentials", directory / "registries.yaml"


def test_the_credential_is_private_and_made_up(tmp_path: Path) -> None:
    """As workers read it, with another password each time."""
    login, other = make_login(), make_login()
    write_credential(tmp_path, "127.0.0.1:5000", login, "127.0.0.1:5001")

    files = sorted((tmp_path / CREDENTIAL).iterdir())
    assert [path.name for path in files] == ["password", "registry", "shadow", "username"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    credential = CredentialFolder(tmp_path).get(CREDENTIAL)
    held = Login(login.username, login.password)
    assert credential.config.logins == (("127.0.0.1:5000", held),)
    assert credential.shadow == "http://127.0.0.1:5001"
    assert login.password != other.password
    assert login.password not in repr(login)


def test_the_registry_is_asked_without_tls(tmp_path: Path) -> None:
    write_registries(tmp_path / "registries.yaml", "127.0.0.1:5000")

    rules = load(tmp_path / "registries.yaml")

    assert rules.of(canonical_host("127.0.0.1:5000")).plain_http


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
        timeout=300,
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("✔") == 21
    assert "✘" not in told.stdout
    assert re.search(r"login at 127\.0\.0\.1:\d+: works, by its shadow", told.stdout)
    verdicts = [
        line.split("chk_")[0].split() for line in told.stdout.splitlines() if "chk_" in line
    ]
    assert [words for words in verdicts if "SAFE" in words] == [
        ["NOT", "SAFE"],
        ["NOT", "SAFE"],
        ["NOT", "SAFE"],
        ["SAFE"],
    ]
    assert list(tmp_path.glob("remediator-*")) == []


@pytest.fixture
def signals() -> Iterator[None]:
    """Give the process back what the command takes."""
    taken = {number: signal.getsignal(number) for number in command._SIGNALS}
    yield
    for number, handler in taken.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.timeout(300)
def test_no_chapter_holds_without_what_came_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry that is not flipped, the Secret that is nowhere, the template that nobody mends: exit 1."""
    held: dict[str, bool] = {}

    def out_of_order(stage: Stage, teller: Teller) -> None:
        def alone(chapter: Callable[[Stage, Teller], None]) -> None:
            its_own = Teller(Console(quiet=True))
            chapter(stage, its_own)
            held[chapter.__name__] = its_own.held

        with monkeypatch.context() as broken:
            broken.setattr(Stage, "flip", lambda _: None)
            alone(chapters.would_it_be_safe)
        with monkeypatch.context() as broken:
            dry = request_body() | {"dry_run": True}
            broken.setattr(chapters, "request_body", lambda: dry)
            alone(chapters.put_the_secret_in_place)
        alone(chapters.renew_what_runs)
        alone(chapters.mend_the_template)
        wait_until_running(list(stage.clusters))
        chapters.go_private(stage, teller)

    monkeypatch.setattr(command, "CHAPTERS", (out_of_order,))

    told = CliRunner().invoke(remediator, ["demo", "--once"])

    assert held == {
        "would_it_be_safe": False,
        "put_the_secret_in_place": False,
        "renew_what_runs": False,
        "mend_the_template": False,
    }
    assert told.exit_code == 1, told.output
    assert "✔ without a login nothing can be pulled" in told.output
    assert told.output.count("✘") == 2
    assert "Not everything held." in told.output
