"""Everything that the story is played on, and who ends it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli.client import ApiClient
from cli.demo.fleet import (
    CLUSTERS,
    fleet,
    public_registry,
    wait_until_running,
    write_fleet_kubeconfig,
)
from cli.demo.nodes import Nodes
from cli.demo.request import wait_until_known
from cli.demo.service import make_login, service, write_credential, write_registries
from cli.demo.teller import Teller
from cli.target import Target
from controlplane.build import binaries
from controlplane.cluster import Cluster
from controlplane.node import BINARIES, why_not
from controlplane.node_pull import Node
from controlplane.pull import Login
from controlplane.registry import Registry

_BINARIES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "registry",
    "keyring",
    "ctrpull",
    "pause",
)


@dataclass(frozen=True, slots=True)
class Stage:
    """The running parts: `shadow` shows today what the registry will be tomorrow, `puller` pulls as a node does."""

    directory: Path
    registry: Registry
    shadow: Registry
    login: Login = field(repr=False)
    clusters: Sequence[Cluster]
    nodes: Nodes
    puller: Node
    target: Target
    client: ApiClient

    def flip(self) -> None:
        """Make the registry private."""
        self.registry.restart(htpasswd={self.login.username: self.login.password})

    def unflip(self) -> None:
        """Make it public again."""
        self.registry.restart()


@contextmanager
def stage(directory: Path, port: int, teller: Teller) -> Iterator[Stage]:
    """Start everything, say so, and end it with the context. Raises CliError, BuildError, StartError, ApiError."""
    binaries(*_BINARIES, progress=lambda line: teller.say(f"{line} …"))
    if not why_not():
        binaries(*BINARIES, progress=lambda line: teller.say(f"{line} …"))
    teller.say(f"Clusters: {', '.join(CLUSTERS)}, each with its own etcd, API server and node …")
    login = make_login()
    with ExitStack() as stack:
        registry = stack.enter_context(public_registry(directory / "registry"))
        shadow = stack.enter_context(
            registry.shadow(directory / "shadow", htpasswd={login.username: login.password})
        )
        puller = stack.enter_context(Node.start(directory / "puller", plain_http=True))
        nodes = Nodes(directory / "nodes", registry.host)
        clusters = stack.enter_context(fleet(directory, registry.host, nodes.join))
        stack.callback(nodes.stop)
        wait_until_running(clusters)
        write_fleet_kubeconfig(directory / "kubeconfig", clusters)
        write_credential(directory / "credentials", registry.host, login, shadow.host)
        write_registries(directory / "registries.yaml", registry.host)
        target = stack.enter_context(
            service(
                directory,
                directory / "kubeconfig",
                directory / "credentials",
                directory / "registries.yaml",
                port,
            )
        )
        client = stack.enter_context(ApiClient(target))
        wait_until_known(client)
        yield Stage(directory, registry, shadow, login, clusters, nodes, puller, target, client)
        teller.say("Ending everything that was started …")
