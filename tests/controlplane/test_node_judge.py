"""A real kubelet and the puller, asked the same: they say the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from controlplane.build import binaries
from controlplane.image import program_image, push_all
from controlplane.node import Unavailable
from controlplane.node_copies import Copy
from controlplane.node_judge import JudgeNode
from controlplane.node_pull import Node, PodPull
from controlplane.process import StartError
from controlplane.pull import Pull, PullOutcome
from controlplane.registry import Registry

DOCKERCONFIGJSON = "kubernetes.io/dockerconfigjson"
PASSWORD = "made-up"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgeNode]:
    try:
        started = JudgeNode.start(tmp_path_factory.mktemp("judge"), plain_http=True)
    except Unavailable as reason:
        pytest.skip(f"no real node here: {reason}")
    with started:
        yield started


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node.start(tmp_path_factory.mktemp("node"), plain_http=True) as running:
        yield running


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry.start(tmp_path_factory.mktemp("registry") / "images") as running:
        program = binaries("pause")["pause"].read_bytes()
        wanted = [("team/app", "1"), ("team/first", "1"), ("solo", "1")]
        push_all(running.host, wanted, made_by=partial(program_image, program))
        running.restart(htpasswd={"robot": PASSWORD})
        yield running


@pytest.fixture(scope="module")
def host(registry: Registry) -> str:
    return registry.host


@pytest.fixture(scope="module")
def public(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same images for everyone, as they were before the flip."""
    with registry.shadow(tmp_path_factory.mktemp("public")) as running:
        yield running.host


def login(password: str = PASSWORD) -> dict[str, str]:
    return {"auth": base64.b64encode(f"robot:{password}".encode()).decode()}


def secret(name: str, content: Any, kind: str = DOCKERCONFIGJSON) -> dict[str, Any]:
    key = ".dockercfg" if kind == "kubernetes.io/dockercfg" else ".dockerconfigjson"
    data = {key: base64.b64encode(json.dumps(content).encode()).decode()}
    return {"metadata": {"namespace": "shop", "name": name}, "type": kind, "data": data}


def pod(name: str, image: str, *secrets: str, **spec: Any) -> dict[str, Any]:
    entries = [{"name": one} if one else {} for one in secrets]
    body = {"containers": [{"name": "app", "image": image}], "imagePullSecrets": entries} | spec
    return {"metadata": {"namespace": "shop", "name": name}, "spec": body}


def secrets(host: str) -> list[dict[str, Any]]:
    port = host.partition(":")[2]
    keys = {
        "exact": host,
        "url": f"http://{host}/v1/",
        "path": f"{host}/team",
        "part": f"{host}/te",
        "other": f"{host}/other/",
        "portless": "127.0.0.1",
        "wild": f"127.0.*.1:{port}",
    }
    odd = {"auth": base64.b64encode(b"robot:\xff\xfe").decode()}
    return [
        *(secret(name, {"auths": {key: login()}}) for name, key in keys.items()),
        secret("wrong", {"auths": {host: login("guessed")}}),
        secret("old", {host: login()}, "kubernetes.io/dockercfg"),
        secret("opaque", {"auths": {host: login()}}, "Opaque"),
        secret("poisoned", {"auths": {host: login(), "elsewhere.example.com": {"auth": "colon"}}}),
        secret("unsendable", {"auths": {host: odd}}),
    ]


def pods(host: str) -> list[dict[str, Any]]:
    image = f"{host}/team/app:1"
    names = [one["metadata"]["name"] for one in secrets(host)]
    first = [{"name": "first", "image": f"{host}/team/first:1"}]
    volume = {"name": "model", "image": {"reference": f"{host}/solo:1"}}
    return [
        *(pod(f"with-{name}", image, name) for name in names),
        pod("wrong-then-right", image, "wrong", "exact"),
        pod("right-then-poisoned", image, "exact", "poisoned"),
        pod("none", image),
        pod("blank", image, ""),
        pod("dangling", image, "gone"),
        pod("dangling-then-right", image, "gone", "exact"),
        pod("no-such-tag", f"{host}/team/app:2", "exact"),
        pod("no-name", f"{host}/Team/app:1", "exact"),
        pod("init", image, "exact", initContainers=first),
        pod("init-fails", image, "other", initContainers=first),
        pod("only-app", f"{host}/solo:1", "path", initContainers=first),
        pod("only-init", image, "path", initContainers=[{"name": "i", "image": f"{host}/solo:1"}]),
        pod("volume", image, "exact", volumes=[volume]),
        pod("volume-fails", image, "path", volumes=[volume]),
        pod("volume-poisoned", image, "poisoned", volumes=[volume]),
        pod("init-poisoned", image, "poisoned", initContainers=first),
    ]


