"""ServiceAccounts with hundreds of entries, most without a Secret, as platforms leave them behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.cluster import Cluster
from tests.e2e.fleet import Space, write_least_privileged
from tests.e2e.readiness import Place, found, judged
from tests.e2e.registry import known_registry
from tests.e2e.service import Service

LEGACY = {"kind": "kubernetes.io/dockercfg", "key": ".dockercfg"}
MOST_SECRETS = 5000
REMAINING = tuple(f"default-dockercfg-{number:05}" for number in range(800))


@pytest.fixture(scope="module")
def deep(
    tmp_path_factory: pytest.TempPathFactory, clusters: tuple[Cluster, ...], credentials: Path
) -> Iterator[Service]:
    """A service that may read the Secrets of others."""
    directory = tmp_path_factory.mktemp("long")
    role = "remediator-readiness-secrets"
    kubeconfig = write_least_privileged(directory / "kubeconfig", clusters, role)
    with known_registry(directory / "known") as environment:
        running = Service(directory, [kubeconfig], credentials, environment)
        yield running
        running.stop()


def test_hundreds_of_entries_without_a_secret_do_no_harm(deep: Service, space: Space) -> None:
    place = Place(space, REMAINING)
    for name in REMAINING[:5]:
        place.secret("{}", name=name, **LEGACY)
    place.workload()

    done = deep.remediate(clusters=["alpha"], namespaces=[place.name])
    place.pod()
    again = deep.remediate(clusters=["alpha"], namespaces=[place.name])

    assert (done.row(place.name)["outcome"], again.row(place.name)["outcome"]) == (
        "changed",
        "unchanged",
    )
    assert space.pull_secrets(place.name, "default") == [*REMAINING, "docker"]
    check = judged(deep, namespaces=[place.name])
    assert found(check, "P_COVERED")["coverage"] == "COVERED"
    assert found(check, "W_COVERED_SA")["coverage"] == "COVERED"
    assert check["verdict"] == "safe"


def test_what_lies_beyond_the_bound_of_secrets_is_named_as_such(
    deep: Service, space: Space
) -> None:
    names = tuple(f"gone-{number:05}" for number in range(MOST_SECRETS + 1))
    place = Place(space, (*names, "docker")).secret().workload()

    check = judged(deep, namespaces=[place.name])

    row = found(check, "W_UNKNOWN")
    assert (row["severity"], row["doubt"], check["verdict"]) == ("blocking", True, "unknown")
    assert f"Secret '{names[-1]}' was not read: one check reads 5000 Secrets" in row["explanation"]
    assert row["fix"].startswith("check fewer namespaces at once")
