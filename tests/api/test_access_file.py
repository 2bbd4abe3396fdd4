"""The access file: what it holds, and what is said of one that cannot be used."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.access_file import AccessFileError, read_access_file
from remediation.permission import Binding, Grant, Role

KEY: dict[str, Any] = {
    "id": "abcdefgh",
    "subject": "portal",
    "sha256": "0" * 64,
    "expires_at": "never",
}
OIDC: dict[str, Any] = {
    "issuer": "https://login.example.com",
    "audience": "remediator",
    "jwks_url": "https://login.example.com/keys",
}
BINDING: dict[str, Any] = {
    "subjects": ["client:portal"],
    "role": "viewer",
    "clusters": ["*"],
    "namespaces": ["*"],
    "credentials": ["*"],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where the file is."""
    return tmp_path / "access.yaml"


def test_an_empty_file_lets_nobody_in(file: Path) -> None:
    file.write_text("# nothing yet\n")

    access = read_access_file(file)

    assert not access.lets_in
    assert access.policy.bindings == ()


def test_all_of_it(file: Path) -> None:
    file.write_text(
        """\
keys:
- {id: 22222222, subject: client:portal, sha256: "%s", expires_at: 2027-01-31, groups: [apps]}
oidc: {issuer: i, audience: a, algorithms: [ES256, EdDSA], jwks_file: keys/jwks.json}
kubernetes: {audience: remediator, token_file: /run/token}
bindings:
- subjects: ["user:mia", "group:*", "serviceaccount:ops/bot", "*"]
  role: operator
  clusters: ["arn:aws:eks:eu:1:cluster/a", "eu-*"]
  namespaces: [team-a]
  credentials: [harbor]
limits: {requester: {clusters: 5}}
"""
        % ("AB" * 32)
    )

    access = read_access_file(file)

    (key,) = access.keys.values()
    assert (key.id, key.subject, key.groups) == ("22222222", "portal", ("apps",))
    assert key.sha256 == "ab" * 32
    assert key.expires_at == datetime(2027, 1, 31, tzinfo=UTC)
    assert access.oidc
    assert access.oidc.jwks_file == file.parent / "keys" / "jwks.json"
    assert access.oidc.algorithms == ("ES256", "EdDSA")
    assert access.kubernetes
    assert access.kubernetes.token_file == Path("/run/token")
    assert access.policy.bindings == (
        Binding(
            ("user:mia", "group:*", "serviceaccount:ops/bot", "*"),
            Grant(
                role=Role.OPERATOR,
                clusters=("arn:aws:eks:eu:1:cluster/a", "eu-*"),
                namespaces=("team-a",),
                credentials=("harbor",),
            ),
        ),
    )
    assert access.document["limits"] == {"requester": {"clusters": 5}}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"key": []}, "key is not known"),
        ({"keys": [KEY, {**KEY, "id": "ijklmnop", "role": "x"}]}, "keys[1].role is not known"),
        ({"keys": [KEY, KEY]}, "keys[1].id is that of another key"),
        ({"keys": [{**KEY, "id": "ABC"}]}, "keys[0].id must be the 8 characters"),
        ({"keys": [{**KEY, "sha256": "0" * 63}]}, "keys[0].sha256 must be 64"),
        ({"keys": [{**KEY, "subject": "user:mia"}]}, "keys[0].subject must be the plain name"),
        ({"keys": [{**KEY, "owner": "mia"}]}, "keys[0].owner must have the form user:NAME"),
        ({"keys": [{**KEY, "owner": "user:"}]}, "keys[0].owner must have the form user:NAME"),
        ({"keys": [{**KEY, "owner": "group:sre"}]}, "keys[0].owner must have the form"),
        ({"keys": [{**KEY, "subject": "client:"}]}, "keys[0].subject must be the plain name"),
        ({"keys": [{**KEY, "expires_at": "soon"}]}, "keys[0].expires_at must be a time"),
        ({"keys": [{**KEY, "expires_at": None}]}, "keys[0].expires_at must not be empty"),
        ({"keys": [{**KEY, "groups": "apps"}]}, "keys[0].groups must be a list"),
        ({"keys": ["x"]}, "keys[0] must be an object"),
        ({"oidc": {**OIDC, "algorithms": ["HS256"]}}, "oidc.algorithms[0] must be one of RS256"),
        ({"oidc": {**OIDC, "algorithms": ["none"]}}, "oidc.algorithms[0] must be one of RS256"),
        ({"oidc": {**OIDC, "algorithms": []}}, "oidc.algorithms must hold at least one"),
        ({"oidc": {**OIDC, "jwks_file": "x"}}, "oidc must have either"),
        ({"oidc": {"issuer": "i", "audience": "a"}}, "oidc must have either"),
        (
            {"oidc": {**OIDC, "jwks_url": "http://login.example.com/"}},
            "oidc.jwks_url must be https",
        ),
        ({"oidc": {**OIDC, "jwks_url": "http://127.0.0.1.example.com/"}}, "must be https"),
        ({"oidc": {**OIDC, "jwks_url": "file:///etc/keys"}}, "oidc.jwks_url must be https"),
        ({"oidc": {**OIDC, "jwks_url": "https://u:p@login.example.com/"}}, "must have no user"),
        ({"kubernetes": {}}, "kubernetes.audience is missing"),
        ({"kubernetes": {"audience": "a", "server": "http://k8s"}}, "kubernetes.server must be"),
        ({"bindings": [{**BINDING, "role": "root"}]}, "bindings[0].role must be one of viewer"),
        ({"bindings": [{**BINDING, "subjects": ["mia"]}]}, "bindings[0].subjects[0] must begin"),
        ({"bindings": [{**BINDING, "subjects": ["user:"]}]}, "bindings[0].subjects[0] must begin"),
        ({"bindings": [{**BINDING, "subjects": ["serviceaccount:bot"]}]}, "must have the form"),
        ({"bindings": [{**BINDING, "namespaces": ["Team"]}]}, "bindings[0].namespaces[0] 'Team'"),
        ({"bindings": [{**BINDING, "clusters": []}]}, "bindings[0].clusters must hold at least"),
        (
            {"bindings": [{name: BINDING[name] for name in BINDING if name != "credentials"}]},
            "bindings[0].credentials is missing",
        ),
        ({"bindings": {"role": "viewer"}}, "bindings must be a list"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(file: Path, document: Any, told: str) -> None:
    file.write_text(json.dumps(document))

    with pytest.raises(AccessFileError) as caught:
        read_access_file(file)

    assert str(file) in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "0" * 60 not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("keys: []\nkeys: []\n", "'keys' is there twice (line 2)"),
        ("bindings:\n- {role: viewer, role: admin}\n", "'role' is there twice (line 2)"),
        ("- a\n", "must hold an object"),
        ("{", "neither YAML nor JSON"),
        ("!!python/object/apply:os.system [true]", "neither YAML nor JSON"),
        ("? [a]\n: b\n", "neither YAML nor JSON"),
        ("[" * 5000, "neither YAML nor JSON"),
    ],
)
def test_a_document_that_is_none(file: Path, text: str, told: str) -> None:
    file.write_text(text)

    with pytest.raises(AccessFileError) as caught:
        read_access_file(file)

    assert told in str(caught.value)


def test_several_faults_are_told_at_once(file: Path) -> None:
    keys = [{**KEY, "id": f"{letter}bcdefgh", "sha256": "x"} for letter in "abcdefg"]
    file.write_text(json.dumps({"keys": keys, "oidc": {}}))

    with pytest.raises(AccessFileError, match=r"keys\[0\].*keys\[4\].*; and \d more$"):
        read_access_file(file)


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(AccessFileError, match="cannot be read"):
        read_access_file(file)
