"""How a command ends that is ended from outside: by an answer, by Ctrl-C, by the reader of its output."""

import contextlib
import os
import sys
from collections.abc import Iterator

import click

from cli.errors import CliError
from cli.exit_codes import ExitCode

NOT_YES = "cancelled: the answer is not yes; nothing was changed"
NO_ANSWER = "cancelled: there is no answer; nothing was changed"


@contextlib.contextmanager
def endings() -> Iterator[None]:
    """Give each such end the exit code and the words of the table, for every command."""
    try:
        try:
            yield
        finally:
            if sys.stdout:
                sys.stdout.flush()  # csv is buffered: a closed pipe must show here, not when Python ends
    except click.Abort as error:
        raise _unanswered(error) from None
    except KeyboardInterrupt:
        click.echo(err=True)
        raise CliError("interrupted", ExitCode.INTERRUPTED) from None
    except BrokenPipeError:
        be_silent()
        raise click.exceptions.Exit(ExitCode.PIPE_CLOSED) from None


def be_silent() -> None:
    """Send what is still to be printed nowhere: its reader has ended."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())


def _unanswered(error: click.Abort) -> CliError:
    """Return how a question ended without a yes. click tells no, end of file and Ctrl-C apart by the context only."""
    if error.__context__ is None:
        return CliError(NOT_YES, ExitCode.CANCELLED)
    click.echo(err=True)  # the question's line is not ended
    if isinstance(error.__context__, KeyboardInterrupt):
        return CliError("interrupted; nothing was changed", ExitCode.INTERRUPTED)
    return CliError(NO_ANSWER, ExitCode.CANCELLED)
