"""Two real clusters behind bad ways, and what is in them before and after an episode."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

import yaml

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.chaos.way import Way
from tests.e2e.fleet import ACCESS, docker_config, grant_least_privilege

CLUSTERS = ("alpha", "beta")
NAMESPACES = tuple(f"c-{number:04d}" for number in range(70))
# Opted out by their annotation.
EXCLUDED = frozenset(NAMESPACES[5::23])
ACCOUNTS = ("default", "account-1", "account-2")
SECRET_NAMES = tuple(f"pull-{number}" for number in range(10))
_THEIR_SECRETS = 6
_HAVE_ENTRIES = 0.3
_HAVE_OURS = 0.03
_HANDS = 8
_MERGE = {"Content-Type": "application/merge-patch+json"}

Place = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A pull Secret as it is in a cluster; `remediation` is what its annotation names."""

    config: Any
    ours: bool
    remediation: str | None


@dataclass
class Content:
    """What is in a cluster: the Secrets, and the names in the imagePullSecrets of each ServiceAccount."""

    secrets: dict[Place, Secret] = field(default_factory=dict)
    entries: dict[Place, list[str]] = field(default_factory=dict)


class Fleet:
    """The clusters; a context manager."""

    def __init__(self, directory: Path, rng: Random) -> None:
        self._directory = directory
        self._rng = rng
        self._stack = ExitStack()
        self.clusters: dict[str, Cluster] = {}
        self.ways: dict[str, Way] = {}
        self.kubeconfig = directory / "kubeconfig"

    def __enter__(self) -> Fleet:
        with ExitStack() as stack:
            with ThreadPoolExecutor() as pool:
                started = [pool.submit(_start, name, self._directory / name) for name in CLUSTERS]
            for name, future in zip(CLUSTERS, started, strict=True):
                cluster = self.clusters[name] = stack.enter_context(future.result())
                way = self.ways[name] = Way(cluster, Random(f"{self._rng.random()}"))
                stack.enter_context(way)
            contexts = {
                name: ContextSpec(self.ways[name].server, cluster.ca_file, _grant(cluster))
                for name, cluster in self.clusters.items()
            }
            write_kubeconfig(self.kubeconfig, contexts)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def reset(self, rng: Random) -> dict[str, Content]:
        """Remove what was done and put in what other people have; return it."""
        return {name: self._reset(cluster, rng) for name, cluster in self.clusters.items()}

    def read(self, cluster: str) -> Content:
        """Return what is in a cluster now."""
        http = self.clusters[cluster].http
        content = Content()
        for item in http.get("/api/v1/secrets").raise_for_status().json()["items"]:
            meta = item["metadata"]
            if meta["name"] in SECRET_NAMES:
                data = base64.b64decode(item["data"][".dockerconfigjson"])
                content.secrets[meta["namespace"], meta["name"]] = Secret(
                    json.loads(data),
                    meta.get("labels", {}).get("app.kubernetes.io/managed-by") == "remediator",
                    meta.get("annotations", {}).get("remediator.dev/remediation"),
                )
        for item in http.get("/api/v1/serviceaccounts").raise_for_status().json()["items"]:
            meta = item["metadata"]
            if meta["namespace"] in NAMESPACES:
                names = [entry["name"] for entry in item.get("imagePullSecrets", [])]
                content.entries[meta["namespace"], meta["name"]] = names
        return content

    def _reset(self, cluster: Cluster, rng: Random) -> Content:
        content = Content()
        for namespace in NAMESPACES:
            for account in ACCOUNTS:
                entries = [f"theirs-{n}" for n in range(2) if rng.random() < _HAVE_ENTRIES]
                entries += [name for name in SECRET_NAMES if rng.random() < _HAVE_OURS]
                content.entries[namespace, account] = entries
        free = [name for name in NAMESPACES if name not in EXCLUDED]
        places = [(namespace, name) for namespace in free for name in SECRET_NAMES]
        for place in rng.sample(places, _THEIR_SECRETS):
            content.secrets[place] = Secret(docker_config("their.example.com"), False, None)

        _side_by_side(NAMESPACES, lambda namespace: _clear(cluster, namespace))
        _side_by_side(content.entries.items(), lambda entry: _set_entries(cluster, *entry))
        _side_by_side(content.secrets.items(), lambda entry: _make(cluster, *entry))
        return content


