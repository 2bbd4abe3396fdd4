"""The story of the demo, told on the terminal."""

import signal
import tempfile
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.padding import Padding

from cli.client import ApiClient
from cli.demo.checks import Check, check, pod_uids
from cli.demo.fleet import (
    CLUSTERS,
    fleet,
    items,
    public_registry,
    wait_until_running,
    write_fleet_kubeconfig,
)
from cli.demo.request import REASON, request_body, wait_until_known
from cli.demo.service import CREDENTIAL, service, write_credential, write_registries
from cli.demo.workloads import RUNNING_PODS, STUBBORN
from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.follow import Interrupted, follow
from cli.request import BASE_PATH, JsonObject, post
from cli.summary import print_failures, print_remediation
from cli.target import Target
from controlplane.build import BuildError, binaries
from controlplane.cluster import ApiError, Cluster, StartError

_BINARIES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "registry",
)
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
    """See it work on two throwaway clusters.

    Starts two real Kubernetes control planes with running pods on this machine (the first time they are
    built, which takes some minutes), remediates them, and checks the outcome. Touches no other cluster.
    """
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="remediator-demo-") as directory:
        try:
            held = Story(Path(directory), Console(highlight=False)).tell(port, stay=not once)
        except (ApiError, BuildError, StartError) as error:
            raise CliError(str(error)) from error
        except (
            ModuleNotFoundError
        ) as error:  # its registry keeps passwords, which nothing else here does
            raise CliError(
                f"the demo needs the package {error.name}: it is in the extra 'demo'"
            ) from error
        except (KeyboardInterrupt, Interrupted) as error:
            text = "interrupted; all that was started has ended"
            raise CliError(text, ExitCode.INTERRUPTED) from error
    raise click.exceptions.Exit(ExitCode.SUCCEEDED if held else ExitCode.FAILED)


class Story:
    """One telling: where its files are and where it is told."""

    def __init__(self, directory: Path, console: Console) -> None:
        self._directory = directory
        self._console = console

    def tell(self, port: int, *, stay: bool) -> bool:
        """Tell it and return whether every check held; with `stay`, leave everything up until Ctrl-C."""
        self._build()
        self._chapter(f"Starting a registry and two clusters: {', '.join(CLUSTERS)}")
        self._say("Each has its own etcd, API server, controllers, scheduler and a node.")
        with (
            public_registry(self._directory / "registry") as registry,
            fleet(self._directory, registry.host) as clusters,
        ):
            wait_until_running(clusters)
            self._describe(clusters, registry.host)
            kubeconfig = self._directory / "kubeconfig"
            write_fleet_kubeconfig(kubeconfig, clusters)
            credentials = self._directory / "credentials"
            login = write_credential(credentials, registry.host)
            self._chapter("Starting the service")
            passwords = {login.username: login.password}
            with (
                registry.shadow(self._directory / "shadow", htpasswd=passwords) as shadow,
                service(
                    self._directory,
                    kubeconfig,
                    credentials,
                    port,
                    registries=write_registries(self._directory, registry.host, shadow.host),
                ) as target,
            ):
                self._say(
                    "A shadow of the registry asks for passwords already: the login is proven on it before anything"
                    " is written."
                )
                held = self._remediate(target, clusters, registry.host)
                if stay:
                    self._stay(target)
                self._say("Ending everything that was started …")
        return held

    def _build(self) -> None:
        self._chapter("Getting a Kubernetes control plane")
        binaries(*_BINARIES, progress=lambda line: self._say(f"{line} …"))
        self._say("It is there.")

    def _describe(self, clusters: list[Cluster], registry: str) -> None:
        for cluster in clusters:
            namespaces = len(items(cluster, "/api/v1/namespaces"))
            accounts = len(items(cluster, "/api/v1/serviceaccounts"))
            self._say(
                f"{cluster.name}: {namespaces} namespaces, {accounts} ServiceAccounts, {RUNNING_PODS} running pods."
            )
        self._say(
            f"Their images come from {registry}, which is public today and will be private tomorrow."
            " No pod has a pull secret for it."
        )

    def _remediate(self, target: Target, clusters: list[Cluster], registry: str) -> bool:
        with ApiClient(target) as client:
            wait_until_known(client)
            self._say(
                f"It serves {target.url} and knows both clusters and the login '{CREDENTIAL}'."
            )
            self._chapter("Putting the pull Secret in place")
            self._show_command(
                f"remediator run --clusters '*' --credential {CREDENTIAL} --reason '{REASON}'"
            )
            before = pod_uids(clusters)
            accepted = client.send(post("/remediations", request_body())).body
            remediation = follow(client, accepted)
            self._console.print()
            print_remediation(remediation)
            print_failures(client, remediation)
        self._chapter("Looking at the clusters themselves")
        checks = [
            Check("the remediation succeeded", remediation.get("status") == "succeeded"),
            Check("the login was proven at the registry first", _proven(remediation)),
            *check(clusters, before, registry),
        ]
        return self._show(checks)

    def _show(self, checks: list[Check]) -> bool:
        for item in checks:
            mark = "[green]✔[/]" if item.held else "[red]✘[/]"
            self._say(f"{mark} {item.claim}")
        held = all(item.held for item in checks)
        self._console.print()
        if held:
            stubborn = f"{STUBBORN.namespace}/{STUBBORN.name}"
            self._say(
                "Every pod that is created or replaced from now on pulls with the login, except those of"
                f" {stubborn}: its template has an imagePullSecrets list of its own, and then that of the"
                " ServiceAccount counts for nothing. Add the Secret to that list."
            )
            self._say(
                "The pods that run already were left alone: they get it when they are replaced,"
                " so do that before the registry goes private."
            )
        else:
            self._say("[red]Not everything held.[/]")
        return held

    def _stay(self, target: Target) -> None:
        self._chapter("Your turn")
        self._say(f"url    {target.url}")
        self._say(f"token  {target.token}")
        for line in (
            f"export REMEDIATOR_URL={target.url} REMEDIATOR_TOKEN={target.token}",
            "remediator list",
            f'curl -sS -H "Authorization: Bearer $REMEDIATOR_TOKEN" {target.url}{BASE_PATH}/remediations',
            f"kubectl --kubeconfig {self._directory / 'kubeconfig'} --context {CLUSTERS[0]} get serviceaccounts -A",
        ):
            self._show_command(line)
        self._console.print()
        self._say("Ctrl-C ends everything.")
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            self._console.print()

    def _show_command(self, line: str) -> None:
        # As it is: it will be copied, and must not be folded.
        self._console.print(f"  {line}", soft_wrap=True, markup=False)

    def _chapter(self, title: str) -> None:
        self._console.print(f"\n[bold cyan]{title}[/]")

    def _say(self, text: str) -> None:
        self._console.print(Padding(text, (0, 0, 0, 2), expand=False))


def _proven(remediation: JsonObject) -> bool:
    checks = [cluster.get("registry_check") or {} for cluster in remediation.get("clusters") or []]
    return bool(checks) and all(check.get("verdict") == "works" for check in checks)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for other in _SIGNALS:  # ending takes seconds, and must not be interrupted
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
