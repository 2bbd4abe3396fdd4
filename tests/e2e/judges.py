"""Who judges the pulls of random clusters: the puller, or a real kubelet with the puller beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.build import binaries
from controlplane.image import Image, program_image, tiny_image
from controlplane.node_judge import JudgeNode
from controlplane.node_pull import Node, PodPull
from tests.e2e.day_after import Judge
from tests.e2e.random_parts import Manifest

# With `make safety NODE=real` a machine that allows no real node fails: nothing else was asked for.
REAL = os.environ.get("SAFETY_NODE") == "real"


@dataclass
class Heard:
    """What the judges said, over all of them."""

    pods: int = 0
    started: int = 0
    pulls: int = 0
    restarts: int = 0
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not REAL:
            return "judged by the puller: the kubelet's keyring, then containerd's resolver"
        return (
            f"judged by a real kubelet: {self.pods} pods sent to it, {self.started} of them started, {self.pulls}"
            f" pulls, {self.restarts} restarts; differences to what the puller says: {len(self.differences)}"
        )


class RealJudge(Judge):
    """A real node, whose answers count; what the puller says otherwise is noted."""

    def __init__(self, kubelet: JudgeNode, puller: Node, heard: Heard) -> None:
        """Use `judging` instead."""
        self._kubelet = kubelet
        self._puller = puller
        self._heard = heard

    def pull(
        self, pods: Iterable[Manifest], secrets: Iterable[Manifest], *, registry: str | None = None
    ) -> list[PodPull]:
        """As the puller does, whose answers are compared."""
        pods, secrets = list(pods), list(secrets)
        found = self._kubelet.pull(pods, secrets, registry=registry)
        for one, other in zip(
            found, self._puller.pull(pods, secrets, registry=registry), strict=True
        ):
            if one.pull.outcome is not other.pull.outcome:
                self._heard.differences.append(f"kubelet: {one}\n    puller: {other}")
        self._heard.pulls += len(found)
        return found

    def restart(
        self,
        pods: Iterable[Manifest],
        before: Iterable[Manifest],
        after: Iterable[Manifest],
        *,
        registry: str,
        public: str,
    ) -> list[PodPull]:
        """Return what becomes of running containers that start again, see `JudgeNode.restart`."""
        found = self._kubelet.restart(pods, before, after, registry=registry, public=public)
        self._heard.restarts += len(found)
        return found

    def close(self) -> None:
        """Count what it was asked."""
        self._heard.pods += self._kubelet.pods
        self._heard.started += self._kubelet.started


def an_image(text: str) -> Image:
    """Return an image of its own for a text: for a real node one that runs."""
    if not REAL:
        return tiny_image(text)
    return program_image(binaries("pause")["pause"].read_bytes(), text)


@contextmanager
def judging(directory: Path, heard: Heard) -> Iterator[Judge]:
    """Start a judge of registries without TLS. Raises Unavailable where it must be a real node and can be none."""
    with Node.start(directory / "puller", plain_http=True) as puller:
        if not REAL:
            yield puller
            return
        with JudgeNode.start(directory / "kubelet", plain_http=True) as kubelet:
            judge = RealJudge(kubelet, puller, heard)
            yield judge
            judge.close()
