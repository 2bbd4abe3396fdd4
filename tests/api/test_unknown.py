"""What an operation does not know it refuses: a parameter or a field that is passed over answers another question."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.conftest import API


def operations(app: Flask) -> list[tuple[str, str]]:
    """Return method and path of every operation; ids are made up."""
    return [
        (
            method,
            rule.rule.partition("<")[0] + "x" * ("<" in rule.rule) + rule.rule.partition(">")[2],
        )
        for rule in app.url_map.iter_rules()
        if rule.endpoint.count(".") > 1  # those of a group; pages and probes take what comes
        for method in sorted((rule.methods or set()) & {"GET", "POST"})
    ]


def test_every_operation_refuses_an_unknown_parameter(
    app: Flask, client: FlaskClient, start: Callable[..., str], ask: Callable[..., str]
) -> None:
    start()
    found = operations(app)
    assert len(found) > 20

    for method, path in found:
        answer = client.open(f"{path}?foo=1", method=method, json={} if method == "POST" else None)

        assert answer.status_code == 422, (method, path, answer.text)
        errors = answer.get_json()["errors"]
        assert {"pointer": "#/foo", "in": "query"}.items() <= errors[0].items(), (method, path)


def test_a_format_that_is_not_offered_is_refused(
    client: FlaskClient, ask: Callable[..., str]
) -> None:
    answer = client.get(f"{API}/readiness-checks/{ask()}/restart-plan?format=table")

    assert answer.status_code == 422
    assert "no parameter 'format'" in answer.get_json()["errors"][0]["detail"]


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_pause_and_resume_refuse_fields_they_do_not_know(client: FlaskClient, action: str) -> None:
    known = {"reason": "change freeze"} if action == "pause" else {}
    answer = client.post(f"{API}/system/{action}", json=known | {"until": "tomorrow"})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == ["#/until"]
    assert client.get(f"{API}/system").get_json()["paused"] is None


@pytest.mark.parametrize("path", ["/", "/docs", API, f"{API}/"])
def test_the_entrance_leads_on(anonymous: FlaskClient, path: str) -> None:
    links = anonymous.get(path).get_json()
    browser = anonymous.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert links["reference"] == f"{API}/docs"
    assert browser.status_code == 302
    assert browser.headers["Location"] == f"{API}/docs"
    for link in set(links) - {"api"}:
        with anonymous.get(links[link]) as answer:  # one is a file
            assert answer.status_code == 200
