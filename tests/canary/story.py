"""Everything that can happen to a login, once. Each step makes sure that it did happen."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.canary.asking import PATIENCE_SECONDS, at, done, eventually, inline, post
from tests.canary.judging import judged
from tests.canary.mistakes import send_all
from tests.canary.reading import read_all
from tests.canary.stage import REPOSITORY, Stage
from tests.e2e.conftest import write_login
from tests.e2e.fleet import docker_config
from tests.e2e.service import Outcome, descendants, ended

_TROUBLES = ("429", "503", "reset", "lost", "slow", "truncated")


def verdict(outcome: Outcome) -> str | None:
    """Return what the registry said of the login."""
    check = outcome.clusters["alpha"]["registry_check"]
    return check and str(check["verdict"])


def named(stage: Stage) -> None:
    """Dry run, run, run again, by the name of a credential; retry of what failed; merge; undo."""
    space = stage.space
    shop, theirs = space.namespace("shop", ("default", "web")), space.namespace("theirs")
    container = {"name": "app", "image": f"{stage.registry}/{REPOSITORY}:1.0"}
    space.clusters[0].http.post(
        f"/api/v1/namespaces/{shop}/pods",
        json={"metadata": {"name": "app"}, "spec": {"containers": [container]}},
    ).raise_for_status()
    foreign = stage.canaries["foreign"]
    space.secret(theirs, docker_config("theirs.example.com", foreign.username, foreign.password))
    dry = done(stage, at(stage, credential="named", dry_run=True))
    first = done(stage, at(stage, credential="named"))
    assert dry.outcomes()[shop] == "would_change"
    assert verdict(first) == "works"
    assert first.outcomes() == {shop: "changed", theirs: "failed"}
    assert done(stage, at(stage, credential="named")).outcomes()[shop] == "unchanged"
    assert done(stage, {}, f"/{first.body['id']}/retry").outcomes() == {theirs: "failed"}
    merged = done(stage, at(stage, credential="named", on_conflict="merge"))
    assert merged.outcomes()[theirs] == "changed"
    assert done(stage, {}, f"/{merged.body['id']}/undo").status in ("succeeded", "partial")
    packed = done(stage, at(stage, credential="packed", secret_name="pull-two"))
    assert packed.outcomes() == {shop: "changed", theirs: "changed"}


def refused_by_registries(stage: Stage) -> None:
    """A wrong password, by name and inline; written all the same and undone; a registry that says back what it got."""
    wrong = done(stage, at(stage, credential="wrong"))
    assert (wrong.status, verdict(wrong)) == ("failed", "wrong_credential")
    assert verdict(done(stage, inline(stage, "mistaken"))) == "wrong_credential"
    shop = f"{stage.space.prefix}shop"
    warned = done(
        stage, at(stage, credential="wrong", registry_check="warn") | {"namespaces": [shop]}
    )
    assert warned.outcomes() == {shop: "changed"}
    echoed = done(stage, at(stage, credential="echoed"))
    assert echoed.status == "failed"
    assert any(request.headers.get("Authorization") for request in stage.echo.requests)


def rotated(stage: Stage) -> None:
    """Another password in the same folder; credentials that cannot be used."""
    for name in ("registry", "username", "password"):
        (stage.credentials / "named" / name).unlink()
    (stage.credentials / "named").rmdir()
    fresh = stage.canaries["rotated"]
    write_login(stage.credentials / "named", stage.registry, fresh.username, fresh.password)
    eventually(
        lambda: any(
            item["name"] == "named" and item["usernames"] == [fresh.username]
            for item in stage.ask("GET", "/credentials").json()["items"]
        )
    )
    again = done(stage, at(stage, credential="named"))
    assert again.row(f"{stage.space.prefix}shop")["secret"]["action"] == "updated"
    for name in ("broken", "odd"):
        assert (
            stage.ask("POST", "/remediations", json=at(stage, credential=name)).status_code == 422
        )


def with_a_login(stage: Stage) -> None:
    """From the command line and over HTTP, sent again, retried, undone."""
    canary = stage.canaries["inline"]
    where = ("--clusters", "alpha", "--namespaces", stage.space.pattern)
    assert stage.cli("plan", *where, canary=canary) in (0, 3)
    assert stage.cli("run", *where, "--curl", canary=canary) == 0
    assert stage.cli("run", *where, "-o", "json", canary=canary) in (0, 3)
    key = {"Idempotency-Key": f"canary-{canary.core[:8]}"}
    body = inline(stage, "inline", secret_name="pull-two")
    first = post(stage, body, headers=key)
    other = body | {
        "inline_credential": body["inline_credential"]
        | {"password": stage.canaries["again"].password}
    }
    for same in (body, other):
        assert post(stage, same, headers=key) == first
    changed = stage.ask("POST", "/remediations", json=other | {"reason": "x"}, headers=key)
    assert changed.status_code == 422
    assert stage.service.wait(first).status == "succeeded"
    failed = done(stage, inline(stage, "inline"))
    assert failed.outcomes()[f"{stage.space.prefix}theirs"] == "failed"
    login = {"inline_credential": canary.login(stage.registry)}
    elsewhere = {"inline_credential": canary.login("other.example.com")}
    path = f"/{failed.body['id']}/retry"
    assert stage.ask("POST", f"/remediations{path}", json=elsewhere).status_code == 422
    done(stage, login, path)
    assert done(stage, {}, f"/{first}/undo").body["undo_of"] == first


def killed(stage: Stage) -> None:
    """The worker dies in the midst of a write; another one is cancelled there."""
    for name in ("crashed", "cancelled"):
        stage.gate.open.clear()
        stage.gate.reached.clear()
        identity = post(stage, inline(stage, name, secret_name="pull-two"))
        assert stage.gate.reached.wait(PATIENCE_SECONDS)
        if name == "crashed":
            worker = descendants(stage.service.child(b"worker")[0])
            os.kill(worker[0], signal.SIGKILL)
            assert all(ended(pid) for pid in worker[1:])
        else:
            assert stage.ask("POST", f"/remediations/{identity}/cancel").status_code == 202
        stage.gate.open.set()
        outcome = stage.service.wait(identity)
        if name == "crashed":
            assert outcome.clusters["alpha"]["attempt"] > 1
            assert outcome.status == "succeeded"


def decided(stage: Stage) -> None:
    """A protected cluster: approved, rejected, and what the one who asked may not; a pause in between."""
    name = stage.space.namespace("held", cluster=1)
    for canary, verb, status in (
        ("approved", "approve", "succeeded"),
        ("rejected", "reject", "cancelled"),
    ):
        body = inline(stage, canary) | {"clusters": ["beta"], "namespaces": [name]}
        identity = post(stage, body)
        seen = stage.ask("GET", f"/remediations/{identity}").json()
        decision = {"digest": seen["approval"]["digest"], "comment": "as discussed"}
        path = f"/remediations/{identity}/{verb}"
        assert stage.ask("POST", path, json=decision).status_code == 403
        assert stage.ask("POST", path, who="bob", json=decision).is_success
        assert stage.service.wait(identity).status == status
    assert stage.cli("pause", "--reason", "the registry is down") == 0
    waiting = post(stage, inline(stage, "paused", registry_check="skip", dry_run=True))
    assert stage.cli("system") == 0
    assert stage.cli("resume") == 0
    stage.service.wait(waiting)


def denied(stage: Stage) -> None:
    """Who may not; nobody; and those who took the API for something that wants the password itself."""
    body = inline(stage, "denied")
    login = stage.canaries["denied"]
    assert stage.ask("POST", "/remediations", who="eve", json=body).status_code == 403
    with httpx.Client(
        base_url=stage.service.http.base_url, trust_env=False, timeout=90
    ) as stranger:
        ways: list[dict[str, Any]] = [
            {},
            {"auth": (login.username, login.password)},
            {"headers": {"Authorization": f"Bearer rmd_{login.core}"}},
            {"headers": {"Authorization": f"Bearer {login.core}.{login.core}.{login.core}"}},
        ]
        for way in ways:
            assert stranger.post("/remediations", json=body, **way).status_code == 401


def disturbed(stage: Stage) -> None:
    """Redis, API and worker are killed while the way to the cluster is bad."""
    rng = Random(1)
    stage.gate.plan = lambda *_: rng.choice(_TROUBLES) if rng.random() < 0.3 else "pass"
    names = [stage.space.namespace(f"chaos{number}") for number in range(20)]
    where = {"namespaces": names}
    ids = [
        post(stage, inline(stage, "chaos", registry_check="skip") | where),
        post(stage, at(stage, credential="named", registry_check="warn") | where),
    ]
    for module in (b"worker", b"api"):
        time.sleep(1)
        os.kill(stage.service.child(module)[0], signal.SIGKILL)
    redis = _redis_pid(stage)
    os.kill(redis, signal.SIGKILL)
    eventually(lambda: _redis_pid(stage) not in (0, redis))
    time.sleep(1)
    stage.gate.plan = lambda *_: "pass"
    eventually(lambda: _ready(stage))
    for identity in ids:
        assert stage.service.wait(identity).body["terminal"]


def everything_read(stage: Stage) -> None:
    """Every GET of the document, for every id that there is, in every format; and the commands that read."""
    read_all(stage)
    for command in (
        ("audit", "list"),
        ("audit", "list", "--trail", "writes"),
        ("list",),
        ("credentials",),
    ):
        assert stage.cli(*command) == 0
    assert stage.cli("audit", "verify") == 0


STEPS = (
    named,
    refused_by_registries,
    rotated,
    with_a_login,
    killed,
    decided,
    denied,
    judged,
    send_all,
    disturbed,
    everything_read,
)


def _ready(stage: Stage) -> bool:
    try:
        system = stage.ask("GET", "/system")
    except httpx.TransportError:
        return False
    return system.is_success and bool(system.json()["workers"])


def _redis_pid(stage: Stage) -> int:
    """Return the process of the Redis that `up` started, 0 while there is none."""
    parent = stage.service.process.pid
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"redis" in words.partition(b"\0")[0] or b"valkey" in words.partition(b"\0")[0]:
            return int(pid)
    return 0
