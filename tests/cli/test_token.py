"""Making API keys."""

import yaml
from click.testing import CliRunner

from cli.main import remediator
from remediation.api_key import digest, parse_api_key


def test_prints_the_entry_and_shows_the_key_once_on_standard_error():
    made = CliRunner().invoke(remediator, ["token", "create", "portal"])

    assert made.exit_code == 0
    token = made.stderr.strip().rpartition(" ")[2]
    assert yaml.safe_load(made.stdout) == [
        {"id": parse_api_key(token), "subject": "portal", "sha256": digest(token)}
    ]
    assert token not in made.stdout


def test_two_keys_differ():
    first, second = (
        CliRunner().invoke(remediator, ["token", "create", "portal"]).stdout for _ in range(2)
    )

    assert first != second


def test_a_key_is_somebodys():
    assert CliRunner().invoke(remediator, ["token", "create", " "]).exit_code == 2
