"""Live progress, on a real terminal."""

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from cli.progress import FleetBars
from tests.cli.bodies import ID, cluster, remediation
from tests.cli.stub_api import Reply, StubApi

ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """A command whose output streams are a terminal."""

    def __init__(self, url: str, *arguments: str) -> None:
        self.text = ""
        self._master, slave = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "140"}
        environment |= {"LINES": "40", "REMEDIATOR_URL": url, "REMEDIATOR_TOKEN": "t"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cli", *arguments],
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)

    def read_until(self, wanted: str, seconds: float = 90.0) -> None:
        """Read what comes until `wanted` was seen."""
        deadline = time.monotonic() + seconds
        while wanted not in self.text:
            assert time.monotonic() < deadline, self.text
            self._read(0.1)

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        try:
            while self._read(90):
                pass
        except OSError:  # how a terminal says that nobody writes any more
            pass
        os.close(self._master)
        return self.process.wait(90)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        data = os.read(self._master, 1 << 16).decode(errors="replace")
        self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data)
        return bool(data)


def running(done: int, etag: str) -> Reply:
    """Return a remediation that has come so far."""
    at_work = cluster("eu-1", "running", total=100, done=done, changed=done)
    return Reply(remediation("running", clusters=[at_work]), headers={"ETag": etag})


def test_a_bar_moves_to_the_end(api: StubApi) -> None:
    """Each change is shown; the wait is a long poll on the last ETag."""
    ended = cluster("eu-1", "succeeded", changed=100)
    api.on("POST", "/remediations", Reply(remediation("queued"), 202))
    api.on(
        "GET",
        f"/remediations/{ID}",
        running(10, '"1"'),
        Reply(status=304, headers={"ETag": '"1"'}, delay=0.3),
        running(60, '"2"'),
        Reply(remediation(clusters=[ended]), headers={"ETag": '"3"'}),
    )

    terminal = Terminal(api.url, "run", "--clusters", "eu-1", "--credential", "reg")
    code = terminal.finish()

    assert code == 0
    assert "100/100" in terminal.text
    assert "100 changed" in terminal.text
    polls = [seen for seen in api.seen if seen.method == "GET"]
    assert [seen.headers.get("If-None-Match") for seen in polls] == [None, '"1"', '"1"', '"2"']
    assert [seen.params.get("wait") for seen in polls] == [None, "20", "20", "20"]


def test_many_clusters_fit_on_the_terminal(api: StubApi) -> None:
    """Those at work and a line for all."""
    clusters = [cluster(f"done-{number}") for number in range(60)]
    clusters += [cluster("busy-1", "running", total=9, done=3, changed=3)]
    clusters += [cluster(f"next-{number}", "queued", total=0) for number in range(40)]
    api.on(
        "GET",
        f"/remediations/{ID}",
        Reply(remediation("running", clusters=clusters), headers={"ETag": '"1"'}),
        Reply(remediation("running", clusters=clusters), headers={"ETag": '"1"'}),
        Reply(remediation(clusters=[cluster()]), delay=1),
    )

    terminal = Terminal(api.url, "wait", ID)
    code = terminal.finish()

    assert code == 0
    assert "60 of 101 clusters" in terminal.text
    assert "busy-1" in terminal.text
    assert "done-1" not in terminal.text
    assert "next-1" not in terminal.text


def test_ctrl_c_stops_the_waiting_only(api: StubApi) -> None:
    """It is said that the remediation goes on, and how to follow it."""
    api.on(
        "GET",
        f"/remediations/{ID}",
        running(10, '"1"'),
        running(10, '"1"'),
        Reply(status=304, delay=3),
    )

    terminal = Terminal(api.url, "wait", ID)
    terminal.read_until("10/100")
    terminal.process.send_signal(signal.SIGINT)
    code = terminal.finish()

    assert code == 130
    assert f"the remediation goes on. To follow it: remediator wait {ID}" in terminal.text
    assert "Traceback" not in terminal.text


def test_only_failures_are_red() -> None:
    """A red zero in each line teaches people to overlook red."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=140)
    clusters = [cluster("eu-1", "running", changed=1), cluster("us-1", "running", failed=3)]

    with FleetBars(console) as bars:
        bars.show(remediation("running", clusters=clusters))

    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[31m3 failed" in shown
    assert "\x1b[31m0 failed" not in shown
