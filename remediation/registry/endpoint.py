"""Where requests go: endpoints, and which of them may see a password."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from remediation.registry.challenge import Challenge

_PORTS = {"http": 80, "https": 443}
_HUB_API = "registry-1.docker.io"
_HUB_KEYS = ("docker.io", "index.docker.io")
_MOST_SHOWN = 100


class Refused(Exception):
    """Our own rules forbid the next request: `detail` says why, `hint` what an operator may do about it."""

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Scheme, host and port: what a password belongs to."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: SplitResult) -> "Endpoint | None":
        """Return where an address leads, None if that cannot be said or it carries a login.

        Raises ValueError for a port that is none.
        """
        if url.scheme not in _PORTS or not url.hostname or "@" in url.netloc:
            return None
        port = url.port
        return cls(url.scheme, url.hostname, _PORTS[url.scheme] if port is None else port)

    @classmethod
    def of_registry(cls, host: str, *, plain_http: bool) -> "Endpoint":
        """Return the endpoint of a registry by its name in images, `host[:port]`. Raises Refused."""
        name = _HUB_API if host in _HUB_KEYS else host
        try:
            found = cls.of(urlsplit(f"{'http' if plain_http else 'https'}://{name}"))
        except ValueError:
            found = None
        if found is None:
            raise Refused(f"'{shown(host)}' is no host of a registry")
        return found

    @property
    def name(self) -> str:
        """`host[:port]`, without the port that the scheme implies."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_docker_hub(self) -> bool:
        """Tell whether it is that of Docker Hub."""
        return self.host == _HUB_API

    def url(self, path: str) -> str:
        """Return an address there."""
        return f"{self.scheme}://{self.name}{path}"


def check_realm(
    challenges: Sequence[Challenge],
    own: Sequence[Endpoint],
    realm_hosts: Sequence[str],
    *,
    plain_http: bool,
) -> str:
    """Return the address of the token endpoint that Bearer challenges name. Raises Refused.

    It gets the password, so it must be one of `own` or `realm_hosts`, and the challenge must leave no doubt.
    """
    realms = {realm for challenge in challenges for realm in challenge.all("realm")}
    if any(len(challenge.all("realm")) != 1 for challenge in challenges) or len(realms) != 1:
        raise Refused("the registry does not name exactly one realm to get tokens from")
    realm = realms.pop()
    parsed, endpoint = _parsed(realm)
    if parsed is None or endpoint is None or parsed.fragment:
        raise Refused(f"the registry's realm '{shown(realm)}' is not a plain address")
    if endpoint.scheme != "https" and not plain_http:
        raise Refused(
            f"the registry wants passwords sent to '{shown(endpoint.name)}' without TLS",
            "have it name an https realm; only for a registry declared plain_http may it be http",
        )
    if endpoint not in own and not _listed(endpoint, realm_hosts):
        raise Refused(
            f"the registry gets its tokens from '{shown(endpoint.name)}', which is not known to belong to it",
            f"if it does, add '{shown(endpoint.name)}' to realm_hosts of this registry in the registries file",
        )
    return realm


def check_redirect(
    base: str, location: str, own: Endpoint, trusted: Collection[Endpoint] = ()
) -> tuple[str, Endpoint]:
    """Return the address a manifest is redirected to, and where that is. Raises Refused.

    Without TLS only `own` and the `trusted` are asked.
    """
    target = urljoin(base, location)
    parsed, endpoint = _parsed(target)
    if parsed is None or endpoint is None:
        raise Refused("the registry redirects to something that is not a plain address")
    if endpoint != own and endpoint not in trusted and endpoint.scheme != "https":
        host = shown(endpoint.name)
        raise Refused(
            f"the registry redirects to '{host}' without TLS",
            f"if nodes have it from there, add '{host}' to redirect_hosts of this registry in the registries file",
        )
    return target, endpoint


def redirect_targets(hosts: Sequence[str], *, plain_http: bool) -> tuple[Endpoint, ...]:
    """Return the endpoints behind the names of `redirect_hosts`; without TLS only where the registry may be so."""
    schemes = ("https", "http") if plain_http else ("https",)
    found = [_parsed(f"{scheme}://{host}")[1] for host in hosts for scheme in schemes]
    return tuple(endpoint for endpoint in found if endpoint)


def carries_on(target: str, origin: str) -> bool:
    """Tell whether a node that is redirected from one host to another sends its login along unasked.

    Go's client does so within a host, whatever the port, and to the names below it.
    """
    if target == origin:
        return True
    return ":" not in target and target.endswith(f".{origin}")


def shown(text: str) -> str:
    """Return a stranger's text as it may be repeated: short and printable."""
    return "".join(char if char.isprintable() else " " for char in text[:_MOST_SHOWN])


def _listed(endpoint: Endpoint, hosts: Sequence[str]) -> bool:
    # A host without a port means the port that the scheme implies.
    return endpoint.name in hosts or f"{endpoint.host}:{endpoint.port}" in hosts


def _parsed(url: str) -> tuple[SplitResult | None, Endpoint | None]:
    if not url.isascii() or any(char in url for char in "\\ \t\r\n") or not url.isprintable():
        return None, None  # read differently by different readers
    try:
        parsed = urlsplit(url)
        return parsed, Endpoint.of(parsed)
    except ValueError:
        return None, None
