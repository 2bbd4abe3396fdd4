"""The issuer's keys behind TLS and a proxy: what is trusted and how the way there fails."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from api.identity import IdentityUnavailable
from api.jwks import KeyAddress
from tests.network.connect_proxy import ConnectProxy
from tests.network.pki import Issued
from tests.worker.registry_lab import Reply, Server, Tls

HOST = "issuer.example.com"
ROOT = Issued.make("root", ca=True)
MIDDLE = Issued.make("middle", ROOT, ca=True)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("issuer")
    leaf = Issued.make("issuer", MIDDLE, hosts=[HOST])
    key = jwt.algorithms.ECAlgorithm.to_jwk(leaf.key.public_key(), as_dict=True)
    keys = json.dumps({"keys": [key | {"kid": "one"}]}).encode()
    shown = leaf.server(folder, (MIDDLE,))
    tls = Tls(shown.certificate, shown.certificate, shown.key)
    with Server(lambda _: Reply(200, body=keys), tls) as server:
        yield server


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(b"# the intermediate one\n" + MIDDLE.pem)
    return path


def test_an_intermediate_ca_vouches_for_the_issuer(issuer: Server, ca_file: Path) -> None:
    found = KeyAddress(f"{issuer.url}/keys", ca_file).find("one", "ES256")

    assert found
    assert found.id == "one"


def test_a_ca_file_replaces_the_system(
    issuer: Server, ca_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    assert KeyAddress(f"{issuer.url}/keys", None).find("one", "ES256")
    (tmp_path / "other.pem").write_bytes(Issued.make("other", ca=True).pem)
    with pytest.raises(IdentityUnavailable):
        KeyAddress(f"{issuer.url}/keys", tmp_path / "other.pem").find("one", "ES256")


def test_the_issuer_is_reached_through_the_proxy_that_go_would_take(
    issuer: Server,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    url = f"https://{HOST}/keys"
    with ConnectProxy({f"{HOST}:443": issuer.host}, "gate:pa55 @") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://gate:pa55%20%40@{proxy.host}")
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,127.0.0.0/8")
        assert KeyAddress(url, ca_file).find("one", "ES256")
        assert proxy.asked == [f"{HOST}:443"]
        assert KeyAddress(f"{issuer.url}/keys", ca_file).find("one", "ES256")
        assert proxy.asked == [f"{HOST}:443"]
        for value, said in (
            (f"http://gate:pa55@{proxy.host}", "wants a login (407)"),
            (f"socks5://gate:pa55@{proxy.host}", "HTTPS_PROXY of the API names a SOCKS proxy"),
        ):
            monkeypatch.setenv("HTTPS_PROXY", value)
            with pytest.raises(IdentityUnavailable):
                KeyAddress(url, ca_file).find("one", "ES256")
            assert said in caplog.messages[-1]

    assert "pa55" not in caplog.text
