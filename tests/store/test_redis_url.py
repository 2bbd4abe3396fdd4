"""REDIS_URL is read strictly: nothing of a password is taken for something else, or shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.redis_url import InvalidRedisUrl, read_redis_url

ENCODE = "percent-encode"
WRONG = {
    "a slash in the password": ("redis://worker:48291/tail@redis.example.com:6379/0", ENCODE),
    "a hash": ("redis://worker:48291#tail@redis.example.com:6379/0", ENCODE),
    "a question mark": ("redis://worker:48291?tail@redis.example.com:6379/0", ENCODE),
    "an at sign and a slash": ("redis://:48291@tail/more@redis.example.com:6379/0", ENCODE),
    "letters and a slash": ("redis://worker:tail/more@redis.example.com:6379/0", ENCODE),
    "a percent sign": ("redis://worker:48291%tail@redis:6379/0", ENCODE),
    "a bracket": ("redis://worker:48291[tail@redis:6379/0", ENCODE),
    "a blank": ("redis://worker:48291 tail@redis:6379/0", ENCODE),
    "a line break at the end": ("redis://worker:48291tail@redis:6379/0\n", ENCODE),
    "a letter outside ASCII": ("redis://worker:48291täil@redis:6379/0", ENCODE),
    "a slash, for a socket": ("unix://worker:48291/tail@/run/redis.sock", ENCODE),
    "a plus in an option": ("redis://redis:6379/0?password=48291+tail", ENCODE),
    "an ampersand in an option": ("redis://redis:6379/0?password=48291&tail", ENCODE),
    "an ampersand and an equals sign": ("redis://redis:6379/0?password=48291&tail=x", ENCODE),
    "a password in the place of the user": ("redis://48291tail@redis:6379/0", "':PASSWORD@'"),
    "a password in the place of the port": ("redis://redis:48291tail", "names a port"),
    "no host": ("redis://:48291", "names no host"),
    "a login and no host": ("redis://:tail@/0", "names no host"),
    "no socket": ("unix://", "whole path of a socket"),
    "two slashes before a socket": ("unix://run/redis.sock", "whole path of a socket"),
    "Sentinel": ("redis+sentinel://:48291@a:26379/mymaster", "Sentinel"),
    "several hosts": ("redis://:tail@a:7000,b:7001/0", "several hosts"),
    "a database that is no number": ("redis://redis:6379/first", "no number"),
    "an option like that": ("redis://redis:6379?db=first", "no number"),
    "a login twice": ("redis://u:48291@redis?password=tail", "login twice"),
    "a database twice": ("redis://redis/1?db=2", "database twice"),
    "an option twice": ("redis://redis?db=1&db=2", "twice"),
    "a time limit": ("redis://redis?socket_timeout=60", "service's own"),
    "TLS options without TLS": ("redis://redis?ssl_cert_reqs=none", "not taken here"),
    "a TLS option of another spelling": ("rediss://redis?ssl_cert_reqs=CERT_NONE", "cannot be"),
    "a CA that is not there": ("rediss://redis?ssl_ca_certs=/nowhere/tail.pem", "no file"),
    "another scheme": ("http://u:48291@redis", "redis://, rediss:// or unix://"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_one_is_refused_and_nothing_of_it_is_repeated(what: str) -> None:
    url, said = WRONG[what]

    with pytest.raises(InvalidRedisUrl) as caught:
        read_redis_url(url)

    text = str(caught.value)
    assert said in text
    assert "48291" not in text
    assert "tail" not in text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("redis://", "redis://", {}),
        ("redis://redis", "redis://redis", {"host": "redis"}),
        ("redis://[::1]:6379", "redis://[::1]:6379", {"host": "::1", "port": 6379}),
        ("redis://redis:6379/3", "redis://redis:6379/3", {"host": "redis", "port": 6379, "db": 3}),
        ("redis://u:@redis", "redis://redis", {"username": "u", "host": "redis"}),
        ("redis://:p:w@redis", "redis://redis", {"password": "p:w", "host": "redis"}),
        ("redis://:p@w@redis", "redis://redis", {"password": "p@w", "host": "redis"}),
        ("redis://:a%2Fb%23@redis", "redis://redis", {"password": "a/b#", "host": "redis"}),
        ("redis://redis?password=a%2Fb", "redis://redis", {"password": "a/b", "host": "redis"}),
    ],
)
def test_a_right_one_is_read(url: str, shown: str, options: dict[str, object]) -> None:
    address = read_redis_url(url)

    assert address.shown == shown
    assert dict(address.options) == options
    assert "a/b" not in repr(address)


def test_a_socket_and_tls_are_read() -> None:
    assert read_redis_url("unix:///run/redis.sock?db=1").options["path"] == "/run/redis.sock"
    assert read_redis_url("unix://u:pw@/run/redis.sock").shown == "unix:///run/redis.sock"
    assert read_redis_url("rediss://redis:6380?ssl_cert_reqs=none").shown == "rediss://redis:6380"


@given(st.text(alphabet="qz@/#?:%[]&=+ 7", min_size=6, max_size=20))
def test_whatever_the_password_no_part_of_it_is_shown_or_taken_for_the_host(password: str) -> None:
    url = f"redis://worker:{password}@redis.example.com:6379/0"
    try:
        address = read_redis_url(url)
    except InvalidRedisUrl:
        return  # the messages are above
    assert address.options["host"] == "redis.example.com"
    assert address.shown == "redis://redis.example.com:6379/0"
