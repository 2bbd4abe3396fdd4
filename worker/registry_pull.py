"""One pull as containerd makes it: the same requests in the same order, as far as the first blob."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from remediation.docker_config import Login
from remediation.registry.challenge import BASIC, BEARER, Challenge, in_order
from remediation.registry.rate_limit import limit_of, used_up
from remediation.registry.token import NO_PASSWORD_GRANT, scopes_of
from remediation.registry.verdict import Judgement, Scheme, Verdict, judgement
from worker.registry_client import (
    ACCEPT,
    RegistryClient,
    basic,
    challenges_of,
    digest_of,
    is_digest,
    media_type_of,
    no_registry,
)
from worker.registry_http import Answer, Keys, Stopped

# As many as containerd makes of one request, and the largest manifest that it takes.
_MOST_ATTEMPTS = 5
_MOST_MANIFEST_BYTES = 4 * 1024 * 1024
_HASHES = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Pulled:
    """How far a pull came: `answer` is the last one, `token` that of a token endpoint which refused.

    `stage` names what was asked for in the end, "" the manifest by its name; `digest` is that of the image.
    """

    answer: Answer
    scheme: Scheme
    token: Answer | None = None
    stage: str = ""
    digest: str | None = None
    challenges: tuple[Challenge, ...] = ()

    @property
    def served(self) -> bool:
        """Tell whether everything that was asked for came."""
        return self.token is None and 200 <= self.answer.status < 300


class _TokenRefused(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(slots=True)
class NodePull:
    """A pull of one image with a login, or without one; `whole` asks for what the manifest names as well.

    `served_by_get` says that the token endpoint refuses the way of containerd only.
    """

    client: RegistryClient
    repository: str
    login: Login | None
    whole: bool = True
    scheme: Scheme = Scheme.NONE
    challenges: tuple[Challenge, ...] = ()
    stage: str = ""
    served_by_get: bool = False
    _keys: Keys = field(init=False, repr=False)
    _tokens: dict[tuple[str, str, tuple[str, ...]], str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.login and not (self.login.username and self.login.password):
            self.login = None  # none to containerd
        self._keys = self.client.keys(self.login)

    async def pull(self, reference: str, first: Answer | None = None) -> Pulled:
        """Ask until something is refused or enough was served; `first` is the answer to the first request, if known.

        Raises Stopped.
        """
        digest: str | None = None
        answer = first
        try:
            answer = await self._ask("HEAD", f"manifests/{reference}", first=first)
            if not 200 <= answer.status < 300:
                return self._ended(await self._with_reason(reference, answer))
            if not self.whole and used_up(answer.headers):
                limit = limit_of(answer.headers)
                raise Stopped(
                    judgement(
                        Verdict.BUSY,
                        "the next pull would be refused: none is left of the limit"
                        + (f" ({limit})" if limit else ""),
                    )
                )
            digest, media_type, size = digest_of(answer), media_type_of(answer), _size(answer)
            if "Docker-Content-Digest" in answer.headers and digest is None and size is not None:
                raise Stopped(no_registry(answer))
            if digest is None or size is None:
                self.stage = "the manifest itself"
                answer = await self._manifest(reference)
                if not 200 <= answer.status < 300:
                    return self._ended(answer)
                digest = digest or f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
                media_type, size = media_type_of(answer), len(answer.body)
            if not media_type:
                raise Stopped(no_registry(answer))
            if self.whole:
                answer = await self._contents(digest, media_type, size)
        except _TokenRefused as refused:
            assert answer is not None  # noqa: S101 -- a challenge came before the token
            return self._ended(answer, refused.answer)
        return self._ended(answer, digest=digest)

    async def _with_reason(self, reference: str, answer: Answer) -> Answer:
        """Ask once more where the right is missing: the answer to a HEAD has no words."""
        if answer.status != 403 or not self.login:
            return answer
        told = await self._manifest(reference)
        return told if told.status == 403 else answer

    async def _contents(self, digest: str, media_type: str, size: int) -> Answer:
        """Fetch the manifest by its digest, down to the first image, and see whether its configuration is served."""
        self._keys = self.client.keys(self.login)  # nodes fetch with a session of its own
        while True:
            self.stage = "the manifest by its digest"
            answer = await self._manifest(digest, accept=f"{media_type}, */*")
            if not 200 <= answer.status < 300:
                return answer
            self._compare(answer, digest, size)
            part = first_part(answer.body)
            if part is None:
                return answer
            digest, media_type, size = part
            if media_type not in ACCEPT.split(", "):
                break
        self.stage = "a blob of the image"
        answer = await self._ask("GET", f"blobs/{digest}", f"{media_type}, */*", most=0)
        self.client.check_storage(answer)
        if 200 <= answer.status < 300 and _size(answer) not in (None, size):
            raise Stopped(_another("blob"))
        return answer

    async def _manifest(self, reference: str, accept: str = ACCEPT) -> Answer:
        return await self._ask("GET", f"manifests/{reference}", accept, most=_MOST_MANIFEST_BYTES)

    async def _ask(
        self,
        method: str,
        path: str,
        accept: str = ACCEPT,
        *,
        first: Answer | None = None,
        **options: Any,
    ) -> Answer:
        """Ask, answer the challenge and ask again, as long as containerd would. Raises Stopped, _TokenRefused."""
        address = f"/v2/{self.repository}/{path}"
        answer = first or await self.client.get(method, address, self._keys, accept, **options)
        before: tuple[str, str] | None = None
        for _ in range(_MOST_ATTEMPTS - 1):
            here = (method, answer.url)
            if answer.status == 405 and method == "HEAD":
                method, options = "GET", {"most": _MOST_MANIFEST_BYTES}
            elif answer.status != 401 or not await self._react(answer, again=before == here):
                break
            before = here
            answer = await self.client.get(method, address, self._keys, accept, **options)
        return answer

    async def _react(self, answer: Answer, *, again: bool) -> bool:
        """Take a key for the host that refused; tell whether another try is worth it. Raises Stopped, _TokenRefused."""
        endpoint = answer.endpoint
        assert endpoint is not None  # noqa: S101 -- it answered
        held = self._keys.held
        found = challenges_of(answer)
        known = in_order(found)
        self.challenges = self.challenges or known
        for challenge in known:
            if challenge.scheme == BEARER:
                if challenge.get("error"):
                    if answer.repeated:
                        # Nodes take the second answer to one request for the last word.
                        raise Stopped(judgement(Verdict.BUSY, "the registry was busy or failed"))
                    if again:
                        return False
                    held.pop(endpoint, None)
                if endpoint in held:
                    return False  # the same key again
                self.scheme = Scheme.BEARER
                held[endpoint] = f"Bearer {await self._token(challenge, found)}"
                return True
            if challenge.scheme == BASIC:
                self.scheme = Scheme.BASIC
                key = basic(self.login) if self.login else None
                if key is None or held.get(endpoint) == key:
                    return False
                held[endpoint] = key
                return True
        return False

    async def _token(self, challenge: Challenge, found: tuple[Challenge, ...]) -> str:
        realm, service = self.client.realm(found)
        asked = challenge.get("scope") if challenge.all("scope") else None
        scopes = scopes_of(self.repository, asked)
        known = (realm, service, scopes)
        if known not in self._tokens:
            answer, token = await self.client.token(realm, service, scopes, self.login)
            if token is None:
                if self.login and answer.status not in NO_PASSWORD_GRANT:
                    get = await self.client.token_by_get(realm, service, scopes, self.login)
                    self.served_by_get = get[1] is not None
                raise _TokenRefused(answer)
            self._tokens[known] = token
        return self._tokens[known]

    def _compare(self, answer: Answer, digest: str, size: int) -> None:
        """Raise Stopped if what was sent is something else."""
        algorithm, _, wanted = digest.partition(":")
        hasher = _HASHES.get(algorithm)
        if len(answer.body) != size or hasher is None or hasher(answer.body).hexdigest() != wanted:
            raise Stopped(_another("manifest"))

    def _ended(
        self, answer: Answer, token: Answer | None = None, digest: str | None = None
    ) -> Pulled:
        return Pulled(answer, self.scheme, token, self.stage, digest, self.challenges)


def _another(what: str) -> Judgement:
    return judgement(
        Verdict.NOT_A_REGISTRY,
        f"the registry sends another {what} than it says, which nodes do not take",
    )


def _size(answer: Answer) -> int | None:
    """Return the size that an answer names; that of an answer without a body is told by the header alone."""
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def first_part(body: bytes) -> tuple[str, str, int] | None:
    """Return the first manifest of an index, or the configuration of a manifest: digest, type and size."""
    try:
        document: Any = json.loads(body)
        part = document["manifests"][0] if document.get("manifests") else document["config"]
        digest, media_type, size = part["digest"], part["mediaType"], part["size"]
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        return None
    if not (isinstance(digest, str) and isinstance(media_type, str) and isinstance(size, int)):
        return None
    # Both go into a request.
    if not is_digest(digest) or not media_type.isascii() or not media_type.isprintable():
        return None
    return digest, media_type, size
