"""Tokens of an OpenID Connect issuer: the honest get in, every forgery stays out."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient

from api.access_file import Oidc
from api.identity import IdentityUnavailable
from api.jwks import PAUSE_SECONDS, KeyAddress, read_key_set
from api.oidc import OidcVerifier, TokenRefused
from tests.api.tokens import (
    AUDIENCE,
    ISSUER,
    KeyServer,
    claims,
    ec_key,
    ed_key,
    jwk,
    key_server,
    part,
    pem,
    rsa_key,
    signed,
    symmetric,
    token,
)

WHOAMI = "/api/v1/whoami"
RS256 = {"alg": "RS256", "kid": "one", "typ": "JWT"}
SHOWN: list[Any] = [
    jwk(rsa_key("one"), "one"),
    jwk(rsa_key("two"), "two", alg="PS256"),
    jwk(ec_key("three"), "three"),
    jwk(ed_key("four"), "four"),
    jwk(rsa_key("short", 1024), "short"),
    {"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "alg": "HS256"},
    {**jwk(rsa_key("six"), "six"), "use": "enc"},
    {"kty": "RSA", "kid": "broken"},
    "no entry",
]


@pytest.fixture
def keys() -> Iterator[KeyServer]:
    """Serve the issuer's keys, and some that are not to be used."""
    with key_server() as server:
        server.entries = list(SHOWN)
        yield server


@pytest.fixture
def access_file(tmp_path: Path, keys: KeyServer) -> Path:
    """Return an access file that knows the issuer."""
    path = tmp_path / "access.yaml"
    everything = {name: ["*"] for name in ("clusters", "namespaces", "credentials")}
    path.write_text(
        yaml.safe_dump(
            {
                "oidc": {
                    "issuer": ISSUER,
                    "audience": AUDIENCE,
                    "algorithms": ["RS256", "PS256", "ES256", "EdDSA"],
                    "jwks_url": keys.url,
                    "groups_claim": "groups",
                },
                "bindings": [{"subjects": ["group:sre"], "role": "viewer", **everything}],
            }
        )
    )
    return path


def whoami(client: FlaskClient, text: str) -> Any:
    """Ask who the service takes the bearer of a token for."""
    return client.get(WHOAMI, headers={"Authorization": f"Bearer {text}"})


def test_an_honest_token_tells_subject_and_groups(anonymous: FlaskClient) -> None:
    body = whoami(anonymous, token()).get_json()

    assert body["subject"] == "user:mia"
    assert body["method"] == "oidc"
    assert body["groups"] == ["sre"]
    assert body["roles"] == ["viewer"]
    assert body["key_id"] is None
    assert body["expires_at"]


@pytest.mark.parametrize(
    "honest",
    [
        lambda: token(rsa_key("two"), "PS256", "two"),
        lambda: token(ec_key("three"), "ES256", "three"),
        lambda: token(ed_key("four"), "EdDSA", "four"),
        lambda: token(ec_key("three"), "ES256", kid=None),
        lambda: token(aud=["other", AUDIENCE]),
        lambda: token(groups=None),
        lambda: token(groups="sre"),
        lambda: token(exp=int(time.time()) - 30),
        lambda: token(nbf=int(time.time()) + 30),
    ],
)
def test_what_the_access_file_allows_gets_in(
    anonymous: FlaskClient, honest: Callable[[], str]
) -> None:
    assert whoami(anonymous, honest()).status_code == 200


def _with(signature: str) -> str:
    return ".".join([*token().split(".")[:2], signature])


def _changed(**more: Any) -> str:
    header, _, signature = token().split(".")
    return f"{header}.{part(claims(**more))}.{signature}"


def _twice(name: str, first: Any, second: Any) -> str:
    rest = json.dumps({key: value for key, value in claims().items() if key != name})
    return f'{{"{name}": {json.dumps(first)}, "{name}": {json.dumps(second)}, {rest[1:]}'


