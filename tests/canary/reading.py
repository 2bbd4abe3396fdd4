"""Everything that the API can be asked for, as its document describes it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import yaml

from tests.canary.stage import Stage
from tests.e2e.service import ROOT

_FORMATS = ("json", "csv", "ndjson", "table")
# Beside the document.
_OTHERS = (
    "/livez",
    "/readyz?verbose",
    "/metrics",
    "/api/v1/openapi.json",
    "/api/v1/docs",
    "/problems/forbidden",
)
_PREFIX = "/api/v1"


def read_all(stage: Stage) -> None:
    """Ask for all of it. What it answers goes through the wiretap."""
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    readable = {path: item["get"] for path, item in document["paths"].items() if "get" in item}
    assert readable
    for path, operation in readable.items():
        for place in _places(stage, path, readable):
            for query in _queries(operation):
                answer = stage.ask("GET", place.removeprefix(_PREFIX), params=query)
                # What there is not for this one: a plan of another kind, a format.
                assert answer.status_code < 500, answer.text
    with httpx.Client(base_url=stage.tap.url, trust_env=False, timeout=90) as stranger:
        for path in _OTHERS:
            stranger.get(path)


def _places(stage: Stage, path: str, readable: dict[str, Any]) -> list[str]:
    """Return the path with each id that its collection lists."""
    if "{" not in path:
        return [path]
    collection = path.partition("/{")[0]
    assert collection in readable, f"nothing lists what {path} is about"
    found = stage.ask("GET", collection.removeprefix(_PREFIX), params={"limit": "200"}).json()
    return [re.sub(r"\{\w+\}", item["id"], path, count=1) for item in found["items"]]


def _queries(operation: dict[str, Any]) -> list[dict[str, str]]:
    """Return one query for each format, and each trail, that the operation knows."""
    known = {
        parameter["name"]: parameter.get("schema", {})
        for parameter in operation.get("parameters", ())
    }
    queries: list[dict[str, str]] = [{}]
    for name in ("format", "trail"):
        values = known.get(name, {}).get("enum", _FORMATS if name == "format" else ())
        if name in known:
            queries = [query | {name: value} for query in queries for value in values]
    if "limit" in known:
        queries = [query | {"limit": "200"} for query in queries]
    return queries
