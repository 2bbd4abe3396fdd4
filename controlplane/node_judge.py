"""Pods on a real node as the judge of pulls: the same questions as `node_pull`, answered by the kubelet itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from controlplane import node_copies, node_told
from controlplane.build import Progress, say
from controlplane.cluster import Cluster
from controlplane.node import RealNode
from controlplane.node_copies import Asked, Copy, key
from controlplane.node_pull import PodPull, images, pull_secrets
from controlplane.process import POLL, StartError
from controlplane.pull import Pull

Manifest = Mapping[str, Any]
_Question = tuple[int, str]

# As many pods at once: each is a sandbox and a container with their shim, in a second or less.
_AT_ONCE = 40
_PATIENCE = 120.0


class JudgeNode:
    """A real node in a cluster of its own; a context manager that ends both.

    What it is asked about is copied there: the cluster that is judged knows nothing of it.
    """

    def __init__(self, cluster: Cluster, node: RealNode, stack: ExitStack) -> None:
        """Use `JudgeNode.start` instead."""
        self._cluster = cluster
        self._node = node
        self._stack = stack
        self._asked = 0
        self.pods = 0
        self.started = 0

    @classmethod
    def start(
        cls, directory: Path, *, plain_http: Iterable[str] = (), progress: Progress = say
    ) -> Self:
        """Start them with their logs in `directory`; `plain_http` are registries without TLS.

        Raises as `RealNode.start`.
        """
        with ExitStack() as stack:
            cluster = stack.enter_context(Cluster.start("judge", directory / "judge"))
            node = stack.enter_context(
                RealNode.start(directory / "node", cluster, progress=progress)
            )
            for host in plain_http:
                node.name_registry(host, f"http://{host}")
            return cls(cluster, node, stack.pop_all())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End them. Harmless when already stopped."""
        self._stack.close()

    def pull(
        self, pods: Iterable[Manifest], secrets: Iterable[Manifest], *, registry: str | None = None
    ) -> list[PodPull]:
        """Start a copy of each pod on the node and return what the kubelet said of each image.

        As `node_pull.Node.pull`. Every image is pulled, whatever the pod's policy: what is on a real
        node already depends on what ran there before. Raises StartError when the node does not answer.
        """
        asked = [
            Asked(number, pod, image)
            for number, pod in enumerate(pods)
            for image in images(pod["spec"])
            if registry is None or image.startswith(f"{registry}/")
        ]
        places = self._places([one.pod for one in asked], secrets)
        answers: dict[_Question, Pull] = {}
        for copies in (node_copies.whole, node_copies.single):
            # What a whole pod does not come to, because something before it fails, a pod of its own does.
            left = [one for one in asked if (one.number, one.image) not in answers]
            answers |= self._told(copies(left, self._node.name, self._node.resting), places)
        return [PodPull(*key(one.pod), answers[one.number, one.image]) for one in asked]

    def _places(self, pods: Sequence[Manifest], secrets: Iterable[Manifest]) -> dict[str, str]:
        """Make a new namespace for each of the pods', with the Secrets that are named; return their names."""
        self._asked += 1
        held = {key(secret): secret for secret in secrets}
        named = {key(one): one for pod in pods for one in pull_secrets(pod, held)}
        namespaces = sorted({pod["metadata"]["namespace"] for pod in pods})
        places = {one: f"asked-{self._asked}-{number}" for number, one in enumerate(namespaces)}
        for place in places.values():
            self._make("/api/v1/namespaces", {"metadata": {"name": place}})
            # It names no Secret: a copy has what the pod has.
            account = {"metadata": {"name": "default"}}
            self._make(f"/api/v1/namespaces/{place}/serviceaccounts", account)
        for (namespace, name), secret in named.items():
            body = {
                "metadata": {"name": name},
                "type": secret.get("type", ""),
                "data": secret.get("data"),
            }
            self._make(f"/api/v1/namespaces/{places[namespace]}/secrets", body)
        return places

    def _told(self, copies: Sequence[Copy], places: Mapping[str, str]) -> dict[_Question, Pull]:
        answers: dict[_Question, Pull] = {}
        for first in range(0, len(copies), _AT_ONCE):
            some = copies[first : first + _AT_ONCE]
            for copy in some:
                self._make(_pods(places, copy), copy.body)
            for copy, events in self._settled(some, places):
                self.started += node_told.started(copy.body, events)
                self.pods += 1
                found = node_told.pulls(copy.body, events)
                answers |= {
                    (copy.number, image): found[image] for image in copy.images if image in found
                }
            for path in {_pods(places, copy) for copy in some}:
                self._cluster.http.delete(
                    path, params={"gracePeriodSeconds": "0"}
                ).raise_for_status()
        return answers

    def _settled(
        self, copies: Sequence[Copy], places: Mapping[str, str]
    ) -> list[tuple[Copy, list[Manifest]]]:
        """Return the events of each copy, once all have come as far as they come."""
        deadline = time.monotonic() + _PATIENCE
        namespaces = {places[copy.namespace] for copy in copies}
        while True:
            events = self._events(namespaces)
            told = [(one, events.get((places[one.namespace], one.name), [])) for one in copies]
            waiting = [one for one, events in told if not node_told.settled(one.body, events)]
            if not waiting:
                return told
            if time.monotonic() > deadline:
                names = ", ".join(f"{one.namespace}/{one.name}" for one in waiting[:5])
                raise StartError(f"the kubelet did not say what became of {names}")
            time.sleep(POLL)

    def _events(self, namespaces: Iterable[str]) -> dict[tuple[str, str], list[Manifest]]:
        found: dict[tuple[str, str], list[Manifest]] = {}
        for namespace in namespaces:
            answer = self._cluster.http.get(f"/api/v1/namespaces/{namespace}/events")
            for event in answer.raise_for_status().json()["items"]:
                place = namespace, event["involvedObject"]["name"]
                found.setdefault(place, []).append(event)
        return found

    def _make(self, path: str, body: Manifest) -> None:
        answer = self._cluster.http.post(path, json=body)
        if answer.is_error:
            # Of a Secret the server may quote what is in it.
            reason = "" if path.endswith("/secrets") else f": {answer.text[:500]}"
            raise StartError(f"POST {path}: {answer.status_code}{reason}")


def _pods(places: Mapping[str, str], copy: Copy) -> str:
    return f"/api/v1/namespaces/{places[copy.namespace]}/pods"
