"""A run that is resumed keeps the proof of its earlier attempt."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from remediation.credential import credential_from_docker_config, credential_from_login
from remediation.docker_config import Login
from remediation.outcome import ErrorCode, SecretAction
from remediation.plan import NamespacePlan, Task
from remediation.plan_secret import SecretWrite
from remediation.registry.check import CheckResult, RegistryReport
from remediation.registry.rules import Registries, parse_rules
from remediation.registry.verdict import Verdict
from remediation.request import RegistryCheck, RemediationRequest
from remediation.usage import Usage
from store.records import Orders
from store.store import Store
from tests.store.values import A_CHECK, ID, a_claim, a_later_claim, a_remediation
from tests.worker.registry_behaviour import PASSWORD, USER, Behaviour, Stage
from tests.worker.registry_lab import Reply, Server
from worker import registry_check
from worker.execution import Execution, RunFailed
from worker.kubeconfigs import Context
from worker.planning import look, prove
from worker.vigil import Vigil

PLANS = [NamespacePlan("shop", secret=SecretWrite(SecretAction.CREATED, b""))]
REFUSED = CheckResult(
    (RegistryReport("r.example", Verdict.WRONG_CREDENTIAL, "refused"),), "2026-08-21T10:00:00Z"
)


def resumed(store: Store, check: CheckResult, wanted: RegistryCheck) -> Execution:
    """Return the second attempt of a run whose first was told `check`."""
    a_remediation(store)
    store.claims.checked(a_claim(store), check)
    request = RemediationRequest(clusters=("eu-1",), credential="reg", registry_check=wanted)
    credential = credential_from_login("reg", "r.example", Login("robot", "made-up"))
    task = Task.of(ID, request, credential)
    return Execution.of(
        store,
        a_later_claim(store),
        task,
        Context("eu-1", "https://127.0.0.1:1"),
        Orders("client:ci"),
        1,
        Registries(),
        Vigil(time.monotonic),
    )


def test_it_is_not_asked_for_again(store: Store) -> None:
    execution = resumed(store, A_CHECK, RegistryCheck.REQUIRE)

    asyncio.run(prove(execution, PLANS, Usage()))


def test_nor_is_a_refusal(store: Store) -> None:
    execution = resumed(store, REFUSED, RegistryCheck.REQUIRE)

    with pytest.raises(RunFailed) as caught:
        asyncio.run(prove(execution, PLANS, Usage()))

    assert caught.value.error.code is ErrorCode.CREDENTIAL_REJECTED


def test_a_warning_goes_on(store: Store) -> None:
    execution = resumed(store, REFUSED, RegistryCheck.WARN)

    asyncio.run(prove(execution, PLANS, Usage()))


def test_without_anything_to_write_nobody_is_asked(store: Store) -> None:
    execution = resumed(store, REFUSED, RegistryCheck.REQUIRE)

    asyncio.run(prove(execution, [], Usage()))


def test_a_run_that_is_cancelled_meanwhile_does_not_wait(store: Store) -> None:
    execution = resumed(store, A_CHECK, RegistryCheck.REQUIRE)
    fresh = replace(execution.claim, run=replace(execution.claim.run, registry_check=None))

    class Hanging:
        """A cluster that never answers."""

        async def get(self, *_: object, **__: object) -> bytes:
            await asyncio.sleep(3600)
            raise AssertionError

    async def cancelled() -> None:
        hanging: Any = Hanging()
        asyncio.get_running_loop().call_later(0.05, execution.cancelled.set)
        assert await look(replace(execution, claim=fresh), hanging, PLANS) == Usage()

    asyncio.run(asyncio.wait_for(cancelled(), 60))


def test_a_password_is_not_for_the_shadow_of_another_registry() -> None:
    auths = {host: {"username": "robot", "password": "made-up"} for host in ("a.test", "b.test")}
    content = json.dumps({"auths": auths}).encode()
    with Server(lambda _: Reply(401, [("WWW-Authenticate", "Basic")])) as shadow:
        credential = replace(credential_from_docker_config("two", content), shadow=shadow.url)
        rules = parse_rules({"registries": {host: {"plain_http": True} for host in auths}})

        result = asyncio.run(registry_check.check(credential, rules, Usage(), "tests"))

    assert [report.verdict for report in result.reports] == [Verdict.REFUSED_BY_RULES] * 2
    assert not shadow.requests


@pytest.mark.parametrize(
    ("missing", "verdict"),
    [
        ({}, Verdict.WORKS),
        ({"partly": True}, Verdict.DENIED),
        ({"unread": ("pods",)}, Verdict.DENIED),
    ],
)
def test_nodes_of_pods_that_were_not_read_may_not_all_run_cri_o(
    missing: dict[str, Any], verdict: Verdict
) -> None:
    with Stage.open() as stage:
        stage.behaviours["team"] = Behaviour(post=403)  # stops containerd only
        stage.door = (f'Bearer realm="{stage.tokens.url}/token/team",service="lab"',)
        host = stage.registry.host
        credential = credential_from_login("reg", host, Login(USER, PASSWORD))
        rules = Registries({host: stage.rules(Behaviour())})
        usage = Usage((f"{host}/team/app:1",), runtimes=frozenset({"cri-o"}), **missing)

        result = asyncio.run(registry_check.check(credential, rules, usage, "tests"))

    assert [report.verdict for report in result.reports] == [verdict]
