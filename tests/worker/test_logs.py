"""What a log line never holds."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import logging, sys
from worker import logs

logs.set_up(sys.argv[1], "INFO")

def fails():
    parts = ["correct", "horse"]
    body = "-".join(parts).encode()
    raise ValueError("the text")

try:
    fails()
except ValueError:
    logging.getLogger("rq.worker").error("unhandled", exc_info=True)
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_shows_no_values_of_variables(log_format):
    """Libraries log exceptions too, and a local variable may be a Secret or a token."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "unhandled" in done.stderr
    assert "ValueError" in done.stderr
    assert "correct-horse" not in done.stderr


BOTH = """
import logging, sys
from api import logs as api
from api.settings import LogFormat, LogLevel
from worker import logs as worker

for of_api in (True, False):
    if of_api:
        api.configure(LogFormat(sys.argv[1]), LogLevel.INFO)
    else:
        worker.set_up(sys.argv[1], "INFO")
    logging.getLogger("some.place").warning("cluster %s:\\nwait", "ü")
"""


def both(log_format):
    """Return the line of the API and that of the worker for one message."""
    done = subprocess.run(
        [sys.executable, "-c", BOTH, log_format],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr.splitlines()


def test_a_line_looks_like_one_of_the_api():
    """They stand in one terminal, below each other."""
    lines = both("text")

    time, text = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", " WARNING cluster ü: wait"
    assert len(lines) == 2
    assert all(re.fullmatch(f"{time}{text}", line) for line in lines)


def test_a_line_has_the_members_of_one_of_the_api():
    """Whoever collects the logs of a service has one name for each thing."""
    ours, theirs = (json.loads(line) for line in both("json"))

    assert list(ours) == list(theirs) == ["time", "level", "logger", "message"]
    assert ours | {"time": ""} == theirs | {"time": ""}
