"""`remediator token`: API keys for the access file."""

import os

import click

from remediation.api_key import ENTROPY_BYTES, digest, new_api_key


@click.group("token")
def token_command() -> None:
    """Make API keys."""


@token_command.command("create")
@click.argument("subject")
def create(subject: str) -> None:
    """Make an API key for SUBJECT.

    The key goes to standard error, once, and is kept nowhere. Standard output is the entry for the list `keys` of the
    access file (REMEDIATOR_ACCESS_FILE), which holds the key's SHA-256 only.
    """
    import yaml

    if not subject.strip() or not subject.isprintable():
        raise click.BadParameter("name who will use the key", param_hint="SUBJECT")
    key = new_api_key(os.urandom(ENTROPY_BYTES))
    click.echo(f"key (shown once): {key.token}", err=True)
    entry = {"id": key.id, "subject": subject, "sha256": digest(key.token)}
    click.echo(yaml.safe_dump([entry], sort_keys=False), nl=False)
