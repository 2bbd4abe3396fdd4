"""Every call, by every kind of caller, on every kind of object, against the table of roles in the documentation."""

import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from ulid import ULID
from werkzeug.test import TestResponse

from api.app import create_app
from api.settings import Settings
from remediation.api_key import ENTROPY_BYTES, ApiKey, new_api_key
from remediation.approval import Approval, digest_of
from remediation.outcome import Error, ErrorCode, Outcome
from remediation.readiness.request import CheckRequest
from remediation.request import RemediationRequest
from store.records import FREE, Terms
from store.store import Store
from tests.api.conftest import CREDENTIAL, Announce, Work, a_row, an_entry
from tests.docs.pages import ROOT, table

ROLES = ("viewer", "requester", "operator", "auditor", "admin")
STRANGERS = ("nobody", "forged", "expired")
CALLERS = (*STRANGERS, "unbound", *ROLES)
# Bound to all clusters and namespaces: for the calls that are about the whole service.
WIDE = {f"{role}-everywhere": role for role in ROLES}
PAGE = ROOT / "docs" / "access.md"
# Where the bindings of all roles count.
CLUSTERS, NAMESPACES = ["eu-*"], ["team-*"]
DECISIONS = ("/approve", "/reject")
PUBLIC = ("/livez", "/readyz", "/problems/", "/api/v1/openapi", "/api/v1/docs")
ENTRANCES = ("/", "/docs", "/api/v1", "/api/v1/")


@dataclass(frozen=True)
class Object:
    """A remediation: `owner` asked for it; `seen` and `covered` by what the roles are bound to."""

    owner: str  # own or foreign
    cluster: str
    namespaces: tuple[str, ...]
    credential: str
    seen: bool
    covered: bool


OBJECTS = [
    Object(owner, *rest)
    for owner in ("own", "foreign")
    for rest in (
        ("eu-1", ("team-a",), CREDENTIAL, True, True),
        ("eu-1", ("team-a", "team-b-*"), CREDENTIAL, True, True),
        ("eu-1", ("*",), CREDENTIAL, True, False),
        ("eu-1", ("team-a", "shop"), CREDENTIAL, True, False),
        ("us-1", ("team-a",), CREDENTIAL, False, False),
        ("us-1", ("*",), CREDENTIAL, False, False),
    )
]
# What a new request asks for, and whether the bindings cover it.
REQUESTS: list[tuple[dict[str, Any], bool]] = [
    ({"clusters": clusters, "namespaces": namespaces, "credential": credential}, covered)
    for (clusters, in_cluster), (namespaces, in_namespace), (
        credential,
        known,
    ) in itertools.product(
        [
            (["eu-1"], True),
            (["eu-*"], True),
            (["us-1"], False),
            (["*"], False),
            (["eu-1", "us-1"], False),
            (["nowhere"], False),
        ],
        [
            (["team-a"], True),
            (["team-?*"], True),
            (["*"], False),
            (None, False),
            (["shop"], False),
            (["team*"], False),
        ],
        [(CREDENTIAL, True), ("other", False)],
    )
    for covered in [in_cluster and in_namespace and known]
]


def allowed() -> dict[str, dict[str, str]]:
    """Return what the documentation says: call -> role -> yes, own, others', everywhere or no."""
    return {
        cells[0].strip("`"): dict(zip(ROLES, cells[1:], strict=True))
        for cells in table(PAGE, "call", *ROLES)
    }


def calls(app: Flask) -> Iterator[str]:
    """Yield the calls that the application serves, but for the public ones."""
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(PUBLIC) and rule.rule not in ENTRANCES:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                path = rule.rule.replace("<remediation_id>", "{id}").replace(
                    "<check_id>", "{check}"
                )
                yield f"{method} {path}"


@dataclass
class World:
    """The service, its callers, and remediations to be had."""

    app: Flask
    store: Store
    work: Work
    keys: dict[str, ApiKey]
    announce: Announce

    def send(self, caller: str, call: str, object_id: str = "", body: Any = None) -> TestResponse:
        # However slow the machine is: nobody must be refused because a worker has not been heard of for a while.
        self.announce("eu-1", "eu-2", "us-1", credentials=(CREDENTIAL, "other"))
        method, path = call.split()
        headers = {}
        if caller != "nobody":
            key = self.keys["viewer"] if caller == "forged" else self.keys[caller]
            text = new_api_key(os.urandom(ENTROPY_BYTES)).token if caller == "forged" else key.token
            headers["Authorization"] = f"Bearer {text}"
        return self.app.test_client().open(
            path.replace("{id}", object_id).replace("{check}", object_id),
            method=method,
            headers=headers,
            json=body if method == "POST" else None,
        )

    def make(self, caller: str, kind: Object, call: str) -> str:
        """Return the id of a new remediation of a kind, in a state that the call is possible in."""
        identity = f"rem_{ULID()}"
        request = RemediationRequest(
            clusters=(kind.cluster,),
            credential=kind.credential,
            namespaces=kind.namespaces,
            secret_name=identity[
                4:
            ].lower(),  # so that none of them waits for, or stands on, another
        )
        owner = f"client:{caller}" if kind.owner == "own" else "client:somebody"
        places = [(kind.cluster, "default")]
        held = Terms(approval=Approval(_digest(request), owner, "2999-01-01T00:00:00.000Z"))
        terms = held if call.endswith(DECISIONS) else FREE
        self.store.intake.remediation(identity, request, owner, places, terms=terms)
        if call.endswith(("/retry", "/undo")):
            failed = a_row("team-b", Outcome.FAILED, error=Error(ErrorCode.TIMEOUT, "too slow"))
            self.work.run(identity, [a_row("team-a"), failed])
        return identity

    def make_check(self, kind: Object) -> str:
        """Return the id of a new readiness check of a kind; who asked for it makes no difference."""
        identity = f"chk_{ULID()}"
        request = CheckRequest(
            clusters=(kind.cluster,),
            registries=("registry.example.com",),
            credential=kind.credential,
            namespaces=kind.namespaces,
        )
        self.store.intake.check(identity, request, kind.owner, [(kind.cluster, "default")])
        return identity


