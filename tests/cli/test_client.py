"""How client commands reach the service, and what they say when they do not."""

import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import remediator
from tests.cli.bodies import ID, remediation
from tests.cli.conftest import Remediator
from tests.cli.stub_api import Reply, StubApi


def invoke(*arguments: str, **environment: str) -> Result:
    """Run `remediator` with nothing but these settings."""
    return CliRunner().invoke(remediator, arguments, env=environment, prog_name="remediator")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, 2),
        (401, 4),
        (403, 4),
        (404, 6),
        (409, 8),
        (412, 8),
        (422, 2),
        (429, 9),
        (500, 5),
        (504, 5),
    ],
)
def test_exit_code_of_a_refusal(api: StubApi, run: Remediator, status: int, code: int) -> None:
    """Wrong request, denied and broken are told apart."""
    api.on("GET", "/clusters", Reply({"title": "No", "status": status, "code": "no"}, status))

    result = run("clusters")

    assert result.exit_code == code
    assert result.stderr.startswith("remediator: No")


def test_nobody_answers() -> None:
    """One line that says where it looked."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        result = invoke("clusters", "--url", url)

    assert result.exit_code == 5
    assert result.stderr.count("\n") == 1
    assert url in result.stderr
    assert "refused" in result.stderr


def test_comes_back_when_asked_to(api: StubApi, run: Remediator) -> None:
    """Retry-After is honoured."""
    busy = Reply({"title": "Busy"}, 503, {"Retry-After": "0"})
    api.on("GET", "/clusters", busy, busy, Reply({"items": [{"name": "eu-1"}]}))

    result = run("clusters", "-o", "name")

    assert (result.exit_code, result.stdout) == (0, "eu-1\n")


def test_sends_again_under_the_same_key_while_redis_is_away(api: StubApi, run: Remediator) -> None:
    """Who sees an error presses again, under another key: done twice."""
    away = Reply({"title": "The service cannot reach its store"}, 503, {"Retry-After": "0"})
    api.on("POST", f"/remediations/{ID}/cancel", away, away, Reply(remediation(), 202))

    result = run("cancel", ID)

    assert result.exit_code == 0, result.stderr
    sent = [seen for seen in api.seen if seen.method == "POST"]
    assert len(sent) == 3
    assert len({seen.headers["Idempotency-Key"] for seen in sent}) == 1


def test_does_not_sleep_for_an_hour(api: StubApi, run: Remediator) -> None:
    """A long Retry-After is the caller's decision."""
    api.on("GET", "/clusters", Reply({"title": "Quota"}, 429, {"Retry-After": "3600"}))

    assert run("clusters").exit_code == 9
    assert len(api.seen) == 1


def test_a_wrong_token_is_not_tried_again(api: StubApi, run: Remediator) -> None:
    body = {"title": "Too many", "code": "too-many-failures"}
    api.on("GET", "/clusters", Reply(body, 429, {"Retry-After": "1"}))

    assert run("clusters").exit_code == 4
    assert len(api.seen) == 1


def test_another_server_is_not_taken_for_ours(api: StubApi, run: Remediator) -> None:
    """A page of HTML is no answer."""
    api.on("GET", "/clusters", Reply("<html>hello</html>"))

    result = run("clusters")

    assert result.exit_code == 5
    assert "does not answer like a remediator" in result.stderr


@pytest.mark.parametrize(("status", "words"), [(400, "Bad Request"), (404, "Not Found")])
def test_an_error_that_is_none_of_ours_says_who_sent_it(
    api: StubApi, run: Remediator, status: int, words: str
) -> None:
    """A proxy's or a stranger's words, without the service's form, would read as the service's own."""
    api.on("GET", "/clusters", Reply("<html>no</html>", status))

    result = run("clusters")

    assert result.exit_code == 5
    assert (
        f"{api.url} answered {status} {words}, not as a remediator does; see --url" in result.stderr
    )


def test_a_command_with_a_slip_names_the_nearest(run: Remediator) -> None:
    result = run("statsu")

    assert result.exit_code == 2
    assert "No such command 'statsu'. Did you mean 'status'?" in result.stderr


