"""A node's whole way from a pod to its images, on the kubelet's code, containerd's and a real registry."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.image import push_all
from controlplane.node_pull import Node, PodPull, images, pull_secrets
from controlplane.pull import PullOutcome
from controlplane.registry import Registry

DOCKERCONFIGJSON = "kubernetes.io/dockerconfigjson"
PASSWORD = "made-up"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Registry.start(tmp_path_factory.mktemp("registry")) as registry:
        push_all(registry.host, [("team/app", "1"), ("team/first", "1")])
        registry.restart(htpasswd={"robot": PASSWORD})
        yield registry.host


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node.start(tmp_path_factory.mktemp("node"), plain_http=True) as running:
        yield running


def pod(image: str, *secrets: str) -> dict[str, Any]:
    entries = [{"name": name} if name else {} for name in secrets]
    return {
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"containers": [{"image": image}], "imagePullSecrets": entries},
    }


def secret(
    name: str, auths: dict[str, Any], *, kind: str = DOCKERCONFIGJSON, namespace: str = "shop"
) -> dict[str, Any]:
    key, content = (".dockerconfigjson", {"auths": auths})
    if kind == "kubernetes.io/dockercfg":
        key, content = ".dockercfg", auths
    data = {key: base64.b64encode(json.dumps(content).encode()).decode()}
    return {"metadata": {"namespace": namespace, "name": name}, "type": kind, "data": data}


def login(password: str = PASSWORD) -> dict[str, str]:
    return {"auth": base64.b64encode(f"robot:{password}".encode()).decode()}


def outcome(node: Node, pod: dict[str, Any], *secrets: dict[str, Any]) -> PullOutcome:
    [found] = node.pull([pod], secrets)
    return found.pull.outcome


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("{host}", PullOutcome.OK),
        ("http://{host}/v1/", PullOutcome.OK),
        ("{host}/team/", PullOutcome.OK),
        ("{host}/te", PullOutcome.OK),  # a prefix of text, not of path segments
        ("{host}/other/", PullOutcome.UNAUTHORIZED),
        ("127.0.0.1", PullOutcome.UNAUTHORIZED),  # without the port it is another host
        ("127.0.*.1:{port}", PullOutcome.OK),
    ],
)
def test_the_kubelet_decides_which_key_is_for_an_image(
    node: Node, host: str, key: str, expected: PullOutcome
) -> None:
    port = host.partition(":")[2]
    auths = {key.format(host=host, port=port): login()}

    assert outcome(node, pod(f"{host}/team/app:1", "docker"), secret("docker", auths)) is expected


def test_the_old_form_counts_and_the_wrong_type_does_not(node: Node, host: str) -> None:
    wanted = pod(f"{host}/team/app:1", "docker")
    old = secret("docker", {host: login()}, kind="kubernetes.io/dockercfg")
    opaque = secret("docker", {host: login()}, kind="Opaque")

    assert outcome(node, wanted, old) is PullOutcome.OK
    assert outcome(node, wanted, opaque) is PullOutcome.UNAUTHORIZED


def test_a_wrong_login_does_not_keep_the_right_one_from_its_turn(node: Node, host: str) -> None:
    wanted = pod(f"{host}/team/app:1", "wrong", "right")
    wrong, right = secret("wrong", {host: login("guessed")}), secret("right", {host: login()})

    [found] = node.pull([wanted], [right, wrong])

    assert (found.pull.ok, found.pull.tried) == (True, 2)


def test_one_unreadable_secret_keeps_the_pod_from_every_image(node: Node, host: str) -> None:
    wanted = pod(f"{host}/team/app:1", "right", "poisoned")
    poisoned = secret("poisoned", {"elsewhere.example.com": {"auth": "no-colon"}})

    [found] = node.pull([wanted], [secret("right", {host: login()}), poisoned])

    assert found.pull.outcome is PullOutcome.FAILED
    assert "pulls nothing" in found.pull.text


def test_only_what_the_pod_names_in_its_own_namespace_counts(node: Node, host: str) -> None:
    right = {host: login()}
    theirs = secret("docker", right, namespace="another")
    unnamed = secret("other", right)

    assert outcome(node, pod(f"{host}/team/app:1", "docker"), theirs) is PullOutcome.UNAUTHORIZED
    assert outcome(node, pod(f"{host}/team/app:1", ""), unnamed) is PullOutcome.UNAUTHORIZED


def test_a_login_that_cannot_be_sent_is_not_taken_for_none(node: Node, host: str) -> None:
    broken = {"auth": base64.b64encode(b"robot:\xff\xfe").decode()}

    found = outcome(node, pod(f"{host}/team/app:1", "docker"), secret("docker", {host: broken}))

    assert found is PullOutcome.FAILED


def test_a_name_that_is_none_fails_alone(node: Node, host: str) -> None:
    bodies = [pod(f"{host}/Team/app:1", "docker"), pod(f"{host}/team/app:1", "docker")]

    found = node.pull(bodies, [secret("docker", {host: login()})])

    assert [one.pull.outcome for one in found] == [PullOutcome.FAILED, PullOutcome.OK]


def test_every_kind_of_container_and_image_volumes_are_pulled() -> None:
    spec = {
        "initContainers": [{"image": "r/first"}, {"image": "r/app"}],
        "containers": [{"image": "r/app"}, {}],
        "ephemeralContainers": [{"image": "r/debug"}],
        "volumes": [{"image": {"reference": "r/model"}}, {"emptyDir": {}}],
    }

    assert images(spec) == ["r/first", "r/app", "r/debug", "r/model"]


def test_images_of_other_registries_can_be_left_out(node: Node, host: str) -> None:
    body = pod(f"{host}/team/app:1", "docker")
    body["spec"]["initContainers"] = [{"image": f"{host}/team/first:1"}, {"image": "nginx"}]

    found = node.pull([body], [secret("docker", {host: login()})], registry=host)

    assert found == [PodPull("shop", "web", one.pull) for one in found]
    assert [one.pull.image for one in found] == [f"{host}/team/first:1", f"{host}/team/app:1"]
    assert all(one.pull.ok for one in found)


def test_secrets_come_in_the_order_they_are_named() -> None:
    held = {("shop", name): secret(name, {}) for name in ("a", "b")}

    found = pull_secrets(pod("app", "b", "gone", "", "a", "b"), held)

    assert [one["metadata"]["name"] for one in found] == ["b", "a", "b"]


def test_stop_leaves_no_process(tmp_path: Path) -> None:
    running = Node.start(tmp_path)
    pids = running.pids

    running.stop()
    running.stop()

    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert len(pids) == 2
