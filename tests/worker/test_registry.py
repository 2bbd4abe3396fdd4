"""Every row of what real registries answer gives the verdict it should."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from remediation.docker_config import Login
from remediation.registry.check import RepositoryProof
from remediation.registry.rules import RegistryRules
from remediation.registry.verdict import LoginAnswer, Verdict
from tests.worker.registry_lab import Lab, Reply, Server, Tls, TokenServer, push, served
from worker.registry import Prober

PASSWORD = "correct-horse-battery"
RIGHT = Login("robot", PASSWORD)
WRONG = Login("robot", "wrong-horse-battery")
NOBODY = Login("nobody-at-all", PASSWORD)
IMAGE = ("team/app", "1.0")
PLAIN = RegistryRules(plain_http=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    with lab.registry() as host:
        push(host, "team/app")
        push(host, "other/app")
        push(host, "open/app")
    return lab


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def open_registry(lab: Lab) -> Iterator[str]:
    with lab.registry() as host:
        yield host


@pytest.fixture(scope="module")
def private_registry(lab: Lab) -> Iterator[str]:
    with lab.registry(**lab.htpasswd(robot=PASSWORD)) as host:
        yield host


def prove(
    host: str,
    login: Login | None,
    *images: tuple[str, str],
    rules: RegistryRules = PLAIN,
    shadow: str | None = None,
) -> list[RepositoryProof]:
    async def ask() -> list[RepositoryProof]:
        async with Prober(host, rules, "tests", shadow) as prober:
            return list(await prober.prove(images or (IMAGE,), login))

    return asyncio.run(ask())


def one(*arguments: Any, **options: Any) -> tuple[Verdict, LoginAnswer]:
    proof = prove(*arguments, **options)[0]
    assert PASSWORD not in repr(proof)
    return proof.verdict, proof.login


def login_only(
    host: str, login: Login, rules: RegistryRules = PLAIN
) -> tuple[Verdict, LoginAnswer]:
    async def ask() -> RepositoryProof:
        async with Prober(host, rules, "tests") as prober:
            return await prober.prove_login(login, "no pod")

    proof = asyncio.run(ask())
    return proof.verdict, proof.login


PUBLIC = (Verdict.NOT_PROVEN_PUBLIC, LoginAnswer.NOT_CHECKED)
WORKS = (Verdict.WORKS, LoginAnswer.ACCEPTED)
REFUSED = (Verdict.WRONG_CREDENTIAL, LoginAnswer.REFUSED)


class TestOpen:
    @pytest.mark.parametrize("login", [RIGHT, WRONG, NOBODY, None], ids=str)
    def test_proves_nothing_about_any_login(self, open_registry: str, login: Login | None) -> None:
        assert one(open_registry, login) == PUBLIC

    def test_nor_about_an_image_that_is_not_there(self, open_registry: str) -> None:
        assert one(open_registry, RIGHT, ("team/none", "1.0")) == PUBLIC

    def test_nor_about_the_login_alone(self, open_registry: str) -> None:
        assert login_only(open_registry, WRONG) == PUBLIC


class TestPasswords:
    def test_the_right_login_works(self, private_registry: str) -> None:
        assert one(private_registry, RIGHT) == WORKS

    def test_the_digest_is_told(self, private_registry: str) -> None:
        digest = prove(private_registry, RIGHT)[0].digest

        assert digest
        assert prove(private_registry, RIGHT, ("team/app", digest))[0].verdict is Verdict.WORKS

    @pytest.mark.parametrize("login", [WRONG, NOBODY], ids=str)
    def test_a_wrong_one_is_told(self, private_registry: str, login: Login) -> None:
        assert one(private_registry, login) == REFUSED

    @pytest.mark.parametrize("image", [("team/app", "none"), ("team/none", "1.0")])
    def test_an_image_that_is_not_there_proves_the_login_only(
        self, private_registry: str, image: tuple[str, str]
    ) -> None:
        assert one(private_registry, RIGHT, image) == (
            Verdict.ACCEPTED_NO_SUCH_IMAGE,
            LoginAnswer.ACCEPTED,
        )

    def test_without_a_login_it_is_denied(self, private_registry: str) -> None:
        assert one(private_registry, None) == (Verdict.DENIED, LoginAnswer.NOT_CHECKED)

    def test_the_login_alone_is_told_apart(self, private_registry: str) -> None:
        accepted = (Verdict.ACCEPTED_NO_SUCH_IMAGE, LoginAnswer.ACCEPTED)

        assert login_only(private_registry, RIGHT) == accepted
        assert login_only(private_registry, WRONG) == REFUSED


class TestTokens:
    @pytest.mark.parametrize("post_status", [None, 400, 401, 404, 405])
    @pytest.mark.parametrize(
        ("login", "image", "expected"),
        [
            (RIGHT, ("team/app", "1.0"), WORKS),
            (WRONG, ("team/app", "1.0"), REFUSED),
            (NOBODY, ("team/app", "1.0"), REFUSED),
            (RIGHT, ("other/app", "1.0"), (Verdict.ACCEPTED_NO_RIGHT, LoginAnswer.ACCEPTED)),
            (
                RIGHT,
                ("team/app", "none"),
                (Verdict.ACCEPTED_NO_SUCH_IMAGE, LoginAnswer.ACCEPTED),
            ),
            (RIGHT, ("open/app", "1.0"), (Verdict.NOT_PROVEN_PUBLIC, LoginAnswer.ACCEPTED)),
            (WRONG, ("open/app", "1.0"), REFUSED),
            (None, ("team/app", "1.0"), (Verdict.DENIED, LoginAnswer.NOT_CHECKED)),
            (None, ("open/app", "1.0"), PUBLIC),
        ],
    )
    def test_each_answer_gives_its_verdict(
        self,
        lab: Lab,
        post_status: int | None,
        login: Login | None,
        image: tuple[str, str],
        expected: tuple[Verdict, LoginAnswer],
    ) -> None:
        with _tokens(lab, post_status=post_status) as it:
            assert one(it.host, login, image, rules=it.rules) == expected

    def test_a_server_that_forbids_the_password_grant_breaks_nodes(self, lab: Lab) -> None:
        with _tokens(lab, post_status=403) as it:
            assert one(it.host, RIGHT, rules=it.rules)[0] is Verdict.DENIED

    def test_a_server_that_checks_nobody_does_not_say_why(self, lab: Lab) -> None:
        with _tokens(lab, checks=False) as it:
            assert one(it.host, WRONG, ("other/app", "1.0"), rules=it.rules)[0] is Verdict.DENIED

    def test_a_wrong_login_that_gets_an_anonymous_token_is_found(self, lab: Lab) -> None:
        with _tokens(lab, anonymous_with_wrong_password=True) as it:
            assert one(it.host, WRONG, rules=it.rules) == REFUSED
            assert one(it.host, WRONG, ("open/app", "1.0"), rules=it.rules) == REFUSED
            assert one(it.host, RIGHT, rules=it.rules) == WORKS

    @pytest.mark.parametrize("claims", [{"exp": 1}, {"aud": "elsewhere"}, {"iss": "somebody"}])
    def test_tokens_that_the_registry_does_not_take_prove_nothing(
        self, lab: Lab, claims: dict[str, Any]
    ) -> None:
        with _tokens(lab, claims=claims) as it:
            assert one(it.host, RIGHT, rules=it.rules)[0] is Verdict.DENIED

    def test_the_request_is_that_of_a_node(self, lab: Lab) -> None:
        with _tokens(lab, post_status=405) as it:
            prove(it.host, RIGHT, rules=it.rules)

        anonymous, posted, fetched = it.server.requests
        assert (anonymous.method, posted.method, fetched.method) == ("GET", "POST", "GET")
        assert "Authorization" not in anonymous.headers
        assert b"grant_type=password" in posted.body
        assert b"scope=repository%3Ateam%2Fapp%3Apull" in posted.body
        assert fetched.headers["Authorization"].startswith("Basic ")

    def test_the_login_alone_is_told_apart(self, lab: Lab) -> None:
        with _tokens(lab) as it:
            accepted = (Verdict.ACCEPTED_NO_SUCH_IMAGE, LoginAnswer.ACCEPTED)

            assert login_only(it.host, RIGHT, it.rules) == accepted
            assert login_only(it.host, WRONG, it.rules) == REFUSED


class TestTls:
    def test_a_private_ca_is_trusted_where_it_is_named(self, lab: Lab, tls: Tls) -> None:
        with lab.registry(tls=tls, **lab.htpasswd(robot=PASSWORD)) as host:
            trusting = RegistryRules(ca_file=str(tls.ca))

            assert one(host, RIGHT, rules=trusting) == WORKS
            assert one(host, WRONG, rules=trusting) == REFUSED

    def test_it_is_not_trusted_elsewhere(self, lab: Lab, tls: Tls) -> None:
        with lab.registry(tls=tls, **lab.htpasswd(robot=PASSWORD)) as host:
            proof = prove(host, RIGHT, rules=RegistryRules())[0]

        assert proof.verdict is Verdict.UNREACHABLE
        assert "ca_file" in proof.judgement.hint

    def test_plain_http_is_for_declared_registries_only(self, private_registry: str) -> None:
        proof = prove(private_registry, RIGHT, rules=RegistryRules())[0]

        assert proof.verdict is Verdict.UNREACHABLE
        assert "plain_http" in proof.judgement.hint

    def test_a_registry_with_tls_is_none_without(self, lab: Lab, tls: Tls) -> None:
        with lab.registry(tls=tls) as host:
            assert one(host, RIGHT)[0] is Verdict.NOT_A_REGISTRY


class TestShadow:
    def test_it_proves_what_the_open_registry_cannot(self, lab: Lab, open_registry: str) -> None:
        with lab.registry(readonly=True, **lab.htpasswd(robot=PASSWORD)) as shadow:
            address = f"http://{shadow}"

            assert one(open_registry, RIGHT) == PUBLIC
            assert one(open_registry, RIGHT, shadow=address) == WORKS
            assert one(open_registry, WRONG, shadow=address) == REFUSED
            ruled = RegistryRules(plain_http=True, shadow=address)
            assert one(open_registry, WRONG, rules=ruled) == REFUSED

    def test_one_that_does_not_answer_is_no_reason_to_ask_the_open_one(
        self, open_registry: str
    ) -> None:
        assert one(open_registry, RIGHT, shadow="http://127.0.0.1:9")[0] is Verdict.UNREACHABLE


class TestOthers:
    def test_nobody_listens(self) -> None:
        assert one("127.0.0.1:9", RIGHT)[0] is Verdict.UNREACHABLE

    @pytest.mark.parametrize(
        ("reply", "verdict"),
        [
            (Reply(503), Verdict.UNREACHABLE),
            (Reply(429, [("Retry-After", "0")]), Verdict.BUSY),
            (Reply(200, body=b"<html>hello</html>"), Verdict.NOT_A_REGISTRY),
            (Reply(404, body=b"<html>nothing here</html>"), Verdict.NOT_A_REGISTRY),
            (Reply(401), Verdict.NOT_A_REGISTRY),
            (Reply(401, [("WWW-Authenticate", "Negotiate")]), Verdict.NOT_A_REGISTRY),
            (Reply(403), Verdict.DENIED),
            (Reply(418), Verdict.NOT_A_REGISTRY),
        ],
    )
    def test_other_servers(self, reply: Reply, verdict: Verdict) -> None:
        with Server(lambda _: reply) as server:
            assert one(server.host, RIGHT)[0] is verdict
            assert not server.saw(PASSWORD)

    def test_one_that_was_busy_for_a_moment_is_asked_again(self) -> None:
        replies = iter([Reply(429, [("Retry-After", "0")])])
        asks = Reply(401, [("WWW-Authenticate", 'BASIC realm="x"')])
        with Server(lambda _: next(replies, asks)) as server:
            assert one(server.host, RIGHT) == REFUSED

    def test_a_wrong_password_is_tried_once(self) -> None:
        images: Sequence[tuple[str, str]] = [(f"team/app{n}", "1") for n in range(12)]
        with Server(lambda _: Reply(401, [("WWW-Authenticate", 'Basic realm="x"')])) as server:
            verdicts = {proof.verdict for proof in prove(server.host, WRONG, *images)}

        assert verdicts == {Verdict.WRONG_CREDENTIAL}
        assert sum("Authorization" in request.headers for request in server.requests) == 1

    def test_a_right_that_is_missing_is_told_from_a_wrong_login(self) -> None:
        def answer(request: Any) -> Reply:
            if "Authorization" not in request.headers or "nobody-" in request.everything:
                return Reply(401, [("WWW-Authenticate", 'Basic realm="zot"')])
            return Reply(403, body=b'{"errors":[{"code":"DENIED","message":"no access"}]}')

        with Server(answer) as server:
            proof = prove(server.host, RIGHT)[0]

        assert proof.verdict is Verdict.ACCEPTED_NO_RIGHT
        assert "DENIED: no access" in proof.judgement.detail

    def test_a_token_that_ran_out_is_denied_and_quoted(self) -> None:
        def answer(request: Any) -> Reply:
            if "Authorization" not in request.headers or "nobody-" in request.everything:
                return Reply(401, [("WWW-Authenticate", 'Basic realm="ecr"')])
            text = (
                b'{"errors":[{"code":"DENIED","message":"Your authorization token has expired"}]}'
            )
            return Reply(403, body=text)

        with Server(answer) as server:
            proof = prove(server.host, RIGHT)[0]

        assert proof.verdict is Verdict.DENIED
        assert "expired" in proof.judgement.detail

    def test_a_front_door_that_checks_finds_a_wrong_login_though_images_are_public(self) -> None:
        def answer(request: Any) -> Reply:
            if request.path != "/v2/" or RIGHT.password in request.everything:
                return served(request.path)
            return Reply(401, [("WWW-Authenticate", 'BASIC realm="nexus"')])

        with Server(answer) as server:
            assert one(server.host, WRONG) == REFUSED
            assert one(server.host, RIGHT) == (
                Verdict.NOT_PROVEN_PUBLIC,
                LoginAnswer.ACCEPTED,
            )


@dataclass
class Running:
    """A registry with a token server."""

    host: str
    server: Server
    rules: RegistryRules


@contextmanager
def _tokens(lab: Lab, **options: Any) -> Iterator[Running]:
    tokens = TokenServer(
        lab.folder, {"robot": PASSWORD}, {"robot": ["team/app"]}, ["open/app"], **options
    )
    with (
        Server(tokens.answer) as server,
        lab.registry(**tokens.auth(f"{server.url}/token")) as host,
    ):
        yield Running(host, server, RegistryRules(plain_http=True, realm_hosts=(server.host,)))
