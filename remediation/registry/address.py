"""Which network addresses a registry, or what it points to, may have."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_NAT64 = ip_network("64:ff9b::/96")
# Where clouds keep what a machine must not tell: beside those that are link-local anyway.
_METADATA = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
_LOCAL_NAMES = ("localhost", "localhost.localdomain")


def refused_address(text: str, *, loopback: bool) -> str | None:
    """Return what is wrong with an IP address, None if it may be spoken to.

    Private addresses may: a registry inside is the normal case. `loopback` says whether the registry is on this machine
    itself. Raises ValueError for what is no address.
    """
    address = _unwrapped(ip_address(text.partition("%")[0]))
    if address.is_unspecified:
        return "the unspecified address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_link_local or address in _METADATA:
        return "a link-local or metadata address"
    if address.is_loopback and not loopback:
        return "this machine's own address"
    return None


def is_loopback_host(host: str) -> bool:
    """Tell whether a host as it is written means this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name in _LOCAL_NAMES or name.endswith(".localhost"):
        return True
    try:
        return _unwrapped(ip_address(name)).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Tell whether a host is written as an IP address."""
    try:
        ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def is_number(host: str) -> bool:
    """Tell whether a host is a number that some readers take for an address, like 127.1 or 2130706433."""
    name = host.rstrip(".")
    return name.replace(".", "").isdigit() and not is_address(name)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
