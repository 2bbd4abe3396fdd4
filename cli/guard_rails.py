"""`remediator approve`, `reject`, `pause` and `resume`."""

from collections.abc import Callable
from typing import Any

import click

from cli.call import Call, client_command
from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.remediations import id_argument
from cli.request import JsonObject, get, post
from cli.summary import print_as
from cli.text import clean, readable

_LEFT_OUT = ("labels", "dry_run")  # shown otherwise, or never true here


def _decision(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option(
            "--digest",
            metavar="DIGEST",
            help="Only if this is still its digest: what you looked at before.",
        ),
        click.option("--comment", metavar="TEXT", help="Why; kept in the record."),
    ):
        command = option(command)
    return id_argument(client_command(command))


@click.command("approve")
@_decision
def approve_command(call: Call, remediation_id: str, **options: Any) -> None:
    """Let a remediation of protected clusters begin that somebody else asked for.

    Shows exactly what will be done, asks, and sends the digest of just that.
    """
    _decide(call, remediation_id, "approve", **options)


@click.command("reject")
@_decision
def reject_command(call: Call, remediation_id: str, **options: Any) -> None:
    """Refuse a remediation of protected clusters; it ends as cancelled."""
    _decide(call, remediation_id, "reject", **options)


@click.command("pause")
@click.option("--reason", required=True, metavar="TEXT", help="Why; shown to everybody who waits.")
@client_command
def pause_command(call: Call, reason: str) -> None:
    """Have no run begin: requests are queued, runs at work go on."""
    body = call.send(post("/system/pause", {"reason": reason})).body
    paused = body.get("paused") or {}

    def table() -> None:
        since, by = clean(paused.get("since")), clean(paused.get("by"))
        click.echo(f"paused since {since} by {by}: {clean(paused.get('reason'))}")
        if paused.get("reason") != reason:
            click.echo("it was paused already: your reason is not recorded", err=True)
        click.echo("to have runs begin again: remediator resume", err=True)

    print_as({**body, "id": "paused"}, call.output, table)


@click.command("resume")
@client_command
def resume_command(call: Call) -> None:
    """End the pause: what is queued begins."""
    body = call.send(post("/system/resume")).body
    print_as({**body, "id": "resumed"}, call.output, lambda: click.echo("resumed"))


def _decide(
    call: Call,
    remediation_id: str,
    verb: str,
    *,
    yes: bool,
    digest: str | None,
    comment: str | None,
) -> None:
    with call.connect() as client:
        remediation = client.send(get(f"/remediations/{remediation_id}")).body
        approval = remediation.get("approval")
        if not approval:
            raise CliError(f"{remediation_id} does not need approval", ExitCode.STATE)
        shown = str(approval.get("digest"))
        if digest and digest != shown:
            raise CliError(
                f"{remediation_id} is not what you looked at: its digest is {clean(shown)} now",
                ExitCode.STATE,
            )
        body = {"digest": shown, **({"comment": comment} if comment else {})}
        request = post(f"/remediations/{remediation_id}/{verb}", body)
        call.show(request)
        _show(remediation, approval)
        if not yes:
            click.confirm(f"{verb} it?", abort=True, err=True)
        after = client.send(request).body

    def table() -> None:
        state = clean((after.get("approval") or {}).get("state"))
        click.echo(f"{remediation_id} is {state} and {clean(after.get('status'))}")
        if not after.get("terminal"):
            click.echo(f"to follow it: remediator wait {remediation_id}", err=True)

    print_as(after, call.output, table)


def _show(remediation: JsonObject, approval: JsonObject) -> None:
    """Say what will be done, on standard error."""
    by, until = clean(approval.get("requested_by")), clean(approval.get("expires_at"))
    waits = f", waits until {until}" if approval.get("state") == "pending" else ""
    click.echo(f"{clean(remediation.get('id'))}, asked for by {by}{waits}", err=True)
    for name in ("retry_of", "undo_of"):
        if other := clean(remediation.get(name)):
            click.echo(f"  {name}: {other}", err=True)
    names = ", ".join(clean(cluster.get("name")) for cluster in remediation.get("clusters") or ())
    click.echo(f"  on: {names}", err=True)
    for name, value in (remediation.get("request") or {}).items():
        if value not in (None, [], {}) and name not in _LEFT_OUT:
            click.echo(f"  {clean(name)}: {readable(value)}", err=True)
    click.echo(f"  digest: {clean(approval.get('digest'))}", err=True)
