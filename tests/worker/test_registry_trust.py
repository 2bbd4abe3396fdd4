"""Which certificates of a registry are trusted: those that a node trusts, asked side by side with containerd."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controlplane.pull import Puller, PullOutcome, PullRequest
from remediation.registry.rules import RegistryRules
from remediation.registry.verdict import Verdict
from tests.network.pki import Issued, Shown
from tests.worker.registry_lab import Reply, Server, Tls
from worker.registry import Prober

ROOT = Issued.make("root", ca=True)
MIDDLE = Issued.make("middle", ROOT, ca=True)
LEAF = Issued.make("leaf", MIDDLE, ca=False)
DIRECT = Issued.make("direct", ROOT, ca=False)
OTHER = Issued.make("root", ca=True)  # the same name, another key
OLD = Issued.make("old", ca=True, days=-1)
NO_CA = Issued.make("no CA", ca=False)
BARE_CA = Issued.make("bare CA")  # without basic constraints
JUNK = b"# our CA\n-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\nwords\n"


@dataclass(frozen=True)
class Case:
    """What a server shows, what is trusted, and whether that serves."""

    name: str
    trusted: bool
    bundle: bytes
    leaf: Issued
    chain: tuple[Issued, ...] = ()


CASES = (
    Case("root", True, ROOT.pem, DIRECT),
    Case("root and the chain is shown", True, ROOT.pem, LEAF, (MIDDLE,)),
    Case("root and the chain is not shown", False, ROOT.pem, LEAF),
    Case("intermediate", True, MIDDLE.pem, LEAF, (MIDDLE,)),
    Case("intermediate, not shown", True, MIDDLE.pem, LEAF),
    Case("intermediate, root shown too", True, MIDDLE.pem, LEAF, (MIDDLE, ROOT)),
    Case("root and intermediate", True, ROOT.pem + MIDDLE.pem, LEAF),
    Case("the leaf itself", True, LEAF.pem, LEAF, (MIDDLE,)),
    Case("the leaf itself, alone", True, LEAF.pem, LEAF),
    Case("a self-signed leaf", True, NO_CA.pem, NO_CA),
    Case("another leaf of the same CA", False, DIRECT.pem, Issued.make("direct", ROOT, ca=False)),
    Case("intermediate does not vouch for its root", False, MIDDLE.pem, DIRECT),
    Case("another root of the same name", False, OTHER.pem, DIRECT),
    Case("a trusted leaf signs nothing", False, NO_CA.pem, Issued.make("x", NO_CA, ca=False)),
    Case("bare root signs nothing", False, BARE_CA.pem, Issued.make("x", BARE_CA, ca=False)),
    Case("comments and a broken block", True, JUNK + ROOT.pem, DIRECT),
    Case("root that ran out", False, OLD.pem, Issued.make("x", OLD, ca=False)),
    Case("leaf that ran out", False, ROOT.pem, Issued.make("x", ROOT, ca=False, days=-1)),
    Case("name in the subject only", False, ROOT.pem, Issued.make("127.0.0.1", ROOT, names=False)),
    Case("for clients only", False, ROOT.pem, Issued.make("x", ROOT, client_only=True)),
    Case("RSA of 1024 bits", True, ROOT.pem, Issued.make("x", ROOT, bits=1024)),
)


@pytest.fixture(scope="module")
def puller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Puller]:
    with Puller.start(tmp_path_factory.mktemp("puller")) as puller:
        yield puller


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_certificate_is_trusted_where_containerd_trusts_it(
    case: Case, puller: Puller, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(case.bundle)
    with _server(case.leaf.server(tmp_path, case.chain)) as server:
        proof = _prove(server.host, RegistryRules(ca_file=str(bundle)))
        (pull,) = puller.pull([PullRequest(f"{server.host}/team/app:1", ca_file=bundle)])

    assert (pull.outcome is not PullOutcome.NETWORK) is case.trusted, pull.text
    assert (proof is not Verdict.UNREACHABLE) is case.trusted


def test_the_system_counts_beside_a_ca_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system.pem").write_bytes(MIDDLE.pem)
    (tmp_path / "other.pem").write_bytes(OTHER.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    with _server(LEAF.server(tmp_path)) as server:
        for rules in (RegistryRules(), RegistryRules(ca_file=str(tmp_path / "other.pem"))):
            assert _prove(server.host, rules) is not Verdict.UNREACHABLE
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
        assert _prove(server.host, RegistryRules()) is Verdict.UNREACHABLE


def _server(shown: Shown) -> Server:
    return Server(lambda _: Reply(401), Tls(shown.certificate, shown.certificate, shown.key))


def _prove(host: str, rules: RegistryRules) -> Verdict:
    async def ask() -> Verdict:
        async with Prober(host, rules, "test") as prober:
            (proof,) = await prober.prove([("team/app", "1")], None)
            return proof.verdict

    return asyncio.run(ask())
