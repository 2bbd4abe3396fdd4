"""Our verdict on a registry and what a real kubelet and containerd make of it, in both directions.

Where the machine allows no real node these are skipped; `test_registry_agreement` asks containerd's code alone.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.node import Unavailable
from controlplane.node_judge import JudgeNode
from remediation.docker_config import Login
from remediation.registry.verdict import Verdict
from tests.worker.registry_behaviour import PASSWORD, USER, Behaviour, Stage
from worker.registry import Prober

BASIC, BEARER = 'Basic realm="lab"', 'Bearer realm="{realm}",service="lab",scope="{scope}"'
OTHER = "repository:other/app:pull"
PULLS = {
    "a token": (Behaviour(), Verdict.WORKS),
    "a password": (Behaviour(challenge=(BASIC,), takes=("basic",)), Verdict.WORKS),
    "two lines": (Behaviour(challenge=(BASIC, BEARER)), Verdict.WORKS),
    "two in a line, tokens first": (Behaviour(challenge=(f"{BEARER}, {BASIC}",)), Verdict.WORKS),
    "a token by GET": (Behaviour(post=404), Verdict.WORKS),
    "a scope of another name": (Behaviour(scope=OTHER, needs=OTHER), Verdict.WORKS),
    "a password after the token": (Behaviour(takes=("basic",), after=BASIC), Verdict.WORKS),
    "a host that asks itself": (
        Behaviour(challenge=(BASIC,), takes=("basic",), hop=(301, "all", "host", "basic")),
        Verdict.WORKS,
    ),
    "a limit without the login": (Behaviour(limited=429), Verdict.NOT_PROVEN_PUBLIC),
    "no digest in the header": (Behaviour(no_digest=True), Verdict.WORKS),
}
FAILS = {
    "Negotiate before it": (
        Behaviour(challenge=(f"Negotiate, {BASIC}",), takes=("basic",)),
        Verdict.NOT_A_REGISTRY,
    ),
    "two in a line, passwords first": (
        Behaviour(challenge=(f"{BASIC}, {BEARER}",)),
        Verdict.WRONG_CREDENTIAL,
    ),
    "a POST that is forbidden": (Behaviour(post=403), Verdict.DENIED),
    "a POST without access_token": (
        Behaviour(post_answer='{"token": {token}}'),
        Verdict.NOT_A_REGISTRY,
    ),
    "a lifetime in quotes": (
        Behaviour(post_answer='{"access_token": {token}, "expires_in": "300"}'),
        Verdict.NOT_A_REGISTRY,
    ),
    "a second scope that is refused": (
        Behaviour(scope=OTHER, needs=OTHER, knows=(OTHER,)),
        Verdict.DENIED,
    ),
    "a manifest to look at only": (Behaviour(served={"get": 403}), Verdict.DENIED),
    "a login that takes the pull away": (
        Behaviour(open_by_token=True, served={"head": 403}),
        Verdict.DENIED,
    ),
    "a limit before the challenge": (Behaviour(first=429), Verdict.BUSY),
    "a wrong password": (Behaviour(password="another"), Verdict.WRONG_CREDENTIAL),
}
CASES = PULLS | FAILS


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgeNode]:
    try:
        started = JudgeNode.start(tmp_path_factory.mktemp("judge"), plain_http=True)
    except Unavailable as reason:
        pytest.skip(f"no real node here: {reason}")
    with started:
        yield started


@pytest.fixture(scope="module")
def pulled(judge: JudgeNode) -> Iterator[tuple[Stage, dict[str, bool]]]:
    """The registries, and from which of them the node has its image."""
    with Stage.open(apart=True) as stage:
        host = stage.registry.host
        pods = []
        for number, (behaviour, _) in enumerate(CASES.values()):
            stage.behaviours |= {f"node{number}": behaviour, f"ours{number}": behaviour}
            pods.append(_pod(f"pod{number}", f"{host}/node{number}/app:1"))
        found = judge.pull(pods, [_secret(host)])
        yield stage, {name: one.pull.ok for name, one in zip(CASES, found, strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_that_of_a_real_node(
    pulled: tuple[Stage, dict[str, bool]], name: str
) -> None:
    stage, pulls = pulled
    behaviour, expected = CASES[name]
    repository = f"ours{list(CASES).index(name)}/app"

    async def ask() -> Verdict:
        async with Prober(stage.registry.host, stage.rules(behaviour), "tests") as prober:
            proofs = await prober.prove([(repository, "1")], Login(USER, PASSWORD))
            return proofs[0].verdict

    assert (asyncio.run(ask()), pulls[name]) == (expected, name in PULLS)


def _pod(name: str, image: str) -> dict[str, Any]:
    spec = {
        "containers": [{"name": "app", "image": image}],
        "imagePullSecrets": [{"name": "docker"}],
    }
    return {"metadata": {"namespace": "shop", "name": name}, "spec": spec}


def _secret(host: str) -> dict[str, Any]:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    content = json.dumps({"auths": {host: {"auth": auth}}}).encode()
    return {
        "metadata": {"namespace": "shop", "name": "docker"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(content).decode()},
    }
