"""Which proxy Go's HTTP client, and so kubectl, takes from the environment."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from remediation.registry.proxy import Proxy, parse_proxy

_HTTPS_PORT = 443

_Address = IPv4Address | IPv6Address | None


def environment_proxy(environment: Mapping[str, str], server: str) -> str | None:
    """Return the proxy that HTTPS_PROXY and NO_PROXY name for an https:// server, None if there is none.

    It may be anything: what is in the variable is not judged here.
    """
    proxy = _variable(environment, "HTTPS_PROXY")
    if not proxy:
        return None
    parts = urlsplit(server)
    host, port = parts.hostname or "", str(parts.port or _HTTPS_PORT)
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return None
    entries = [entry.strip().lower() for entry in _variable(environment, "NO_PROXY").split(",")]
    if "*" in entries or any(_spares(entry, host, port, address) for entry in entries if entry):
        return None
    return proxy if _complete(proxy) else f"http://{proxy}"


def proxy_for(
    url: str, named: str | None, environment: Mapping[str, str], *, process: str = "the worker"
) -> Proxy | None:
    """Return the proxy on the way to an address, None if there is none. Raises InvalidProxy.

    Without TLS a proxy would read the password, so there is none. `named` is the operator's word for the registry,
    `process` has the environment.
    """
    if not url.startswith("https://"):
        return None
    if named:
        return parse_proxy(named, "'proxy' in the registries file")
    found = environment_proxy(environment, url)
    return parse_proxy(found, f"HTTPS_PROXY of {process}") if found else None


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.lower()) or ""


def _complete(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def _spares(entry: str, host: str, port: str, address: _Address) -> bool:
    """Tell whether an entry of NO_PROXY means this host: a network, an address or a domain, with a port or without."""
    if "/" in entry:
        try:
            return address is not None and address in ip_network(entry, strict=False)
        except ValueError:
            return False
    name, only = _split(entry)
    if not name or (only and only != port):
        return False
    if (one := _address(name)) is not None:
        return address == one
    domain = name.removeprefix("*") if name.startswith("*.") else name
    return host.endswith(f".{domain.removeprefix('.')}") or (
        not domain.startswith(".") and host == domain
    )


def _split(entry: str) -> tuple[str, str]:
    """Return host and port ("" if none)."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    host, colon, port = entry.rpartition(":")
    return (host, port) if colon and ":" not in host else (entry, "")


def _address(host: str) -> _Address:
    try:
        return ip_address(host)
    except ValueError:
        return None
