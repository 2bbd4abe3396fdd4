"""The table of exit codes in README.md, walked through; and how commands end that are ended from outside."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.client import ApiClient
from cli.exit_codes import ExitCode
from tests.cli.bodies import ID, remediation, row
from tests.cli.conftest import Remediator
from tests.cli.stub_api import Reply, StubApi

ROOT = Path(__file__).resolve().parents[2]
CHECK = "chk_01J8ZQ4W7N3T5V9XBCDEFGHJKM"
ONE = f"/remediations/{ID}"


def problem(status: int, code: str) -> Reply:
    """Return a problem as the service has it."""
    return Reply({"title": "No", "status": status, "code": code}, status)


def ended(status: str) -> Callable[[StubApi], None]:
    """Have the remediation be in this status."""
    return lambda api: api.on("GET", ONE, Reply(remediation(status)))


def held(api: StubApi) -> None:
    """Have the remediation wait for a second person."""
    waits = remediation("queued", approval={"state": "pending", "digest": "sha256:1"})
    api.on("GET", ONE, Reply(waits))


def answers(method: str, path: str, reply: Reply) -> Callable[[StubApi], None]:
    """Have a request be answered so."""
    return lambda api: api.on(method, path, reply)


def nothing(_: StubApi) -> None:
    """Leave the stub as it is: it knows nothing."""


RUN = ("run", "--clusters", "eu-1", "--credential", "harbor")
ASK = ("readiness", "--clusters", "eu-1", "--registry", "r.io")
CASES = [
    (0, ("status", ID), ended("succeeded")),
    (1, ("status", ID), ended("failed")),
    (2, ("status", "a-slip"), nothing),
    (2, ("status",), nothing),
    (2, RUN, answers("POST", "/remediations", problem(422, "validation-error"))),
    (3, ("status", ID), ended("partial")),
    (4, ("list",), answers("GET", "/remediations", problem(401, "unauthenticated"))),
    (4, RUN, answers("POST", "/remediations", problem(403, "limit-exceeded"))),
    (4, ("list",), answers("GET", "/remediations", problem(429, "too-many-failures"))),
    (5, ("list",), answers("GET", "/remediations", problem(500, "internal"))),
    (5, ("status", ID), answers("GET", ONE, Reply("<html>nginx</html>", 404))),
    (5, ("wait", ID, "--timeout", "0"), ended("running")),
    (6, ("status", ID), ended("running")),
    *((6, (verb, ID), nothing) for verb in ("status", "results", "wait", "cancel", "retry")),
    *((6, (verb, ID, "--yes"), nothing) for verb in ("undo", "approve", "reject")),
    (6, ("gate", CHECK), nothing),
    (7, ("status", ID), ended("cancelled")),
    (7, ("approve", ID), held),
    (7, ("reject", ID), held),
    *(
        (8, (verb, ID), answers("POST", f"{ONE}/{verb}", problem(409, "invalid-state")))
        for verb in ("cancel", "retry", "undo")
    ),
    (8, ("resume",), answers("POST", "/system/resume", problem(409, "invalid-state"))),
    (8, ("approve", ID), ended("succeeded")),
    (9, RUN, answers("POST", "/remediations", problem(429, "quota-exceeded"))),
    (9, ASK, answers("POST", "/readiness-checks", problem(429, "quota-exceeded"))),
]
ELSEWHERE = {130, 141}  # the other tests of this file


@pytest.mark.parametrize(("code", "arguments", "prepare"), CASES)
def test_each_end_has_the_code_of_the_table(
    api: StubApi,
    run: Remediator,
    code: int,
    arguments: tuple[str, ...],
    prepare: Callable[[StubApi], None],
) -> None:
    prepare(api)

    result = run(*arguments)

    assert result.exit_code == code, result.output
    assert "Aborted" not in result.output


def test_the_table_has_every_code() -> None:
    """In README.md, in the code and in this test."""
    table = (ROOT / "README.md").read_text().split("| exit code |")[1].split("\n\n")[0]

    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}

    assert codes == set(map(int, ExitCode))
    assert codes == {code for code, _, _ in CASES} | ELSEWHERE


@pytest.mark.parametrize("arguments", [("status", ID), (*ASK,), ("wait", ID)])
def test_ctrl_c_is_130(
    run: Remediator, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ApiClient, "send", interrupt)

    result = run(*arguments)

    assert result.exit_code == 130
    assert "interrupted" in result.stderr


def test_ctrl_c_while_a_check_runs_says_that_it_goes_on(
    api: StubApi, run: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    api.on("POST", "/readiness-checks", Reply({"id": CHECK, "terminal": False}, 202))
    monkeypatch.setattr("cli.readiness.until_ended", interrupt)

    result = run(*ASK)

    assert result.exit_code == 130
    assert f"stopped waiting; {CHECK} goes on" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "closed"),
    [
        (("results", ID), "stdout"),
        (("results", ID, "-o", "csv"), "stdout"),
        (("results", ID, "-o", "json"), "stdout"),
        (("--help",), "stdout"),
        (("status", "a-slip"), "stderr"),
    ],
)
def test_a_closed_pipe_is_141_and_silent(
    api: StubApi, arguments: tuple[str, ...], closed: str
) -> None:
    """As of other Unix tools: `remediator results ID | head -2` under pipefail."""
    rows = [row(f"ns-{number}") for number in range(50)]
    api.on("GET", f"{ONE}/results", Reply({"items": rows}))
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "REMEDIATOR_URL": api.url, "REMEDIATOR_TOKEN": "t"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, closed: writer}

    result = subprocess.run(
        [sys.executable, "-P", "-m", "cli", *arguments],
        env={**environment, "PYTHONPATH": str(ROOT)},
        timeout=90,
        **streams,  # type: ignore[call-overload]
    )
    os.close(writer)

    assert result.returncode == 141
    assert not result.stdout
    assert not result.stderr
