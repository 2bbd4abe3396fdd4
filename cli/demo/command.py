"""The story of the demo, told on the terminal."""

import signal
import tempfile
from pathlib import Path
from types import FrameType

import click

from cli.colour import console
from cli.demo.chapters import CHAPTERS, describe
from cli.demo.fleet import CLUSTERS
from cli.demo.stage import Stage, stage
from cli.demo.teller import Teller
from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.follow import Interrupted
from cli.request import BASE_PATH
from controlplane.build import BuildError
from controlplane.cluster import ApiError, StartError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command("demo")
@click.option(
    "--once", is_flag=True, help="End after the story; exit code 0 only if it ended well."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the API.  [default: any free one]",
)
def demo_command(once: bool, port: int) -> None:
    """See a registry go private on two throwaway clusters.

    Starts two real Kubernetes control planes with running pods, and a real registry, on this machine (the first time
    they are built, which takes some minutes). Judges what would break, remediates, makes the registry private, and
    has every pod made again: on real nodes where this machine allows it (Linux, root), else by pulling every image as
    a node does. Touches no other cluster.
    """
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="remediator-demo-") as directory:
        try:
            held = tell(Path(directory), Teller(console()), port, stay=not once)
        except (ApiError, BuildError, StartError) as error:
            raise CliError(str(error)) from error
        except (KeyboardInterrupt, Interrupted) as error:
            text = "interrupted; all that was started has ended"
            raise CliError(text, ExitCode.INTERRUPTED) from error
    raise click.exceptions.Exit(ExitCode.SUCCEEDED if held else ExitCode.FAILED)


def tell(directory: Path, teller: Teller, port: int, *, stay: bool) -> bool:
    """Tell it and return whether every claim held; with `stay`, leave everything up until Ctrl-C.

    It ends with the first chapter in which one did not.
    """
    teller.chapter("Two clusters and a registry on this machine")
    with stage(directory, port, teller) as running:
        describe(running, teller)
        for chapter in CHAPTERS:
            chapter(running, teller)
            if not teller.held:
                break
        teller.pause()
        if teller.held:
            teller.say(f"[bold green]Not one pod lost its image[/]: {_judge(running)}.")
        else:
            teller.say("[bold red]Not everything held.[/]")
        if stay:
            _stay(running, teller)
    return teller.held


def _judge(running: Stage) -> str:
    """Return by whom it was judged."""
    if running.nodes.real:
        return "so say the kubelets that started them"
    return f"so says the puller, which pulled for each as a node would (no real node here: {running.nodes.reason})"


def _stay(running: Stage, teller: Teller) -> None:
    teller.chapter("Your turn")
    url, token = running.target.url, running.target.token
    teller.say(f"url    {url}")
    teller.say(f"token  {token}")
    for line in (
        f"export REMEDIATOR_URL={url} REMEDIATOR_TOKEN={token}",
        "remediator list",
        f'curl -sS -H "Authorization: Bearer $REMEDIATOR_TOKEN" {url}{BASE_PATH}/readiness-checks',
        f"kubectl --kubeconfig {running.directory / 'kubeconfig'} --context {CLUSTERS[0]} get serviceaccounts -A",
    ):
        teller.command(line)
    teller.pause()
    teller.say("Ctrl-C ends everything.")
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        teller.pause()


def _interrupt(number: int, frame: FrameType | None) -> None:
    for other in _SIGNALS:  # ending takes seconds, and must not be interrupted
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
