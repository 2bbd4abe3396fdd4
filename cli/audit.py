"""`remediator audit`: who decided what, what was written, and whether the trail is whole."""

from typing import Any

import click

from cli.call import Call, client_command
from cli.exit_codes import ExitCode
from cli.render import Column, View, print_one, print_pages, print_table
from cli.request import JsonObject, get
from cli.text import clean, readable

_PAGE = 1000
_TRAILS = ("decisions", "writes")


def _kind(item: JsonObject) -> str:
    """Return what kind of remediation an entry is about: a dry run or an undo is not a run."""
    details = item.get("details") or {}
    return f"{clean(details.get('kind'))}{' (dry run)' if details.get('dry_run') else ''}".strip()


_VIEW = View(
    (
        Column("AT", lambda item: item.get("at")),
        Column("ACTION", lambda item: item.get("action")),
        Column("KIND", _kind),
        Column("OUTCOME", lambda item: item.get("outcome")),
        Column("SUBJECT", lambda item: item.get("subject")),
        Column("REMEDIATION", lambda item: item.get("remediation_id")),
        Column("CLUSTER", lambda item: item.get("cluster")),
        Column("NAMESPACE", lambda item: item.get("namespace")),
        Column("CODE", lambda item: item.get("code")),
        Column("REASON", lambda item: item.get("reason")),
    ),
    name=lambda item: str(item.get("id")),
)


@click.group("audit")
def audit_command() -> None:
    """Show and verify the audit trail."""


_trail = click.option(
    "--trail",
    type=click.Choice(_TRAILS),
    default=_TRAILS[0],
    show_default=True,
    help="Decisions, or writes to clusters.",
)


@audit_command.command("list")
@_trail
@click.option("--action", metavar="A", help="Only these, comma-separated: remediation.create.")
@click.option("--outcome", metavar="O", help="Only these: done, refused, failed, unknown.")
@click.option("--subject", metavar="NAME", help="Only of this caller.")
@click.option("--remediation", "remediation_id", metavar="ID", help="Only about this one.")
@click.option("--cluster", metavar="NAME", help="Only on this cluster.")
@click.option("--since", metavar="TIME", help="Not before: 2026-01-31T12:00:00Z.")
@click.option("--until", metavar="TIME", help="Before: 2026-01-31T13:00:00Z.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@client_command
def list_command(call: Call, limit: int, **filters: str) -> None:
    """List entries, newest first."""
    request = get("/audit-events", {**filters, "limit": str(min(limit, _PAGE))})
    print_pages(_VIEW, call.pages(request, limit), call.output)


@audit_command.command("verify")
@_trail
@click.option("--anchor", metavar="HASH", help="The head of an earlier verification.")
@client_command
def verify_command(call: Call, **options: Any) -> None:
    """Verify the chain: exit 0 if no entry was altered, left out or put in, else 1.

    Keep the head that it prints somewhere else. Given as --anchor next time, it also shows a trail that was made anew.
    """
    body = call.send(get("/audit-events/verification", options)).body
    pairs = [(clean(name), readable(value)) for name, value in body.items()]
    view = View(
        tuple(Column(name, lambda item, name=name: readable(item.get(name))) for name in body),  # type: ignore[misc]
        name=lambda item: str(item.get("head")),
    )
    print_one(body, call.output, table=lambda: print_table(("NAME", "VALUE"), pairs), view=view)
    if not body.get("verified"):
        raise click.exceptions.Exit(ExitCode.FAILED)
