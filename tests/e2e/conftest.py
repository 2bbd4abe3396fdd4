"""Real clusters and a running service, shared by the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.cluster import Cluster
from tests.e2e.custom import DEEP
from tests.e2e.fleet import PASSWORD, REGISTRY, USERNAME, Space, write_least_privileged
from tests.e2e.registry import known_registry
from tests.e2e.service import Service


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, ...]]:
    """Two control planes without controllers: nothing happens but what a test does."""
    directory = tmp_path_factory.mktemp("clusters")
    with (
        Cluster.start("alpha", directory / "alpha") as alpha,
        Cluster.start("beta", directory / "beta") as beta,
    ):
        yield alpha, beta


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A credentials folder with one good credential and a broken one."""
    folder = tmp_path_factory.mktemp("credentials")
    write_login(folder / "harbor", REGISTRY, USERNAME, PASSWORD)
    write_login(folder / "broken", "No Registry", USERNAME, PASSWORD)
    return folder


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, clusters: tuple[Cluster, ...], credentials: Path
) -> Iterator[Service]:
    """The service on the two clusters, with no more rights than the documented ones."""
    directory = tmp_path_factory.mktemp("service")
    kubeconfig = write_least_privileged(directory / "kubeconfig", clusters)
    with known_registry(directory / "known") as environment:
        running = Service(directory, [kubeconfig], credentials, environment)
        yield running
        running.stop()


@pytest.fixture(scope="session")
def deep(
    tmp_path_factory: pytest.TempPathFactory, clusters: tuple[Cluster, ...], credentials: Path
) -> Iterator[Service]:
    """A service that may read other Secrets and ask for admission."""
    directory = tmp_path_factory.mktemp("deep")
    kubeconfig = write_least_privileged(directory / "kubeconfig", clusters, *DEEP)
    with known_registry(directory / "known") as environment:
        running = Service(directory, [kubeconfig], credentials, environment)
        yield running
        running.stop()


@pytest.fixture
def space(clusters: tuple[Cluster, ...]) -> Space:
    """A name prefix of this test's own."""
    return Space(clusters)


def write_login(entry: Path, registry: str, username: str, password: str) -> None:
    """Write a credential as three files. It appears as a whole: a worker may look at any moment."""
    hidden = entry.with_name(f".{entry.name}")
    hidden.mkdir()
    for name, value in (("registry", registry), ("username", username), ("password", password)):
        (hidden / name).write_text(value)
    hidden.rename(entry)
