"""What `up` says when everything runs."""

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from cli.data_dir import DataDir, default_data_dir
from cli.listen import Address
from cli.request import BASE_PATH


@dataclass(frozen=True, slots=True)
class Inventory:
    """How much workers have announced."""

    workers: int = 0
    clusters: int = 0
    credentials: int = 0


def inventory(url: str, token: str | None) -> Inventory:
    """Ask the API what workers have announced; nothing if it does not tell."""
    if token is None or not (workers := _count(url, token, "/system", "workers")):
        return Inventory()
    clusters = _count(url, token, "/clusters", "items")
    return Inventory(workers, clusters, _count(url, token, "/credentials", "items"))


def greeting(address: Address, data_dir: DataDir, token: str | None, found: Inventory) -> str:
    """Return where the service is, how to get in, and what to do first."""
    lines = ["remediator is up. Ctrl-C ends it; nothing accepted is lost.", ""]
    lines.append(
        f"  API       {address.url}{BASE_PATH}  (reference: {address.url}{BASE_PATH}/docs)"
    )
    if address.local_host != address.host:
        lines.append("  warning   reachable from other machines, without encryption")
    if token is None:
        return "\n".join([*lines, "  callers   those of your access file"])
    lines.append(f"  token     {token}")
    lines.append(f"  clusters  {found.clusters or 'none yet; name a kubeconfig with --kubeconfig'}")
    where = f"none yet; put NAME/{{registry,username,password}} into {data_dir.credentials}"
    lines += [f"  logins    {found.credentials or where}", "", "In another terminal:", ""]
    if data_dir.path != default_data_dir().absolute():
        lines.append(f"  export REMEDIATOR_DATA_DIR={data_dir.path}")
    lines.append(f"  export REMEDIATOR_TOKEN=$(cat {data_dir.token_file})")
    authorization = '-H "Authorization: Bearer $REMEDIATOR_TOKEN"'
    lines.append(f"  curl -sS {authorization} {address.url}{BASE_PATH}/clusters")
    lines.append("  remediator plan --clusters '*' --credential NAME")
    return "\n".join(lines)


def _count(url: str, token: str, path: str, member: str) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2.0)
    try:
        connection.request("GET", BASE_PATH + path, headers={"Authorization": f"Bearer {token}"})
        body = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    items = body.get(member) if isinstance(body, dict) else None
    return len(items) if isinstance(items, list) else 0
