"""`remediator kubeconfig`: what kubeconfigs need before their contexts are served."""

import os
from pathlib import Path

import click

from cli.processes import python_module


@click.group("kubeconfig")
def kubeconfig_command() -> None:
    """Look after the kubeconfigs on this machine."""


@kubeconfig_command.command("pin")
@click.argument("context")
@click.option(
    "--kubeconfig",
    "kubeconfigs",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="File or folder; repeatable.  [default: the usual one]",
)
@click.option(
    "--fingerprint",
    "fingerprints",
    multiple=True,
    metavar="SHA256",
    help="Do not ask: the certificate must have this SHA-256 fingerprint. Repeatable.",
)
@click.option(
    "--tls-server-name",
    metavar="NAME",
    help="Write this name too, where the certificate is for another one than the server's address.",
)
def pin(
    context: str,
    kubeconfigs: tuple[Path, ...],
    fingerprints: tuple[str, ...],
    tls_server_name: str | None,
) -> None:
    """Have CONTEXT trust the certificate that its API server shows now.

    Shows the SHA-256 fingerprint and asks. Then the certificate is the context's CA, in place of
    insecure-skip-tls-verify. A copy of the file is kept beside it.
    """
    command = python_module("worker.pin")
    command += [f"--kubeconfig={path.absolute()}" for path in kubeconfigs]
    command += [f"--fingerprint={each}" for each in fingerprints]
    command += [f"--tls-server-name={tls_server_name}"] if tls_server_name else []
    # The same process: it asks on the same terminal, and its exit code is the command's.
    os.execv(command[0], [*command, "--", context])
