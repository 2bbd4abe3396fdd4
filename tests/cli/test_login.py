"""A login of one's own: the password comes from standard input and is shown nowhere."""

import itertools
import os
import select
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.login import Login
from cli.main import remediator
from cli.request import post
from tests.cli.bodies import ID, remediation
from tests.cli.conftest import TOKEN
from tests.cli.stub_api import Reply, StubApi

PASSWORD = "correct-horse-7f3a"
OPTIONS = ("--server", "registry.example.com", "--username", "robot", "--password-stdin")
RUN = ("run", "--clusters", "eu-1", *OPTIONS)


def run(api: StubApi, *arguments: str, stdin: bytes = f"{PASSWORD}\n".encode()) -> Result:
    environment = {"REMEDIATOR_URL": api.url, "REMEDIATOR_TOKEN": TOKEN}
    return CliRunner().invoke(remediator, arguments, input=stdin, env=environment)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("command", ["run", "plan"])
def test_the_password_is_read_from_standard_input(api: StubApi, command: str, end: str) -> None:
    api.on("POST", "/remediations", Reply(remediation(), 202))

    result = run(api, command, *RUN[1:], stdin=f" {PASSWORD} {end}".encode())

    assert result.exit_code == 0, result.output
    body = api.seen[0].body
    login = {"registry": "registry.example.com", "username": "robot", "password": f" {PASSWORD} "}
    assert body["inline_credential"] == login
    assert "credential" not in body
    assert body.get("dry_run", False) is (command == "plan")
    assert PASSWORD not in result.output


def test_a_retry_takes_it_again(api: StubApi) -> None:
    api.on("POST", f"/remediations/{ID}/retry", Reply(remediation(), 202))

    assert run(api, "retry", ID, *OPTIONS).exit_code == 0

    assert api.seen[0].body["inline_credential"]["password"] == PASSWORD


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--server", "r.io"), "together"),
        (("--server", "r.io", "--username", "u"), "together"),
        (("--password-stdin",), "together"),
        ((*OPTIONS, "--credential", "harbor"), "not both"),
    ],
)
def test_part_of_a_login_is_none(api: StubApi, arguments: tuple[str, ...], says: str) -> None:
    result = run(api, "run", "--clusters", "eu-1", *arguments)

    assert result.exit_code == 2
    assert says in result.output
    assert api.seen == []


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\xff\xfe" + PASSWORD.encode()])
def test_what_is_no_password_is_not_sent(api: StubApi, stdin: bytes) -> None:
    result = run(api, *RUN, stdin=stdin)

    assert result.exit_code == 2
    assert api.seen == []
    assert PASSWORD not in result.output


def test_curl_gets_the_password_from_standard_input_too(api: StubApi) -> None:
    result = run(api, *RUN, "--curl")

    assert result.exit_code == 0
    assert PASSWORD not in result.output
    words = shlex.split(result.output.replace("\\\n", ""))
    assert words[: words.index("|")][:3] == ["jq", "-Rs", "--argjson"]
    assert (
        '"inline_credential": {"registry": "registry.example.com", "username": "robot"}' in words[4]
    )
    assert ("--data-binary", "@-") in itertools.pairwise(words)
    assert api.seen == []


def test_no_value_shows_the_password() -> None:
    login = Login("r.io", "u", lambda: PASSWORD)
    request = post("/remediations", {"inline_credential": login.to_member()})
    object.__setattr__(request, "password", PASSWORD)

    assert PASSWORD in str(request.to_json())
    assert PASSWORD not in f"{login} {request} {request!r}"


def test_on_a_terminal_it_is_asked_for_and_not_shown(api: StubApi) -> None:
    api.on("POST", "/remediations", Reply(remediation(), 202))
    terminal, other_end = os.openpty()
    environment = {"REMEDIATOR_URL": api.url, "REMEDIATOR_TOKEN": TOKEN}
    with subprocess.Popen(
        [sys.executable, "-m", "cli", *RUN],
        cwd=Path(__file__).parents[2],
        env=os.environ | environment,
        stdin=other_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that /dev/tty is not the one of whoever runs the tests
    ) as process:
        assert process.stderr
        asked = process.stderr.read(len("password: "))
        os.write(terminal, f"{PASSWORD}\n".encode())
        shown, told = process.communicate(timeout=60)
    ready, _, _ = select.select([terminal], [], [], 0)
    echoed = os.read(terminal, 1000) if ready else b""
    os.close(terminal)
    os.close(other_end)

    assert asked == b"password: "
    assert process.returncode == 0, told
    assert api.seen[0].body["inline_credential"]["password"] == PASSWORD
    assert PASSWORD.encode() not in shown + told + echoed