def _digest(request: RemediationRequest) -> str:
    """Return what names that request, with the login that `announce` tells of."""
    return digest_of(request, request.clusters, ("registry.example.com", "puller"))


@pytest.fixture
def world(tmp_path: Path, store: Store, announce: Announce, work: Work) -> World:
    """Return a service that knows a caller of each kind, bound to the same places."""
    keys = {name: new_api_key(os.urandom(ENTROPY_BYTES)) for name in (*CALLERS, *WIDE, "somebody")}
    places = {"clusters": CLUSTERS, "namespaces": NAMESPACES, "credentials": [CREDENTIAL]}
    bindings = [{"subjects": [f"client:{role}"], "role": role, **places} for role in ROLES]
    wide = {"clusters": ["*"], "namespaces": ["*"], "credentials": [CREDENTIAL]}
    bindings += [
        {"subjects": [f"client:{name}"], "role": role, **wide} for name, role in WIDE.items()
    ]
    # One who may do everything is no reason for others to, and an expired key is none for its client.
    bindings.append(
        {
            "subjects": ["client:somebody", "client:expired"],
            "role": "admin",
            **{name: ["*"] for name in places},
        }
    )
    entries = [
        an_entry(key, name, **({"expires_at": "2026-01-01"} if name == "expired" else {}))
        for name, key in keys.items()
    ]
    access_file = tmp_path / "matrix.yaml"
    access_file.write_text(json.dumps({"keys": entries, "bindings": bindings}))
    app = create_app(Settings(access_file=access_file, failures_per_minute=1_000_000), store)
    return World(app, store, work, keys, announce)


def expected(caller: str, verdict: str, kind: Object | None) -> int | None:
    """Return the status that refuses, None where nothing does."""
    if caller in STRANGERS:
        return 401
    if verdict == "no" or (verdict == "everywhere" and caller not in WIDE):
        return 403
    if kind is None:
        return None
    if not kind.seen:
        return 404
    if (verdict, kind.owner) in (("own", "foreign"), ("others'", "own")):
        return 403
    return None


def test_the_table_has_every_call(world: World) -> None:
    assert set(allowed()) == set(calls(world.app))


def test_the_matrix(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    said = allowed()
    wrong: list[str] = []
    cases = 0

    def check(name: str, answer: TestResponse, refused: int | None) -> None:
        nonlocal cases
        cases += 1
        status = answer.status_code
        closed = status == 412 and "/gate" in name  # which is an answer
        if status != refused if refused else not (200 <= status < 300 or closed):
            wrong.append(f"{name}: {status} instead of {refused or 'a good answer'}: {answer.text}")

    for call, caller in itertools.product(calls(world.app), (*CALLERS, *WIDE)):
        if caller in WIDE and "everywhere" not in said[call].values():
            continue
        verdict = said[call].get(WIDE.get(caller, caller), "no")
        if call.endswith("/whoami") and caller == "unbound":
            verdict = "yes"  # who may do nothing may ask what that is
        if call == "POST /api/v1/remediations":
            for body, covered in REQUESTS:
                refused = expected(caller, verdict, None) or (None if covered else 403)
                sent = {name: value for name, value in body.items() if value is not None}
                check(f"{caller} {call} {sent}", world.send(caller, call, body=sent), refused)
        elif call == "POST /api/v1/readiness-checks":
            for body, covered in REQUESTS:
                refused = expected(caller, verdict, None) or (None if covered else 403)
                sent = {name: value for name, value in body.items() if value is not None}
                sent["registry"] = "registry.example.com"
                check(f"{caller} {call} {sent}", world.send(caller, call, body=sent), refused)
        elif "{check}" in call:
            for kind in OBJECTS:
                # A check is seen as a whole, or not at all.
                whole = replace(kind, owner="own", seen=kind.covered)
                answer = world.send(caller, call, world.make_check(kind))
                check(f"{caller} {call} {kind}", answer, expected(caller, verdict, whole))
        elif "{id}" in call:
            for kind in OBJECTS:
                refused = expected(caller, verdict, kind)
                writes = call.startswith("POST")
                own_cancel = call.endswith("/cancel") and kind.owner == "own"
                if refused is None and writes and not kind.covered and not own_cancel:
                    refused = 403
                identity = world.make(caller, kind, call)
                made = world.store.remediations.get(identity)
                digest = made.approval.digest if made and made.approval else None
                body = {"digest": digest} if digest else {}
                answer = world.send(caller, call, identity, body)
                check(f"{caller} {call} {kind}", answer, refused)
        else:
            resumes = call.endswith("/resume")
            if resumes:
                world.store.pause.begin("for the matrix", "somebody")
            answer = world.send(caller, call, body={} if resumes else {"reason": "for the matrix"})
            check(f"{caller} {call}", answer, expected(caller, verdict, None))
            world.store.pause.end("somebody")

    with capsys.disabled():
        print(f"\nmatrix: {cases} cases, {len(wrong)} wrong")  # noqa: T201
    assert wrong == []
    assert cases > 1000
