"""What a node makes of a pod's images: the kubelet's keyring, then containerd's resolver."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from controlplane.build import binaries
from controlplane.lines import Answerer
from controlplane.part import Part
from controlplane.pull import Login, Pull, Puller, PullOutcome, PullRequest

Manifest = Mapping[str, Any]

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_KEYRING_ERRORS = {
    "image": "the kubelet cannot read the image's name",
    "secrets": "the kubelet cannot read one of the pull Secrets, and then pulls nothing",
}


@dataclass(frozen=True, slots=True)
class PodPull:
    """How a node gets on with one image of a pod."""

    namespace: str
    pod: str
    pull: Pull

    def __str__(self) -> str:
        told = "ok" if self.pull.ok else f"{self.pull.outcome}: {self.pull.text}"
        return f"{self.namespace}/{self.pod} {self.pull.image} {told}"


class Node(Part):
    """The two programs, running; a context manager that stops them at the end.

    It has no credentials of its own and keeps no image, so every pull counts.
    """

    def __init__(
        self, keyring: Answerer, puller: Puller, plain_http: bool, ca_file: Path | None
    ) -> None:
        """Use `Node.start` instead."""
        self._keyring = keyring
        self._puller = puller
        self._plain_http = plain_http
        self._ca_file = ca_file

    @classmethod
    def start(
        cls, directory: Path, *, plain_http: bool = False, ca_file: Path | None = None
    ) -> Self:
        """Start them with their logs in `directory`.

        `plain_http` and `ca_file` are what the node is told of its registries. Raises BuildError.
        """
        command = [str(binaries("keyring")["keyring"])]
        with ExitStack() as stack:
            keyring = stack.enter_context(Answerer.start("keyring", command, directory))
            puller = stack.enter_context(Puller.start(directory))
            stack.pop_all()
        return cls(keyring, puller, plain_http, ca_file)

    @property
    def pids(self) -> tuple[int, int]:
        """Process ids of the keyring and of the puller."""
        return self._keyring.pid, self._puller.pid

    def stop(self) -> None:
        """End them. Harmless when already stopped."""
        self._keyring.stop()
        self._puller.stop()

    def pull(
        self, pods: Iterable[Manifest], secrets: Iterable[Manifest], *, registry: str | None = None
    ) -> list[PodPull]:
        """Pull every image of the pods as they are in the API, with the Secrets they name.

        `secrets` may hold more than is named, of any namespace. With `registry` (host[:port]),
        only images of that registry are pulled. Raises StartError when a program ends meanwhile.
        """
        held = {_key(secret): secret for secret in secrets}
        wanted = [
            (pod, image)
            for pod in pods
            for image in images(pod["spec"])
            if registry is None or image.startswith(f"{registry}/")
        ]
        questions = [
            {"image": image, "secrets": [_content(found) for found in pull_secrets(pod, held)]}
            for pod, image in wanted
        ]
        answers = self._keyring.ask(questions)
        pulls = self._pulls([image for _, image in wanted], answers)
        return [PodPull(*_key(pod), pull) for (pod, _), pull in zip(wanted, pulls, strict=True)]

    def _pulls(self, wanted: Sequence[str], answers: Sequence[dict[str, Any]]) -> Iterator[Pull]:
        requests = [self._request(*pair) for pair in zip(wanted, answers, strict=True)]
        pulled = iter(self._puller.pull([one for one in requests if isinstance(one, PullRequest)]))
        return (next(pulled) if isinstance(one, PullRequest) else one for one in requests)

    def _request(self, image: str, answer: dict[str, Any]) -> PullRequest | Pull:
        if error := answer.get("error"):
            return Pull(image, PullOutcome.FAILED, _KEYRING_ERRORS.get(error, error))
        matches = answer["matches"]
        logins = tuple(login for match in matches if (login := _login(match)))
        if matches and not logins:
            return Pull(image, PullOutcome.FAILED, "no login that the kubelet can hand on")
        return PullRequest(image, logins, self._plain_http, self._ca_file)


def images(spec: Manifest) -> list[str]:
    """Return every image of a pod: of all kinds of containers, and those mounted as volumes."""
    containers = [one for kind in _CONTAINERS for one in spec.get(kind) or ()]
    volumes = [one["image"] for one in spec.get("volumes") or () if one.get("image")]
    named = [one.get("image") for one in containers] + [one.get("reference") for one in volumes]
    return list(dict.fromkeys(image for image in named if image))


def pull_secrets(pod: Manifest, held: Mapping[tuple[str, str], Manifest]) -> list[Manifest]:
    """Return the Secrets that the kubelet takes: those named and there, in order.

    `held` has Secrets by (namespace, name). A blank name and a missing Secret are passed over.
    """
    namespace = _key(pod)[0]
    names = (entry.get("name") for entry in pod["spec"].get("imagePullSecrets") or ())
    return [held[namespace, name] for name in names if name and (namespace, name) in held]


def _key(body: Manifest) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _content(secret: Manifest) -> dict[str, Any]:
    return {"type": secret.get("type", ""), "data": secret.get("data") or {}}


def _login(match: Mapping[str, str]) -> Login | None:
    """Return the login; None for one that is not UTF-8: between kubelet and runtime it cannot go."""
    try:
        username, password = (
            base64.b64decode(match[name] or "").decode() for name in ("username", "password")
        )
    except UnicodeDecodeError:
        return None
    return Login(username, password)
