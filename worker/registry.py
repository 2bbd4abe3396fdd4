"""Proving a login at a registry, by contrast and in the way that nodes pull."""

import asyncio
import base64
import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from remediation.credential import Login
from remediation.registry.challenge import BASIC, BEARER, Challenge, parse_challenges
from remediation.registry.check import RepositoryProof
from remediation.registry.endpoint import Endpoint, Refused, check_realm
from remediation.registry.rules import InvalidRules, RegistryRules, check_shadow
from remediation.registry.verdict import (
    Judgement,
    LoginAnswer,
    Reply,
    Scheme,
    Seen,
    Verdict,
    judge,
    judge_login,
    judgement,
    login_answer,
    needs_login,
)
from remediation.registry.words import known_error, server_words, tells, token_of
from worker.registry_http import CONCURRENCY, Answer, RegistryHttp, Stopped, refused_by_rules

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
# What these say holds for all repositories: nobody is asked again, least of all with a wrong password.
_FOR_ALL = (
    Verdict.WRONG_CREDENTIAL,
    Verdict.UNREACHABLE,
    Verdict.BUSY,
    Verdict.NOT_A_REGISTRY,
    Verdict.REFUSED_BY_RULES,
)


class Prober:
    """Asks one registry, or its shadow; an async context manager.

    Entering raises Stopped if the rules do not allow to ask at all.
    """

    def __init__(
        self, registry: str, rules: RegistryRules, user_agent: str, shadow: str | None = None
    ) -> None:
        """Speak to the registry `host[:port]`, or to the `shadow` (an address) in its place."""
        self._registry = registry
        self._rules = rules
        self._user_agent = user_agent
        self._shadow = shadow or rules.shadow
        self._own: tuple[Endpoint, ...] = ()
        self._logins: dict[Login, asyncio.Task[LoginAnswer]] = {}
        self._http: RegistryHttp

    @property
    def via_shadow(self) -> bool:
        """Tell whether the shadow is asked."""
        return self._shadow is not None

    async def __aenter__(self) -> Self:
        plain_http = self._rules.plain_http
        try:
            registry = Endpoint.of_registry(self._registry, plain_http=plain_http)
            asked = registry
            if self._shadow:
                asked = check_shadow(self._shadow, "the shadow", plain_http=plain_http)
        except Refused as refused:
            raise refused_by_rules(refused) from None
        except InvalidRules as error:
            raise refused_by_rules(Refused(str(error))) from None
        self._own = (asked, registry)
        self._http = await RegistryHttp(asked, self._rules, self._user_agent).__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._logins.values():
            task.cancel()
        await asyncio.gather(*self._logins.values(), return_exceptions=True)
        await self._http.__aexit__(kind, error, traceback)

    async def prove(
        self, images: Sequence[tuple[str, str]], login: Login | None
    ) -> tuple[RepositoryProof, ...]:
        """Return what is known of the login at each (repository, tag or digest), in order.

        Without a login only whether everybody may pull. What the first answers say of all of them is not asked for
        again.
        """
        proofs: list[RepositoryProof] = []
        width = 1  # the first alone: a wrong password is tried once
        while len(proofs) < len(images):
            batch = images[len(proofs) : len(proofs) + width]
            proofs += await asyncio.gather(*(self._prove(*image, login) for image in batch))
            width = CONCURRENCY
            final = next((proof for proof in proofs if proof.verdict in _FOR_ALL), None)
            if final:
                rest = images[len(proofs) :]
                proofs += [
                    replace(final, repository=repository, reference=reference, digest=None)
                    for repository, reference in rest
                ]
        return tuple(proofs)

    async def prove_login(self, login: Login, why: str) -> RepositoryProof:
        """Return what the registry says of the login itself; `why` says why no repository is asked for."""
        answer = LoginAnswer.NOT_CHECKED
        try:
            answer = await self._login(login)
            judged = judge_login(answer, why=why)
        except Stopped as stopped:
            judged = stopped.judged
        return RepositoryProof("", "", _discreet(judged, login), answer)

    async def _prove(self, repository: str, reference: str, login: Login | None) -> RepositoryProof:
        answer = LoginAnswer.NOT_CHECKED
        digest = None
        try:
            seen, digest, challenges = await self._look(repository, reference, login)
            if login and needs_login(seen):
                # One that is let in and may not pull is told so there; elsewhere the front door says who gets in.
                inside = seen.scheme is Scheme.BASIC and seen.pull is not None
                path = f"/v2/{repository}/manifests/{reference}" if inside else "/v2/"
                answer = await self._login(login, challenges, path)
            elif login and seen.pull and seen.pull.status in (200, 404):
                answer = LoginAnswer.ACCEPTED
            judged = judge(seen, answer)
            if judged.verdict is Verdict.WRONG_CREDENTIAL:
                answer = LoginAnswer.REFUSED
        except Stopped as stopped:
            judged = stopped.judged
        return RepositoryProof(repository, reference, _discreet(judged, login), answer, digest)

    async def _look(
        self, repository: str, reference: str, login: Login | None
    ) -> tuple[Seen, str | None, tuple[Challenge, ...]]:
        """Ask without the login, then with it; return also the digest and the challenges. Raises Stopped."""
        url = f"/v2/{repository}/manifests/{reference}"
        scope = f"repository:{repository}:pull"
        first = await self._manifest(url, None)
        control, challenges = _reply(first, None), _challenges(first)
        if first.status == 404:
            challenges = await self._registry_challenges()
        scheme = _scheme(challenges) if first.status in (401, 404) else Scheme.NONE
        if scheme is Scheme.NONE:
            if first.status not in (200, 403, 404):
                raise Stopped(_no_registry(first))
            return Seen(scheme, control), _digest(first), ()
        if scheme is Scheme.BASIC:
            if login is None or first.status == 404:
                return Seen(scheme, control), None, challenges
            pull = await self._pull(url, _basic(login), login)
            return Seen(scheme, control, None, _reply(pull, login)), _digest(pull), challenges
        realm, service = self._realm(challenges)
        anonymous, token = await self._token(realm, service, scope, None)
        if token:
            again = await self._manifest(url, f"Bearer {token}")
            control = _reply(again, None)
        else:
            control = Reply(anonymous.status)
        if login is None:
            return Seen(scheme, control), None, challenges
        answer, token = await self._token(realm, service, scope, login)
        granted = _reply(answer, login)
        if token is None:
            return Seen(scheme, control, granted), None, challenges
        pull = await self._pull(url, f"Bearer {token}", login)
        return Seen(scheme, control, granted, _reply(pull, login)), _digest(pull), challenges

    async def _manifest(self, path: str, authorization: str | None, method: str = "HEAD") -> Answer:
        url = self._http.own.url(path)
        answer = await self._http.follow(method, url, authorization=authorization, accept=_ACCEPT)
        if answer.foreign and answer.status in (401, 403):
            raise refused_by_rules(
                Refused("the registry redirects to another host, which wants a login and gets none")
            )
        if answer.status == 200 and not _is_manifest(answer):
            raise Stopped(_no_registry(answer))
        return answer

    async def _pull(self, path: str, authorization: str, login: Login) -> Answer:
        """Ask for a manifest with the login; where that is forbidden, again for the reason."""
        answer = await self._manifest(path, authorization)
        if answer.status != 403:
            return answer
        return await self._manifest(path, authorization, "GET")

    async def _login(
        self, login: Login, challenges: Sequence[Challenge] = (), path: str = "/v2/"
    ) -> LoginAnswer:
        """Return what the registry says of the login itself, asked once. Raises Stopped."""
        if login not in self._logins:
            contrast = self._contrast(login, challenges, path)
            self._logins[login] = asyncio.create_task(contrast)
        return await self._logins[login]

    async def _contrast(
        self, login: Login, challenges: Sequence[Challenge], path: str
    ) -> LoginAnswer:
        """Ask with the login and with one that nobody can have: a name made up locks nobody out."""
        stranger = Login(f"nobody-{secrets.token_hex(8)}", secrets.token_hex(16))
        challenges = challenges or await self._registry_challenges()
        scheme = _scheme(challenges)
        if scheme is Scheme.NONE:
            return LoginAnswer.NOT_CHECKED
        if scheme is Scheme.BEARER:
            realm, service = self._realm(challenges)
            own = (await self._token(realm, service, None, login))[0]
        else:
            own = await self._with_basic(path, login)
        if own.status == 401:
            return LoginAnswer.REFUSED
        try:
            if scheme is Scheme.BEARER:
                other = (await self._token(realm, service, None, stranger))[0]
            else:
                other = await self._with_basic(path, stranger)
        except Stopped:
            return LoginAnswer.NOT_CHECKED
        return login_answer(Reply(own.status), Reply(other.status))

    async def _with_basic(self, path: str, login: Login) -> Answer:
        if path == "/v2/":
            return await self._http.ask(
                "GET", self._http.own.url(path), authorization=_basic(login)
            )
        return await self._manifest(path, _basic(login))

    async def _registry_challenges(self) -> tuple[Challenge, ...]:
        """Return what the registry asks of somebody who just comes by. Raises Stopped if it is no registry."""
        answer = await self._http.ask("GET", self._http.own.url("/v2/"))
        challenges = _challenges(answer)
        asks = answer.status == 401 and _scheme(challenges) is not Scheme.NONE
        if not asks and not (answer.status == 200 and _looks_like_a_registry(answer)):
            raise Stopped(_no_registry(answer))
        return challenges if asks else ()

    def _realm(self, challenges: Sequence[Challenge]) -> tuple[str, str]:
        """Return token endpoint and service. Raises Stopped if the endpoint may not have a password."""
        bearers = [each for each in challenges if each.scheme == BEARER]
        rules = self._rules
        try:
            realm = check_realm(bearers, self._own, rules.realm_hosts, plain_http=rules.plain_http)
        except Refused as refused:
            raise refused_by_rules(refused) from None
        return realm, bearers[0].get("service")

    async def _token(
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
        authorization = _basic(login) if login else None
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


def _basic(login: Login) -> str:
    pair = f"{login.username}:{login.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _challenges(answer: Answer) -> tuple[Challenge, ...]:
    return parse_challenges(answer.headers.getall("WWW-Authenticate", ()))


def _scheme(challenges: Sequence[Challenge]) -> Scheme:
    schemes = {challenge.scheme for challenge in challenges}
    if BEARER in schemes:
        return Scheme.BEARER
    return Scheme.BASIC if BASIC in schemes else Scheme.NONE


def _reply(answer: Answer, login: Login | None) -> Reply:
    error = next((found for each in _challenges(answer) if (found := each.get("error"))), "")
    words = "" if answer.status == 200 else server_words(answer.body, login)
    return Reply(answer.status, known_error(error), words)


def _digest(answer: Answer) -> str | None:
    digest = answer.headers.get("Docker-Content-Digest", "")
    return digest if answer.status == 200 and _DIGEST.fullmatch(digest) else None


def _is_manifest(answer: Answer) -> bool:
    """Tell whether a manifest was served: a website has a page for every address."""
    if _digest(answer):
        return True
    return answer.headers.get("Content-Type", "").partition(";")[0].strip() in _MANIFESTS


def _looks_like_a_registry(answer: Answer) -> bool:
    """The version header is optional; a registry's body is JSON (`{}`, or `true`) or empty, a website's is a page."""
    if "Docker-Distribution-Api-Version" in answer.headers:
        return True
    return answer.body.strip() in (b"", b"{}", b"true")


def _no_registry(answer: Answer) -> Judgement:
    asks = " and asks for no login that is known" if answer.status == 401 else ""
    return judgement(
        Verdict.NOT_A_REGISTRY, f"what answers there is no registry ({answer.status}{asks})"
    )


def _discreet(judged: Judgement, login: Login | None) -> Judgement:
    """Return the judgement, without its words if a registry managed to put the password into them."""
    if login and tells(judged.detail + judged.hint, login):
        return judgement(judged.verdict, "the registry's answer cannot be repeated")
    return judged
