"""Many namespaces with ServiceAccounts, quickly."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from controlplane.kubeconfig import ContextSpec

_WRITERS = 16


class PopulateError(Exception):
    """The API server refused a namespace or ServiceAccount."""


def populate(context: ContextSpec, names: Sequence[str], accounts: Sequence[str]) -> None:
    """Create the namespaces, each with these ServiceAccounts; existing ones are left.

    Raises PopulateError.
    """
    with ThreadPoolExecutor(_WRITERS) as pool:
        chunks = [names[start::_WRITERS] for start in range(_WRITERS)]
        # Read to the end, so that an error of any writer is raised here.
        list(pool.map(lambda chunk: _fill(context, chunk, accounts), chunks))


def _fill(context: ContextSpec, names: Sequence[str], accounts: Sequence[str]) -> None:
    # The standard library's bare client: with 6000 requests the client's own time counts.
    connection = http.client.HTTPSConnection(
        urlsplit(context.server).netloc,
        timeout=60,
        context=ssl.create_default_context(cafile=str(context.ca_file)),
    )
    headers = {"Authorization": f"Bearer {context.token}", "Content-Type": "application/json"}

    def create(path: str, name: str) -> None:
        body = json.dumps({"metadata": {"name": name}})
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (http.client.CREATED, http.client.CONFLICT):
            raise PopulateError(f"{path} {name}: {answer.status} {text[:500]!r}")

    try:
        for name in names:
            create("/api/v1/namespaces", name)
            for account in accounts:
                create(f"/api/v1/namespaces/{name}/serviceaccounts", account)
    finally:
        connection.close()
