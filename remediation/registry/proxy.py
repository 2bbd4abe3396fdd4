"""The address of a proxy on the way to a registry."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_PORTS = {"http": 80, "https": 443}
_RIGHT = (
    "use 'http://HOST:PORT' or 'http://USER:PASSWORD@HOST:PORT', user and password percent-encoded"
)


class InvalidProxy(ValueError):
    """What names a proxy cannot be used; the message says what would be right and never holds the value."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: where it is, its login if it wants one, and what names it."""

    scheme: str
    host: str
    port: int
    named_by: str
    username: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """`host:port`, without the login."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address without the login."""
        return f"{self.scheme}://{self.name}"


def parse_proxy(text: str, named_by: str) -> Proxy:
    """Read the address of a proxy. Raises InvalidProxy."""
    try:
        parts = urlsplit(text)
        host, port, login = parts.hostname, parts.port, parts.netloc.rpartition("@")[0]
    except ValueError:
        raise InvalidProxy(f"{named_by} is no address of a proxy; {_RIGHT}") from None
    if parts.scheme.startswith("socks"):
        raise InvalidProxy(f"{named_by} names a SOCKS proxy, which is not supported; {_RIGHT}")
    plain = text.isprintable() and " " not in text and "@" not in login
    if parts.scheme not in _PORTS or not host or port == 0 or not plain:
        raise InvalidProxy(f"{named_by} is no address of a proxy; {_RIGHT}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidProxy(f"{named_by} has more than host and port; {_RIGHT}")
    username = None if parts.username is None else unquote(parts.username)
    password = unquote(parts.password or "")
    if username and ":" in username:
        raise InvalidProxy(f"{named_by} has a user name with a colon, which cannot be sent")
    return Proxy(parts.scheme, host, port or _PORTS[parts.scheme], named_by, username, password)
