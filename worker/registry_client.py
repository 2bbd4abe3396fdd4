"""Asking a registry and its token endpoint, in the way that nodes do it."""

import base64
import re
from collections.abc import Sequence
from dataclasses import replace

from remediation.docker_config import Login
from remediation.registry.challenge import BEARER, Challenge, in_order, parse_challenges
from remediation.registry.endpoint import Endpoint, Refused, check_realm, redirect_targets, shown
from remediation.registry.rules import RegistryRules
from remediation.registry.token import (
    NO_PASSWORD_GRANT,
    UnreadableToken,
    grant_form,
    query,
    token_in,
)
from remediation.registry.verdict import Judgement, Scheme, Verdict, judgement
from worker.registry_http import MOST_BYTES, Answer, Keys, RegistryHttp, Stopped, refused_by_rules

# A registry that is asked without these says that there is no such image.
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
ACCEPT = ", ".join((*MANIFESTS, "*/*"))
_DIGEST = re.compile(r"[a-z0-9]+:[a-f0-9]{32,128}")


class RegistryClient:
    """The questions to one registry; `own` are the endpoints that may have a password. Each raises Stopped."""

    def __init__(self, http: RegistryHttp, rules: RegistryRules, own: Sequence[Endpoint]) -> None:
        self._http = http
        self._rules = rules
        hosts = rules.redirect_hosts
        self._trusted = (*own, *redirect_targets(hosts, plain_http=rules.plain_http))
        self._asked = redirect_targets(hosts, plain_http=True)

    def keys(self, login: Login | None) -> Keys:
        """Return an empty ring of keys for a pull with a login or without one."""
        return Keys(self._trusted, login is not None, self._asked)

    async def get(
        self,
        method: str,
        path: str,
        keys: Keys,
        accept: str = ACCEPT,
        *,
        most: int = MOST_BYTES,
    ) -> Answer:
        """Ask for a manifest or a blob, following redirects."""
        url = self._http.own.url(path)
        answer = await self._http.follow(method, url, keys, accept, most=most)
        if answer.withheld:
            raise refused_by_rules(
                _elsewhere(answer.withheld, "where nodes send the login, and gets none")
            )
        asks = answer.status == 401 and scheme_of(challenges_of(answer)) is not Scheme.NONE
        if asks and answer.endpoint and answer.endpoint not in self._trusted:
            raise refused_by_rules(_elsewhere(answer.endpoint, "which wants a login and gets none"))
        return answer

    def check_storage(self, answer: Answer) -> None:
        """Raise Stopped if it is storage elsewhere that does not serve a blob: it may serve nodes all the same."""
        endpoint = answer.endpoint
        if endpoint and endpoint not in self._trusted and not 200 <= answer.status < 300:
            raise Stopped(
                Judgement(
                    Verdict.UNREACHABLE,
                    f"the registry redirects blobs to '{shown(endpoint.name)}', which answers {answer.status}",
                    "check the registry's storage, and whether it lets the worker in as it does the nodes",
                    of_one=True,
                )
            )

    async def with_basic(self, path: str, login: Login) -> Answer:
        """Ask with the login itself: the front door, or for a manifest."""
        if path == "/v2/":
            return await self._http.ask("GET", self._http.own.url(path), authorization=basic(login))
        return await self.manifest(path, basic(login), login)

    async def manifest(self, path: str, authorization: str, login: Login) -> Answer:
        """Ask for a manifest with what carries the login, before anybody asks for it."""
        keys = self.keys(login)
        keys.held = dict.fromkeys(self._trusted, authorization)
        return await self.get("HEAD", path, keys)

    async def front_door(self) -> Answer:
        """Ask at the front door without a login."""
        url = self._http.own.url("/v2/")
        return replace(await self._http.ask("GET", url), endpoint=self._http.own)

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
            realm = check_realm(
                bearers, self._trusted, rules.realm_hosts, plain_http=rules.plain_http
            )
        except Refused as refused:
            raise refused_by_rules(refused) from None
        return realm, bearers[0].get("service")

    async def token(
        self, realm: str, service: str, scopes: Sequence[str], login: Login | None
    ) -> tuple[Answer, str | None]:
        """Return the answer of the token endpoint and the token in it, asked as containerd asks. Raises Stopped."""
        if login:
            form = grant_form(service, scopes, login.username, login.password)
            answer = await self._http.ask("POST", realm, form=form)
            if answer.status not in NO_PASSWORD_GRANT:
                return _granted(answer, posted=True)
        return await self.token_by_get(realm, service, scopes, login)

    async def token_by_get(
        self,
        realm: str,
        service: str,
        scopes: Sequence[str],
        login: Login | None,
        *,
        account: str = "",
    ) -> tuple[Answer, str | None]:
        """Return the answer of the token endpoint to a `GET` and the token in it; CRI-O names the `account` too.

        Raises Stopped.
        """
        answer = await self._http.ask(
            "GET",
            realm,
            authorization=basic(login) if login else None,
            params=[*([("account", account)] if account else []), *query(service, scopes)],
        )
        return _granted(answer, posted=False)


def _elsewhere(endpoint: Endpoint, why: str) -> Refused:
    host = shown(endpoint.name)
    if endpoint.scheme != "https":
        return Refused(
            f"the registry redirects to '{host}' without TLS, {why}",
            "no login is sent there: have it redirect with https",
        )
    return Refused(
        f"the registry redirects to '{host}', {why}",
        f"if it belongs to the registry, add '{host}' to redirect_hosts of this registry in the registries file",
    )


def _granted(answer: Answer, *, posted: bool) -> tuple[Answer, str | None]:
    if 300 <= answer.status < 400:
        raise refused_by_rules(
            Refused("the token endpoint redirects, which would take the password along")
        )
    if not 200 <= answer.status < 300:
        return answer, None
    try:
        return answer, token_in(answer.body, posted=posted)
    except UnreadableToken as error:
        raise Stopped(
            judgement(
                Verdict.NOT_A_REGISTRY,
                f"the token endpoint answers {error}{' to the POST of nodes' if posted else ''}",
            )
        ) from None


def basic(login: Login) -> str:
    """Return the header that carries a login."""
    pair = f"{login.username}:{login.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def challenges_of(answer: Answer) -> tuple[Challenge, ...]:
    """Return what an answer asks for."""
    return parse_challenges(answer.headers.getall("WWW-Authenticate", ()))


def scheme_of(challenges: Sequence[Challenge]) -> Scheme:
    """Return which of the schemes of these challenges nodes take first."""
    first = next(iter(in_order(challenges)), None)
    if first is None:
        return Scheme.NONE
    return Scheme.BEARER if first.scheme == BEARER else Scheme.BASIC


def front_door_of(answer: Answer) -> Endpoint:
    """Return where an answer came from."""
    assert answer.endpoint is not None  # noqa: S101 -- that of this client
    return answer.endpoint


def digest_of(answer: Answer) -> str | None:
    """Return the digest of the manifest that was served, None if none is named."""
    digest = answer.headers.get("Docker-Content-Digest", "")
    return digest if is_digest(digest) else None


def is_digest(text: str) -> bool:
    """Tell whether a text is the digest of something."""
    return _DIGEST.fullmatch(text) is not None


def media_type_of(answer: Answer) -> str:
    """Return the type of the manifest that was served, "" if nodes would not take it for one."""
    media_type = answer.headers.get("Content-Type", "").partition(";")[0]
    return media_type if media_type in MANIFESTS else ""


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
