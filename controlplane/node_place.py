"""Where copies of pods run on a real node: namespaces of their own, with the Secrets that the pods name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import httpx

from controlplane.cluster import Cluster
from controlplane.node_copies import Copy, key
from controlplane.node_pull import pull_secrets
from controlplane.process import POLL, StartError

Manifest = Mapping[str, Any]
Told = list[tuple[Copy, list[Manifest]]]

_PATIENCE = 120.0


class Place:
    """New namespaces on a cluster, one for each of those that pods are of.

    Their ServiceAccounts name no Secret: a copy has what its pod has.
    """

    def __init__(self, cluster: Cluster, prefix: str, pods: Sequence[Manifest]) -> None:
        """Make them for the pods. Raises StartError."""
        self._cluster = cluster
        self._pods = pods
        self._held: dict[tuple[str, str], Manifest] = {}
        namespaces = sorted({key(pod)[0] for pod in pods})
        self._spaces = {one: f"{prefix}-{number}" for number, one in enumerate(namespaces)}
        for space in self._spaces.values():
            self._make("/api/v1/namespaces", {"metadata": {"name": space}})
            account = {"metadata": {"name": "default"}}
            self._make(f"/api/v1/namespaces/{space}/serviceaccounts", account)

    def hold(self, secrets: Iterable[Manifest]) -> None:
        """Have the Secrets that the pods name as they are among these, and no others. Raises StartError."""
        there = {key(one): one for one in secrets}
        named = {key(one): one for pod in self._pods for one in pull_secrets(pod, there)}
        for one in [*self._held]:
            if one not in named or not _same(self._held[one], named[one]):
                self._delete(f"{self._path(one[0], 'secrets')}/{one[1]}")
                del self._held[one]
        for one, secret in named.items():
            content = {"type": secret.get("type", ""), "data": secret.get("data")}
            body = {"metadata": {"name": one[1]}, **content}
            if one not in self._held:
                self._make(self._path(one[0], "secrets"), body)
            elif self._held[one].get("data") != secret.get("data"):
                # The same object with another content, as the kubelet tells them apart.
                self._change(f"{self._path(one[0], 'secrets')}/{one[1]}", body)
            self._held[one] = secret

    def run(self, copies: Sequence[Copy], done: Callable[[Manifest, list[Manifest]], bool]) -> Told:
        """Start copies and return each with its events, once all are `done`. Raises StartError."""
        for one in copies:
            self._make(self._path(one.namespace, "pods"), one.body)
        return self.told(copies, done)

    def told(
        self, copies: Sequence[Copy], done: Callable[[Manifest, list[Manifest]], bool]
    ) -> Told:
        """Return each copy with its events, once all are `done`. Raises StartError."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            events = self._events()
            told = [(one, events.get((one.namespace, one.name), [])) for one in copies]
            if not (waiting := [one for one, events in told if not done(one.body, events)]):
                return told
            _wait(waiting, deadline)

    def running(self, copies: Sequence[Copy]) -> dict[tuple[str, str], Manifest]:
        """Return copies, by the namespace of their pod and their name, once the API says that they run."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            there = {
                (namespace, body["metadata"]["name"]): body
                for namespace in self._spaces
                for body in self._listed(namespace, "pods")
            }
            if not (
                waiting := [one for one in copies if not _runs(there[one.namespace, one.name])]
            ):
                return there
            _wait(waiting, deadline)

    def forget(self) -> None:
        """Delete the events."""
        for namespace in self._spaces:
            self._delete(self._path(namespace, "events"))

    def end(self) -> None:
        """Delete the copies."""
        for namespace in self._spaces:
            self._delete(self._path(namespace, "pods"))

    def _events(self) -> dict[tuple[str, str], list[Manifest]]:
        found: dict[tuple[str, str], list[Manifest]] = {}
        for namespace in self._spaces:
            for event in self._listed(namespace, "events"):
                name = event["involvedObject"]["name"]
                found.setdefault((namespace, name), []).append(event)
        return found

    def _listed(self, namespace: str, resource: str) -> list[Manifest]:
        answer = self._cluster.http.get(self._path(namespace, resource))
        return list(answer.raise_for_status().json()["items"])

    def _path(self, namespace: str, resource: str) -> str:
        return f"/api/v1/namespaces/{self._spaces[namespace]}/{resource}"

    def _delete(self, path: str) -> None:
        now = {"gracePeriodSeconds": "0"}
        self._cluster.http.delete(path, params=now).raise_for_status()

    def _make(self, path: str, body: Manifest) -> None:
        self._checked(self._cluster.http.post(path, json=body), f"POST {path}")

    def _change(self, path: str, body: Manifest) -> None:
        self._checked(self._cluster.http.put(path, json=body), f"PUT {path}")

    def _checked(self, answer: httpx.Response, what: str) -> None:
        if answer.is_error:
            # Of a Secret the server may quote what is in it.
            reason = "" if "/secrets" in what else f": {answer.text[:500]}"
            raise StartError(f"{what}: {answer.status_code}{reason}")


def _same(one: Manifest, other: Manifest) -> bool:
    """Whether they are one object, whatever it holds."""
    return bool(one["metadata"].get("uid") == other["metadata"].get("uid"))


def _runs(pod: Manifest) -> bool:
    return all(
        "running" in one.get("state", ()) for one in pod["status"].get("containerStatuses") or [{}]
    )


def _wait(waiting: Sequence[Copy], deadline: float) -> None:
    if time.monotonic() > deadline:
        names = ", ".join(f"{one.namespace}/{one.name}" for one in waiting[:5])
        raise StartError(f"the kubelet did not say what became of {names}")
    time.sleep(POLL)
