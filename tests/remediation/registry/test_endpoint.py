"""Where a password may go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.registry.challenge import parse_challenges
from remediation.registry.endpoint import Endpoint, Refused, check_realm, check_redirect

OWN = Endpoint("https", "registry.example.com", 443)


def realm(text: str, *hosts: str, plain_http: bool = False, own: Endpoint = OWN) -> str:
    challenges = parse_challenges([f'Bearer realm="{text}"'])
    return check_realm(challenges, [own], hosts, plain_http=plain_http)


@pytest.mark.parametrize(
    ("host", "plain_http", "expected"),
    [
        ("registry.example.com", False, OWN),
        ("registry.example.com:5000", False, Endpoint("https", "registry.example.com", 5000)),
        ("registry.example.com", True, Endpoint("http", "registry.example.com", 80)),
        ("docker.io", False, Endpoint("https", "registry-1.docker.io", 443)),
        ("index.docker.io", False, Endpoint("https", "registry-1.docker.io", 443)),
        ("[::1]:5000", True, Endpoint("http", "::1", 5000)),
    ],
)
def test_a_registry_is_spoken_to_at_its_name(
    host: str, plain_http: bool, expected: Endpoint
) -> None:
    assert Endpoint.of_registry(host, plain_http=plain_http) == expected


@pytest.mark.parametrize("host", ["", "user@host", "host:99999", ":5000", "host:port"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(Refused):
        Endpoint.of_registry(host, plain_http=False)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://registry.example.com/token", ()),
        ("https://REGISTRY.example.com:443/token", ()),
        ("https://auth.example.com/token", ("auth.example.com",)),
        ("https://auth.example.com/token", ("auth.example.com:443",)),
        ("https://auth.example.com:8443/token", ("auth.example.com:8443",)),
    ],
)
def test_a_realm_of_its_own_or_on_the_list_is_taken(url: str, hosts: tuple[str, ...]) -> None:
    assert realm(url, *hosts) == url


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://auth.example.com/token", ()),
        ("https://registry.example.com:8443/token", ()),
        ("https://registry.example.com.evil.example/token", ()),
        ("https://evil.example/registry.example.com", ()),
        ("https://auth.example.com:8443/token", ("auth.example.com",)),
        ("https://auth.example.com/token", ("*.example.com", "example.com")),
        ("http://registry.example.com/token", ("registry.example.com",)),
        ("https://robot@registry.example.com/token", ()),
        ("https://registry.example.com/token#fragment", ()),
        ("https://registry.example.com\\\\@evil.example/token", ()),
        ("https://registry.éxample.com/token", ()),
        ("/token", ()),
        ("", ()),
    ],
)
def test_any_other_is_refused(url: str, hosts: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        realm(url, *hosts)


def test_without_tls_only_for_a_registry_that_is_so_declared() -> None:
    own = Endpoint("http", "registry.example.com", 5000)

    assert realm("http://registry.example.com:5000/token", plain_http=True, own=own)
    with pytest.raises(Refused, match="without TLS"):
        realm("http://registry.example.com:5000/token", own=own)


def test_a_refusal_names_the_host_to_add() -> None:
    with pytest.raises(Refused) as caught:
        realm("https://auth.example.com:8443/token")

    assert "add 'auth.example.com:8443' to realm_hosts" in caught.value.hint


@pytest.mark.parametrize(
    "lines",
    [
        ['Bearer realm="https://registry.example.com/a", realm="https://registry.example.com/a"'],
        [
            'Bearer realm="https://registry.example.com/a"',
            'Bearer realm="https://registry.example.com/b"',
        ],
        ['Bearer service="x"'],
        [],
    ],
)
def test_exactly_one_realm_has_to_be_named(lines: list[str]) -> None:
    with pytest.raises(Refused, match="exactly one realm"):
        check_realm(parse_challenges(lines), [OWN], (), plain_http=False)


@given(st.text(max_size=60))
def test_no_text_leads_a_password_elsewhere(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    try:
        url = realm(quoted)
    except Refused:
        return

    assert url.lower().startswith("https://registry.example.com")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/other", ("https://registry.example.com/v2/other", OWN)),
        (
            "https://cdn.example.com/x?sig=1",
            ("https://cdn.example.com/x?sig=1", Endpoint("https", "cdn.example.com", 443)),
        ),
    ],
)
def test_a_redirect_may_lead_anywhere_with_tls(
    location: str, expected: tuple[str, Endpoint]
) -> None:
    assert check_redirect("https://registry.example.com/v2/x", location, OWN) == expected


@pytest.mark.parametrize(
    "location",
    [
        "http://registry.example.com/x",
        "http://cdn.example.com/",
        "https://a@b.example/",
        "ftp://x/",
    ],
)
def test_and_nowhere_else(location: str) -> None:
    with pytest.raises(Refused):
        check_redirect("https://registry.example.com/v2/x", location, OWN)