FORGERIES: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: f"{part({'alg': 'none', 'kid': 'one'})}.{part(claims())}.",
    "no algorithm, in capitals": lambda: f"{part({'alg': 'NONE'})}.{part(claims())}.",
    "no algorithm, with a signature": lambda: f"{part({'alg': 'none'})}.{part(claims())}.AAAA",
    "algorithm left out": lambda: signed({"kid": "one"}, claims()),
    "algorithm that is no text": lambda: signed({"alg": ["RS256"], "kid": "one"}, claims()),
    "algorithm not allowed": lambda: token(algorithm="RS512"),
    "MAC with the public key": lambda: symmetric(pem(rsa_key("one"))),
    "MAC with the public key as shown": lambda: symmetric(json.dumps(SHOWN[0]).encode()),
    "MAC with an empty key": lambda: symmetric(b""),
    "MAC with the symmetric key of the set": lambda: symmetric(
        b"secret-secret-secret-secret", kid="shared"
    ),
    "key of another kind": lambda: token(ec_key("three"), "ES256", "one"),
    "key of another kind, the other way": lambda: token(rsa_key("one"), "RS256", "three"),
    "key for another algorithm": lambda: token(rsa_key("two"), "RS256", "two"),
    "key that is not for signatures": lambda: token(rsa_key("six"), "RS256", "six"),
    "key that is too short": lambda: token(rsa_key("short", 1024), "RS256", "short"),
    "stranger's key": lambda: token(rsa_key("stranger")),
    "stranger's key, without a name": lambda: token(rsa_key("stranger"), kid=None),
    "unknown key": lambda: token(kid="nine"),
    "no key id where several fit": lambda: token(rsa_key("two"), "PS256", kid=None),
    "key id that is a path": lambda: token(rsa_key("stranger"), kid="../../../../dev/null"),
    "key id that is an address": lambda: token(rsa_key("stranger"), kid="https://evil.example/key"),
    "key id that is SQL": lambda: token(rsa_key("stranger"), kid="' UNION SELECT 'x"),
    "key id that is a number": lambda: signed({**RS256, "kid": 1}, claims()),
    "key id that is a list": lambda: signed({**RS256, "kid": ["one"]}, claims()),
    "key id that is huge": lambda: token(kid="k" * 10_000),
    "address of the key": lambda: token(headers={"jku": "https://evil.example/keys"}),
    "address of the certificate": lambda: token(headers={"x5u": "https://evil.example/x"}),
    "key of its own": lambda: token(
        rsa_key("stranger"), headers={"jwk": jwk(rsa_key("stranger"), "one")}
    ),
    "certificate of its own": lambda: token(headers={"x5c": ["MIIB"]}),
    "critical extension": lambda: token(headers={"crit": ["b64"], "b64": False}),
    "another issuer": lambda: token(iss="https://issuer.example.com/realms/other"),
    "issuer with a slash more": lambda: token(iss=ISSUER + "/"),
    "issuer that is a list": lambda: signed(RS256, claims(iss=[ISSUER])),
    "no issuer": lambda: token(iss=None),
    "another audience": lambda: token(aud="remediator-test"),
    "audience that only begins so": lambda: token(aud=AUDIENCE + "x"),
    "other audiences": lambda: token(aud=["a", "b"]),
    "no audience": lambda: token(aud=None),
    "empty audience": lambda: token(aud=[]),
    "over": lambda: token(exp=int(time.time()) - 90),
    "over for ages": lambda: token(exp=1),
    "no end": lambda: token(exp=None),
    "end that is text": lambda: signed(RS256, claims(exp="tomorrow")),
    "end that is no number": lambda: signed(RS256, json.dumps(claims(exp=float("nan")))),
    "end beyond time": lambda: signed(RS256, json.dumps(claims(exp=float("inf")))),
    "end beyond all years": lambda: signed(RS256, claims(exp=10**18)),
    "not yet": lambda: token(nbf=int(time.time()) + 90),
    "made in the future": lambda: token(iat=int(time.time()) + 90),
    "no subject": lambda: token(sub=None),
    "empty subject": lambda: token(sub=""),
    "subject that is a number": lambda: signed(RS256, claims(sub=7)),
    "subject with a line break": lambda: token(sub="mia\nadmin"),
    "subject that is huge": lambda: token(sub="m" * 201),
    "groups that are no names": lambda: signed(RS256, claims(groups=[{"name": "sre"}])),
    "groups that are a map": lambda: signed(RS256, claims(groups={"sre": True})),
    "groups without end": lambda: token(groups=["g"] * 501),
    "subject twice": lambda: signed(RS256, _twice("sub", "mia", "root")),
    "audience twice": lambda: signed(RS256, _twice("aud", "other", AUDIENCE)),
    "algorithm twice": lambda: signed('{"alg":"none","kid":"one","alg":"RS256"}', claims()),
    "changed claims": lambda: _changed(sub="root"),
    "no signature": lambda: _with(""),
    "another signature": lambda: _with(token(rsa_key("stranger")).split(".")[2]),
    "two parts": lambda: ".".join(token().split(".")[:2]),
    "four parts": lambda: token() + ".x",
    "five parts, encrypted": lambda: token() + ".x.y",
    "no JSON": lambda: f"{part('{')}.{part('{')}.x",
    "a list for a header": lambda: signed("[]", claims()),
    "a text for claims": lambda: signed(RS256, '"sub"'),
    "nested without end": lambda: signed(RS256, "[" * 6000),
    "a number without end": lambda: signed(
        RS256, json.dumps(claims())[:-1] + ', "n": 1' + "0" * 9000 + "}"
    ),
    "huge": lambda: token(padding="x" * 20_000),
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_stays_out(
    anonymous: FlaskClient, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    forged = FORGERIES[name]()

    answer = whoami(anonymous, forged)

    assert answer.status_code == 401
    assert answer.get_json()["code"] == "unauthenticated"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert forged not in answer.text + caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jwk", jwk(rsa_key("one"), "one")),
        ("jku", "https://issuer.example.com/keys"),
        ("x5u", "https://issuer.example.com/chain"),
        ("x5c", ["MIIB"]),
        ("crit", ["exp"]),
    ],
)
def test_a_token_that_says_where_its_key_is_stays_out_however_it_is_signed(
    anonymous: FlaskClient, name: str, value: object
) -> None:
    assert whoami(anonymous, token(headers={name: value})).status_code == 401


