"""Asking a registry and its token endpoint, in the way that nodes do it."""

import base64
import re
from collections.abc import Sequence

from remediation.docker_config import Login
from remediation.registry.challenge import BASIC, BEARER, Challenge, parse_challenges
from remediation.registry.endpoint import Endpoint, Refused, check_realm
from remediation.registry.rules import RegistryRules
from remediation.registry.verdict import Judgement, Scheme, Verdict, judgement
from remediation.registry.words import token_of
from worker.registry_http import Answer, RegistryHttp, Stopped, refused_by_rules

# A registry that is asked without these says that there is no such image.
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = ", ".join(_MANIFESTS)
# What nodes send: some registries decide by it.
_CLIENT_ID = "containerd-client"
# Registries that know no password grant answer it so; nodes then ask with GET.
_NO_PASSWORD_GRANT = (400, 401, 404, 405)
_DIGEST = re.compile(r"[a-z0-9]+:[a-f0-9]{32,128}")


class RegistryClient:
    """The questions to one registry; `own` are the endpoints that may have a password. Each raises Stopped."""

    def __init__(self, http: RegistryHttp, rules: RegistryRules, own: Sequence[Endpoint]) -> None:
        self._http = http
        self._rules = rules
        self._own = tuple(own)

    async def manifest(self, path: str, authorization: str | None, method: str = "HEAD") -> Answer:
        """Ask for a manifest, following redirects."""
        url = self._http.own.url(path)
        answer = await self._http.follow(method, url, authorization=authorization, accept=_ACCEPT)
        if answer.foreign and answer.status in (401, 403):
            raise refused_by_rules(
                Refused("the registry redirects to another host, which wants a login and gets none")
            )
        if answer.status == 200 and not _is_manifest(answer):
            raise Stopped(no_registry(answer))
        return answer

    async def pull(self, path: str, authorization: str, login: Login) -> Answer:
        """Ask for a manifest with the login; where that is forbidden, again for the reason."""
        answer = await self.manifest(path, authorization)
        if answer.status != 403:
            return answer
        return await self.manifest(path, authorization, "GET")

    async def with_basic(self, path: str, login: Login) -> Answer:
        """Ask with the login itself: the front door, or for a manifest."""
        if path == "/v2/":
            return await self._http.ask("GET", self._http.own.url(path), authorization=basic(login))
        return await self.manifest(path, basic(login))

    async def challenges(self) -> tuple[Challenge, ...]:
        """Return what the registry asks of somebody who just comes by. Raises Stopped if it is no registry."""
        answer = await self._http.ask("GET", self._http.own.url("/v2/"))
        challenges = challenges_of(answer)
        asks = answer.status == 401 and scheme_of(challenges) is not Scheme.NONE
        if not asks and not (answer.status == 200 and _looks_like_a_registry(answer)):
            raise Stopped(no_registry(answer))
        return challenges if asks else ()

    def realm(self, challenges: Sequence[Challenge]) -> tuple[str, str]:
        """Return token endpoint and service. Raises Stopped if the endpoint may not have a password."""
        bearers = [each for each in challenges if each.scheme == BEARER]
        rules = self._rules
        try:
            realm = check_realm(bearers, self._own, rules.realm_hosts, plain_http=rules.plain_http)
        except Refused as refused:
            raise refused_by_rules(refused) from None
        return realm, bearers[0].get("service")

    async def token(
        self, realm: str, service: str, scope: str | None, login: Login | None
    ) -> tuple[Answer, str | None]:
        """Return the answer of the token endpoint and the token in it, asked as nodes ask. Raises Stopped."""
        wanted = {
            name: value for name, value in (("service", service), ("scope", scope or "")) if value
        }
        if login:
            form = wanted | {
                "client_id": _CLIENT_ID,
                "grant_type": "password",
                "username": login.username,
                "password": login.password,
            }
            answer = await self._http.ask("POST", realm, form=form)
            if answer.status not in _NO_PASSWORD_GRANT:
                return _granted(answer)
        authorization = basic(login) if login else None
        return _granted(
            await self._http.ask("GET", realm, authorization=authorization, params=wanted)
        )


def _granted(answer: Answer) -> tuple[Answer, str | None]:
    if 300 <= answer.status < 400:
        raise refused_by_rules(
            Refused("the token endpoint redirects, which would take the password along")
        )
    if answer.status != 200:
        return answer, None
    token = token_of(answer.body)
    if token is None:
        raise Stopped(
            judgement(Verdict.NOT_A_REGISTRY, "the token endpoint answers without a token")
        )
    return answer, token


def basic(login: Login) -> str:
    """Return the header that carries a login."""
    pair = f"{login.username}:{login.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def challenges_of(answer: Answer) -> tuple[Challenge, ...]:
    """Return what an answer asks for."""
    return parse_challenges(answer.headers.getall("WWW-Authenticate", ()))


def scheme_of(challenges: Sequence[Challenge]) -> Scheme:
    """Return which of the schemes of these challenges nodes take."""
    schemes = {challenge.scheme for challenge in challenges}
    if BEARER in schemes:
        return Scheme.BEARER
    return Scheme.BASIC if BASIC in schemes else Scheme.NONE


def digest_of(answer: Answer) -> str | None:
    """Return the digest of the manifest that was served, None if none is named."""
    digest = answer.headers.get("Docker-Content-Digest", "")
    return digest if answer.status == 200 and _DIGEST.fullmatch(digest) else None


def _is_manifest(answer: Answer) -> bool:
    """Tell whether a manifest was served: a website has a page for every address."""
    if digest_of(answer):
        return True
    return answer.headers.get("Content-Type", "").partition(";")[0].strip() in _MANIFESTS


def _looks_like_a_registry(answer: Answer) -> bool:
    """The version header is optional; a registry's body is JSON (`{}`, or `true`) or empty, a website's is a page."""
    if "Docker-Distribution-Api-Version" in answer.headers:
        return True
    return answer.body.strip() in (b"", b"{}", b"true")


def no_registry(answer: Answer) -> Judgement:
    """Return the judgement that what answered so is no registry."""
    asks = " and asks for no login that is known" if answer.status == 401 else ""
    return judgement(
        Verdict.NOT_A_REGISTRY, f"what answers there is no registry ({answer.status}{asks})"
    )
