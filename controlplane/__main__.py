"""`python -m controlplane`: build the binaries, or run clusters by hand."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from controlplane.build import KNOWN, BuildError, binaries
from controlplane.cluster import Cluster, StartError, write_kubeconfig
from controlplane.node import BINARIES, why_not


def main() -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if arguments.command == "build":
            _build(arguments.names or KNOWN)
        elif arguments.command == "node":
            _build_node()
        else:
            _up(arguments)
    except (BuildError, StartError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _build(names: tuple[str, ...]) -> None:
    for name, path in binaries(*names).items():
        sys.stdout.write(f"{name} {path}\n")


def _build_node() -> None:
    if reason := why_not():
        sys.stdout.write(f"no real node runs here: {reason}\n")
    else:
        _build(BINARIES)


def _up(arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        directory = arguments.directory or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="controlplane-"))
        )
        clusters = [
            stack.enter_context(
                Cluster.start(
                    name,
                    directory / name,
                    controllers=arguments.controllers,
                    # Pods get onto the nodes by the scheduler.
                    scheduler=arguments.nodes > 0,
                    nodes=arguments.nodes,
                )
            )
            for name in (f"cluster-{number}" for number in range(1, arguments.clusters + 1))
        ]
        kubeconfig = directory / "kubeconfig"
        write_kubeconfig(kubeconfig, {cluster.name: cluster.context for cluster in clusters})
        ending = _noted_signals()
        sys.stdout.write(f"{kubeconfig}\n")
        sys.stdout.flush()
        os.read(ending, 1)


def _noted_signals() -> int:
    """From here on SIGINT and SIGTERM only put a byte into the pipe whose reading end is returned.

    None is lost between the check for one and the wait, and none interrupts the stopping.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    return reader


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build what is missing and print the paths")
    build.add_argument("names", nargs="*", metavar="name", help=f"of: {', '.join(KNOWN)}")
    commands.add_parser("node", help="build a real node, or say why none runs here")
    up = commands.add_parser("up", help="run clusters until Ctrl-C; prints the kubeconfig's path")
    up.add_argument("--clusters", type=int, default=1)
    up.add_argument("--controllers", action="store_true", help="with the controller manager")
    up.add_argument("--nodes", type=int, default=0, help="fake nodes of each, with a scheduler")
    up.add_argument("--directory", type=Path, help="kept; without it a temporary one")
    return parser


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
