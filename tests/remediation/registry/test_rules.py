"""The operator's document: what it may say, and how it is told what is wrong."""

from typing import Any

import pytest

from remediation.registry.rules import InvalidRules, RegistryRules, check_shadow, parse_rules


def test_a_whole_document() -> None:
    rules = parse_rules(
        {
            "registries": {
                "registry.example.com": {
                    "ca_file": "ca.pem",
                    "realm_hosts": ["auth.example.com", "sso.example.com:8443"],
                    "redirect_hosts": ["inner.example.com"],
                    "shadow": "https://shadow.example.com:5001",
                },
                "127.0.0.1:5000": {"plain_http": True, "shadow": "http://127.0.0.1:5001/"},
                "quiet.example.com": None,
            }
        }
    )

    assert rules.of("registry.example.com") == RegistryRules(
        False,
        "ca.pem",
        ("auth.example.com", "sso.example.com:8443"),
        ("inner.example.com",),
        "https://shadow.example.com:5001",
    )
    assert rules.of("127.0.0.1:5000").plain_http
    assert rules.of("quiet.example.com") == rules.of("unknown.example.com") == RegistryRules()


@pytest.mark.parametrize("document", [None, {}, {"registries": None}, {"registries": {}}])
def test_nothing_said_is_no_rule(document: object) -> None:
    assert parse_rules(document).of("registry.example.com") == RegistryRules()


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_has_its_token_endpoint_and_one_name(host: str) -> None:
    rules = parse_rules({"registries": {"index.docker.io": {"realm_hosts": ["x.example"]}}})

    assert rules.of(host).realm_hosts == ("x.example", "auth.docker.io")


def test_gitlab_has_its_token_endpoint() -> None:
    assert parse_rules(None).of("registry.gitlab.com").realm_hosts == ("gitlab.com",)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the file must be a mapping"),
        ({"registry": {}}, "the file has an unknown entry 'registry'; use registries"),
        ({"registries": []}, None),
        ({"registries": [1]}, "registries must be a mapping"),
        ({"registries": {"Registry.example.com": {}}}, "in lower case"),
        ({"registries": {"https://registry.example.com": {}}}, "is no registry"),
        ({"registries": {"a.example": {"insecure": True}}}, "unknown entry 'insecure'"),
        ({"registries": {"a.example": {"plain_http": "yes"}}}, "plain_http is 'yes'; use true"),
        ({"registries": {"a.example": {"ca_file": 1}}}, "ca_file is 1; use the path"),
        ({"registries": {"a.example": {"realm_hosts": "b"}}}, "use a list"),
        ({"registries": {"a.example": {"realm_hosts": ["https://b"]}}}, "'https://b' is no host"),
        ({"registries": {"a.example": {"realm_hosts": ["*.b"]}}}, "is no host"),
        ({"registries": {"a.example": {"shadow": "shadow.example"}}}, "no address of a registry"),
        ({"registries": {"a.example": {"shadow": "https://x/y"}}}, "no address of a registry"),
        ({"registries": {"a.example": {"shadow": "http://x"}}}, "without TLS"),
        ({"registries": {"a.example": {"proxy": 1}}}, "a.example.proxy is no address of a proxy"),
        ({"registries": {"a.example": {"proxy": "proxy.example"}}}, "no address of a proxy"),
        (
            {"registries": {"a.example": {"proxy": "http://p:1", "plain_http": True}}},
            "does not go with plain_http",
        ),
    ],
)
def test_what_is_wrong_is_named(document: Any, message: str | None) -> None:
    if message is None:
        parse_rules(document)
        return
    with pytest.raises(InvalidRules, match=message.replace("*", ".")):
        parse_rules(document)


@pytest.mark.parametrize("shadow", ["https://robot:secret@x.example", "https://", 7, "https://x:y"])
def test_a_shadow_that_is_no_address_is_not_repeated(shadow: object) -> None:
    with pytest.raises(InvalidRules) as caught:
        check_shadow(shadow, "the shadow", plain_http=False)

    assert "secret" not in str(caught.value)
