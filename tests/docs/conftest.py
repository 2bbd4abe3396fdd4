"""Clusters and a running service for the examples, as the documentation imagines them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.cluster import Cluster
from tests.e2e.conftest import write_login
from tests.e2e.fleet import PASSWORD, REGISTRY, USERNAME, write_least_privileged
from tests.e2e.registry import known_registry
from tests.e2e.service import Service, own_environment

ACCOUNTS = {
    "payments": ("default", "api"),
    "checkout": ("default",),
    "search": ("default", "indexer"),
}


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, ...]]:
    """Start the two clusters that the examples name, with a few teams' namespaces."""
    directory = tmp_path_factory.mktemp("documented-clusters")
    with (
        Cluster.start("eu-prod", directory / "eu-prod") as eu,
        Cluster.start("us-prod", directory / "us-prod") as us,
    ):
        for cluster in (eu, us):
            for namespace, accounts in ACCOUNTS.items():
                cluster.apply({"kind": "Namespace", "metadata": {"name": namespace}})
                for account in accounts:
                    metadata = {"name": account, "namespace": namespace}
                    cluster.apply({"kind": "ServiceAccount", "metadata": metadata})
        yield eu, us


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, clusters: tuple[Cluster, ...]
) -> Iterator[Service]:
    """Start the service as the README says, with the credentials in the data directory."""
    directory = tmp_path_factory.mktemp("documented-service")
    credentials = directory / "data" / "credentials"
    credentials.mkdir(parents=True)
    # There from the start: what an example writes there is announced only two seconds later.
    write_login(credentials / "harbor", REGISTRY, USERNAME, PASSWORD)
    kubeconfig = write_least_privileged(directory / "kubeconfig", clusters)
    with known_registry(directory / "known") as environment:
        running = Service(directory, [kubeconfig], credentials, environment)
        yield running
        running.stop()


@pytest.fixture
def reader(tmp_path: Path, service: Service) -> dict[str, str]:
    """Return the environment of a reader who has started `up` on the default data directory."""
    home = tmp_path / "home"
    default = home / ".local" / "share" / "remediator"
    default.parent.mkdir(parents=True)
    default.symlink_to(service.directory / "data")
    environment = {
        name: value for name, value in own_environment().items() if not name.startswith("XDG_")
    }
    commands = Path(sys.executable).parent
    return environment | {
        "HOME": str(home),
        "PATH": os.pathsep.join((str(commands), environment["PATH"])),
        "NO_COLOR": "1",
    }
