"""What a log line never holds."""

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
