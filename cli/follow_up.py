"""`remediator retry` and `undo`: remediations that follow on another."""

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from cli.call import Call, client_command
from cli.client import ApiClient
from cli.login import login_options, take_login
from cli.remediations import id_argument
from cli.request import get
from cli.run import remediate, request_body
from cli.text import clean, on_terminal
from cli.views import changed, kind

_OPTIONS = (
    click.option(
        "--timeout-seconds",
        type=click.IntRange(1),
        metavar="N",
        help="Deadline.  [default: that of the remediation it follows]",
    ),
    click.option("--reason", metavar="TEXT", help="Why; kept in the record."),
    click.option(
        "--no-wait", is_flag=True, help="Do not wait for the outcome: print the id and end."
    ),
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("retry")
@id_argument
@_options
@login_options
@client_command
def retry_command(call: Call, remediation_id: str, no_wait: bool, **options: Any) -> None:
    """Do again exactly what failed or was cancelled, and wait for the outcome.

    A login of your own (--server …) was deleted at the end: give it again.
    """
    path = f"/remediations/{remediation_id}/retry"
    login, others = take_login(options)
    remediate(call, path, request_body(others), login, no_wait=no_wait)


@click.command("undo")
@id_argument
@_options
@click.option("--dry-run", is_flag=True, help="Show what would be taken back; write nothing.")
@click.option(
    "--yes", is_flag=True, help="Do not ask. Nothing is asked where no terminal is there."
)
@client_command
def undo_command(call: Call, remediation_id: str, no_wait: bool, yes: bool, **options: Any) -> None:
    """Take back what a remediation wrote and nothing else, and wait for the outcome.

    The name leaves the ServiceAccounts that it was added to; a Secret that was created is deleted if it was not changed
    since. A Secret that was updated stays as it is, and its row says so.
    """
    path = f"/remediations/{remediation_id}/undo"
    asks = not (yes or options["dry_run"]) and on_terminal()
    ask = partial(_confirm, remediation_id) if asks else None
    remediate(call, path, request_body(options), no_wait=no_wait, ask=ask)


def _confirm(remediation_id: str, client: ApiClient) -> None:
    """Show what would be undone and ask: one mistyped id would take Secrets out of every namespace."""
    remediation = client.send(get(f"/remediations/{remediation_id}")).body
    names = ", ".join(clean(cluster.get("name")) for cluster in remediation.get("clusters") or ())
    reason = clean(remediation.get("reason"))
    click.echo(
        f"{remediation_id} ({kind(remediation)}, {clean(remediation.get('status'))},"
        f" {clean(remediation.get('created_at'))}, by {clean(remediation.get('requested_by'))})"
        f"{f': {reason}' if reason else ''}",
        err=True,
    )
    click.echo(f"  it changed {changed(remediation)} namespaces on: {names}", err=True)
    click.confirm("undo it?", abort=True, err=True)
