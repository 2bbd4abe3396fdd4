"""The settings in docs/registries.md are those with which a login can be proven, on stand-ins that answer alike."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from remediation.docker_config import Login
from remediation.registry.check import RepositoryProof
from remediation.registry.rules import NO_RULES, RegistryRules, parse_rules
from remediation.registry.verdict import Verdict
from tests.docs.pages import ROOT, codes, examples_of, table
from tests.docs.vendors import VENDORS, Vendor
from tests.network.connect_proxy import ConnectProxy
from tests.network.pki import Issued
from tests.worker.registry_lab import Server, Tls
from worker.registry import Prober

PAGE = ROOT / "docs" / "registries.md"
RECIPES = {
    (example.note or "").removeprefix("recipe "): example
    for example in examples_of(PAGE)
    if example.kind == "yaml"
}


def test_every_registry_of_the_table_has_a_recipe_and_a_stand_in() -> None:
    named = [row[0].partition("]")[0].strip("[") for row in table(PAGE, "registry", "asks by")]

    assert set(named) - {"CNCF registry"} == set(RECIPES) == set(VENDORS)


@pytest.mark.parametrize("name", VENDORS)
def test_a_recipe_proves_the_login_and_finds_a_wrong_one(name: str, tmp_path: Path) -> None:
    vendor = VENDORS[name]
    parsed = parse_rules(yaml.safe_load(RECIPES[name].text))
    assert set(parsed.rules) == {vendor.registry}
    rules = replace(parsed.of(vendor.registry), ca_file=None)
    right, wrong = Login(vendor.username, vendor.password), Login(vendor.username, "wrong-horse")
    with _World(vendor, rules, tmp_path) as world:
        assert world.prove(right).verdict is Verdict.WORKS
        found = world.prove(wrong)
        assert found.verdict in (Verdict.WRONG_CREDENTIAL, Verdict.DENIED)
        if rules.realm_hosts:
            without = world.prove(right, replace(rules, realm_hosts=()))
            assert without.verdict is Verdict.REFUSED_BY_RULES
            assert rules.realm_hosts[0] in without.judgement.hint


def test_the_settings_of_the_table_are_those_of_the_recipes() -> None:
    for row in table(PAGE, "registry", "asks by"):
        name = row[0].partition("]")[0].strip("[")
        if name in RECIPES:
            rules = parse_rules(yaml.safe_load(RECIPES[name].text)).rules
            (own,) = rules.values()
            named = {"realm_hosts"} if own.realm_hosts else set()
            assert set(codes([row[3]])) == named, name
            assert (row[1] == "token") is (VENDORS[name].realm is not None), name
            assert (own.shadow is not None) is row[4].startswith("a "), name


class _World:
    """A stand-in, and its shadow, under the names of the recipe: a proxy knows where they are."""

    def __init__(self, vendor: Vendor, rules: RegistryRules, folder: Path) -> None:
        self._vendor, self._rules = vendor, rules
        hosts = set(vendor.hosts)
        if rules.shadow:
            shadow = rules.shadow.removeprefix("https://")
            hosts.add(shadow if ":" in shadow else f"{shadow}:443")
        ca = Issued.make("CA", ca=True)
        names = tuple({host.rpartition(":")[0] for host in hosts})
        shown = Issued.make("vendor", ca, hosts=names).server(folder)
        self._ca = folder / "ca.pem"
        self._ca.write_bytes(ca.pem)
        self._server = Server(vendor.answer, Tls(self._ca, shown.certificate, shown.key))
        self._proxy = ConnectProxy(dict.fromkeys(hosts, self._server.host))

    def __enter__(self) -> "_World":
        self._server.__enter__()
        self._proxy.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.__exit__()
        self._server.__exit__()

    def prove(self, login: Login, rules: RegistryRules = NO_RULES) -> RepositoryProof:
        """Prove a login with the recipe's rules, or with others."""
        used = self._rules if rules is NO_RULES else rules
        reached = replace(used, ca_file=str(self._ca), proxy=f"http://{self._proxy.host}")

        async def ask() -> RepositoryProof:
            async with Prober(self._vendor.registry, reached, "test") as prober:
                (proof,) = await prober.prove([("team/app", "1.0")], login)
                return proof

        return asyncio.run(ask())
