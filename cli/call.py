"""What every client command takes: `--url`, `-o`, `--curl`, and what follows from them."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from cli.client import Answer, ApiClient
from cli.data_dir import DataDir, default_data_dir
from cli.render import Output
from cli.request import JsonObject, Request
from cli.target import Target, find_target


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation of a client command: where to, how to print, and whether only to show the request."""

    target: Target
    output: Output
    curl: bool

    def connect(self) -> ApiClient:
        """Return a connection to the service."""
        return ApiClient(self.target)

    def show(self, request: Request) -> None:
        """With `--curl`: print the request and end the command; otherwise do nothing."""
        if self.curl:
            from cli.curl import as_curl

            click.echo(as_curl(request, self.target.url))
            raise click.exceptions.Exit(0)

    def send(self, request: Request) -> Answer:
        """Send one request, or show it and end."""
        self.show(request)
        with self.connect() as client:
            return client.send(request)

    def pages(self, request: Request, limit: int | None = None) -> Iterator[list[JsonObject]]:
        """Yield a collection page by page, or show the first request and end."""
        self.show(request)
        with self.connect() as client:
            yield from client.pages(request, limit)


def client_command(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the common options to a command; it gets them as one `Call`, its first argument."""

    @click.option(
        "--url", envvar="REMEDIATOR_URL", metavar="URL", help="The service (REMEDIATOR_URL)."
    )
    @click.option(
        "-o",
        "--output",
        type=click.Choice([output.value for output in Output]),
        default=Output.TABLE.value,
        show_default=True,
        help="How to print the answer.",
    )
    @click.option(
        "--curl", is_flag=True, help="Print the curl command that does the same; do nothing else."
    )
    @functools.wraps(command)
    def with_call(*, url: str | None, output: str, curl: bool, **options: Any) -> Any:
        target = find_target(url, DataDir(default_data_dir()))
        return command(Call(target, Output(output), curl), **options)

    return with_call