def test_they_say_the_same_of_every_pod(judge: JudgeNode, node: Node, host: str) -> None:
    by_kubelet = judge.pull(pods(host), secrets(host))
    by_puller = node.pull(pods(host), secrets(host))

    assert told(by_kubelet) == told(by_puller)
    assert {one.pull.outcome for one in by_kubelet} >= {PullOutcome.OK, PullOutcome.UNAUTHORIZED}
    assert 0 < judge.started < judge.pods


def test_a_node_is_asked_once_more_for_an_image_that_it_says_nothing_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A busy kubelet drops events. The pods have other names then: the events of those before stay."""
    asked: list[list[str]] = []
    silent, said = "r.example.com/silent:1", "r.example.com/said:1"

    def answer_late(
        _judge: JudgeNode, _place: object, copies: list[Copy]
    ) -> dict[tuple[int, str], Pull]:
        asked.append([copy.name for copy in copies])
        again = any(copy.name.startswith("again") for copy in copies)
        return {
            (copy.number, image): Pull(image, PullOutcome.OK)
            for copy in copies
            for image in copy.images
            if image == said or again
        }

    monkeypatch.setattr(JudgeNode, "_place", lambda *_: Mock())
    monkeypatch.setattr(JudgeNode, "_told", answer_late)
    judge = JudgeNode(Path(), Mock(), Mock(resting="rest"), False, ExitStack())

    found = judge.pull([pod("a", silent), pod("b", said)], [])

    assert asked == [[], ["single-0", "single-1"], ["again-0"]]
    assert [(one.pod, one.pull.outcome) for one in found] == [
        ("a", PullOutcome.OK),
        ("b", PullOutcome.OK),
    ]


def test_a_node_that_stays_silent_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JudgeNode, "_place", lambda *_: Mock())
    monkeypatch.setattr(JudgeNode, "_told", lambda *_: {})
    judge = JudgeNode(Path(), Mock(), Mock(resting="rest"), False, ExitStack())

    with pytest.raises(StartError, match=r"1 images, such as r\.example\.com/a:1"):
        judge.pull([pod("a", "r.example.com/a:1")], [])


def told(pulls: list[PodPull]) -> list[tuple[str, str, PullOutcome]]:
    return [(one.pod, one.pull.image, one.pull.outcome) for one in pulls]


def test_restarts_heed_who_pulled_an_image(judge: JudgeNode, host: str, public: str) -> None:
    """Kubelets of 1.35 and newer let a pod start from an image on its node only with a login that pulled it."""
    image, another = f"{host}/team/app:1", f"{host}/team/first:1"
    held = [secret("exact", {"auths": {host: login()}}), secret("gone", {"auths": {host: login()}})]
    policy = {"imagePullPolicy": "IfNotPresent"}
    running = [
        pod("keeps", image, "exact", containers=[{"image": image, **policy}]),
        pod("lost", image, "gone", containers=[{"image": another, **policy}]),
        pod("always", image, containers=[{"image": image, "imagePullPolicy": "Always"}]),
        pod("anonymous", image, containers=[{"image": f"{host}/solo:1", **policy}]),
        pod("never", image, restartPolicy="Never"),
    ]

    found = judge.restart(running, held, held[:1], registry=host, public=public)

    assert {one.pod: one.pull.outcome for one in found} == {
        "keeps": PullOutcome.OK,
        "lost": PullOutcome.UNAUTHORIZED,
        "always": PullOutcome.UNAUTHORIZED,
        "anonymous": PullOutcome.OK,
    }
