"""Every error is a problem, and every answer has its envelope."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.access import public
from api.app import create_app
from api.problems import PROBLEM_TYPES
from api.settings import Settings
from store.store import Store

REMEDIATIONS = "/api/v1/remediations"


def problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a whole problem, and return it."""
    body: dict[str, Any] = json.loads(answer.data)
    assert answer.status_code == body["status"] == status, body
    assert answer.content_type == "application/problem+json"
    assert body["code"] == code
    assert body["type"] == f"/problems/{code}"
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == answer.request.path
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return body


def test_an_unknown_address(client: FlaskClient) -> None:
    problem(client.get("/api/v1/nothing"), 404, "not-found")
    problem(client.get("/api/v1/remediations//rem_01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404, "not-found")
    problem(client.get("//api/v1/remediations"), 404, "not-found")


def test_a_method_that_is_not_possible_keeps_allow(client: FlaskClient) -> None:
    answer = client.delete(REMEDIATIONS)

    problem(answer, 405, "method-not-allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "accept", ["application/xml", "text/html", "image/png, text/csv", "application/json;q=0"]
)
def test_a_representation_that_there_is_not(client: FlaskClient, accept: str) -> None:
    problem(client.get(REMEDIATIONS, headers={"Accept": accept}), 406, "not-acceptable")


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "text/html, */*;q=0.1", "application/json; charset=utf-8"]
)
def test_accept_is_understood(client: FlaskClient, accept: str) -> None:
    assert client.get(REMEDIATIONS, headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize("body", ["", "{", "nonsense", '{"a": NaN}', '"\\ud800"', "\xff"])
def test_a_body_that_is_not_json(client: FlaskClient, body: str) -> None:
    answer = client.post(REMEDIATIONS, data=body.encode("latin-1"), content_type="application/json")

    problem(answer, 400, "malformed-request")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"reason": "\xfc"}', "The body is not UTF-8: byte 12 begins no character."),
        (b"\xef\xbb\xbf{}", "The body begins with a byte order mark: leave it out."),
    ],
)
def test_bytes_that_are_no_utf_8(client: FlaskClient, body: bytes, detail: str) -> None:
    """PowerShell and editors make them; the place where the JSON seems to break says nothing."""
    answer = client.post(REMEDIATIONS, data=body, content_type="application/json")

    assert problem(answer, 400, "malformed-request")["detail"] == detail


def test_a_broken_body_is_not_repeated(client: FlaskClient) -> None:
    body = '{"inline_credential": {"password": "hunter2" "x"}}'

    answer = client.post(REMEDIATIONS, data=body, content_type="application/json")

    problem(answer, 400, "malformed-request")
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_kind(client: FlaskClient, content_type: str | None) -> None:
    answer = client.post(REMEDIATIONS, data="{}", content_type=content_type)

    problem(answer, 415, "unsupported-media-type")


def test_a_body_that_is_too_large(client: FlaskClient) -> None:
    body = json.dumps({"clusters": ["x" * 250] * 1200})

    answer = client.post(REMEDIATIONS, data=body, content_type="application/json")

    problem(answer, 413, "payload-too-large")


def test_a_fault_of_ours_tells_nothing_but_is_logged(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/fault")
    @public
    def fault() -> str:
        raise RuntimeError("hunter2")

    answer = app.test_client().get("/fault")

    body = problem(answer, 500, "internal")
    assert "hunter2" not in answer.text
    failed = next(record for record in caplog.records if record.levelname == "ERROR")
    assert failed.exc_info
    assert failed.fields == {"request_id": body["request_id"]}  # type: ignore[attr-defined]


@pytest.fixture
def client_without_redis(settings: Settings, client: FlaskClient) -> Iterator[FlaskClient]:
    """Return a client of an application whose Redis is away."""
    store = Store.open("unix:///nowhere/redis.sock", retries=0)
    lost = create_app(settings, store).test_client()
    lost.environ_base.update(client.environ_base)
    yield lost
    store.close()


def test_redis_is_away(client_without_redis: FlaskClient) -> None:
    for answer in (
        client_without_redis.get(REMEDIATIONS),
        client_without_redis.get("/api/v1/system"),
        client_without_redis.post(REMEDIATIONS, json={"clusters": ["*"], "credential": "x"}),
    ):
        problem(answer, 503, "queue-unavailable")
        assert int(answer.headers["Retry-After"]) > 0


def test_the_type_is_absolute_if_the_public_address_is_known(store: Store) -> None:
    settings = Settings(public_url="https://ops.example/remediator")

    answer = create_app(settings, store).test_client().get("/nothing")

    assert json.loads(answer.data)["type"] == "https://ops.example/remediator/problems/not-found"


@pytest.mark.parametrize("slug", PROBLEM_TYPES)
def test_the_address_of_a_type_explains_it(anonymous: FlaskClient, slug: str) -> None:
    answer = anonymous.get(f"/problems/{slug}")

    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    assert PROBLEM_TYPES[slug].explanation in answer.text


def test_there_are_no_other_types(anonymous: FlaskClient) -> None:
    problem(anonymous.get("/problems/none"), 404, "not-found")


def test_a_request_id_is_kept_if_it_is_harmless(anonymous: FlaskClient) -> None:
    given = {"X-Request-Id": "Root=1-67a/b_c+d.e="}

    assert anonymous.get("/livez", headers=given).headers["X-Request-Id"] == given["X-Request-Id"]


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, "<x>"])
def test_any_other_request_id_is_replaced(anonymous: FlaskClient, given: str) -> None:
    answer = anonymous.get("/livez", headers={"X-Request-Id": given})

    assert answer.headers["X-Request-Id"] not in ("", given)


def test_every_answer_has_security_headers(client: FlaskClient) -> None:
    for path in ("/livez", "/api/v1/whoami", "/nothing"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_request_is_logged_on_one_line_with_its_caller(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "api.envelope")

    client.get("/api/v1/whoami")

    (record,) = caplog.records
    assert record.getMessage() == "GET /api/v1/whoami"
    assert record.fields["subject"] == "client:ci"  # type: ignore[attr-defined]
    assert record.fields["status"] == 200  # type: ignore[attr-defined]