def test_what_the_service_says_cannot_drive_the_terminal(api: StubApi, run: Remediator) -> None:
    """Escape sequences in a cluster's name or error are taken out."""
    api.on("GET", "/clusters", Reply({"items": [{"name": "\x1b[2Jevil\n\u202eok"}]}))

    assert "\x1b" not in run("clusters").stdout
    assert "\u202e" not in run("clusters", "-o", "name").stdout


def test_uses_what_up_left_behind(api: StubApi, own_environment: Path) -> None:
    """URL and token come from the data directory."""
    own_environment.mkdir()
    (own_environment / "url").write_text(f"{api.url}\n")
    (own_environment / "token").write_text("left-behind\n")
    api.on("GET", "/whoami", Reply({"subject": "client:local"}))

    result = invoke("whoami", "-o", "name")

    assert result.stdout == "client:local\n"
    assert api.seen[0].headers["Authorization"] == "Bearer left-behind"


def test_the_local_token_stays_on_this_machine(own_environment: Path) -> None:
    """Another service does not get the key of this one."""
    from cli.data_dir import DataDir
    from cli.target import find_target

    own_environment.mkdir()
    (own_environment / "token").write_text("left-behind\n")
    data_dir = DataDir(own_environment)

    assert find_target("https://remediator.example.com", data_dir).token is None
    assert find_target("http://localhost:1234/api/v1/", data_dir).token == "left-behind"
    assert find_target("http://localhost:1234/api/v1/", data_dir).url == "http://localhost:1234"


def test_a_token_is_never_shown(api: StubApi) -> None:
    """Not even when it is malformed."""
    result = invoke("whoami", REMEDIATOR_URL=api.url, REMEDIATOR_TOKEN="geheim\nword")

    assert result.exit_code == 2
    assert "geheim" not in result.output


@pytest.mark.parametrize(
    "url", ["ftp://x", "nonsense", "http://", "http://u:p@h", "http://h:99999"]
)
def test_an_address_that_is_none(url: str) -> None:
    """Said before anything is sent."""
    result = invoke("clusters", "--url", url)

    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "u:p" not in result.output


def test_curl_does_the_same(api: StubApi) -> None:
    """The printed command sends the same request, quotes and all; the token stays a variable."""
    api.on("POST", "/remediations", Reply(remediation(), 202))
    arguments = ("run", "--clusters", "eu-*", "--credential", "reg", "--reason", "it's $HOME `x`")

    shown = invoke(*arguments, "--curl", REMEDIATOR_URL=api.url, REMEDIATOR_TOKEN="geheim")

    assert shown.exit_code == 0
    assert api.seen == []
    assert "geheim" not in shown.stdout
    assert shlex.split(shown.stdout)[0] == "curl"
    environment = {"PATH": os.environ["PATH"], "REMEDIATOR_TOKEN": "from-the-shell"}
    subprocess.run(["sh", "-c", shown.stdout], env=environment, check=True, timeout=120)
    seen = api.seen[0]
    assert seen.headers["Authorization"] == "Bearer from-the-shell"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.body == {"clusters": ["eu-*"], "credential": "reg", "reason": "it's $HOME `x`"}


@pytest.mark.parametrize("arguments", [("cancel", ID), ("resume",)])
def test_curl_posts_what_has_no_body(api: StubApi, arguments: tuple[str, ...]) -> None:
    """curl takes an address alone for something to read."""
    shown = invoke(*arguments, "--curl", REMEDIATOR_URL=api.url)

    environment = {"PATH": os.environ["PATH"], "REMEDIATOR_TOKEN": "from-the-shell"}
    subprocess.run(["sh", "-c", shown.stdout], env=environment, capture_output=True, timeout=30)
    assert [seen.method for seen in api.seen] == ["POST"]


def test_curl_of_a_query(api: StubApi, run: Remediator) -> None:
    """Filters are in the address."""
    result = run("results", ID, "--outcome", "failed,skipped", "--cluster", "a b", "--curl")

    assert "outcome=failed,skipped&cluster=a+b&format=table" in result.stdout
    assert api.seen == []
