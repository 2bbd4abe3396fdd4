"""`remediator token`: API keys for the access file."""

import os
from datetime import UTC, datetime, timedelta

import click

from remediation.api_key import ENTROPY_BYTES, digest, new_api_key
from remediation.permission import Role

NEVER = "never"
_MAX_DAYS = 3650


@click.group("token")
def token_command() -> None:
    """Make API keys."""


@token_command.command("create")
@click.argument("name", required=False, metavar="[SUBJECT]")
@click.option("--subject", metavar="NAME", help="Who will use the key; the same as the argument.")
@click.option(
    "--expires-in-days",
    "days",
    type=click.IntRange(1, _MAX_DAYS),
    default=365,
    show_default=True,
    help="How long the key is good for.",
)
@click.option("--never-expires", "never", is_flag=True, help="Make a key that has no end.")
@click.option(
    "--role",
    type=click.Choice([str(role) for role in Role]),
    default=str(Role.VIEWER),
    show_default=True,
    help="Role of the suggested binding.",
)
def create(name: str | None, subject: str | None, days: int, never: bool, role: str) -> None:
    """Make an API key for SUBJECT.

    The key goes to standard error, once, and is kept nowhere. Standard output is the entry for the list `keys` of the
    access file (REMEDIATOR_ACCESS_FILE), which holds the key's SHA-256 only; and, as a comment, a binding to start
    from: without one, the key opens nothing.
    """
    import yaml

    who = _who(name, subject)
    key = new_api_key(os.urandom(ENTROPY_BYTES))
    click.echo(f"key (shown once): {key.token}", err=True)
    end = (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    expires_at = NEVER if never else end.isoformat().replace("+00:00", "Z")
    entry = {"id": key.id, "subject": who, "sha256": digest(key.token), "expires_at": expires_at}
    click.echo(yaml.safe_dump([entry], sort_keys=False), nl=False)
    binding = {"subjects": [f"client:{who}"], "role": role}
    places = {name: ["*"] for name in ("clusters", "namespaces", "credentials")}
    click.echo("# For the list 'bindings', to be made as narrow as it can be:")
    text = yaml.safe_dump([{**binding, **places}], sort_keys=False, default_flow_style=None)
    click.echo("".join(f"# {line}\n" for line in text.splitlines()), nl=False)


def _who(name: str | None, subject: str | None) -> str:
    if name and subject:
        raise click.UsageError("name the subject once: as argument or with --subject")
    who = (name or subject or "").removeprefix("client:")
    if not who.strip() or who != who.strip() or not who.isprintable():
        raise click.BadParameter("name who will use the key", param_hint="SUBJECT")
    if who.partition(":")[0] in ("user", "group", "serviceaccount") and ":" in who:
        raise click.BadParameter("a key is for a client, with a plain name", param_hint="SUBJECT")
    return who
