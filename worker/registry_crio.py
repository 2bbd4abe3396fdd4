"""One pull as CRI-O makes it, where nodes run it: the front door's challenge decides, and tokens come by GET."""

from remediation.docker_config import Login
from remediation.registry.challenge import BASIC, in_order
from remediation.registry.verdict import Verdict
from worker.registry_client import MANIFESTS, RegistryClient, basic, challenges_of, front_door_of
from worker.registry_http import Keys, Stopped
from worker.registry_pull import first_part

# What keeps the worker from it may not keep nodes.
_UNKNOWN = (Verdict.UNREACHABLE, Verdict.PROXY_REFUSED, Verdict.BUSY, Verdict.REFUSED_BY_RULES)
_MOST_MANIFEST_BYTES = 4 * 1024 * 1024


async def hindrance(
    client: RegistryClient, repository: str, reference: str, login: Login, *, look_only: bool
) -> str:
    """Return why CRI-O gets no image with the login, "" if it gets one; `look_only` fetches nothing of it.

    Raises Stopped where that cannot be told.
    """
    try:
        return await _pull(client, repository, reference, login, look_only=look_only)
    except Stopped as stopped:
        if stopped.judged.verdict in _UNKNOWN:
            raise
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
    stage, status = await _fetch(client, repository, reference, keys, look_only=look_only)
    if 200 <= status < 300:
        return ""
    return f"the front door (/v2/) answers {door.status} {asked}, and {stage} {status}"


async def _fetch(
    client: RegistryClient, repository: str, reference: str, keys: Keys, *, look_only: bool
) -> tuple[str, int]:
    """Fetch the manifest, down to the first image and its first blob; return what was asked for last and its status."""
    while True:
        path = f"/v2/{repository}/manifests/{reference}"
        method = "HEAD" if look_only else "GET"
        found = await client.get(method, path, keys, most=_MOST_MANIFEST_BYTES)
        part = first_part(found.body) if 200 <= found.status < 300 else None
        if part is None:
            return "the manifest", found.status
        reference, media_type, _ = part
        if media_type not in MANIFESTS:
            break
    blob = await client.get("GET", f"/v2/{repository}/blobs/{reference}", keys, "*/*", most=0)
    client.check_storage(blob)
    return "a blob of the image", blob.status
