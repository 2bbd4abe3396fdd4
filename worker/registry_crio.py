"""One pull as CRI-O makes it, where nodes run it: the front door's challenge decides, and tokens come by GET."""

from remediation.docker_config import Login
from remediation.registry.challenge import BASIC, in_order
from worker.registry_client import RegistryClient, basic, challenges_of, front_door_of
from worker.registry_http import Stopped

_MOST_MANIFEST_BYTES = 4 * 1024 * 1024


async def hindrance(
    client: RegistryClient, repository: str, reference: str, login: Login, *, look_only: bool
) -> str:
    """Return why CRI-O gets no manifest with the login, "" if it gets one; `look_only` does not fetch it."""
    try:
        return await _pull(client, repository, reference, login, look_only=look_only)
    except Stopped as stopped:
        return stopped.judged.detail


async def _pull(
    client: RegistryClient, repository: str, reference: str, login: Login, *, look_only: bool
) -> str:
    door = await client.front_door()
    if door.status not in (200, 401):
        return f"the front door (/v2/) answers {door.status}"
    keys = client.keys(login)
    # The first line that it knows, not tokens before passwords.
    challenge = next((each for each in challenges_of(door) if in_order([each])), None)
    if challenge is None:
        asked = "without asking for a login, so that it sends none"
    elif challenge.scheme == BASIC:
        asked = "and asks for a password"
        keys.held[front_door_of(door)] = basic(login)
    else:
        asked = "and asks for a token"
        realm, service = client.realm([challenge])
        scope = f"repository:{repository}:pull"
        answer, token = await client.token_by_get(
            realm, service, [scope], login, account=login.username
        )
        if token is None:
            return f"the token endpoint answers {answer.status} to its GET"
        keys.held[front_door_of(door)] = f"Bearer {token}"
    path = f"/v2/{repository}/manifests/{reference}"
    method = "HEAD" if look_only else "GET"
    found = await client.get(method, path, keys, most=_MOST_MANIFEST_BYTES)
    if 200 <= found.status < 300:
        return ""
    return f"the front door (/v2/) answers {door.status} {asked}, and the manifest {found.status}"
