"""How long a run stands still when its process is killed: from `kill -9` to the next write for the same run.

A lease lasts 3 s and is renewed each second, so 2 to 3 s of it are left; what comes on top is ours. Nothing else is
wrong meanwhile; on a busy machine the figures say little.
"""

import statistics
import time
from pathlib import Path
from random import Random

from tests.chaos.faults import JOB_KILLED, PROCESS_KILLED, Harm
from tests.chaos.fleet import SECRET_NAMES, Fleet
from tests.chaos.installation import Installation
from tests.chaos.redis_server import RedisProxy, RedisServer
from tests.e2e.conftest import write_login
from tests.e2e.fleet import PASSWORD, REGISTRY, USERNAME
from tests.e2e.service import until


def test_bench_recovery(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_login(credentials / "harbor", REGISTRY, USERNAME, PASSWORD)
    rng = Random(0)
    took: list[float] = []
    with (
        Fleet(tmp_path, rng) as fleet,
        RedisServer() as redis,
        RedisProxy(redis.socket, rng) as proxy,
        Installation(tmp_path, fleet.kubeconfig, credentials, redis, proxy) as installation,
    ):
        harm = Harm(fleet, installation, redis, proxy, rng)
        fleet.reset(rng)
        for number, name in enumerate(SECRET_NAMES):
            kind = (JOB_KILLED, PROCESS_KILLED)[number % 2]
            took.append(_recovery(harm, name, kind))
            print(f"\n{kind}: {took[-1]:.2f} s")
    print(
        f"\nkill -9 to the next write: median {statistics.median(took):.2f}, most {max(took):.2f} s"
    )


def _recovery(harm: Harm, secret_name: str, kind: str) -> float:
    installation, way = harm.installation, harm.fleet.ways["alpha"]
    body = {"clusters": ["alpha"], "namespaces": ["c-*"], "credential": "harbor"}
    body |= {"secret_name": secret_name, "registry_check": "skip"}
    asked = installation.request("POST", "/remediations", json=body).raise_for_status().json()
    until(lambda: asked["id"] in way.writers(time.monotonic() - 0.5), "writes")
    time.sleep(harm.rng.uniform(0.0, 1.0))  # somewhere between two renewals
    fault = harm.begin(kind)
    assert fault
    assert fault.since
    since = fault.since
    until(lambda: way.next_write(asked["id"], since), "writes of another process")
    written = way.next_write(asked["id"], since)
    assert written
    installation.request("POST", f"/remediations/{asked['id']}/cancel").raise_for_status()
    path = f"/remediations/{asked['id']}"
    until(lambda: installation.request("GET", path).json()["terminal"], "end")
    return written - since
