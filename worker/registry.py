"""Proving a login at a registry, by contrast and in the way that nodes pull."""

import asyncio
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

from remediation.docker_config import Login
from remediation.registry.challenge import Challenge, in_order
from remediation.registry.check import RepositoryProof
from remediation.registry.endpoint import Endpoint, Refused
from remediation.registry.rules import InvalidRules, RegistryRules, check_shadow
from remediation.registry.token import scopes_of
from remediation.registry.verdict import (
    CRI_O,
    Judgement,
    LoginAnswer,
    Reply,
    Scheme,
    Seen,
    Verdict,
    judge,
    judge_cri_o,
    judge_login,
    judgement,
    login_answer,
    needs_login,
)
from remediation.registry.words import known_error, server_words, tells
from worker.registry_client import (
    RegistryClient,
    basic,
    challenges_of,
    no_registry,
    scheme_of,
)
from worker.registry_crio import hindrance
from worker.registry_http import CONCURRENCY, Answer, RegistryHttp, Stopped, refused_by_rules
from worker.registry_pull import NodePull, Pulled

# What these say holds for all repositories: nobody is asked again, least of all with a wrong password.
_FOR_ALL = (
    Verdict.WRONG_CREDENTIAL,
    Verdict.UNREACHABLE,
    Verdict.PROXY_REFUSED,
    Verdict.BUSY,
    Verdict.NOT_A_REGISTRY,
    Verdict.REFUSED_BY_RULES,
)
# What a pull without a login may meet where one with it is served; 0 is an answer that says nothing.
_HELD_BACK = {Verdict.BUSY: 429, Verdict.UNREACHABLE: 0, Verdict.NOT_A_REGISTRY: 0}


def _for_all(proof: RepositoryProof) -> bool:
    return proof.verdict in _FOR_ALL and not proof.judgement.of_one


