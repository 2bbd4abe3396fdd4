"""A readiness check of a large cluster: how long it takes, and how much memory the worker needs for it."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from controlplane.cluster import Cluster
from tests.e2e.conftest import write_login
from tests.e2e.fleet import PASSWORD, REGISTRY, USERNAME
from tests.e2e.processes import workers_below
from tests.e2e.service import Service

NAMESPACES, ACCOUNTS, WORKLOADS, PODS = 1000, 5, 2, 10
WRITERS = 16


def test_bench_readiness_of_10000_pods(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_login(credentials / "harbor", REGISTRY, USERNAME, PASSWORD)
    with Cluster.start("bench", tmp_path / "cluster") as cluster:
        started = time.perf_counter()
        cluster.populate(NAMESPACES, ACCOUNTS, "big-")
        _fill(cluster)
        print(f"\nfilled in {time.perf_counter() - started:.0f} s")
        service = Service(tmp_path / "service", [cluster.kubeconfig], credentials)
        try:
            for _ in range(3):
                _check(service)
            service.remediate(clusters=["bench"])
            _check(service)
        finally:
            service.stop()


def _check(service: Service) -> None:
    ended = threading.Event()
    peaks: list[int] = []
    watch = threading.Thread(target=_watch, args=(service, ended, peaks))
    watch.start()
    started = time.perf_counter()
    body = {"clusters": ["bench"], "registry": REGISTRY, "credential": "harbor", "evidence": "L0"}
    check = service.http.post("/readiness-checks", params={"wait": "60"}, json=body).json()
    seconds = time.perf_counter() - started
    ended.set()
    watch.join()
    assert check["terminal"]
    assert check["clusters"][0]["status"] == "succeeded", check["clusters"]
    rows = check["summary"]["classes"]
    print(f"{check['verdict']} in {seconds:.1f} s, peak {max(peaks) // 1024} MB: {rows}")


def _watch(service: Service, ended: threading.Event, peaks: list[int]) -> None:
    """Note the largest resident set (KiB) of any process of the worker."""
    while not ended.is_set():
        for pid in workers_below(service.process.pid):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
            peaks += map(int, found)
        time.sleep(0.05)


def _fill(cluster: Cluster) -> None:
    context = cluster.context
    names = [name for name in _names(cluster) if name.startswith("big-")]
    with ThreadPoolExecutor(WRITERS) as pool:
        chunks = [names[start::WRITERS] for start in range(WRITERS)]
        list(pool.map(lambda chunk: _fill_some(context, chunk), chunks))


def _names(cluster: Cluster) -> Iterator[str]:
    for item in cluster.http.get("/api/v1/namespaces").json()["items"]:
        yield item["metadata"]["name"]


def _fill_some(context: Any, names: list[str]) -> None:
    connection = http.client.HTTPSConnection(
        urlsplit(context.server).netloc,
        timeout=120,
        context=ssl.create_default_context(cafile=str(context.ca_file)),
    )
    headers = {"Authorization": f"Bearer {context.token}", "Content-Type": "application/json"}

    def create(path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == http.client.CREATED, text[:300]
        return dict(json.loads(text))

    for name in names:
        accounts = [item["metadata"]["name"] for item in _accounts(connection, headers, name)]
        for number in range(WORKLOADS):
            containers = [{"name": "main", "image": f"{REGISTRY}/team/app-{number}:1"}]
            labels = {"app": f"web-{number}"}
            spec = {"containers": containers, "serviceAccountName": accounts[number]}
            template = {"metadata": {"labels": labels}, "spec": spec}
            made = create(
                f"/apis/apps/v1/namespaces/{name}/statefulsets",
                {
                    "metadata": {"name": f"web-{number}"},
                    "spec": {
                        "replicas": PODS // WORKLOADS,
                        "selector": {"matchLabels": labels},
                        "template": template,
                    },
                },
            )
            owner = {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "name": f"web-{number}",
                "uid": made["metadata"]["uid"],
                "controller": True,
            }
            for pod in range(PODS // WORKLOADS):
                metadata = {
                    "name": f"web-{number}-{pod}",
                    "labels": labels,
                    "ownerReferences": [owner],
                }
                path = f"/api/v1/namespaces/{name}/pods"
                create(path, {"metadata": metadata, "spec": spec | {"nodeName": "node-0"}})
    connection.close()


def _accounts(
    connection: http.client.HTTPSConnection, headers: dict[str, str], name: str
) -> list[dict[str, Any]]:
    connection.request("GET", f"/api/v1/namespaces/{name}/serviceaccounts", headers=headers)
    return list(json.loads(connection.getresponse().read())["items"])
