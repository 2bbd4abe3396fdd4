"""Real control planes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from controlplane.build import binaries
from controlplane.cluster import ApiError, Cluster, StartError


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start("bare", tmp_path_factory.mktemp("bare")) as running:
        yield running


def test_the_admin_lists_namespaces(cluster: Cluster) -> None:
    names = _names(cluster.http.get("/api/v1/namespaces").json())

    assert {"default", "kube-system"} <= set(names)


def test_an_ordinary_account_may_do_what_it_is_bound_to_and_no_more(cluster: Cluster) -> None:
    cluster.apply(
        {"kind": "ServiceAccount", "metadata": {"name": "reader"}},
        {
            "kind": "Role",
            "metadata": {"name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
        },
        {
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "reader",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
        },
    )
    token = cluster.service_account_token("default", "reader")

    with cluster.client(token) as reader:
        _until(lambda: reader.get("/api/v1/namespaces/default/configmaps").is_success)
        assert reader.get("/api/v1/namespaces/default/secrets").status_code == 403
        assert reader.get("/api/v1/namespaces").status_code == 403


def test_keeps_no_trace_of_its_own_check(cluster: Cluster) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    for path in (f"{rbac}/clusterroles", f"{rbac}/clusterrolebindings", "/api/v1/serviceaccounts"):
        found = _names(cluster.http.get(path).json())
        assert not [name for name in found if "probe" in name]


def test_apply_creates_and_then_changes(cluster: Cluster) -> None:
    settings = {"kind": "ConfigMap", "metadata": {"name": "settings"}}

    cluster.apply({**settings, "data": {"size": "1"}})
    cluster.apply({**settings, "data": {"size": "2"}})

    found = cluster.http.get("/api/v1/namespaces/default/configmaps/settings").json()
    assert found["data"] == {"size": "2"}


def test_a_refused_secret_is_not_quoted(cluster: Cluster) -> None:
    bad = {"kind": "Secret", "metadata": {"name": "docker"}, "data": {"key": "not base64 hunter2"}}

    with pytest.raises(ApiError) as raised:
        cluster.apply(bad)

    assert "hunter2" not in str(raised.value)
    assert "/api/v1/namespaces/default/secrets/docker" in str(raised.value)


def test_an_unknown_kind_is_an_error(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="no path known for kind 'Widget'"):
        cluster.apply({"kind": "Widget", "metadata": {"name": "one"}})


def test_populates_namespaces_and_the_go_client_remediates_them(cluster: Cluster) -> None:
    names = cluster.populate(20, 3, "team-")

    work = _clientgo_bench(cluster, "team-")

    assert names[0] == "team-0000"
    assert work["namespaces"] == 20
    assert work["service_accounts"] == 60
    assert work["writes"] == 80
    for path in ("secrets/docker", "serviceaccounts/default", "serviceaccounts/account-2"):
        assert cluster.http.get(f"/api/v1/namespaces/team-0019/{path}").is_success
    account = cluster.http.get("/api/v1/namespaces/team-0019/serviceaccounts/default").json()
    assert account["imagePullSecrets"] == [{"name": "docker"}]
    assert _clientgo_bench(cluster, "team-")["writes"] == 0


def test_the_kubeconfig_is_private_and_works(cluster: Cluster) -> None:
    answer = subprocess.run(
        [binaries("kubectl")["kubectl"], "--kubeconfig", cluster.kubeconfig, "get", "ns", "-oname"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "namespace/default" in answer.stdout
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600


def test_stop_leaves_no_process_and_may_be_repeated(tmp_path: Path) -> None:
    cluster = Cluster.start("short", tmp_path / "short")
    pids = cluster.processes

    cluster.stop()
    cluster.stop()

    assert set(pids) == {"etcd", "kube-apiserver"}
    assert not [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()]


def test_several_start_at_once(tmp_path: Path) -> None:
    def start(name: str) -> Cluster:
        return Cluster.start(name, tmp_path / name)

    with ThreadPoolExecutor(3) as pool:
        clusters = list(pool.map(start, ["one", "two", "three"]))
    try:
        assert len({cluster.server for cluster in clusters}) == 3
        assert all(cluster.http.get("/api/v1/namespaces").is_success for cluster in clusters)
    finally:
        for cluster in clusters:
            cluster.stop()


def test_a_wrong_flag_is_an_error_with_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"kube-apiserver ended(.|\n)*unknown flag: --wrong"):
        Cluster.start("broken", tmp_path / "broken", flags=["--wrong"])

    running = [path for path in Path("/proc").glob("[0-9]*/cwd") if _links_to(path, tmp_path)]
    assert running == []


def test_a_deployment_runs_on_a_node(tmp_path: Path) -> None:
    options = {"app": "web"}
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": options},
            "template": {
                "metadata": {"labels": options},
                "spec": {
                    "containers": [{"name": "web", "image": "registry.test/web:1"}],
                    "initContainers": [
                        {"name": "first", "image": "registry.test/first:1"},
                        {
                            "name": "sidecar",
                            "image": "registry.test/s:1",
                            "restartPolicy": "Always",
                        },
                    ],
                },
            },
        },
    }
    with Cluster.start(
        "full", tmp_path / "full", controllers=True, scheduler=True, nodes=1
    ) as cluster:
        cluster.apply(deployment)

        path = "/apis/apps/v1/namespaces/default/deployments/web"
        _until(lambda: cluster.http.get(path).json()["status"].get("readyReplicas") == 2)

        pods = cluster.http.get("/api/v1/namespaces/default/pods").json()["items"]
        assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node-0"}
        statuses = [one["state"] for one in pods[0]["status"]["initContainerStatuses"]]
        assert [list(state) for state in statuses] == [["terminated"], ["running"]]

        cluster.http.delete(path, params={"propagationPolicy": "Foreground"})
        _until(lambda: not cluster.http.get("/api/v1/namespaces/default/pods").json()["items"])


def _clientgo_bench(cluster: Cluster, prefix: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            binaries("clientgo-bench")["clientgo-bench"],
            f"-kubeconfig={cluster.kubeconfig}",
            f"-context={cluster.name}",
            "-server=registry.test",
            f"-namespaces-prefix={prefix}",
        ],
        env=os.environ | {"BENCH_USERNAME": "robot", "BENCH_PASSWORD": "made-up"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    work: dict[str, Any] = json.loads(done.stdout)
    return work


def _names(listing: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in listing["items"]]


def _links_to(link: Path, directory: Path) -> bool:
    try:
        return link.readlink().is_relative_to(directory)
    except OSError:  # it ended, or belongs to somebody else
        return False


def _until(condition: Any, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
