"""The whole main job against the practical limit: client-go without a rate limit on the same server.

Machines are noisy: read the ratio, not the seconds. Both sides do the same work on the same namespaces under other
Secret names, in turn, so that neither has the quieter half.
"""

import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from controlplane.build import binaries
from controlplane.cluster import Cluster
from tests.e2e.conftest import write_login
from tests.e2e.fleet import PASSWORD, REGISTRY, USERNAME
from tests.e2e.service import Service

NAMESPACES, ACCOUNTS, ROUNDS = 1000, 5, 3
SMALL_NAMESPACES, SMALL_ACCOUNTS = 97, 4


def test_bench_1000_namespaces_with_5000_accounts(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_login(credentials / "harbor", REGISTRY, USERNAME, PASSWORD)
    tool = binaries("clientgo-bench")["clientgo-bench"]
    with Cluster.start("bench", tmp_path / "cluster") as cluster:
        cluster.populate(NAMESPACES, ACCOUNTS, "big-")
        cluster.populate(SMALL_NAMESPACES, SMALL_ACCOUNTS, "small-")
        service = Service(tmp_path / "service", [cluster.kubeconfig], credentials)
        try:
            ratios = [_round(service, cluster, tool, number) for number in range(ROUNDS)]
            small = _ours(service, "small-*", "bench-small")
            again = _ours(service, "big-*", "bench-ours-0")
        finally:
            service.stop()
    print(f"\nratio to client-go: median {statistics.median(ratios):.2f} of {sorted(ratios)}")
    print(f"{SMALL_NAMESPACES} namespaces with {SMALL_ACCOUNTS} accounts each: {small:.2f} s")
    print(f"{NAMESPACES} namespaces with nothing to do: {again:.2f} s")


def _round(service: Service, cluster: Cluster, tool: Path, number: int) -> float:
    sides = [
        lambda: _client_go(cluster, tool, f"bench-go-{number}"),
        lambda: _ours(service, "big-*", f"bench-ours-{number}"),
    ]
    order = (0, 1) if number % 2 == 0 else (1, 0)
    seconds = {side: sides[side]() for side in order}
    ratio = round(seconds[1] / seconds[0], 2)
    print(f"\nround {number}: client-go {seconds[0]:.2f} s, ours {seconds[1]:.2f} s, ratio {ratio}")
    return ratio


def _client_go(cluster: Cluster, tool: Path, name: str) -> float:
    answer = subprocess.run(
        [
            tool,
            *("-kubeconfig", cluster.kubeconfig),
            *("-context", cluster.name),
            *("-secret-name", name),
            *("-server", REGISTRY),
            *("-namespaces-prefix", "big-"),
            *("-workers", "32"),
        ],
        env=os.environ | {"BENCH_USERNAME": USERNAME, "BENCH_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    result = json.loads(answer.stdout)
    assert result["namespaces"] == NAMESPACES
    assert result["writes"] == NAMESPACES * (ACCOUNTS + 1)
    return float(result["seconds"])


def _ours(service: Service, pattern: str, name: str) -> float:
    """Return the seconds from the POST to the end, as `remediator run` sees them."""
    started = time.perf_counter()
    run = service.cli(
        *("run", "--clusters", "bench", "--namespaces", pattern, "--credential", "harbor"),
        *("--secret-name", name, "--registry-check", "skip", "--no-readiness", "-o", "json"),
    )
    seconds = time.perf_counter() - started
    assert run.returncode == 0, run.stderr
    return seconds
