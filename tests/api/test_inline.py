"""Logins in requests: sealed before anything is stored, never repeated, gone at the end."""

import json
import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from nacl.public import PrivateKey
from werkzeug.test import TestResponse

from api.app import create_app
from api.settings import Settings
from remediation.inventory import AnnouncedCredential
from remediation.outcome import Error, ErrorCode, Outcome
from remediation.request import InlineCredential
from remediation.sealing import KeyKind, format_key
from store import keys
from store.recovery import recover
from store.sealed import MARGIN_SECONDS
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_row
from tests.api.test_create import errors, post
from tests.leaks import forms_of, leaks, values_in
from worker.sealing import SealingKeys

PASSWORD = "correct-horse-7f3a"
LOGIN = {"registry": "registry.example.com", "username": "robot", "password": PASSWORD}
BODY: dict[str, Any] = {"clusters": ["eu-1"], "inline_credential": LOGIN}
SHOWN = {"registry": "registry.example.com", "username": "robot"}
FAILED = Error(ErrorCode.FORBIDDEN, "it may not")


@pytest.fixture
def private(tmp_path: Path) -> SealingKeys:
    """Return the workers' key."""
    key = PrivateKey.generate()
    (tmp_path / "sealing.key").write_text(format_key(KeyKind.PRIVATE, bytes(key)))
    (tmp_path / "sealing.pub").write_text(format_key(KeyKind.PUBLIC, bytes(key.public_key)))
    return SealingKeys.read(tmp_path / "sealing.key")


@pytest.fixture
def settings(access_file: Path, tmp_path: Path, private: SealingKeys) -> Settings:
    """Return the settings of an API that takes logins."""
    return Settings(access_file=access_file, sealing_public_key_file=tmp_path / "sealing.pub")


@pytest.fixture
def opening(announce: Announce, private: SealingKeys) -> None:
    """Pretend that a worker lives that can open logins."""
    announce("eu-1", "eu-2", sealing_keys=private.ids)