def _start(name: str, directory: Path) -> Cluster:
    cluster = Cluster.start(name, directory)
    try:
        assert cluster.populate(len(NAMESPACES), len(ACCOUNTS), "c-") == list(NAMESPACES)
        for namespace in EXCLUDED:
            metadata = {"name": namespace, "annotations": {"remediator.dev/exclude": "true"}}
            cluster.apply({"kind": "Namespace", "metadata": metadata})
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _grant(cluster: Cluster) -> str:
    """Give the worker's account the documented rules for our Secrets' names; return its token."""
    token = grant_least_privilege(cluster)
    role = yaml.safe_load(ACCESS.read_text())
    for rule in role["rules"]:
        if "resourceNames" in rule:
            rule["resourceNames"] = list(SECRET_NAMES)
    cluster.apply(role)
    return token


def _side_by_side(items: Iterable[Any], do: Callable[[Any], None]) -> None:
    with ThreadPoolExecutor(_HANDS) as hands:
        list(hands.map(do, items))


def _clear(cluster: Cluster, namespace: str) -> None:
    cluster.http.delete(f"/api/v1/namespaces/{namespace}/secrets").raise_for_status()


def _set_entries(cluster: Cluster, place: Place, entries: list[str]) -> None:
    path = f"/api/v1/namespaces/{place[0]}/serviceaccounts/{place[1]}"
    body = {"imagePullSecrets": [{"name": name} for name in entries]}
    cluster.http.patch(path, json=body, headers=_MERGE).raise_for_status()


def _make(cluster: Cluster, place: Place, secret: Secret) -> None:
    data = {".dockerconfigjson": base64.b64encode(json.dumps(secret.config).encode()).decode()}
    body = {
        "metadata": {"name": place[1]},
        "type": "kubernetes.io/dockerconfigjson",
        "data": data,
    }
    path = f"/api/v1/namespaces/{place[0]}/secrets"
    cluster.http.post(path, json=body).raise_for_status()


class Others:
    """Somebody else who appends to, and removes from, imagePullSecrets: only what is as it was read.

    `expected` are the entries that must be there at the end, in order, ours left out.
    """

    def __init__(self, cluster: Cluster, content: Content, rng: Random) -> None:
        self._cluster = cluster
        self._rng = rng
        self._number = 0
        self.written = 0
        self.expected: defaultdict[Place, list[str]] = defaultdict(list)
        for place, entries in content.entries.items():
            self.expected[place] = not_ours(entries)

    def step(self) -> float:
        """Change one ServiceAccount; return how long to wait."""
        rng = self._rng
        namespace, account = rng.choice(NAMESPACES), rng.choice(ACCOUNTS)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}"
        there = self._cluster.http.get(path).raise_for_status().json()
        entries = [entry["name"] for entry in there.get("imagePullSecrets", [])]
        foreign = not_ours(entries)
        if foreign and rng.random() < 0.2:
            entries.remove(rng.choice(foreign))
        else:
            self._number += 1
            entries.append(f"foreign-{self._number}")
        body = {
            "metadata": {"resourceVersion": there["metadata"]["resourceVersion"]},
            "imagePullSecrets": [{"name": name} for name in entries],
        }
        answer = self._cluster.http.patch(path, json=body, headers=_MERGE)
        if answer.status_code != 409:  # somebody was faster: another time
            answer.raise_for_status()
            self.expected[namespace, account] = not_ours(entries)
            self.written += 1
        return rng.uniform(0.02, 0.12)


def not_ours(entries: list[str]) -> list[str]:
    """Return the entries that the service has no business with."""
    return [name for name in entries if name not in SECRET_NAMES]
