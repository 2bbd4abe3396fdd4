"""Many namespaces at once: killed in the middle, or cancelled, retried and undone.

LARGE_NAMESPACES says how many; `make test LARGE_NAMESPACES=1000 ARGS="tests/e2e/test_large.py -s"` takes a thousand and
prints how long it took.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.cluster import Cluster
from tests.chaos.installation import descendants, kill
from tests.e2e.fleet import Space, write_least_privileged
from tests.e2e.service import Service, until
from tests.e2e.test_retry_and_undo import follow_up, objects

NAMESPACES = int(os.environ.get("LARGE_NAMESPACES", "150"))
ACCOUNTS = ("default", "account-1", "account-2")
# One namespace after the other, so that the middle is met however fast the machine is.
ENVIRONMENT = {"REMEDIATOR_CONCURRENCY": "1"}


class Large:
    """A service that can be started again, and namespaces enough."""

    def __init__(self, directory: Path, space: Space, credentials: Path) -> None:
        cluster = space.clusters[0]
        self.names = cluster.populate(NAMESPACES, len(ACCOUNTS), space.prefix)
        self.space = space
        self._directory = directory
        self._credentials = credentials
        self._kubeconfig = write_least_privileged(directory / "kubeconfig", [cluster])
        self.start()

    def start(self) -> None:
        """Start the service, or start it again on its data directory."""
        self.service = Service(
            self._directory / "up", [self._kubeconfig], self._credentials, ENVIRONMENT
        )

    def half_done(self) -> str:
        """Ask for a remediation of all namespaces; return its id when about half of them are done."""
        answer = self.service.post(clusters=["alpha"], namespaces=[self.space.pattern])
        remediation_id = str(answer.json()["id"])
        until(lambda: self._changed(remediation_id) >= NAMESPACES // 2, "half of it", 600)
        return remediation_id

    def _changed(self, remediation_id: str) -> int:
        body = self.service.http.get(f"/remediations/{remediation_id}").json()
        return int(body["summary"]["namespaces"]["changed"])


@pytest.fixture
def large(
    tmp_path: Path, clusters: tuple[Cluster, ...], space: Space, credentials: Path
) -> Iterator[Large]:
    large = Large(tmp_path, space, credentials)
    yield large
    large.service.stop()


@pytest.mark.timeout(1800)
def test_everything_killed_in_the_middle_goes_on_at_the_next_start(large: Large) -> None:
    remediation_id = large.half_done()

    killed = time.monotonic()
    for pid in descendants(large.service.process.pid):
        kill(pid)
    large.service.stop()
    large.start()
    done = large.service.wait(remediation_id)
    took = time.monotonic() - killed

    assert done.status == "succeeded", done.body
    assert done.clusters["alpha"]["attempt"] >= 2
    assert done.outcomes() == dict.fromkeys(large.names, "changed")
    assert len(done.rows) == NAMESPACES
    sums = dict.fromkeys(done.summary["namespaces"], 0)
    sums |= dict.fromkeys(("total", "done", "changed"), NAMESPACES)
    assert done.summary["namespaces"] == sums
    assert done.summary["service_accounts"]["changed"] == len(ACCOUNTS) * NAMESPACES
    assert done.summary["secrets"]["created"] == NAMESPACES
    lists = large.space.get("serviceaccounts")["items"]
    own = [each for each in lists if each["metadata"]["namespace"].startswith(large.space.prefix)]
    assert len(own) == len(ACCOUNTS) * NAMESPACES
    assert all(each["imagePullSecrets"] == [{"name": "docker"}] for each in own)
    print(f"\n{NAMESPACES} namespaces, all killed at half: ended {took:.1f} s after it")  # noqa: T201


@pytest.mark.timeout(1800)
def test_cancelled_retried_and_undone_the_cluster_is_as_before(large: Large) -> None:
    before = objects(large.space)
    remediation_id = large.half_done()

    asked = time.monotonic()
    large.service.http.post(f"/remediations/{remediation_id}/cancel").raise_for_status()
    first = large.service.wait(remediation_id)
    cancelled = time.monotonic()
    retry = follow_up(large.service, remediation_id, "retry")
    retried = time.monotonic()

    assert first.status == "cancelled"
    assert set(first.outcomes().values()) == {"changed", "cancelled"}
    left = {name for name, outcome in first.outcomes().items() if outcome == "cancelled"}
    assert set(first.outcomes()) == set(large.names)
    assert retry.status == "succeeded"
    assert retry.outcomes() == dict.fromkeys(sorted(left), "changed")
    assert objects(large.space) != before

    undoing = time.monotonic()
    undos = [follow_up(large.service, each, "undo") for each in (retry.body["id"], remediation_id)]
    undone = time.monotonic()

    assert [undo.status for undo in undos] == ["succeeded", "succeeded"]
    assert sum(undo.summary["secrets"]["deleted"] for undo in undos) == NAMESPACES
    assert objects(large.space) == before
    print(  # noqa: T201
        f"\n{NAMESPACES} namespaces: cancelled in {cancelled - asked:.1f} s, {len(left)} of them retried in "
        f"{retried - cancelled:.1f} s, undone in {undone - undoing:.1f} s"
    )
