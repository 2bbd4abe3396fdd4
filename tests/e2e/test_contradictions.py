"""Answers that contradict themselves are not believed: something before a real API server bends what it says."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.e2e.fleet import Space, grant_least_privilege
from tests.e2e.proxy import Proxy
from tests.e2e.readiness import Place, judged
from tests.e2e.service import Service

Bend = Callable[[str, str, Any], Any]
"""From method, path and what the server said (None before it was asked): what is said instead, None to pass it on."""

STATUS = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "items": []}


@dataclass
class Bender(Proxy):
    """A proxy that says other things than the API server."""

    bend: Bend = lambda method, path, said: None

    async def act(self, request: web.BaseRequest, action: str) -> web.StreamResponse:
        instead = self.bend(request.method, request.path, None)
        if instead is not None:
            return web.json_response(instead)
        answer = await self._forward(request)
        body = bytes(answer.body) if isinstance(answer.body, bytes | bytearray) else b""
        if answer.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            instead = self.bend(request.method, request.path, json.loads(body))
        except ValueError:
            return answer
        return answer if instead is None else web.json_response(instead, status=answer.status)


@pytest.fixture(scope="module")
def bender(clusters: tuple[Cluster, ...]) -> Iterator[Bender]:
    proxy = Bender(clusters[0], lambda *_: "pass")
    with proxy:
        yield proxy


@pytest.fixture(scope="module")
def service(
    bender: Bender,
    clusters: tuple[Cluster, ...],
    credentials: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("bent")
    kubeconfig = directory / "kubeconfig"
    token = grant_least_privilege(clusters[0])
    context = ContextSpec(bender.server, clusters[0].ca_file, token)
    write_kubeconfig(kubeconfig, {"alpha": context})
    running = Service(directory, [kubeconfig], credentials)
    yield running
    running.stop()


@pytest.fixture
def place(bender: Bender, space: Space) -> Iterator[Place]:
    """A namespace in line, seen as it is until a test bends it."""
    yield Place(space, ("docker",)).secret().workload()
    bender.bend = lambda method, path, said: None


def at(ending: str, instead: Callable[[Any], Any]) -> Bend:
    """Bend what is said of one path."""

    def bend(method: str, path: str, said: Any) -> Any:
        return instead(said) if said is not None and path.endswith(ending) else None

    return bend


def list_with(**changes: Any) -> Callable[[Any], Any]:
    """Change members of a list, and of its metadata."""

    def instead(said: Any) -> Any:
        meta = said["metadata"] | changes.get("metadata", {})
        return said | changes | {"metadata": meta}

    return instead


def first_item(**meta: Any) -> Callable[[Any], Any]:
    """Change the metadata of the first item of a list."""

    def instead(said: Any) -> Any:
        for item in said["items"][:1]:
            item["metadata"] |= meta
        return said

    return instead


CHECKS: dict[str, Bend] = {
    "items are left and it ends": at(
        "/api/v1/pods", list_with(items=[], metadata={"remainingItemCount": 99})
    ),
    "a Status of 200": at("/api/v1/pods", lambda _: STATUS),
    "a list of another kind": at("/apis/apps/v1/deployments", list_with(kind="PodList", items=[])),
    "a list without a kind": at("/api/v1/serviceaccounts", list_with(kind="")),
    "the same page for ever": lambda method, path, said: (
        {"kind": "PodList", "items": [], "metadata": {"continue": "again"}}
        if path == "/api/v1/pods"
        else None
    ),
    "an item without a name": at("/api/v1/namespaces", first_item(name="")),
    "Secrets of another name": at("/api/v1/secrets", first_item(name="other")),
    "no groups": at("/apis", lambda _: {}),
    "an empty discovery": at("/apis", lambda said: said | {"groups": []}),
    "a discovery of another kind": at("/apis", lambda said: said | {"kind": "Status"}),
    "another namespace than kube-system": at(
        "/namespaces/kube-system", lambda said: said | {"metadata": {"name": "x", "uid": "y"}}
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_does_not_believe(
    service: Service, place: Place, bender: Bender, name: str
) -> None:
    bender.bend = CHECKS[name]

    check = judged(service, namespaces=[place.name], timeout_seconds=30)

    assert check["verdict"] == "unknown"
    assert check["clusters"][0]["error"]["detail"].startswith("the answer is not what")


def test_what_is_not_bent_is_safe(service: Service, place: Place) -> None:
    assert judged(service, namespaces=[place.name])["verdict"] == "safe"


REMEDIATIONS: dict[str, tuple[list[str], Bend]] = {
    "namespaces are left": (
        ["{}*"],
        at("/api/v1/namespaces", list_with(metadata={"remainingItemCount": 5})),
    ),
    "Secrets of another name": (["{}*"], at("/api/v1/secrets", first_item(name="other"))),
    "accounts of another kind": (["{}*"], at("/api/v1/serviceaccounts", lambda _: STATUS)),
    "another namespace": (
        ["{}"],
        at("-case", lambda said: said | {"metadata": said["metadata"] | {"name": "other"}}),
    ),
    "accounts of another namespace": (
        ["{}"],
        at("-case/serviceaccounts", first_item(namespace="kube-system")),
    ),
    "a Secret of another namespace": (
        ["{}"],
        at("/secrets/docker", lambda said: said | {"metadata": {"name": "docker", "uid": "x"}}),
    ),
}


@pytest.mark.parametrize("name", REMEDIATIONS)
def test_a_remediation_does_not_believe(
    service: Service, place: Place, bender: Bender, name: str
) -> None:
    namespaces, bender.bend = REMEDIATIONS[name]

    outcome = service.remediate(
        clusters=["alpha"], namespaces=[each.format(place.name) for each in namespaces]
    )

    assert outcome.status == "failed"
    # What was asked of one namespace fails in its row, what was asked of the cluster fails the run.
    error = outcome.clusters["alpha"]["error"] or outcome.row(place.name)["error"]
    assert error["detail"].startswith("the answer is not what")


@pytest.mark.parametrize("answer", [{}, STATUS, {"kind": "Secret", "metadata": {"name": "x"}}])
def test_a_write_that_was_swallowed_is_not_reported_as_done(
    service: Service, bender: Bender, space: Space, answer: Any
) -> None:
    place = Place(space)
    bender.bend = lambda method, path, said: answer if method == "PATCH" else None

    outcome = service.remediate(clusters=["alpha"], namespaces=[place.name])

    bender.bend = lambda method, path, said: None
    assert outcome.row(place.name)["outcome"] == "failed"
    assert "the answer is not what" in outcome.row(place.name)["error"]["detail"]


def test_a_write_whose_answer_was_bent_is_found_to_be_done(
    service: Service, bender: Bender, space: Space
) -> None:
    place = Place(space)

    def bend(method: str, path: str, said: Any) -> Any:
        return {} if method == "PATCH" and said is not None else None

    bender.bend = bend

    outcome = service.remediate(clusters=["alpha"], namespaces=[place.name])

    bender.bend = lambda method, path, said: None
    row = outcome.row(place.name)
    assert (row["outcome"], row["secret"]["action"]) == ("changed", "created")
