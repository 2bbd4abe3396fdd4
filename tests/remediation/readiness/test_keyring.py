"""The kubelet's lookup, by example; the oracle has the rest."""

import pytest

from remediation.docker_config import Login
from remediation.readiness.keyring import SecretState, lookup, read_secret
from tests.remediation.readiness.cluster import CONFIG, content

APP = "registry.example.com/team/app"
U = Login("u", "p")


def matches(key: str, repository: str) -> bool:
    return bool(lookup([read_secret(CONFIG, content((key, U)))], repository))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("registry.example.com", True),
        ("https://registry.example.com", True),
        ("http://registry.example.com/", True),
        ("https://registry.example.com/v1/", True),
        ("https://registry.example.com/v2/", True),
        ("https://registry.example.com/v2", False),
        ("registry.example.com/team", True),
        ("registry.example.com/team/", True),
        ("registry.example.com/team/app", True),
        ("registry.example.com/tea", True),
        ("registry.example.com/team/app:1", False),
        ("registry.example.com/*", False),
        ("*.example.com", True),
        ("reg*.example.com", True),
        ("registry.*.com", True),
        ("*.com", False),
        ("*", False),
        ("registry.example.com:443", False),
        ("Registry.example.com", False),
        (" registry.example.com", False),
    ],
)
def test_keys_match_as_the_kubelet_matches_them(key: str, expected: bool) -> None:
    assert matches(key, APP) is expected


@pytest.mark.parametrize(
    ("key", "repository", "expected"),
    [
        ("host:5000", "host:5000/x", True),
        ("host", "host:5000/x", False),
        ("https://index.docker.io/v1/", "docker.io/library/nginx", True),
        ("index.docker.io", "docker.io/library/nginx", True),
        ("docker.io", "docker.io/library/nginx", True),
        ("docker.io/team", "docker.io/team/app", True),
        ("index.docker.io/team", "docker.io/team/app", False),
        ("registry-1.docker.io", "docker.io/library/nginx", False),
        ("index.docker.io", "localhost/app", True),
        ("index.docker.io", "registry.example.com/app", False),
    ],
)
def test_ports_and_docker_hub(key: str, repository: str, expected: bool) -> None:
    assert matches(key, repository) is expected


def test_longer_keys_come_first_and_secrets_in_their_order() -> None:
    first = content(("registry.example.com", Login("1", "")), ("*.example.com", Login("2", "")))
    second = content(
        ("registry.example.com/team", Login("3", "")), ("registry.example.com", Login("4", ""))
    )

    found = lookup([read_secret(CONFIG, first), read_secret(CONFIG, second)], APP)

    assert [match.login.username for match in found] == ["3", "1", "4", "2"]
    assert [match.secret for match in found] == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("type_", "data", "state"),
    [
        (CONFIG, content(("quay.io", U)), SecretState.READ),
        ("kubernetes.io/dockercfg", b'{"quay.io": {"auth": "dTpw"}}', SecretState.READ),
        (CONFIG, b"null", SecretState.READ),
        (CONFIG, b"", SecretState.IGNORED),
        (CONFIG, None, SecretState.IGNORED),
        ("Opaque", content(("quay.io", U)), SecretState.IGNORED),
        ("", content(("quay.io", U)), SecretState.IGNORED),
        (CONFIG, b'{"auths": {"quay.io": {"auth": "%%%"}}}', SecretState.MALFORMED),
        (CONFIG, b'{"auths": {"a": {"username": 1}}}', SecretState.MALFORMED),
        (CONFIG, b"[]", SecretState.MALFORMED),
        ("kubernetes.io/dockercfg", b'{"quay.io": "x"}', SecretState.MALFORMED),
        (CONFIG, b'{"auths": {}, "HttpHeaders": {"a": 1}}', SecretState.MALFORMED),
    ],
    ids=str,
)
def test_what_the_kubelet_makes_of_a_secret(
    type_: str, data: bytes | None, state: SecretState
) -> None:
    assert read_secret(type_, data).state is state


def test_an_entry_that_only_has_a_token_counts_as_an_empty_login() -> None:
    secret = read_secret(CONFIG, b'{"auths": {"registry.example.com": {"identitytoken": "x"}}}')

    assert [match.login for match in lookup([secret], APP)] == [Login("", "")]
