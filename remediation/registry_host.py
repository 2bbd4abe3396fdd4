"""The hosts of registries, compared by what is dialled: one server has several spellings.

The kubelet matches the keys of Secrets as texts, so that a key may not match an image of its own registry: that is
`registry_key`. Where an image comes from, and which rules a registry has, follows from the host that a node dials.
"""

import ipaddress
import re
from contextlib import suppress
from functools import lru_cache

DOCKER_HUB = "docker.io"
HUB_HOSTS = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
HTTPS_PORT = 443

_PARTS = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]+))?")
_OCTETS = re.compile(r"(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+)){0,3}")
_MOST_PORT_DIGITS = 20


@lru_cache(maxsize=4096)
def dialled(domain: str) -> str:
    """Return the one spelling of `host[:port]`: lower case, no root dot, no leading zeros, no port of https.

    A text that is no host is returned in lower case, for it equals itself only.
    """
    text = domain.lower()
    found = _PARTS.fullmatch(text)
    if not found or len(found[2] or "") > _MOST_PORT_DIGITS:
        return text
    host = _host(found[1])
    port = int(found[2]) if found[2] else HTTPS_PORT
    if port == HTTPS_PORT:
        return DOCKER_HUB if host in HUB_HOSTS else host
    return f"{host}:{port}"


def split_dialled(registry: str) -> tuple[str, int]:
    """Return host and port of what `dialled` returned."""
    host, colon, port = registry.rpartition(":")
    return (host, int(port)) if colon and not registry.endswith("]") else (registry, HTTPS_PORT)


def spellings(repository: str) -> tuple[str, ...]:
    """Return a repository (`host[:port]/path`) as it is, and with its registry spelled as others may spell it."""
    host, slash, path = repository.partition("/")
    plain = dialled(host)
    hosts = [host, plain]
    if split_dialled(plain)[1] == HTTPS_PORT:
        hosts.append(f"{plain}:{HTTPS_PORT}")
    return tuple(f"{each}{slash}{path}" for each in dict.fromkeys(hosts))


def _host(text: str) -> str:
    if text.startswith("["):
        with suppress(ValueError):
            address = ipaddress.IPv6Address(text[1:-1])
            return str(address.ipv4_mapped or f"[{address}]")
        return text
    name = text.removesuffix(".")
    if not name.isascii():
        with suppress(UnicodeError):  # DNS knows it by its ASCII form
            return name.encode("idna").decode()
    return _address(name) if _OCTETS.fullmatch(name) else name


def _address(text: str) -> str:
    """Return an IPv4 address as resolvers of C read it: hexadecimal, octal, or with fewer parts."""
    try:
        *front, last = (_number(part) for part in text.split("."))
        size = 256 ** (4 - len(front))
        if last >= size or any(part > 255 for part in front):
            return text
        return str(ipaddress.IPv4Address(int.from_bytes(bytes(front)) * size + last))
    except ValueError:
        return text


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part, 16)
    return int(part, 8) if part.startswith("0") and part != "0" else int(part)
