"""Escape sequences: on a terminal only, and never against NO_COLOR or TERM=dumb."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.bodies import ID, cluster, remediation
from tests.cli.stub_api import Reply, StubApi

ROOT = Path(__file__).resolve().parents[2]
CHECK = "chk_01J8ZQ4W7N3T5V9XBCDEFGHJKM"
HELD = "rem_01J8ZQ4W7N3T5V9XBCDEFGHJKN"
COMMANDS = (
    ("run", "--clusters", "eu-1", "--credential", "reg"),
    ("readiness", "--clusters", "eu-1", "--registry", "r.io"),
    ("gate", CHECK),
    ("approve", HELD),
)
# One process for all of them: starting Python takes longer than what is tested.
PROGRAM = f"""
import contextlib
from cli.main import remediator
for arguments in {COMMANDS!r}:
    with contextlib.suppress(SystemExit):
        remediator(arguments)
    print("----", flush=True)
from cli.colour import console
from cli.demo.teller import Teller
Teller(console()).claim("held", True)
"""


def on_terminal(api: StubApi, **settings: str) -> str:
    """Return what the program writes to a terminal, escape sequences included."""
    master, slave = pty.openpty()
    own = {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "REMEDIATOR_URL": api.url}
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM],
        env={**kept, **own, "REMEDIATOR_TOKEN": "t", **settings},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    os.write(master, b"n\n")  # to what `approve` asks
    text = b""
    try:
        while data := os.read(master, 1 << 16):
            text += data
    except OSError:  # how a terminal says that nothing writes any more
        pass
    os.close(master)
    process.wait(90)
    return text.decode()


def prepare(api: StubApi) -> None:
    """Have every command of this file show what it shows in colour."""
    failed = remediation(
        "partial",
        clusters=[cluster("eu-1", "partial", failed=1)],
        warnings=[{"detail": "no such namespace"}],
        readiness={"check_id": CHECK, "verdict": "not_safe"},
    )
    failure = {"cluster": "eu-1", "namespace": "n", "error": {"code": "timeout", "detail": "d"}}
    at_work = remediation("running", clusters=[cluster("eu-1", "running", total=9, changed=3)])
    api.on("POST", "/remediations", Reply(remediation("queued"), 202))
    api.on("GET", f"/remediations/{ID}", Reply(at_work, headers={"ETag": '"1"'}), Reply(failed))
    api.on("GET", f"/remediations/{ID}/results", Reply({"items": [failure]}))
    check = {"id": CHECK, "terminal": True, "verdict": "unknown", "clusters": []}
    classes = {"C_UNUSED": 0, "R_UNPROVEN": 1, "P_RISK_LOW": 1}
    api.on("POST", "/readiness-checks", Reply({**check, "summary": {"classes": classes}}, 202))
    api.on("GET", f"/readiness-checks/{CHECK}/findings", Reply({"items": [{"class": "W_KEY"}]}))
    closed = {"title": "Closed", "status": 412, "code": "gate-closed"}
    api.on("GET", f"/readiness-checks/{CHECK}/gate", Reply(closed, 412))
    waits = remediation("queued", approval={"state": "pending", "digest": "sha256:1"})
    api.on("GET", f"/remediations/{HELD}", Reply(waits))


@pytest.mark.parametrize("settings", [{}, {"NO_COLOR": ""}])
def test_a_terminal_gets_colours_and_bars(api: StubApi, settings: dict[str, str]) -> None:
    """Else the tests below would prove nothing."""
    prepare(api)

    run, readiness, gate, _, story = on_terminal(api, **settings).split("----")

    assert all("\x1b[" in shown for shown in (run, readiness, gate, story))


@pytest.mark.parametrize(
    "settings",
    [{"NO_COLOR": "0"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}],
)
def test_no_escape_sequence_where_the_environment_says_so(
    api: StubApi, settings: dict[str, str]
) -> None:
    """Status line, bars, verdicts, the question, the story of the demo."""
    prepare(api)

    shown = on_terminal(api, **settings)

    assert "\x1b" not in shown
    assert "Traceback" not in shown
    assert len([part for part in shown.split("----") if part.strip()]) == len(COMMANDS) + 1
    assert "running: 3/3 namespaces" in shown
    assert "the answer is not yes; nothing was changed" in shown


def test_no_escape_sequence_where_there_is_no_terminal(api: StubApi) -> None:
    """Not even for FORCE_COLOR, which one of the libraries heeds."""
    prepare(api)
    own = {"PYTHONPATH": str(ROOT), "REMEDIATOR_URL": api.url, "REMEDIATOR_TOKEN": "t"}
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}

    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        env={**kept, **own, "FORCE_COLOR": "1", "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )

    assert "held" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
