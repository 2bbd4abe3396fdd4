"""What `up` says when everything runs."""

import http.client
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cli.data_dir import DataDir, own_data_dir
from cli.listen import Address
from cli.request import BASE_PATH
from cli.text import clean

_READY = "ready"


@dataclass(frozen=True, slots=True)
class Announced:
    """The names of what can be used, how many others cannot, and what workers say is wrong besides."""

    usable: tuple[str, ...] = ()
    unusable: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """What workers have announced."""

    workers: int = 0
    clusters: Announced = Announced()
    credentials: Announced = Announced()


def inventory(url: str, token: str | None) -> Inventory:
    """Ask the API what workers have announced; nothing if it does not tell."""
    if token is None or not (workers := len(_items(_fetch(url, token, "/system"), "workers"))):
        return Inventory()
    clusters = _announced(_fetch(url, token, "/clusters"))
    return Inventory(workers, clusters, _announced(_fetch(url, token, "/credentials")))


def greeting(
    address: Address, data_dir: DataDir, credentials: Path, token: str | None, found: Inventory
) -> str:
    """Return where the service is, how to get in, and what to do first; `credentials` is the folder of logins."""
    lines = ["remediator is up. Ctrl-C ends it; nothing accepted is lost.", ""]
    lines.append(
        f"  API       {address.url}{BASE_PATH}  (reference: {address.url}{BASE_PATH}/docs)"
    )
    if address.local_host != address.host:
        lines.append("  warning   reachable from other machines, without encryption")
    if token is None:
        return "\n".join([*lines, "  callers   those of your access file"])
    where = f"put NAME/{{registry,username,password}} into {credentials}"
    lines += [
        f"  token     {token}",
        f"  clusters  {_number(found.clusters, 'clusters', 'name a kubeconfig with --kubeconfig')}",
        f"  logins    {_number(found.credentials, 'credentials', where)}",
        "",
        "In another terminal:",
        "",
    ]
    # Whatever this terminal's environment says: another terminal knows nothing of it.
    if data_dir.path != own_data_dir().absolute():
        lines.append(f"  export REMEDIATOR_DATA_DIR={shlex.quote(str(data_dir.path))}")
    lines.append(f"  export REMEDIATOR_TOKEN=$(cat {shlex.quote(str(data_dir.token_file))})")
    authorization = '-H "Authorization: Bearer $REMEDIATOR_TOKEN"'
    lines.append(f"  curl -sS {authorization} {address.url}{BASE_PATH}/clusters")
    name = next(iter(found.credentials.usable), "NAME")
    lines.append(f"  remediator plan --clusters '*' --credential {shlex.quote(clean(name))}")
    return "\n".join(lines)


def _number(announced: Announced, command: str, advice: str) -> str:
    """Return how many can be used, and how to find out what is wrong with the others."""
    usable, why = len(announced.usable) or "none", f"`remediator {command}` says why"
    if announced.unusable:
        return f"{usable}; {announced.unusable} cannot be used: {why}"
    if announced.usable:
        return str(usable)
    if not announced.problems:
        return f"none yet; {advice}"
    more = f" ({why.replace('why', 'more')})" if len(announced.problems) > 1 else ""
    return f"none: {clean(announced.problems[0])}{more}"


def _announced(body: Any) -> Announced:
    items = _items(body, "items")
    # An older service may say nothing of it.
    usable = [item for item in items if item.get("status", _READY) == _READY]
    names = tuple(str(item.get("name")) for item in usable)
    problems = tuple(str(item.get("detail")) for item in _items(body, "problems"))
    return Announced(names, len(items) - len(usable), problems)


def _items(body: Any, member: str) -> list[dict[str, Any]]:
    items = body.get(member) if isinstance(body, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _fetch(url: str, token: str, path: str) -> Any:
    """Return what the API answers, None if it does not."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2.0)
    try:
        connection.request("GET", BASE_PATH + path, headers={"Authorization": f"Bearer {token}"})
        return json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
