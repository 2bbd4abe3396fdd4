"""Making API keys."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from api.access_file import read_access_file
from cli.main import remediator
from remediation.api_key import digest, parse_api_key
from remediation.permission import Requester, Role


def test_prints_the_entry_and_shows_the_key_once_on_standard_error():
    made = CliRunner().invoke(remediator, ["token", "create", "portal"])

    assert made.exit_code == 0
    token = made.stderr.strip().rpartition(" ")[2]
    (entry,) = yaml.safe_load(made.stdout)
    end = datetime.fromisoformat(entry.pop("expires_at"))
    assert entry == {"id": parse_api_key(token), "subject": "portal", "sha256": digest(token)}
    assert timedelta(days=364) < end - datetime.now(UTC) <= timedelta(days=365)
    assert token not in made.stdout


def test_the_entry_and_the_suggested_binding_are_an_access_file(tmp_path: Path):
    made = CliRunner().invoke(
        remediator,
        ["token", "create", "--subject", "portal", "--expires-in-days", "7", "--role", "requester"],
    )
    suggested = [line.removeprefix("# ") for line in made.stdout.splitlines() if line[0] == "#"]
    file = tmp_path / "access.yaml"
    file.write_text("\n".join(["keys:", made.stdout, "bindings:", *suggested[1:], ""]))

    access = read_access_file(file)

    (key,) = access.keys.values()
    (grant,) = access.policy.grants_of(Requester(f"client:{key.subject}"))
    assert grant.role is Role.REQUESTER
    assert key.expires_at is not None
    assert key.expires_at - datetime.now(UTC) <= timedelta(days=7)


def test_a_key_that_never_expires_is_asked_for():
    made = CliRunner().invoke(remediator, ["token", "create", "portal", "--never-expires"])

    assert yaml.safe_load(made.stdout)[0]["expires_at"] == "never"


def test_two_keys_differ():
    first, second = (
        CliRunner().invoke(remediator, ["token", "create", "portal"]).stdout for _ in range(2)
    )

    assert first != second


@pytest.mark.parametrize(
    "arguments", [[" "], [], ["user:mia"], ["a", "--subject", "b"], ["a", "--expires-in-days", "0"]]
)
def test_a_key_is_some_clients_and_for_a_time(arguments: list[str]):
    assert CliRunner().invoke(remediator, ["token", "create", *arguments]).exit_code == 2
