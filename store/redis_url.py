"""REDIS_URL, read strictly: no part of a password is taken for a host, and nothing of the value is repeated."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from redis.connection import parse_url
from redis.exceptions import RedisError

_SCHEMES = ("redis", "rediss", "unix")
_ENCODE = (
    "holds '@', '/', '?', '#', '%' or another special character where none can be: percent-encode the password "
    "('/' is %2F, '#' %23, '@' %40, '?' %3F, ':' %3A, '%' %25)"
)
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_PORT = re.compile(r"[0-9]{1,5}")
_DATABASE = re.compile(r"/?[0-9]{0,9}/?")
_ESCAPED = re.compile(r"(?:[^%\[\]]|%[0-9A-Fa-f]{2})*")
_PLAIN_OPTIONS = frozenset({"db", "username", "password", "client_name"})
_TLS_FILES = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_TLS_OPTIONS = _TLS_FILES | {"ssl_cert_reqs", "ssl_check_hostname", "ssl_password", "ssl_ciphers"}
_MAX_PORT = 65535


class InvalidRedisUrl(ValueError):
    """The URL cannot be used; the message says why and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is: `shown` may be printed, `options` are for a connection pool and hold the password."""

    shown: str
    options: Mapping[str, Any] = field(repr=False)


def read_redis_url(url: str) -> RedisAddress:
    """Return where a URL leads to. Raises InvalidRedisUrl."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRedisUrl(
            "holds a blank, a line break or a character outside ASCII: percent-encode the password"
        )
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise InvalidRedisUrl(
            "must begin with redis://, rediss:// or unix://; URLs of Sentinel or of a cluster are not taken: name the "
            "primary"
        )
    place, mark, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    if "#" in rest or "@" in path or "@" in query or "+" in query:
        raise InvalidRedisUrl(_ENCODE)
    user, at, host = authority.rpartition("@")
    if at:
        _check_user(user)
    if scheme == "unix":
        _check_socket(host, path)
    else:
        _check_host(host, bool(at))
        if not _DATABASE.fullmatch(path):
            raise InvalidRedisUrl(f"names a database that is no number; or it {_ENCODE}")
    given = dict(_checked_options(scheme, query)) if mark else {}
    if at and given.keys() & {"username", "password"}:
        raise InvalidRedisUrl("holds a login twice: before the '@' and behind the '?'")
    if "db" in given and path.strip("/") and scheme != "unix":
        raise InvalidRedisUrl("holds a database twice: behind the '/' and behind the '?'")
    return RedisAddress(f"{scheme}://{host}{slash}{path}", _options(url))


def _check_user(user: str) -> None:
    if ":" not in user:
        raise InvalidRedisUrl(
            "holds one word before the '@': write ':PASSWORD@' for a password, 'USER:PASSWORD@' for an ACL user"
        )
    if not _ESCAPED.fullmatch(user):
        raise InvalidRedisUrl(_ENCODE)


def _check_socket(host: str, path: str) -> None:
    if host or not path:
        raise InvalidRedisUrl(
            "must hold the whole path of a socket, for example unix:///run/redis.sock"
        )


def _check_host(authority: str, login: bool) -> None:
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, colon, port = authority, "", ""
    if not host and (colon or login):
        raise InvalidRedisUrl("names no host")
    if "," in authority:
        raise InvalidRedisUrl("names several hosts; name one, the primary")
    if host and not _HOST.fullmatch(host):
        raise InvalidRedisUrl(f"names no host that can be; or it {_ENCODE}")
    if colon and not (_PORT.fullmatch(port) and 1 <= int(port) <= _MAX_PORT):
        raise InvalidRedisUrl(f"names a port that is no number in 1..{_MAX_PORT}; or it {_ENCODE}")


def _checked_options(scheme: str, query: str) -> Iterator[tuple[str, str]]:
    known = _PLAIN_OPTIONS | (_TLS_OPTIONS if scheme == "rediss" else frozenset())
    seen: set[str] = set()
    if not _ESCAPED.fullmatch(query):
        raise InvalidRedisUrl(_ENCODE)
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise InvalidRedisUrl(f"has options without a value; or it {_ENCODE}") from None
    for name, value in pairs:
        if name not in known:
            raise InvalidRedisUrl(
                f"has an option that is not taken here (taken are {', '.join(sorted(known))}; time limits and retries "
                f"are the service's own); or it {_ENCODE}"
            )
        if name in seen:
            raise InvalidRedisUrl(f"has the option '{name}' twice")
        if name == "db" and not (value.isdecimal() and len(value) < 10):
            raise InvalidRedisUrl("names a database that is no number")
        if name in _TLS_FILES and not Path(value).is_file():
            raise InvalidRedisUrl(f"has the option '{name}', which names no file")
        seen.add(name)
        yield name, value


def _options(url: str) -> Mapping[str, Any]:
    """Return what redis-py makes of a URL that is right; its own errors would quote the value."""
    try:
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        options.get("connection_class", _nothing)(
            **{name: value for name, value in options.items() if name != "connection_class"}
        )
    except (ValueError, TypeError, RedisError):
        raise InvalidRedisUrl("has options with values that cannot be") from None
    return options


def _nothing(**_: Any) -> None:
    """Stand for a connection without options that could be wrong."""
