"""Registries that are up to no good: what they and their friends recorded holds no password."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from remediation.docker_config import Login
from remediation.registry.check import RepositoryProof
from remediation.registry.rules import RegistryRules
from remediation.registry.verdict import Verdict
from tests.worker.registry_lab import Reply, Request, Server, Tls, served
from worker import registry_http
from worker.registry import Prober

PASSWORD = "correct-horse-battery"
LOGIN = Login("robot", PASSWORD)
PLAIN = RegistryRules(plain_http=True)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def thief() -> Iterator[Server]:
    """A server that gives a token to everybody and asks for a password where it can."""

    def answer(request: Request) -> Reply:
        if "token" in request.path:
            return Reply(body=b'{"token": "anything"}')
        return Reply(401, [("WWW-Authenticate", 'Basic realm="give it to me"')])

    with Server(answer) as server:
        yield server


def prove(host: str, rules: RegistryRules = PLAIN, shadow: str | None = None) -> RepositoryProof:
    async def ask() -> RepositoryProof:
        async with Prober(host, rules, "tests", shadow) as prober:
            return (await prober.prove([("team/app", "1.0")], LOGIN))[0]

    return asyncio.run(ask())


def bearer(*parameters: str) -> Callable[[Request], Reply]:
    """Return a registry that sends everybody without a token to a realm."""
    text = f"Bearer {','.join(parameters)}"

    def answer(request: Request) -> Reply:
        if request.path.startswith("/token"):
            return Reply(body=b'{"token": "anything"}')
        return Reply(401, [("WWW-Authenticate", text)])

    return answer


def refused(proof: RepositoryProof) -> str:
    """Return why our own rules ended it."""
    assert proof.verdict is Verdict.REFUSED_BY_RULES, proof
    return f"{proof.judgement.detail} {proof.judgement.hint}"


def test_the_servers_here_would_notice_a_password() -> None:
    sent = base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
    for request in (
        Request("GET", "/", {"Authorization": f"Basic {sent}"}, b""),
        Request("POST", "/", {}, PASSWORD.encode()),
        Request("GET", f"/?password={PASSWORD}", {}, b""),
    ):
        with Server(lambda _: Reply()) as server:
            server.requests.append(request)

        assert server.saw(PASSWORD)


class TestRealm:
    def test_elsewhere_gets_nothing_and_is_named(self, thief: Server) -> None:
        with Server(bearer(f'realm="{thief.url}/token"', 'service="x"')) as registry:
            why = refused(prove(registry.host))

        assert not thief.requests
        assert f"add '{thief.host}' to realm_hosts" in why

    def test_elsewhere_gets_it_where_the_operator_says_so(self, thief: Server) -> None:
        rules = RegistryRules(plain_http=True, realm_hosts=(thief.host,))
        with Server(bearer(f'realm="{thief.url}/token"')) as registry:
            prove(registry.host, rules)

        assert thief.saw(PASSWORD)

    def test_of_its_own_gets_it(self) -> None:
        with Server(lambda request: bearer(f'realm="{server.url}/token"')(request)) as server:
            prove(server.host)

        assert server.saw(PASSWORD)

    @pytest.mark.parametrize(
        "parameters",
        [
            ['realm="{own}/token"', 'realm="{thief}/token"'],
            ['realm="{thief}/token"', 'realm="{own}/token"'],
            ['service="x"'],
            ['realm=""'],
            ['realm="http://robot@{own_host}/token"'],
            ['realm="http://{own_host}@{thief_host}/token"'],
            ['realm="{own}/token#x"'],
            ['realm="http://{thief_host}\\\\@{own_host}/token"'],
            ['realm="//{thief_host}/token"'],
            ['realm="ftp://{own_host}/token"'],
            ['realm="http://{own_host}:99999/token"'],
        ],
    )
    def test_that_can_be_read_in_two_ways_gets_nothing(
        self, thief: Server, parameters: list[str]
    ) -> None:
        def answer(request: Request) -> Reply:
            names = {
                "own": server.url,
                "own_host": server.host,
                "thief": thief.url,
                "thief_host": thief.host,
            }
            return bearer(*(each.format(**names) for each in parameters))(request)

        with Server(answer) as server:
            refused(prove(server.host))

        assert not server.saw(PASSWORD)
        assert not thief.requests

    def test_of_a_second_challenge_in_the_line_is_not_the_one_that_nodes_take(
        self, thief: Server
    ) -> None:
        def answer(request: Request) -> Reply:
            first = f'realm="{server.url}/token"'
            return bearer(f'{first}, Bearer realm="{thief.url}/token"')(request)

        with Server(answer) as server:
            prove(server.host)

        assert server.saw(PASSWORD)
        assert not thief.requests

    def test_without_tls_gets_nothing_from_a_registry_with_it(
        self, tls: Tls, thief: Server
    ) -> None:
        rules = RegistryRules(ca_file=str(tls.ca), realm_hosts=(thief.host,))
        with Server(bearer(f'realm="{thief.url}/token"'), tls) as registry:
            why = refused(prove(registry.host, rules))

        assert "without TLS" in why
        assert not thief.requests

    @pytest.mark.parametrize(
        "address",
        ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "224.0.0.1"],
    )
    def test_at_an_address_for_machines_only_is_not_spoken_to(self, address: str) -> None:
        rules = RegistryRules(plain_http=True, realm_hosts=(address,))
        with Server(bearer(f'realm="http://{address}/token"')) as registry:
            why = refused(prove(registry.host, rules))

            assert not registry.saw(PASSWORD)
        assert "nothing is sent there" in why

    def test_whose_name_leads_to_such_an_address_is_not_spoken_to(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _resolve_to(monkeypatch, "169.254.169.254")
        rules = RegistryRules(plain_http=True, realm_hosts=("auth.example.com",))
        with Server(bearer('realm="http://auth.example.com/token"')) as registry:
            why = refused(prove(registry.host, rules))

        assert "'auth.example.com' leads to a link-local or metadata address" in why

    def test_whose_name_leads_here_is_not_spoken_to_unless_the_registry_is_here(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _resolve_to(monkeypatch, "127.0.0.1")

        assert "this machine's own address" in refused(prove("registry.example.com"))


class TestRedirect:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("form_first", [True, False])
    def test_of_a_token_request_is_not_followed(
        self, thief: Server, status: int, form_first: bool
    ) -> None:
        def answer(request: Request) -> Reply:
            basic = request.headers.get("Authorization", "").startswith("Basic ")
            if request.method == "POST" and form_first:
                return Reply(status, [("Location", f"{thief.url}/token")])
            if request.method == "POST":
                return Reply(405)
            if basic:
                return Reply(status, [("Location", f"{thief.url}/token")])
            return bearer(f'realm="{server.url}/token"')(request)

        with Server(answer) as server:
            assert "token endpoint redirects" in refused(prove(server.host))

        assert not thief.requests

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_of_a_manifest_takes_no_credential_along(self, tls: Tls, status: int) -> None:
        def steal(request: Request) -> Reply:
            return Reply(401, [("WWW-Authenticate", 'Basic realm="give it to me"')])

        with (
            Server(steal, tls) as other,
            Server(_redirecting(f"{other.url}/v2/x", status), tls) as own,
        ):
            refused(prove(own.host, RegistryRules(ca_file=str(tls.ca))))

            assert own.saw(PASSWORD)
            assert other.requests
            assert not any("Authorization" in request.headers for request in other.requests)

    def test_of_a_manifest_to_somewhere_without_tls_is_not_followed(self, thief: Server) -> None:
        with Server(_redirecting(f"{thief.url}/v2/x", 307)) as own:
            assert "without TLS" in refused(prove(own.host))

        assert not thief.requests

    @pytest.mark.parametrize(
        ("storage", "verdict"),
        [
            (None, Verdict.WORKS),
            (Reply(403), Verdict.UNREACHABLE),
            (Reply(404), Verdict.UNREACHABLE),
            (Reply(200, [("Content-Type", "text/html")], b"sign in"), Verdict.NOT_A_REGISTRY),
            (Reply(401, [("WWW-Authenticate", "Basic")]), Verdict.REFUSED_BY_RULES),
        ],
    )
    def test_of_a_blob_works_where_storage_serves_it_without_the_login(
        self, tls: Tls, storage: Reply | None, verdict: Verdict
    ) -> None:
        def own_answer(request: Request) -> Reply:
            if "/blobs/" in request.path or "Authorization" not in request.headers:
                # By another name: within a host nodes take the login along, whatever the port.
                elsewhere = other.url.replace("127.0.0.1", "localhost")
                return _redirecting(f"{elsewhere}{request.path}?signed=1", 307)(request)
            return served(request.path)

        with (
            Server(lambda request: storage or served(request.path), tls) as other,
            Server(own_answer, tls) as own,
        ):
            proof = prove(own.host, RegistryRules(ca_file=str(tls.ca)))

        assert proof.verdict is verdict
        assert other.requests
        assert not any("Authorization" in request.headers for request in other.requests)

    @pytest.mark.parametrize(("name", "gets"), [("localhost", "works"), ("127.0.0.1", "refused")])
    def test_of_a_blob_to_storage_without_tls_is_followed_where_declared_but_without_the_login(
        self, tls: Tls, name: str, gets: str
    ) -> None:
        def own_answer(request: Request) -> Reply:
            if "/blobs/" in request.path or "Authorization" not in request.headers:
                return _redirecting(f"{elsewhere}{request.path}", 307)(request)
            return served(request.path)

        with Server(lambda request: served(request.path)) as other, Server(own_answer, tls) as own:
            elsewhere = other.url.replace("127.0.0.1", name)
            ca = str(tls.ca)
            undeclared = refused(prove(own.host, RegistryRules(ca_file=ca)))
            hosts = (elsewhere.removeprefix("http://"),)
            found = prove(own.host, RegistryRules(ca_file=ca, redirect_hosts=hosts))

        assert "without TLS" in undeclared
        assert f"add '{hosts[0]}' to redirect_hosts" in undeclared
        if gets == "works":
            assert found.verdict is Verdict.WORKS
        else:  # within a host nodes take the login along, whatever the port
            assert "no login is sent there: have it redirect with https" in refused(found)
        assert not other.saw(PASSWORD)
        assert not any("Authorization" in request.headers for request in other.requests)

    def test_back_again_brings_no_credential(self, tls: Tls) -> None:
        def there(request: Request) -> Reply:
            return Reply(307, [("Location", f"{own.url}/back")])

        def here(request: Request) -> Reply:
            if request.path == "/back":
                return served(request.path)
            return _redirecting(f"{other.url}/there", 307)(request)

        with Server(there, tls) as other, Server(here, tls) as own:
            proof = prove(own.host, RegistryRules(ca_file=str(tls.ca)))
            back = [request for request in own.requests if request.path == "/back"]

        assert "where nodes send the login" in refused(proof)
        assert not any("Authorization" in request.headers for request in other.requests)
        assert back
        assert not any("Authorization" in request.headers for request in back)

    def test_within_the_registry_keeps_the_credential(self) -> None:
        def answer(request: Request) -> Reply:
            if request.path.startswith("/real/"):
                return served(request.path)
            return _redirecting(f"/real{request.path}", 307)(request)

        with Server(answer) as own:
            assert prove(own.host).verdict is Verdict.WORKS
            assert "Authorization" in own.requests[-1].headers

    def test_to_a_page_for_people_is_no_manifest(self) -> None:
        def answer(request: Request) -> Reply:
            if request.path == "/sign-in":
                return Reply(200, [("Content-Type", "text/html")])
            return _redirecting("/sign-in", 302)(request)

        with Server(answer) as own:
            assert prove(own.host).verdict is Verdict.NOT_A_REGISTRY

    def test_without_an_end_is_given_up(self) -> None:
        with Server(_redirecting("/v2/again", 302)) as own:
            assert "more than 3 redirects" in refused(prove(own.host))


class TestAnswer:
    def test_that_is_huge_is_not_read(self) -> None:
        def answer(request: Request) -> Reply:
            if request.path.startswith("/token"):
                return Reply(body=b'{"token": "' + b"x" * 200_000 + b'"}')
            return bearer(f'realm="{server.url}/token"')(request)

        with Server(answer) as server:
            proof = prove(server.host)

        assert proof.verdict is Verdict.NOT_A_REGISTRY
        assert "more than 64 KiB" in proof.judgement.detail

    def test_that_takes_too_long_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry_http, "TOTAL_SECONDS", 0.5)

        def answer(request: Request) -> Reply:
            if request.path.startswith("/token"):
                return Reply(body=b'{"token": "x"}', seconds=3)
            return bearer(f'realm="{server.url}/token"')(request)

        with Server(answer) as server:
            assert prove(server.host).verdict is Verdict.UNREACHABLE

    @pytest.mark.parametrize(
        "echo",
        [
            PASSWORD,
            base64.b64encode(f"robot:{PASSWORD}".encode()).decode(),
            base64.b64encode(PASSWORD.encode()).decode(),
            PASSWORD.encode().hex(),
        ],
    )
    def test_that_repeats_the_password_is_not_repeated(self, echo: str) -> None:
        def answer(request: Request) -> Reply:
            if request.method == "POST":
                text = {"errors": [{"code": "DENIED", "message": f"no {echo}"}]}
                return Reply(403, body=json.dumps(text).encode())
            return bearer(f'realm="{server.url}/token"')(request)

        with Server(answer) as server:
            proof = prove(server.host)

        assert proof.verdict is Verdict.DENIED
        assert echo not in repr(proof)

    def test_that_redirects_to_the_password_is_not_repeated(self) -> None:
        def answer(request: Request) -> Reply:
            if "Authorization" in request.headers:
                return Reply(307, [("Location", f"http://{PASSWORD}.example.com/")])
            return Reply(401, [("WWW-Authenticate", 'Basic realm="x"')])

        with Server(answer) as server:
            proof = prove(server.host)

        refused(proof)
        assert PASSWORD not in repr(proof)

    @pytest.mark.parametrize("token", ["", "a\r\nX-Evil: 1", "ä", 7, None, ["x"]])
    def test_without_a_token_that_can_be_sent_is_none(self, token: Any) -> None:
        def answer(request: Request) -> Reply:
            if request.path.startswith("/token"):
                return Reply(body=json.dumps({"token": token}).encode())
            return bearer(f'realm="{server.url}/token"')(request)

        with Server(answer) as server:
            assert prove(server.host).verdict is Verdict.NOT_A_REGISTRY

    def test_of_the_registry_sets_no_cookies(self) -> None:
        def answer(request: Request) -> Reply:
            return Reply(401, [("WWW-Authenticate", "Basic"), ("Set-Cookie", "a=b; Path=/")])

        with Server(answer) as server:
            prove(server.host.replace("127.0.0.1", "localhost"))  # an address gets none anyway

            assert len(server.requests) > 1
            assert not any("Cookie" in request.headers for request in server.requests)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "017700000001", "127.0.1", "0", "127.1."])
def test_a_number_is_no_way_to_this_machine(host: str) -> None:
    with Server(lambda _: Reply(401, [("WWW-Authenticate", "Basic")])) as server:
        why = refused(prove(server.host.replace("127.0.0.1", host)))

    assert "could mean any address" in why
    assert not server.requests


def test_nothing_is_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, thief: Server, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", thief.url)
    monkeypatch.setenv("HTTP_PROXY", thief.url)
    with Server(lambda _: Reply(401, [("WWW-Authenticate", "Basic")])) as server:
        assert prove(server.host).verdict is Verdict.WRONG_CREDENTIAL

    assert not thief.requests


def _redirecting(location: str, status: int) -> Callable[[Request], Reply]:
    """Return a registry with passwords that sends everybody who has one somewhere else."""

    def answer(request: Request) -> Reply:
        if "Authorization" in request.headers:
            return Reply(status, [("Location", location)])
        return Reply(401, [("WWW-Authenticate", 'Basic realm="x"')])

    return answer


def _resolve_to(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> list[Any]:
        return [
            {"hostname": host, "host": address, "port": port, "family": 2, "proto": 0, "flags": 0}
        ]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
