"""`remediator api` and `remediator worker`: the two production processes."""

import os
import sys

import click


def python_module(name: str) -> list[str]:
    """Return the command that runs one of our processes.

    -P: a folder `api` or `worker` where the user happens to stand is not ours.
    """
    return [sys.executable, "-P", "-m", name]


@click.command("api")
def api_command() -> None:
    """Run the API process. It is configured by environment variables only."""
    _become("api")


@click.command("worker")
def worker_command() -> None:
    """Run the worker process. It is configured by environment variables only."""
    _become("worker")


def _become(name: str) -> None:
    # The same process, so that signals and exit code are the process' own.
    command = python_module(name)
    os.execv(command[0], command)
