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


def request_body() -> JsonObject:
    """Return the request of the demo: every cluster, everything in it."""
    return {
        "clusters": ["*"],
        "credential": CREDENTIAL,
        "reason": REASON,
        "labels": {"demo": "true"},
    }
