"""A check whose credential has no login for the registry is refused, with the registries that it is for."""

from typing import Any

from flask.testing import FlaskClient

from remediation.inventory import AnnouncedCredential
from tests.api.conftest import API, CREDENTIAL, Announce

CHECKS = f"{API}/readiness-checks"


def holding(*keys: str, name: str = CREDENTIAL) -> AnnouncedCredential:
    return AnnouncedCredential(name, keys, ("puller",))


def ask(client: FlaskClient, registry: str, **more: Any) -> Any:
    body = {"clusters": ["*"], "registry": registry, "credential": CREDENTIAL} | more
    return client.post(CHECKS, json=body)


def test_another_registry_than_those_of_the_credential_is_refused(
    client: FlaskClient, announce: Announce
) -> None:
    announce("eu-1", credentials=[holding("quay.io/team", "registry.example.com")])

    answer = ask(client, "registry.exmaple.com")

    assert answer.status_code == 422
    (error,) = answer.get_json()["errors"]
    assert (error["pointer"], error["code"]) == ("#/registry", "no_login")
    assert "it is for: quay.io/team, registry.example.com." in error["detail"]


def test_a_credential_of_any_pool_that_would_be_used_counts(
    client: FlaskClient, announce: Announce
) -> None:
    announce("eu-1", pool="eu", credentials=[holding("registry.example.com")])
    announce("us-1", pool="us", credentials=[holding("quay.io")])

    answer = ask(client, "registry.example.com")

    (error,) = answer.get_json()["errors"]
    assert (
        "of pool us has no login for 'registry.example.com'; it is for: quay.io." in error["detail"]
    )
    assert ask(client, "registry.example.com", clusters=["eu-1"]).status_code == 202


def test_a_check_goes_to_the_pool_that_holds_the_credential(
    client: FlaskClient, announce: Announce
) -> None:
    announce("eu-1", pool="a", credentials=[])
    announce("eu-1", pool="b", credentials=[holding("registry.example.com")])

    assert ask(client, "registry.example.com").status_code == 202
    assert ask(client, "quay.io").status_code == 422
