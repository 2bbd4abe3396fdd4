"""What the demo asks of the service."""

import time

from cli.client import ApiClient
from cli.demo.fleet import CLUSTERS
from cli.demo.service import CREDENTIAL
from cli.errors import CliError
from cli.request import JsonObject, get

KNOWN_SECONDS = 30.0
REASON = "registry goes private"


def wait_until_known(client: ApiClient) -> None:
    """Wait until the worker has announced the clusters. Raises CliError if it does not."""
    deadline = time.monotonic() + KNOWN_SECONDS
    while True:
        known = {item.get("name") for item in client.send(get("/clusters")).body.get("items", [])}
        if known >= set(CLUSTERS):
            return
        if time.monotonic() > deadline:
            raise CliError("the worker does not announce the clusters")
        time.sleep(0.2)


def request_body(client: ApiClient) -> JsonObject:
    """Return the request of the demo: every cluster, everything in it."""
    body: JsonObject = {
        "clusters": ["*"],
        "credential": CREDENTIAL,
        "reason": REASON,
        "labels": {"demo": "true"},
    }
    if _takes_registry_check(client):
        # The registry of the demo is still open, and lets everyone in: it can prove no login.
        body["registry_check"] = "skip"
    return body


def _takes_registry_check(client: ApiClient) -> bool:
    schemas = client.send(get("/openapi.json")).body.get("components", {}).get("schemas", {})
    return any(
        "registry_check" in schema.get("properties", {}) and "clusters" in schema["properties"]
        for schema in schemas.values()
    )
