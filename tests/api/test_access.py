"""Who gets in."""

import base64
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.access import AUTHENTICATED, PUBLIC, Permission
from remediation.api_key import ENTROPY_BYTES, ApiKey, digest, new_api_key, parse_api_key
from tests.api.conftest import an_entry

WHOAMI = "/api/v1/whoami"
PUBLIC_RULES = {
    # They lead in, and say nothing but where things are.
    "/",
    "/docs",
    "/api/v1",
    "/api/v1/",
    "/livez",
    "/readyz",
    "/problems/<slug>",
    "/api/v1/openapi.json",
    "/api/v1/openapi.yaml",
    "/api/v1/docs",
    "/api/v1/docs/<name>",
}


def test_every_route_says_who_may_call_it(app: Flask) -> None:
    access = [
        (rule.rule, getattr(app.view_functions[rule.endpoint], "access", None))
        for rule in app.url_map.iter_rules()
    ]

    assert [rule for rule, needed in access if needed is None] == []
    assert {rule for rule, needed in access if needed == PUBLIC} == PUBLIC_RULES
    assert {rule for rule, needed in access if needed == AUTHENTICATED} == {WHOAMI}
    assert {needed for _, needed in access} <= {PUBLIC, AUTHENTICATED, *Permission}


def test_no_route_but_the_public_ones_answers_without_a_key(
    app: Flask, anonymous: FlaskClient
) -> None:
    for rule in app.url_map.iter_rules():
        if rule.rule in PUBLIC_RULES:
            continue
        path = rule.rule.replace("<remediation_id>", "rem_01M85B1ZWBXX38VXNACNJSV9CR")
        for method in (rule.methods or set()) - {"OPTIONS"}:
            assert anonymous.open(path, method=method).status_code == 401, (method, path)


def test_a_caller_is_told_who_the_service_takes_it_for(client: FlaskClient, key: ApiKey) -> None:
    assert client.get(WHOAMI).get_json() == {
        "subject": "client:ci",
        "method": "api_key",
        "key_id": key.id,
        "expires_at": None,
        "groups": [],
        "roles": ["admin"],
        "permissions": sorted(Permission),
        "scopes": [{"role": "admin", "clusters": ["*"], "namespaces": ["*"], "credentials": ["*"]}],
    }


def _another(token: str) -> str:
    return new_api_key(os.urandom(ENTROPY_BYTES)).token


def _same_id(token: str) -> str:
    """Return a key of another secret with the id of this one, whose checksum is right."""
    key_id = str(parse_api_key(token))
    start = base64.b32decode(key_id.upper())
    found = new_api_key(start + os.urandom(ENTROPY_BYTES - len(start)))
    assert parse_api_key(found.token) == key_id
    return found.token


@pytest.mark.parametrize(
    "header",
    [
        lambda token: "",
        lambda token: token,
        lambda token: f"Basic {token}",
        lambda token: "Bearer ",
        lambda token: "Bearer abc",
        lambda token: f"Bearer {token[:-1]}",
        lambda token: f"Bearer {token}x",
        lambda token: f"Bearer {_another(token)}",
        lambda token: f"Bearer {_same_id(token)}",
        lambda token: "Bearer \xe9",
    ],
)
def test_everybody_else_is_told_how_to_get_a_key(
    anonymous: FlaskClient, key: ApiKey, header: Callable[[str], str]
) -> None:
    answer = anonymous.get(WHOAMI, headers={"Authorization": header(key.token)})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="remediator"')
    assert answer.get_json()["code"] == "unauthenticated"
    assert "remediator token create" in answer.get_json()["detail"]
    assert key.token not in answer.text


def test_the_scheme_may_be_written_in_any_case(anonymous: FlaskClient, key: ApiKey) -> None:
    answer = anonymous.get(WHOAMI, headers={"Authorization": f"bearer {key.token}"})

    assert answer.status_code == 200


def test_a_changed_file_is_read_again(client: FlaskClient, access_file: Path, key: ApiKey) -> None:
    assert client.get(WHOAMI).status_code == 200

    access_file.write_text("keys: []  # nobody")
    assert client.get(WHOAMI).status_code == 401

    entry = an_entry(key, "portal", sha256=digest(key.token).upper())
    access_file.write_text(json.dumps({"keys": [entry]}))
    assert client.get(WHOAMI).get_json()["subject"] == "client:portal"

    access_file.unlink()
    assert client.get(WHOAMI).status_code == 401


GOOD: dict[str, Any] = {
    "id": "aaaaaaaa",
    "subject": "x",
    "sha256": "0" * 64,
    "expires_at": "never",
}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "- a",
        "keys: 1",
        "callers: []",
        json.dumps({"keys": [GOOD | {"role": "viewer"}]}),
        json.dumps({"keys": [GOOD | {"sha256": "0"}]}),
        json.dumps({"keys": [GOOD | {"id": "A"}]}),
        json.dumps({"keys": [GOOD | {"subject": ""}]}),
        json.dumps({"keys": [GOOD | {"subject": "a\nb"}]}),
        json.dumps({"keys": [GOOD, GOOD]}),
    ],
)
def test_a_file_that_is_broken_later_changes_nothing_and_is_told(
    client: FlaskClient, access_file: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get(WHOAMI).status_code == 200
    assert "[+]access ok" in client.get("/readyz?verbose").text

    access_file.write_text(content)

    assert client.get(WHOAMI).status_code == 200
    assert client.get(WHOAMI).status_code == 200
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == [
        "api.access_reload"
    ]
    assert "[+]access warning" in client.get("/readyz?verbose").text
    assert client.get("/api/v1/system").get_json()["access"]["ok"] is False

    access_file.write_text(json.dumps({"keys": [GOOD]}))

    assert client.get(WHOAMI).status_code == 401
    assert "[+]access ok" in client.get("/readyz?verbose").text


def test_a_key_is_good_until_its_end(client: FlaskClient, access_file: Path, key: ApiKey) -> None:
    def with_end(end: datetime) -> int:
        access_file.write_text(
            json.dumps({"keys": [an_entry(key, "ci", expires_at=end.isoformat())]})
        )
        return client.get(WHOAMI).status_code

    assert with_end(datetime.now(UTC) + timedelta(hours=1)) == 200
    assert with_end(datetime.now(UTC) - timedelta(seconds=1)) == 401


def test_several_keys_of_one_client_are_good_at_a_time(
    app: Flask, access_file: Path, key: ApiKey
) -> None:
    newer = new_api_key(os.urandom(ENTROPY_BYTES))
    access_file.write_text(json.dumps({"keys": [an_entry(key, "ci"), an_entry(newer, "ci")]}))

    for each in (key, newer):
        answer = app.test_client().get(WHOAMI, headers={"Authorization": f"Bearer {each.token}"})
        assert answer.get_json()["subject"] == "client:ci"
        assert answer.get_json()["key_id"] == each.id


def test_who_has_no_role_may_ask_who_it_is_and_nothing_else(
    client: FlaskClient, access_file: Path, key: ApiKey
) -> None:
    access_file.write_text(json.dumps({"keys": [an_entry(key, "ci", groups=["sre"])]}))

    who = client.get(WHOAMI).get_json()
    refused = client.get("/api/v1/clusters")

    assert (who["groups"], who["roles"], who["permissions"]) == (["sre"], [], [])
    assert refused.status_code == 403
    assert refused.get_json()["code"] == "forbidden"
    assert "inventory:read" in refused.get_json()["detail"]
