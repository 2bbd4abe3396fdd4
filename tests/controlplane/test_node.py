"""A real node: pods run on it, several share a machine, and nothing of it is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from controlplane.cluster import Cluster
from controlplane.node import RealNode, Unavailable, why_not

ROOT = Path(__file__).parents[2]
SYSCTLS = [Path("/proc/sys", one) for one in ("kernel/panic", "vm/overcommit_memory")]
# A process that keeps a node until it is killed.
KEEPER = """
import sys, time
from pathlib import Path
from controlplane.cluster import Cluster
from controlplane.node import RealNode
with Cluster.start("kept", Path(sys.argv[1], "cluster")) as cluster:
    with RealNode.start(Path(sys.argv[1], "node"), cluster) as node:
        print(node.pid, flush=True)
        time.sleep(600)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := why_not():
        pytest.skip(f"no real node here: {reason}")
    with Cluster.start("life", tmp_path_factory.mktemp("cluster") / "life") as started:
        started.apply({"kind": "ServiceAccount", "metadata": {"name": "default"}})
        yield started


def test_two_share_a_machine_and_leave_nothing(cluster: Cluster, tmp_path: Path) -> None:
    before = [path.read_text() for path in SYSCTLS]
    with (
        RealNode.start(tmp_path / "one", cluster, name="one") as one,
        RealNode.start(tmp_path / "two", cluster, name="two") as two,
    ):
        pods = [start_pod(cluster, node) for node in (one, two)]
        assert [pod["spec"]["nodeName"] for pod in pods] == ["one", "two"]
        started = pods[0]["status"]["containerStatuses"][0]["containerID"]
        one.kill(pods[0])
        until(lambda: restarted(cluster, pods[0]), "start of the container after its death")
        assert container(read(cluster, pods[0]))["containerID"] != started
        pids = [one.pid, two.pid]
        assert [len(groups(pid)) > 0 for pid in pids] == [True, True]

    assert [left(pid) for pid in pids] == [[], []]
    assert [path.read_text() for path in SYSCTLS] == before
    assert not any("remediator" in line for line in mounts())
    # Of what the node wrote only its logs and what was written for it remain.
    assert list((tmp_path / "one" / "walls").iterdir()) == []

    with RealNode.start(tmp_path / "again", cluster, name="one") as again:
        start_pod(cluster, again)


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(f"no real node here: {reason}")
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert keeper.stdout
    pid = int(keeper.stdout.readline())
    members = below(pid)
    assert len(members) > 2
    keeper.send_signal(signal.SIGKILL)
    keeper.communicate(timeout=30)

    until(lambda: not alive([pid, *members]) or None, "end of the node")
    until(lambda: not groups(pid) or None, "end of its control groups")


def test_the_next_one_tidies_up_after_one_that_was_killed(cluster: Cluster, tmp_path: Path) -> None:
    with RealNode.start(tmp_path / "killed", cluster, name="killed") as node:
        start_pod(cluster, node)
        members = below(node.pid)
        os.kill(node.pid, signal.SIGKILL)
        until(lambda: not alive(members) or None, "end of the node")
    assert groups(node.pid) != []

    with RealNode.start(tmp_path / "next", cluster, name="next"):
        assert groups(node.pid) == []


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    cluster = Cluster("none", tmp_path)

    with pytest.raises(Unavailable, match="needs root"):
        RealNode.start(tmp_path, cluster)
    cluster.stop()


def test_without_the_right_to_mount_it_says_so() -> None:
    """As in a container that was not given it."""
    if reason := why_not() or ("" if shutil.which("setpriv") else "no setpriv to try it with"):
        pytest.skip(f"no real node here: {reason}")
    line = "from controlplane.node import why_not; print(why_not())"
    dropped = ["setpriv", "--bounding-set", "-sys_admin", sys.executable, "-c", line]
    told = subprocess.run(dropped, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "namespaces, mounts and control groups: unshare: Operation not permitted" in told


def start_pod(cluster: Cluster, node: RealNode) -> dict[str, Any]:
    """Run a pod with a network of its own, and return it when it runs."""
    spec = {
        "nodeName": node.name,
        "automountServiceAccountToken": False,
        "containers": [{"name": "app", "image": node.resting}],
    }
    body = {"metadata": {"generateName": f"{node.name}-"}, "spec": spec}
    answer = cluster.http.post("/api/v1/namespaces/default/pods", json=body)
    pod = answer.raise_for_status().json()
    until(lambda: runs(read(cluster, pod)) or None, f"running pod on {node.name}")
    return read(cluster, pod)


def read(cluster: Cluster, pod: dict[str, Any]) -> dict[str, Any]:
    path = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}"
    return dict(cluster.http.get(path).raise_for_status().json())


def container(pod: dict[str, Any]) -> dict[str, Any]:
    return dict((pod["status"].get("containerStatuses") or [{}])[0])


def runs(pod: dict[str, Any]) -> bool:
    return "running" in container(pod).get("state", {})


def restarted(cluster: Cluster, pod: dict[str, Any]) -> bool | None:
    found = read(cluster, pod)
    return (runs(found) and container(found)["restartCount"] == 1) or None


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 90
    while condition() is None:
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.05)


def below(pid: int) -> list[int]:
    """Return all that a process started, and what that started."""
    found = [pid]
    for parent in found:
        for entry in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in entry.read_text().split()]
    return found[1:]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def groups(pid: int) -> list[Path]:
    """Return the control groups of the node with this process."""
    while True:
        with suppress(FileNotFoundError):  # one was removed at this moment
            return list(Path("/sys/fs/cgroup").glob(f"**/remediator-node-{pid}"))


def left(pid: int) -> list[object]:
    return [*alive([pid]), *groups(pid)]


def mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()
