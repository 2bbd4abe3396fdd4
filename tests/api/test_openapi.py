"""The OpenAPI document: valid, up to date, and kept."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.docs import _FILES
from api.openapi import openapi_yaml
from remediation.outcome import Error, ErrorCode, Outcome
from tests.api.conftest import Work, a_finding, a_row

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the document as it is committed."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return loaded


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every operation."""
    return [item[method] for item in document["paths"].values() for method in METHODS & item.keys()]


def test_the_committed_document_is_what_the_code_says() -> None:
    assert (ROOT / "openapi.yaml").read_text() == openapi_yaml(), "run `make openapi`"


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_has_a_name_a_summary_a_tag_and_its_problems(
    document: dict[str, Any],
) -> None:
    names = [operation["operationId"] for operation in operations(document)]

    assert len(names) == len(set(names)) == 23
    for operation in operations(document):
        assert operation["summary"].endswith(".")
        assert operation["tags"]
        assert {"401", "406", "default"} <= operation["responses"].keys()


def test_every_post_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    posts = [item["post"] for item in document["paths"].values() if "post" in item]

    assert posts
    for operation in posts:
        names = [parameter.get("name") for parameter in operation["parameters"]]
        assert "Idempotency-Key" in names, operation["operationId"]


def test_every_route_of_the_api_is_in_the_document(app: Flask, document: dict[str, Any]) -> None:
    served = {
        re.sub(r"<(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and not re.search(r"/docs|/openapi|v1/$", rule.rule)
    }

    assert served == document["paths"].keys()


def test_json_and_yaml_are_served(anonymous: FlaskClient, document: dict[str, Any]) -> None:
    assert anonymous.get("/api/v1/openapi.json").get_json() == document
    answer = anonymous.get("/api/v1/openapi.yaml")
    assert answer.mimetype == "application/yaml"
    assert yaml.safe_load(answer.text) == document


def undocumented(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> set[str]:
    """Return the members of an answer that the document does not know."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        schema = schema["anyOf"][0]
        return undocumented(value, schema, document) if value is not None else set()
    if isinstance(value, list):
        found = [undocumented(item, schema["items"], document) for item in value]
        return set().union(*found)
    if not isinstance(value, dict) or "additionalProperties" in schema:
        return set()
    known = schema["properties"]
    inner = [undocumented(value[name], known[name], document) for name in value.keys() & known]
    return set(value).difference(known).union(*inner)


def test_answers_hold_nothing_that_is_not_in_the_document(
    client: FlaskClient,
    start: Callable[..., str],
    ask: Callable[..., str],
    work: Work,
    document: dict[str, Any],
) -> None:
    check = ask("eu-1")
    work.judge(check, a_finding())
    identity = start("eu-1", namespaces=["shpo"], labels={"team": "sre"})
    error = Error(ErrorCode.FORBIDDEN, "no", "grant it", 403, "ServiceAccount/shop/default")
    Work(work.store, {"eu-1": ("shpo",)}).run(
        identity, [a_row("shop", Outcome.FAILED, error=error)]
    )

    for path, item in document["paths"].items():
        if "get" not in item:
            continue
        if path.endswith("/gate"):
            continue  # it is closed here
        place = path.replace("{remediation_id}", identity).replace("{check_id}", check)
        answer = client.get(place)
        content = item["get"]["responses"]["200"]["content"]
        schema = content["application/json"]["schema"]
        assert answer.status_code == 200
        assert undocumented(answer.get_json(), schema, document) == set(), path
    problem = client.get("/api/v1/remediations?limit=0").get_json(force=True)
    assert undocumented(problem, {"$ref": "/Problem"}, document) == set()


def test_the_page_needs_nothing_from_elsewhere(anonymous: FlaskClient) -> None:
    with anonymous.get("/api/v1/docs") as page:
        html = page.get_data(as_text=True)

    assert page.mimetype == "text/html"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "://" not in html
    linked = re.findall(r'(?:src|href)="docs/([^"]+)"', html)
    assert sorted(linked) == sorted(_FILES)
    for name in linked:
        with anonymous.get(f"/api/v1/docs/{name}") as answer:
            assert answer.status_code == 200
            assert len(answer.data) > 100


@pytest.mark.parametrize("name", ["index.html", "LICENSE", "..%2f..%2fapp.py", "x.js"])
def test_the_page_gives_no_other_files(anonymous: FlaskClient, name: str) -> None:
    assert anonymous.get(f"/api/v1/docs/{name}").status_code == 404