class Prober:
    """Asks one registry, or its shadow; an async context manager.

    Entering raises Stopped if the rules do not allow to ask at all.
    """

    def __init__(
        self,
        registry: str,
        rules: RegistryRules,
        user_agent: str,
        shadow: str | None = None,
        runtimes: Collection[str] = (),
    ) -> None:
        """Speak to the registry `host[:port]`, or to the `shadow` (an address) in its place.

        `runtimes` are those of the nodes, like "cri-o", as far as they are known.
        """
        self._runtimes = frozenset(runtimes)
        self._registry = registry
        self._rules = rules
        self._user_agent = user_agent
        self._shadow = shadow or rules.shadow
        self._logins: dict[Login, asyncio.Task[LoginAnswer]] = {}
        self._whole = True
        self._http: RegistryHttp
        self._client: RegistryClient

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
        self._http = await RegistryHttp(asked, self._rules, self._user_agent).__aenter__()
        self._client = RegistryClient(self._http, self._rules, (asked, registry))
        # Docker Hub counts what is fetched, but not what is only looked at.
        self._whole = not asked.is_docker_hub
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
            final = next(filter(_for_all, proofs), None)
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
                try:
                    answer = await self._login(login, challenges, path)
                except Stopped:  # of no weight where the pull itself was served
                    if not (seen.pull and seen.pull.status == 200):
                        raise
            elif login and seen.pull and seen.pull.status in (200, 404) and not seen.public:
                answer = LoginAnswer.ACCEPTED
            judged = judge(seen, answer)
            if login and CRI_O in self._runtimes:
                judged = await self._by_cri_o(repository, reference, login, seen, judged)
            if judged.verdict is Verdict.WRONG_CREDENTIAL:
                answer = LoginAnswer.REFUSED
        except Stopped as stopped:
            judged = stopped.judged
        return RepositoryProof(repository, reference, _discreet(judged, login), answer, digest)

    async def _by_cri_o(
        self, repository: str, reference: str, login: Login, seen: Seen, judged: Judgement
    ) -> Judgement:
        """Return the judgement where nodes run CRI-O, which asks in another way."""
        only = self._runtimes == {CRI_O}
        if judged.verdict is not Verdict.WORKS and not (seen.served_by_get and only):
            return judged
        why = await hindrance(self._client, repository, reference, login, look_only=not self._whole)
        return judge_cri_o(seen, judged, why, only=only)

    async def _look(
        self, repository: str, reference: str, login: Login | None
    ) -> tuple[Seen, str | None, tuple[Challenge, ...]]:
        """Pull without the login, then with it; return also the digest and the challenges. Raises Stopped."""
        path = f"/v2/{repository}/manifests/{reference}"
        with _told("before it asks for a login, where nodes give up too"):
            first = await self._client.get("HEAD", path, self._client.keys(None))
        control, stranger = await self._without(repository, reference, first, login)
        if stranger and not stranger.challenges:
            if stranger.answer.status == 404 and not stranger.stage:
                door = await self._client.challenges()  # or is it no registry?
                if login and door:
                    return await self._unasked(repository, path, control, door, login)
            elif not stranger.served and stranger.answer.status not in (403, 404):
                raise Stopped(no_registry(stranger.answer))
            return Seen(Scheme.NONE, control), stranger.digest, ()
        challenges = stranger.challenges if stranger else in_order(challenges_of(first))
        if login is None:
            return Seen(scheme_of(challenges), control), None, challenges
        node = NodePull(self._client, repository, login, self._whole)
        with _told("with the login"):
            pulled = await node.pull(reference, first)
        token = _reply(pulled.token, login) if pulled.token else None
        if token is None and pulled.scheme is Scheme.BEARER:
            token = Reply(200)
        pull = None if pulled.token or not node.login else _reply(pulled.answer, login)
        seen = Seen(pulled.scheme, control, token, pull, pulled.stage, node.served_by_get)
        return seen, pulled.digest, challenges

    async def _unasked(
        self,
        repository: str,
        path: str,
        control: Reply,
        door: tuple[Challenge, ...],
        login: Login,
    ) -> tuple[Seen, str | None, tuple[Challenge, ...]]:
        """Ask with the login for what is not there without one, though nobody asked for it: is it hidden?

        `door` are the challenges of the registry's front door. Raises Stopped.
        """
        scheme = scheme_of(door)
        nothing = Seen(scheme, control), None, door
        accepted = await self._login(login, door)
        if accepted is LoginAnswer.REFUSED:
            return nothing
        authorization = basic(login)
        if scheme is Scheme.BEARER:
            realm, service = self._client.realm(door)
            _, token = await self._client.token(realm, service, scopes_of(repository, None), login)
            if token is None:
                return nothing
            authorization = f"Bearer {token}"
        pull = _reply(await self._client.manifest(path, authorization, login), login)
        if pull.status != 200 and accepted is not LoginAnswer.ACCEPTED:
            return nothing
        return Seen(scheme, control, None, pull, unasked=True), None, door

    async def _without(
        self, repository: str, reference: str, first: Answer, login: Login | None
    ) -> tuple[Reply, Pulled | None]:
        """Pull without a login; a registry that is busy or fails there may still serve one. Raises Stopped."""
        try:
            pulled = await NodePull(self._client, repository, None, self._whole).pull(
                reference, first
            )
        except Stopped as stopped:
            status = _HELD_BACK.get(stopped.judged.verdict)
            if status is None or login is None or first.status != 401:
                raise
            return Reply(status), None
        return _reply(pulled.token or pulled.answer, None), pulled

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
        challenges = challenges or await self._client.challenges()
        scheme = scheme_of(challenges)
        if scheme is Scheme.NONE:
            return LoginAnswer.NOT_CHECKED
        if scheme is Scheme.BEARER:
            realm, service = self._client.realm(challenges)
            own = (await self._client.token(realm, service, (), login))[0]
        else:
            own = await self._client.with_basic(path, login)
        if own.status == 401:
            return LoginAnswer.REFUSED
        try:
            if scheme is Scheme.BEARER:
                other = (await self._client.token(realm, service, (), stranger))[0]
            else:
                other = await self._client.with_basic(path, stranger)
        except Stopped:
            return LoginAnswer.NOT_CHECKED
        return login_answer(Reply(own.status), Reply(other.status))


def _reply(answer: Answer, login: Login | None) -> Reply:
    error = next((found for each in challenges_of(answer) if (found := each.get("error"))), "")
    served = 200 <= answer.status < 300
    words = "" if served else server_words(answer.body, login)
    return Reply(200 if served else answer.status, known_error(error), words)


@contextmanager
def _told(when: str) -> Iterator[None]:
    """Say of a registry that is busy when it was."""
    try:
        yield
    except Stopped as stopped:
        judged = stopped.judged
        if judged.verdict is not Verdict.BUSY:
            raise
        raise Stopped(replace(judged, detail=f"{judged.detail}, {when}")) from None


def _discreet(judged: Judgement, login: Login | None) -> Judgement:
    """Return the judgement, without its words if a registry managed to put the password into them."""
    if login and tells(judged.detail + judged.hint, login):
        return judgement(judged.verdict, "the registry's answer cannot be repeated")
    return judged
