"""Pulling images as a node does: containerd's own resolver, and nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from controlplane.build import binaries
from controlplane.lines import Answerer
from controlplane.part import Part


class PullOutcome(StrEnum):
    """How the last attempt of a pull ended."""

    OK = "ok"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    HTTP_STATUS = "http_status"  # any other refusal
    NETWORK = "network"
    FAILED = "failed"  # a reference that is none, a wrong digest, a Secret that cannot be read


@dataclass(frozen=True, slots=True)
class Login:
    """What a node sends to whoever asks for it."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PullRequest:
    """An image and the logins to try in this order; without any the pull is anonymous.

    `plain_http` is what a node is told of a registry without TLS; `ca_file` names the only
    authorities to trust, else the system's.
    """

    image: str
    logins: tuple[Login, ...] = ()
    plain_http: bool = False
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """How a pull ended: `digest` when it was ok, else `status` (HTTP, if any) and `text`."""

    image: str
    outcome: PullOutcome
    text: str = ""
    status: int | None = None
    digest: str | None = None
    tried: int = 0

    @property
    def ok(self) -> bool:
        """Whether the manifest and every blob arrived with the right digests."""
        return self.outcome is PullOutcome.OK


class Puller(Part):
    """A running puller; a context manager that stops it at the end. Threads may share it."""

    def __init__(self, answerer: Answerer) -> None:
        """Use `Puller.start` instead."""
        self._answerer = answerer

    @classmethod
    def start(cls, directory: Path) -> Self:
        """Start it with its log in `directory`. Raises BuildError."""
        command = [str(binaries("ctrpull")["ctrpull"])]
        return cls(Answerer.start("ctrpull", command, directory))

    @property
    def pid(self) -> int:
        """Process id of the puller."""
        return self._answerer.pid

    def pull(self, requests: Sequence[PullRequest]) -> list[Pull]:
        """Pull all, several side by side; the outcomes are in the order of the requests.

        Raises StartError when the puller ends meanwhile.
        """
        answers = self._answerer.ask([_question(request) for request in requests])
        return [_pull(*pair) for pair in zip(requests, answers, strict=True)]

    def stop(self) -> None:
        """End it. Harmless when already stopped."""
        self._answerer.stop()


def _question(request: PullRequest) -> dict[str, Any]:
    return {
        "image": request.image,
        "credentials": [
            {"username": login.username, "password": login.password} for login in request.logins
        ],
        "plain_http": request.plain_http,
        "ca": str(request.ca_file.absolute()) if request.ca_file else "",
    }


def _pull(request: PullRequest, answer: dict[str, Any]) -> Pull:
    return Pull(
        image=request.image,
        outcome=PullOutcome(answer["outcome"]),
        text=answer.get("text", ""),
        status=answer.get("status"),
        digest=answer.get("digest"),
        tried=answer["tried"],
    )
