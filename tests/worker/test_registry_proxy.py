"""Registries that are reached through a proxy only, and proxies that do not let through."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediation.docker_config import Login
from remediation.registry.check import RepositoryProof
from remediation.registry.rules import RegistryRules
from remediation.registry.verdict import Verdict
from tests.network.connect_proxy import ConnectProxy
from tests.network.pki import Issued
from tests.worker.registry_lab import MANIFEST, Reply, Request, Server, Tls
from worker.registry import Prober

HOST = "registry.example.com"
LOGIN = Login("robot", "correct-horse-battery")
CA = Issued.make("CA", ca=True)
ENTRANCE = "http://gate:pa%2055%40@"
GATE = "gate:pa 55@"  # as it is, not as it is written in an address


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("registry")
    shown = Issued.make("registry", CA, hosts=[HOST]).server(folder)
    (folder / "ca.pem").write_bytes(CA.pem)
    with Server(_answer, Tls(folder / "ca.pem", shown.certificate, shown.key)) as server:
        yield server


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    (tmp_path / "ca.pem").write_bytes(CA.pem)
    return str(tmp_path / "ca.pem")


def test_the_registry_is_asked_through_the_proxy_of_its_rules(
    registry: Server, ca_file: str
) -> None:
    with ConnectProxy({f"{HOST}:443": registry.host}, GATE) as proxy:
        proof = _prove(HOST, RegistryRules(ca_file=ca_file, proxy=f"{ENTRANCE}{proxy.host}"))

    assert proof.verdict is Verdict.WORKS
    assert set(proxy.asked) == {f"{HOST}:443"}
    assert not any(LOGIN.password in head for head in proxy.heads)


def test_the_proxy_of_the_environment_is_taken_as_nodes_take_it(
    registry: Server, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy({f"{HOST}:443": registry.host}) as proxy:
        monkeypatch.setenv("https_proxy", proxy.host)  # without a scheme
        monkeypatch.setenv("NO_PROXY", "example.org, .cluster.local,10.0.0.0/8")
        assert _prove(HOST, RegistryRules(ca_file=ca_file)).verdict is Verdict.WORKS
        asked = len(proxy.asked)
        # This machine is spared, as Go spares it, and so is what NO_PROXY names.
        assert _prove(registry.host, RegistryRules(ca_file=ca_file)).verdict is Verdict.WORKS
        monkeypatch.setenv("NO_PROXY", "127.0.0.2")
        assert "127.0.0.2" in _prove("127.0.0.2:1", RegistryRules()).judgement.detail
        assert len(proxy.asked) == asked


@pytest.mark.parametrize(
    ("login", "status", "entrance", "verdict", "detail"),
    [
        (GATE, None, "http://", Verdict.PROXY_REFUSED, "wants a login (407)"),
        (GATE, None, "http://gate:pa55@", Verdict.PROXY_REFUSED, "refuses the login that it gets"),
        (None, 403, "http://", Verdict.PROXY_REFUSED, "does not let through to the registry (403)"),
        (None, 502, "http://", Verdict.UNREACHABLE, "cannot reach the registry (502)"),
    ],
)
@pytest.mark.parametrize("by_rules", [True, False], ids=["rules", "environment"])
def test_a_proxy_that_does_not_let_through_is_told_as_such(
    login: str | None,
    status: int | None,
    entrance: str,
    verdict: Verdict,
    detail: str,
    by_rules: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ConnectProxy({}, login, status) as proxy:
        address = f"{entrance}{proxy.host}"
        if not by_rules:
            monkeypatch.setenv("HTTPS_PROXY", address)
        proof = _prove(HOST, RegistryRules(proxy=address if by_rules else None))

    assert proof.verdict is verdict
    assert detail in proof.judgement.detail
    assert proxy.host in proof.judgement.detail
    named = "'proxy' in the registries file" if by_rules else "of the worker"
    assert named in proof.judgement.hint or verdict is not Verdict.PROXY_REFUSED or status
    assert "pa55" not in repr(proof)


def test_a_proxy_that_is_away_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://gate:pa55@127.0.0.1:1")

    proof = _prove(HOST, RegistryRules())

    assert proof.verdict is Verdict.UNREACHABLE
    assert "no connection to the proxy 127.0.0.1:1" in proof.judgement.detail
    assert "HTTPS_PROXY of the worker" in proof.judgement.hint
    assert "pa55" not in repr(proof)


def test_what_is_no_proxy_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("socks5://gate:pa55@proxy.example.com:1080", "ftp://gate:pa55@proxy"):
        monkeypatch.setenv("HTTPS_PROXY", value)
        proof = _prove(HOST, RegistryRules())
        assert proof.verdict is Verdict.PROXY_REFUSED
        assert "HTTPS_PROXY of the worker" in proof.judgement.detail
        assert "pa55" not in repr(proof)


def test_a_password_without_tls_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(_answer) as plain, ConnectProxy({}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.host)
        monkeypatch.setenv("HTTP_PROXY", proxy.host)
        assert _prove(plain.host, RegistryRules(plain_http=True)).verdict is Verdict.WORKS
        assert proxy.asked == []


def _answer(request: Request) -> Reply:
    """Answer as a private registry with passwords does."""
    right = base64.b64encode(f"{LOGIN.username}:{LOGIN.password}".encode()).decode()
    if request.headers.get("Authorization") != f"Basic {right}":
        return Reply(401, [("WWW-Authenticate", 'Basic realm="r"')])
    return Reply(200, [("Content-Type", MANIFEST)], b"{}")


def _prove(host: str, rules: RegistryRules) -> RepositoryProof:
    async def ask() -> RepositoryProof:
        async with Prober(host, rules, "test") as prober:
            (proof,) = await prober.prove([("team/app", "1")], LOGIN)
            return proof

    return asyncio.run(ask())