def test_a_key_is_for_the_algorithms_of_its_curve_only() -> None:
    entries = [jwk(ec.generate_private_key(curve()), "a") for curve in (ec.SECP256R1, ec.SECP384R1)]
    short, long = read_key_set(json.dumps({"keys": entries}).encode())

    assert (short.fits("ES256"), short.fits("ES384")) == (True, False)
    assert (long.fits("ES256"), long.fits("ES384")) == (False, True)
    assert not short.fits("RS256")


def test_without_an_issuer_no_token_gets_in(app: Flask, access_file: Path) -> None:
    access_file.write_text("bindings: []")

    assert whoami(app.test_client(), token()).status_code == 401


def test_a_key_set_without_a_usable_key_is_none() -> None:
    for text in (b"", b"[]", b'{"keys": 1}', json.dumps({"keys": SHOWN[4:]}).encode()):
        with pytest.raises(ValueError, match=r"document|Set|holds"):
            read_key_set(text)


class _Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def _verifier(keys: KeyServer, clock: _Clock) -> OidcVerifier:
    settings = Oidc(issuer=ISSUER, audience=AUDIENCE, algorithms=("RS256",), jwks_url=keys.url)
    return OidcVerifier(settings, KeyAddress(keys.url, None, clock))


def test_a_new_key_is_looked_up_once_in_a_while(keys: KeyServer) -> None:
    clock = _Clock()
    verifier = _verifier(keys, clock)
    for _ in range(3):
        verifier.identify(token())
    assert keys.asked == 1
    rotated = token(rsa_key("new"), kid="new")
    keys.entries = [jwk(rsa_key("new"), "new")]

    for _ in range(5):  # too soon, however many come
        with pytest.raises(TokenRefused):
            verifier.identify(rotated)
    assert keys.asked == 1

    clock.seconds += PAUSE_SECONDS
    assert verifier.identify(rotated).requester.subject == "user:mia"
    assert keys.asked == 2
    with pytest.raises(TokenRefused):  # a key that is gone from the set is good no more
        verifier.identify(token())


@pytest.mark.parametrize(
    "outage",
    [
        {"status": 500},
        {"status": 302, "location": "/elsewhere"},
        {"body": b"<html>"},
        {"body": b'{"keys": []}'},
        {"body": b"x" * 2_000_000},
    ],
)
def test_the_keys_survive_an_outage(keys: KeyServer, outage: dict[str, Any]) -> None:
    clock = _Clock()
    verifier = _verifier(keys, clock)
    verifier.identify(token())
    for name, value in outage.items():
        setattr(keys, name, value)
    clock.seconds += 24 * 3600.0

    assert verifier.identify(token()).requester.subject == "user:mia"
    assert keys.asked == 2


def test_without_any_key_nobody_can_tell(keys: KeyServer) -> None:
    clock = _Clock()
    verifier = _verifier(keys, clock)
    keys.status = 503

    with pytest.raises(IdentityUnavailable):
        verifier.identify(token())

    keys.status = 200
    clock.seconds += PAUSE_SECONDS
    verifier.identify(token())


def test_an_issuer_that_is_away_is_no_refusal(anonymous: FlaskClient, keys: KeyServer) -> None:
    keys.status = 503

    answer = whoami(anonymous, token())

    assert answer.status_code == 503
    assert answer.get_json()["code"] == "identity-unavailable"
    assert answer.headers["Retry-After"]


def test_a_changed_access_file_does_not_forget_the_keys(
    anonymous: FlaskClient, access_file: Path, keys: KeyServer
) -> None:
    assert whoami(anonymous, token()).get_json()["roles"] == ["viewer"]
    keys.status = 503
    document = yaml.safe_load(access_file.read_text())
    document["bindings"][0]["role"] = "auditor"

    access_file.write_text(yaml.safe_dump(document))

    assert whoami(anonymous, token()).get_json()["roles"] == ["auditor"]
    document["oidc"]["audience"] = "another"
    access_file.write_text(yaml.safe_dump(document))
    assert whoami(anonymous, token(aud="another")).status_code == 503


def test_keys_of_a_file_are_read_again_and_survive_a_broken_one(
    app: Flask, access_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [SHOWN[0]]}))
    document = yaml.safe_load(access_file.read_text())
    del document["oidc"]["jwks_url"]
    document["oidc"]["jwks_file"] = file.name  # beside the access file
    access_file.write_text(yaml.safe_dump(document))
    client = app.test_client()
    new = token(rsa_key("new"), kid="new")
    assert whoami(client, token()).status_code == 200
    assert whoami(client, new).status_code == 401

    file.write_text("{")
    assert whoami(client, token()).status_code == 200
    file.unlink()
    assert whoami(client, token()).status_code == 200

    file.write_text(json.dumps({"keys": [jwk(rsa_key("new"), "new")]}))
    assert whoami(client, new).status_code == 200
    assert whoami(client, token()).status_code == 401
