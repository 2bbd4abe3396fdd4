"""Pods on a real node as the judge of pulls: the same questions as `node_pull`, answered by the kubelet itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

from controlplane import node_copies, node_told
from controlplane.build import Progress, say
from controlplane.cluster import Cluster
from controlplane.node import RealNode
from controlplane.node_copies import Asked, Copy, key
from controlplane.node_place import Place
from controlplane.node_pull import PodPull, images
from controlplane.part import Part
from controlplane.process import StartError
from controlplane.pull import Pull

Manifest = Mapping[str, Any]
_Question = tuple[int, str]

# As many pods at once: each is a sandbox and a container with their shim, in a second or less.
_AT_ONCE = 40


class JudgeNode(Part):
    """A real node in a cluster of its own; a context manager that ends both.

    What it is asked about is copied there: the cluster that is judged knows nothing of it.
    """

    def __init__(
        self,
        directory: Path,
        cluster: Cluster,
        node: RealNode,
        plain_http: bool,
        stack: ExitStack,
    ) -> None:
        """Use `JudgeNode.start` instead."""
        self._directory = directory
        self._cluster = cluster
        self._node = node
        self._plain_http = plain_http
        self._stack = stack
        self._asked = 0
        self._said: dict[_Question, list[str]] = {}
        self.pods = 0
        self.started = 0

    @classmethod
    def start(cls, directory: Path, *, plain_http: bool = False, progress: Progress = say) -> Self:
        """Start them with their logs in `directory`.

        `plain_http` is what the node is told of its registries. Raises as `RealNode.start`.
        """
        with ExitStack() as stack:
            cluster = stack.enter_context(Cluster.start("judge", directory / "judge"))
            node = stack.enter_context(
                RealNode.start(directory / "node", cluster, progress=progress)
            )
            return cls(directory, cluster, node, plain_http, stack.pop_all())

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
        if self._plain_http:
            for host in {one.image.partition("/")[0] for one in asked}:
                self._node.name_registry(host, f"http://{host}")
        place = self._place([one.pod for one in asked])
        place.hold(secrets)
        answers: dict[_Question, Pull] = {}
        self._said = {}
        # A busy kubelet drops events, so that an image without an answer is asked for once more.
        again = partial(node_copies.single, name="again")
        for copies in (node_copies.whole, node_copies.single, again):
            # What a whole pod does not come to, because something before it fails, a pod of its own does.
            left = [one for one in asked if (one.number, one.image) not in answers]
            answers |= self._told(place, copies(left, self._node.name, self._node.resting))
        silent = [one for one in asked if (one.number, one.image) not in answers]
        if silent:
            raise StartError(self._silence(silent))
        return [PodPull(*key(one.pod), answers[one.number, one.image]) for one in asked]

    def restart(
        self,
        pods: Iterable[Manifest],
        before: Iterable[Manifest],
        after: Iterable[Manifest],
        *,
        registry: str,
        public: str,
    ) -> list[PodPull]:
        """Return what becomes of the containers of running pods that start again after the flip.

        They start while the registry, as it is at `public` (host[:port]), lets in everyone, with the Secrets
        `before`; then it is what it is, the Secrets are those of `after`, and the containers are killed. This
        is done on a node that has no image yet, so that it has no more records of pulls than these pods make.
        What does not even start is left out. Raises StartError when the node does not answer.
        """
        pods = list(pods)
        place = self._place(pods)
        place.hold(before)
        name = f"restart-{self._asked}"
        with RealNode.start(self._directory / name, self._cluster, name=name) as node:
            node.name_registry(registry, f"http://{public}")
            copies = node_copies.running(pods, name, registry)
            told = place.run(copies, node_told.settled)
            copies = [one for one, events in told if node_told.started(one.body, events)]
            node.name_registry(registry, f"http://{registry}")
            place.hold(after)
            there = place.running(copies)
            place.forget()
            for one in copies:
                node.kill(there[one.namespace, one.name])
            told = place.told(copies, node_told.pulled)
        found = [(one, node_told.pulls(one.body, events)) for one, events in told]
        return [
            PodPull(*key(pods[one.number]), pulls[image])
            for one, pulls in found
            for image in one.images
        ]

    def _silence(self, silent: Sequence[Asked]) -> str:
        """Return what the node said, instead of what was asked, about the first of these."""
        first = silent[0]
        said = "; ".join(self._said.get((first.number, first.image), ())) or "no event"
        pod = "/".join(key(first.pod))
        return f"the node says nothing of {len(silent)} images, such as {first.image} of pod {pod}: {said}"

    def _place(self, pods: Sequence[Manifest]) -> Place:
        self._asked += 1
        return Place(self._cluster, f"asked-{self._asked}", pods)

    def _told(self, place: Place, copies: Sequence[Copy]) -> dict[_Question, Pull]:
        answers: dict[_Question, Pull] = {}
        for first in range(0, len(copies), _AT_ONCE):
            for copy, events in place.run(copies[first : first + _AT_ONCE], node_told.settled):
                self._said |= {
                    (copy.number, image): [
                        f"{event['reason']}: {event['message']}" for event in events
                    ]
                    for image in copy.images
                }
                self.pods += 1
                self.started += node_told.started(copy.body, events)
                found = node_told.pulls(copy.body, events)
                answers |= {
                    (copy.number, image): found[image] for image in copy.images if image in found
                }
            place.end()
        return answers