def accepted(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    return dict(answer.get_json())


def retry(client: FlaskClient, identity: str, **body: Any) -> TestResponse:
    return client.post(f"{API}/remediations/{identity}/retry", json=body)


FORMS = forms_of(PASSWORD, "robot")


def finds(store: Store) -> int:
    """Count the places in Redis where the password is."""
    return leaks(values_in(store.queue.of("x").connection), FORMS)


@pytest.mark.usefixtures("opening")
def test_a_login_is_sealed_for_the_workers_and_for_its_remediation(
    client: FlaskClient, store: Store, private: SealingKeys
) -> None:
    body = accepted(post(client, BODY | {"timeout_seconds": 60}))

    sealed = store.sealed.get(body["id"])
    assert sealed is not None
    opened = private.open(sealed, body["id"], InlineCredential(**SHOWN))
    assert opened.login.password == PASSWORD
    left = store.redis.ttl(keys.sealed(body["id"]))
    assert 60 < left <= 60 + MARGIN_SECONDS
    assert body["request"]["credential"] is None
    assert body["request"]["inline_credential"] == SHOWN


@pytest.mark.usefixtures("opening")
def test_a_login_of_ones_own_needs_a_binding_to_all_credentials(
    client: FlaskClient, access_file: Path
) -> None:
    access = json.loads(access_file.read_text())
    for credentials, status in ((["*-registry", "h*"], 403), (["h*", "*"], 202)):
        access["bindings"][0]["credentials"] = credentials
        access_file.write_text(json.dumps(access))

        answer = post(client, BODY)

        assert answer.status_code == status
        if status == 403:
            assert "a credential of your own" in answer.get_json()["detail"]


@pytest.mark.usefixtures("opening")
@pytest.mark.parametrize(("credentials", "shown"), [(["*"], SHOWN), (["harbor", "h*"], None)])
def test_whose_login_it_is_is_for_those_who_may_use_any(
    client: FlaskClient,
    access_file: Path,
    credentials: list[str],
    shown: object,
) -> None:
    identity = accepted(post(client, BODY | {"namespaces": ["team-a"]}))["id"]
    binding = {
        "subjects": ["client:ci"],
        "role": "viewer",
        "clusters": ["eu-*"],
        "namespaces": ["team-*"],
        "credentials": credentials,
    }
    access = json.loads(access_file.read_text()) | {"bindings": [binding]}
    access_file.write_text(json.dumps(access))

    answer = client.get(f"{API}/remediations/{identity}")

    assert answer.get_json()["request"]["inline_credential"] == shown
    assert ("robot" in answer.text) is (shown is not None)


@pytest.mark.usefixtures("opening")
def test_the_password_is_nowhere(
    client: FlaskClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = post(client, BODY, Idempotency_Key="8e03978e-40d5-43dd")
    identity = accepted(answer)["id"]
    texts = [answer.text]
    for path in ("", "/results", f"/{identity}", f"/{identity}/results", "?wait=0"):
        texts.append(client.get(f"{API}/remediations{path}").text)

    assert finds(store) == 0
    assert leaks([text.encode() for text in [*texts, caplog.text]], FORMS) == 0


@pytest.mark.usefixtures("opening")
def test_a_leak_would_be_found(store: Store) -> None:
    """The search of the other tests can fail."""
    for leak in (*FORMS, zlib.compress(PASSWORD.encode())):
        store.redis.hset("rq:job:x", "data", leak)
        assert finds(store) == 1


def end_well(store: Store, work: Work, identity: str) -> None:
    work.run(identity, [a_row("shop")])


def end_badly(store: Store, work: Work, identity: str) -> None:
    work.fail(identity, "eu-1", FAILED)


def end_cancelled(store: Store, work: Work, identity: str) -> None:
    store.remediations.cancel(identity)
    recover(store)


def end_without_anybody(store: Store, work: Work, identity: str) -> None:
    """Let the last run end without the remediation being closed, as when the worker dies in between."""
    claim = store.claims.take(f"{identity}-0")
    assert claim
    store.claims.finish(claim)
    assert store.sealed.get(identity)
    recover(store)


@pytest.mark.usefixtures("opening")
@pytest.mark.parametrize("end", [end_well, end_badly, end_cancelled, end_without_anybody])
def test_the_login_is_gone_at_the_end(
    client: FlaskClient, store: Store, work: Work, end: Callable[[Store, Work, str], None]
) -> None:
    identity = accepted(post(client, BODY))["id"]
    assert store.sealed.get(identity)

    end(store, work, identity)

    assert client.get(f"{API}/remediations/{identity}").get_json()["terminal"]
    assert store.sealed.get(identity) is None


@pytest.mark.usefixtures("opening")
def test_the_login_stays_until_the_last_cluster_is_done(
    client: FlaskClient, store: Store, work: Work
) -> None:
    identity = accepted(post(client, BODY | {"clusters": ["*"]}))["id"]

    work.run(identity, [a_row("shop")], clusters=["eu-1"])

    assert store.sealed.get(identity)


def test_without_a_key_a_login_is_refused_and_it_is_said_what_to_configure(
    access_file: Path, store: Store, client: FlaskClient, announce: Announce
) -> None:
    announce("eu-1")
    keyless = create_app(Settings(access_file=access_file), store).test_client()
    keyless.environ_base = client.environ_base

    code, detail = errors(post(keyless, BODY))["#/inline_credential"]

    assert code == "not_supported"
    for name in (
        "REMEDIATOR_SEALING_PUBLIC_KEY_FILE",
        "REMEDIATOR_SEALING_KEY_FILE",
        "`remediator keys create`",
        CREDENTIAL,
    ):
        assert name in detail


def test_a_key_that_broke_later_is_none_and_the_log_says_why(
    client: FlaskClient, announce: Announce, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    announce("eu-1")
    (tmp_path / "sealing.pub").write_text("hunter2")

    assert errors(post(client, BODY))["#/inline_credential"][0] == "not_supported"
    assert "REMEDIATOR_SEALING_PUBLIC_KEY_FILE" in caplog.text
    assert "hunter2" not in caplog.text


def test_what_no_live_worker_could_open_is_refused(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1", sealing_keys=("0badc0de",))

    code, detail = errors(post(client, BODY))["#/inline_credential"]

    assert code == "not_supported"
    assert "no live worker could open it" in detail


def test_a_run_goes_to_a_pool_that_can_open_the_login(
    client: FlaskClient, store: Store, announce: Announce, private: SealingKeys
) -> None:
    announce("eu-1", pool="a")
    announce("eu-1", pool="b", sealing_keys=private.ids)

    identity = accepted(post(client, BODY))["id"]

    run = store.runs.get(f"{identity}-0")
    assert run is not None
    assert run.pool == "b"


@pytest.mark.usefixtures("opening")
@pytest.mark.parametrize(
    ("login", "place"),
    [
        (LOGIN | {"password": 7031996}, "/password"),
        (LOGIN | {"password": [7031996]}, "/password"),
        (LOGIN | {"password": {"7031996": 1}}, "/password"),
        (LOGIN | {"password": ""}, "/password"),
        (LOGIN | {"password": "7031996" * 10000}, "/password"),
        (LOGIN | {"password": None}, "/password"),
        (LOGIN | {"password": "7031996\n"}, "/password"),
        (LOGIN | {"password": "7031996\r\n"}, "/password"),
        (LOGIN | {"username": "a:7031996"}, "/username"),
        (LOGIN | {"username": "7031996\n"}, "/username"),
        (LOGIN | {"registry": "https://robot:7031996@r.io"}, "/registry"),
        ("7031996", ""),
        (7031996, ""),
    ],
)
def test_a_login_that_is_wrong_is_never_repeated(
    client: FlaskClient, store: Store, caplog: pytest.LogCaptureFixture, login: Any, place: str
) -> None:
    caplog.set_level(logging.DEBUG)

    answer = post(client, BODY | {"inline_credential": login})

    assert set(errors(answer)) == {f"#/inline_credential{place}"}
    assert "7031996" not in answer.text + caplog.text
    assert store.redis.zcard(keys.REMEDIATIONS) == 0


@pytest.mark.usefixtures("opening")
def test_half_a_character_is_no_password(client: FlaskClient) -> None:
    body = json.dumps(BODY).replace(PASSWORD, "7031996\\ud800")

    answer = client.post(f"{API}/remediations", data=body, content_type="application/json")

    assert answer.status_code == 400
    assert "7031996" not in answer.text


@pytest.mark.usefixtures("opening")
def test_either_a_name_or_a_login(client: FlaskClient) -> None:
    found = errors(post(client, BODY | {"credential": CREDENTIAL}))

    assert found["#/credential"][0] == "ambiguous"


@pytest.mark.usefixtures("opening")
def test_what_is_kept_of_a_key_says_nothing_of_the_password(
    client: FlaskClient, store: Store
) -> None:
    """It does not depend on it: so nothing can be tried on it. The price: the password is not compared."""
    identity = accepted(post(client, BODY, Idempotency_Key="8e03978e-40d5"))["id"]
    other = BODY | {"inline_credential": LOGIN | {"password": "another"}}
    different = BODY | {"inline_credential": LOGIN | {"username": "other"}}

    again = post(client, BODY, Idempotency_Key="8e03978e-40d5")
    with_another = post(client, other, Idempotency_Key="8e03978e-40d5")

    assert accepted(again)["id"] == accepted(with_another)["id"] == identity
    assert with_another.headers["Idempotency-Replayed"] == "true"
    reused = post(client, different, Idempotency_Key="8e03978e-40d5")
    assert reused.get_json()["code"] == "idempotency-key-reuse"


@pytest.fixture
def ended(client: FlaskClient, store: Store, work: Work, opening: None) -> str:
    """Return a remediation with a login, in which a namespace failed."""
    identity = accepted(post(client, BODY))["id"]
    work.run(identity, [a_row("shop"), a_row("bad", Outcome.FAILED, error=FAILED)])
    return str(identity)


def test_a_retry_needs_the_login_again(client: FlaskClient, store: Store, ended: str) -> None:
    code, detail = errors(retry(client, ended))["#/inline_credential"]

    assert code == "required"
    assert "was deleted when it ended" in detail
    again = accepted(retry(client, ended, inline_credential=LOGIN | {"username": "newer"}))
    assert again["retry_of"] == ended
    assert again["request"]["inline_credential"] == SHOWN | {"username": "newer"}
    assert store.sealed.get(again["id"])
    assert finds(store) == 0


def test_a_retry_is_about_the_same_registry(client: FlaskClient, ended: str) -> None:
    elsewhere = LOGIN | {"registry": "elsewhere.example.com"}

    found = errors(retry(client, ended, inline_credential=elsewhere))

    assert "registry.example.com" in found["#/inline_credential/registry"][1]


def test_a_retry_of_one_by_name_takes_no_login(
    client: FlaskClient, announce: Announce, private: SealingKeys, work: Work
) -> None:
    announce("eu-1", sealing_keys=private.ids)
    identity = accepted(post(client, {"clusters": ["eu-1"], "credential": CREDENTIAL}))["id"]
    work.run(identity, [a_row("bad", Outcome.FAILED, error=FAILED)])

    found = errors(retry(client, identity, inline_credential=LOGIN))

    assert found["#/inline_credential"][0] == "not_allowed"
    assert accepted(retry(client, identity))["request"]["credential"] == CREDENTIAL


def test_an_undo_needs_no_login(client: FlaskClient, store: Store, work: Work, ended: str) -> None:
    undone = accepted(client.post(f"{API}/remediations/{ended}/undo"))

    assert undone["undo_of"] == ended
    assert undone["request"]["inline_credential"] == SHOWN
    assert store.sealed.get(undone["id"]) is None
    work.run(undone["id"], [a_row("shop", Outcome.FAILED, error=FAILED)])
    assert errors(retry(client, undone["id"], inline_credential=LOGIN))
    assert accepted(retry(client, undone["id"]))["undo_of"] == ended


@pytest.mark.usefixtures("opening")
def test_the_run_shows_which_content_it_used(client: FlaskClient, store: Store) -> None:
    identity = accepted(post(client, BODY))["id"]
    claim = store.claims.take(f"{identity}-0")
    assert claim

    store.claims.uses_credential(claim, "a1b2c3d4e5f60718")

    shown = client.get(f"{API}/remediations/{identity}").get_json()
    assert shown["clusters"][0]["credential_fingerprint"] == "a1b2c3d4e5f60718"


def held(fingerprint: str | None, problem: str | None = None) -> AnnouncedCredential:
    return AnnouncedCredential(
        "harbor", ("r.io",), ("robot",), "2026-01-31T12:00:00Z", problem, fingerprint
    )


def credential(client: FlaskClient) -> dict[str, Any]:
    items = client.get(f"{API}/credentials").get_json()["items"]
    assert len(items) == 1
    return dict(items[0])


def test_pools_that_hold_the_same_show_one_fingerprint(
    client: FlaskClient, announce: Announce
) -> None:
    announce("eu-1", pool="a", credentials=[held("1" * 16)], sealing_keys=("k1",))
    announce("us-1", pool="b", credentials=[held("1" * 16)], sealing_keys=("k1",))

    shown = credential(client)

    assert (shown["fingerprint"], shown["pools"], shown["warning"]) == ("1" * 16, ["a", "b"], None)


def test_pools_that_hold_different_contents_are_named(
    client: FlaskClient, announce: Announce
) -> None:
    announce("eu-1", pool="a", credentials=[held("1" * 16)], sealing_keys=("k1",))
    announce("us-1", pool="b", credentials=[held("2" * 16)], sealing_keys=("k1",))

    shown = credential(client)

    assert shown["status"] == "ready"
    assert shown["fingerprint"] is None
    assert f"a ({'1' * 16}), b ({'2' * 16})" in shown["warning"]
    assert [holder["fingerprint"] for holder in shown["holders"]] == ["1" * 16, "2" * 16]
    table = client.get(f"{API}/credentials?format=table").text
    assert "different contents" in table


def test_fingerprints_of_different_keys_are_not_compared(
    client: FlaskClient, announce: Announce
) -> None:
    announce("eu-1", pool="a", credentials=[held("1" * 16)], sealing_keys=("k1",))
    announce("us-1", pool="b", credentials=[held("2" * 16)], sealing_keys=("k2",))
    announce("us-1", pool="c", credentials=[held(None)])

    assert credential(client)["warning"] is None


def test_a_pool_that_cannot_use_its_own_is_named(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1", pool="a", credentials=[held("1" * 16)], sealing_keys=("k1",))
    announce("us-1", pool="b", credentials=[held(None, "is not JSON")])

    shown = credential(client)

    assert (shown["status"], shown["pools"]) == ("ready", ["a"])
    assert "b cannot use its own" in shown["warning"]
    assert shown["holders"][1]["reason"] == "is not JSON"
