"""The operator's rules for registries: read at the start, read again when they change, never half."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from remediation.registry.rules import InvalidRules
from tests.e2e.service import own_environment
from tests.worker.registry_lab import Tls
from worker.registries import RegistriesFile

GOOD = "registries: {r.example: {realm_hosts: [auth.example]}}"


def test_without_a_file_no_registry_has_rules() -> None:
    file = RegistriesFile.opened(None)

    assert file.current().of("r.example").realm_hosts == ()
    assert file.problem() is None


def test_a_change_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "registries.yaml"
    path.write_text(GOOD)
    file = RegistriesFile.opened(path)
    assert file.current().of("r.example").realm_hosts == ("auth.example",)

    path.write_text("registries: {r.example: {plain_http: true}}")

    assert file.current().of("r.example").plain_http
    assert file.current().of("r.example").realm_hosts == ()


@pytest.mark.parametrize("content", ["registries: [", "registries: {r.example: 7}", None])
def test_what_cannot_be_used_changes_nothing_and_is_told(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "registries.yaml"
    path.write_text(GOOD)
    file = RegistriesFile.opened(path)

    if content is None:
        path.unlink()
    else:
        path.write_text(content)

    problem = file.problem()
    assert problem
    assert str(path) in problem
    assert file.current().of("r.example").realm_hosts == ("auth.example",)

    path.write_text(GOOD)
    assert file.problem() is None


def test_certificates_are_tried_and_a_relative_path_starts_at_the_file(tmp_path: Path) -> None:
    tls = Tls.make(tmp_path)
    path = tmp_path / "registries.yaml"
    path.write_text("registries: {r.example: {ca_file: ca.pem}}")

    assert RegistriesFile.opened(path).current().of("r.example").ca_file == str(tls.ca)

    path.write_text("registries: {r.example: {ca_file: registries.yaml}}")
    with pytest.raises(InvalidRules, match=r"registries\.r\.example\.ca_file: .* holds no PEM"):
        RegistriesFile.opened(path)
    path.write_text("registries: {r.example: {ca_file: none.pem}}")
    with pytest.raises(InvalidRules, match="cannot be read"):
        RegistriesFile.opened(path)


def test_a_worker_does_not_start_on_a_wrong_file(tmp_path: Path) -> None:
    path = tmp_path / "registries.yaml"
    path.write_text("registries: {r.example: {insecure: true}}")

    ended = subprocess.run(
        [sys.executable, "-m", "worker"],
        env=own_environment({"REMEDIATOR_REGISTRIES_FILE": str(path)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"REMEDIATOR_REGISTRIES_FILE {path}: registries.r.example has an unknown entry" in (
        ended.stderr
    )
    assert "for example" in ended.stderr
