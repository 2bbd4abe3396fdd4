"""Addresses of proxies: what is read, and that what is refused is not repeated."""

import pytest

from network.proxy import proxy_for
from remediation.registry.proxy import InvalidProxy, Proxy, parse_proxy

URL = "https://registry.example.com/v2/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy.example:3128", Proxy("http", "proxy.example", 3128, "it")),
        ("http://proxy.example", Proxy("http", "proxy.example", 80, "it")),
        ("https://proxy.example/", Proxy("https", "proxy.example", 443, "it")),
        ("http://[::1]:3128", Proxy("http", "::1", 3128, "it")),
        ("http://u:p%40%3A%25@p:1", Proxy("http", "p", 1, "it", "u", "p@:%")),
        ("http://u@p:1", Proxy("http", "p", 1, "it", "u")),
    ],
)
def test_an_address_is_read(text: str, expected: Proxy) -> None:
    assert parse_proxy(text, "it") == expected
    assert "p@:%" not in repr(expected)
    assert "@" not in expected.url


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("socks5://u:pa55@p:1", "SOCKS"),
        ("socks5h://u:pa55@p:1", "SOCKS"),
        ("ftp://u:pa55@p:1", "no address of a proxy"),
        ("u:pa55@p:1", "no address of a proxy"),
        ("http://u:pa55@", "no address of a proxy"),
        ("http://u:pa55@p:port", "no address of a proxy"),
        ("http://u:pa55@p:0", "no address of a proxy"),
        ("http://u:pa55@x@p:1", "no address of a proxy"),
        ("http://u:pa55 @p:1", "no address of a proxy"),
        ("http://u:pa55@p:1/path", "more than host and port"),
        ("http://u:pa55@p:1?q", "more than host and port"),
        ("http://u%3Ax:pa55@p:1", "colon"),
    ],
)
def test_what_is_none_is_refused_without_its_value(text: str, why: str) -> None:
    with pytest.raises(InvalidProxy, match=why) as caught:
        parse_proxy(text, "it")

    assert "pa55" not in str(caught.value)


def test_the_word_of_the_operator_goes_first_and_nothing_goes_without_tls() -> None:
    environment = {"HTTPS_PROXY": "env:1", "HTTP_PROXY": "plain:1", "NO_PROXY": ".example.org"}

    def name(url: str, named: str | None = None) -> str | None:
        proxy = proxy_for(url, named, environment)
        return proxy.name if proxy else None

    assert name(URL) == "env:1"
    assert name(URL, "http://own:1") == "own:1"
    assert name("https://a.example.org/") is None
    assert name("https://a.example.org/", "http://own:1") == "own:1"
    assert name("http://registry.example.com/") is None
    assert proxy_for(URL, None, {}) is None
