"""A registry login on the command line: the password comes from standard input, never as an argument."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

_NAMES = ("server", "username", "password_stdin")


@dataclass(frozen=True, slots=True)
class Login:
    """A login for one request; the password is read when the request is sent."""

    registry: str
    username: str
    read_password: Callable[[], str] = field(repr=False)

    def to_member(self) -> dict[str, str]:
        """Return the member of the request that holds it, without the password."""
        return {"registry": self.registry, "username": self.username}


def login_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--server`, `--username` and `--password-stdin`."""
    for option in (
        click.option(
            "--password-stdin",
            is_flag=True,
            help="Read the login's password from standard input; asked for on a terminal.",
        ),
        click.option("--username", metavar="USER", help="The login's user name."),
        click.option(
            "--server",
            metavar="HOST[/PATH]",
            help="A login of your own for this registry, sealed for the workers.",
        ),
    ):
        command = option(command)
    return command


def take_login(options: Mapping[str, Any]) -> tuple[Login | None, dict[str, Any]]:
    """Return the login that the options describe, if they do, and the other options. Raises UsageError for a part."""
    others = {name: value for name, value in options.items() if name not in _NAMES}
    given = [name for name in _NAMES if options[name]]
    if not given:
        return None, others
    if len(given) < len(_NAMES):
        raise click.UsageError("a login is --server, --username and --password-stdin together")
    if others.get("credential"):
        raise click.UsageError("give --credential or a login (--server …), not both")
    return Login(options["server"], options["username"], _read_password), others


def _read_password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("password", hide_input=True, err=True))
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise click.UsageError("the password on standard input is not UTF-8") from None
    # `echo` and password managers end it with a line break that belongs to no password.
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise click.UsageError("there is no password on standard input")
    return password
