"""What ends a command early: each error knows its text and its exit code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import click

from cli.exit_codes import ExitCode, exit_code_of_answer
from cli.text import clean

MOST_ERRORS = 20  # of one request; more would bury what is said first


class CliError(click.ClickException):
    """Base of our errors; the message goes to standard error."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # one class, many codes

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message after the name of the command."""
        click.echo(f"remediator: {self.format_message()}", file=file, err=file is None)


class Unreachable(CliError):
    """The service did not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.UNREACHABLE)


class WaitTimeout(CliError):
    """The remediation did not end in the time the caller gave it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request: where (a JSON pointer) and what."""

    pointer: str
    detail: str


class ClientError(CliError):
    """The service answered with a problem; holds all that it said."""

    def __init__(self, status: int, problem: Mapping[str, Any], hint: str | None = None) -> None:
        self.status = status
        self.code = clean(problem.get("code") or f"http-{status}")
        self.errors = tuple(
            FieldError(clean(item.get("pointer")), clean(item.get("detail")))
            for item in problem.get("errors") or ()
            if isinstance(item, Mapping)
        )
        # The token is wrong, and so it will be the next time.
        self.denied = self.code == "too-many-failures"
        ours = isinstance(problem.get("code"), str)  # every problem of the service has one
        code = ExitCode.DENIED if self.denied else exit_code_of_answer(status, ours=ours)
        self.problem = problem
        self.codes = tuple(
            str(item.get("code"))
            for item in problem.get("errors") or ()
            if isinstance(item, Mapping)
        )
        super().__init__(self._text(problem, hint), code)

    @property
    def passing(self) -> bool:
        """Tell whether the service is only busy, restarting or without its store: a later try may succeed."""
        return self.status in (429, 502, 503, 504) and not self.denied

    def _text(self, problem: Mapping[str, Any], hint: str | None) -> str:
        title = clean(problem.get("title")) or f"the service answered {self.status}"
        detail = clean(problem.get("detail"))
        lines = [f"{title}: {detail}" if detail and self.errors else detail or title]
        width = max((len(error.pointer) for error in self.errors), default=0)
        shown = self.errors[:MOST_ERRORS]
        lines += [f"  {error.pointer:<{width}}  {error.detail}" for error in shown]
        if rest := len(self.errors) - len(shown):
            lines.append(f"  … and {rest} more; with --curl you get the request that shows all")
        request_id = clean(problem.get("request_id"))
        lines.append(
            f"  ({self.status} {self.code}{f', request {request_id}' if request_id else ''})"
        )
        if hint:
            lines.append(f"  {hint}")
        return "\n".join(lines)
