"""The reference: the OpenAPI document and a page that shows it, from our own files only."""

from pathlib import Path
from typing import Any, cast

import orjson
import yaml
from flask import Blueprint, Response, current_app, redirect, request, send_from_directory

from api.access import public
from api.answers import json_answer
from api.problems import Problem
from api.services import services

_FOLDER = Path(__file__).parent / "static" / "swagger-ui"
_FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "start.js")
_LINKS = {
    "api": "/api/v1",
    "reference": "/api/v1/docs",
    "openapi": "/api/v1/openapi.json",
    "readyz": "/readyz",
    "livez": "/livez",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)

blueprint = Blueprint("docs", __name__)
_BASE = "/api/v1"


@blueprint.get("/")
@blueprint.get(_BASE)
@blueprint.get(f"{_BASE}/")
@blueprint.get("/docs")
@public
def entrance() -> Response:
    """Lead a browser to the reference, and tell programs where everything is."""
    url = services().settings.url
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        return cast(Response, redirect(url(f"{_BASE}/docs")))
    return json_answer({name: url(path) for name, path in _LINKS.items()})


@blueprint.get(f"{_BASE}/openapi.json")
@public
def openapi_json() -> Response:
    """Return the OpenAPI document as JSON."""
    return json_answer(document())


@blueprint.get(f"{_BASE}/openapi.yaml")
@public
def openapi_yaml() -> Response:
    """Return the OpenAPI document as YAML."""
    return Response(to_yaml(document()), mimetype="application/yaml")


@blueprint.get(f"{_BASE}/docs")
@public
def page() -> Response:
    """Show the OpenAPI document."""
    answer = send_from_directory(_FOLDER, "index.html")
    answer.headers["Content-Security-Policy"] = _POLICY
    return answer


@blueprint.get(f"{_BASE}/docs/<name>")
@public
def page_file(name: str) -> Response:
    """Return a file that the page needs."""
    if name not in _FILES:
        raise Problem("not-found", f"There is no file '{name}' here.")
    return send_from_directory(_FOLDER, name)


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the present application."""
    api = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
    # Plain values only: YAML knows no enumerations, and would show shared parts as anchors.
    return cast(dict[str, Any], orjson.loads(orjson.dumps(api.spec.to_dict())))


def to_yaml(content: dict[str, Any]) -> str:
    """Return the document as YAML, in the order in which it was declared."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Shows texts of several lines as they are."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Dumper.add_representer(str, _text)
