"""`remediator keys`: the pair of keys for logins that come in requests."""

from pathlib import Path

import click

from cli.sealing_keys import create_pair


@click.group("keys")
def keys_command() -> None:
    """Make the keys that seal logins."""


@keys_command.command("create")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,  # the current one may be a checkout, and the key be committed
    metavar="DIR",
    help="Where to put them, for example keys.",
)
def create(directory: Path) -> None:
    """Make a pair of sealing keys: sealing.key for the workers, sealing.pub for the API.

    Files that are there are never overwritten: what was sealed for a lost key cannot be opened any more.
    """
    pair = create_pair(directory.absolute())
    click.echo(f"{pair.private}  for the workers only: REMEDIATOR_SEALING_KEY_FILE={pair.private}")
    click.echo(f"{pair.public}  for the API: REMEDIATOR_SEALING_PUBLIC_KEY_FILE={pair.public}")
    click.echo(f"key {pair.id}. Give the workers theirs first, then the API.", err=True)
