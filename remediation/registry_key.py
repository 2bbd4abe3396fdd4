"""The keys of a docker config, read and matched as the kubelet does.

A key is taken for a URL by Go's net/url and compared label by label, with globs in the host (Kubernetes 1.36,
pkg/credentialprovider/keyring.go). Python's own URL parser forgives what Go's does not and the other way round, so the
little that is needed of Go's is here. Texts hold one character per byte of UTF-8, as Go sees them.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from remediation.registry_host import HTTPS_PORT, dialled

_HOST = re.compile(r"[A-Za-z0-9!$&'()*+,;=:\[\]<>\"\-_.~%\x80-\xff]*")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_PORT = re.compile(r"(?::[0-9]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ASCII_ESCAPE = re.compile(r"%(?!25)[0-7]")
_ZONE = "%25"
_VERSIONS = ("/v1/", "/v2/")
_CLASS = re.compile(r"\[((?:[^\]-](?:-[^\]-])?)+)\]")
_RANGE = re.compile(r"([^\]-])(?:-([^\]-]))?")
_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
DOCKER_HUB_KEY = "index.docker.io"
DOCKER_HUB_HOST = "docker.io"


class _Unreadable(ValueError):
    """Go's parser refuses it."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a key or an image points to: labels of the host, the port ("" for none) and the path."""

    labels: tuple[str, ...]
    port: str
    path: str

    def covers(self, image: "Location") -> bool:
        """Tell whether a credential for this location is offered for the image."""
        return (
            self.port == image.port
            and len(self.labels) == len(image.labels)
            and image.path.startswith(self.path)
            and all(map(_label_matches, self.labels, image.labels))
        )


@lru_cache(maxsize=4096)
def effective_key(key: str) -> str | None:
    """Return a registry key as the kubelet compares it, None if it cannot be read.

    The scheme does not count; `/v1/` and `/v2/` mean the host.
    """
    text = _bytewise(key)
    try:
        host, path = _parse(text if text.startswith(("https://", "http://")) else f"https://{text}")
    except _Unreadable:
        return None
    if not host:
        return None
    if path.startswith(_VERSIONS):
        path = path[3:]
    effective = host + (path if path != "/" else "")
    return effective.encode("latin-1").decode(errors="surrogateescape")


@lru_cache(maxsize=4096)
def location(text: str) -> Location | None:
    """Return where an effective key or a repository points to, None if it cannot be read."""
    try:
        host, path = _parse(f"https://{_bytewise(text)}")
    except _Unreadable:
        return None
    name, port = _split_port(host)
    return Location(tuple(name.split(".")), port, path)


@lru_cache(maxsize=16384)
def matches(effective: str, repository: str) -> bool:
    """Tell whether the kubelet offers what stands under an effective key for a repository (`host/path`)."""
    key, image = location(effective), location(repository)
    return key is not None and image is not None and key.covers(image)


def may_match(effective: str, host: str, port: int, path: str) -> bool:
    """Tell whether an effective key can match an image under a path of a registry, spelled as the key needs it."""
    key = location(effective)
    if key is None or (int(key.port) if key.port.isdecimal() else HTTPS_PORT) != port:
        return False
    text = ".".join(key.labels)
    labels = host.split(".")
    same = dialled(f"[{text}]" if ":" in text and not text.startswith("[") else text) == host
    globbed = len(labels) == len(key.labels) and all(
        _label_matches(glob.lower(), label) for glob, label in zip(key.labels, labels, strict=True)
    )
    wanted = f"/{path}" if path else ""
    # A longer path than the one that is meant is for some of its repositories.
    within = wanted.startswith(key.path) or key.path.startswith(f"{wanted}/")
    return (same or globbed) and within


def is_docker_hub(repository: str) -> bool:
    """Tell whether the credential of Docker Hub is offered where no other matches.

    So it is for `localhost/…`, too: the kubelet takes a host without a dot for a user's name.
    """
    first, slash, _ = repository.partition("/")
    if not first:
        return False
    return not slash or first in ("docker.io", DOCKER_HUB_KEY) or not ("." in first or ":" in first)


def _bytewise(text: str) -> str:
    return _LONE_SURROGATE.sub("\ufffd", text).encode(errors="surrogateescape").decode("latin-1")


def _parse(url: str) -> tuple[str, str]:
    """Return host and path of an http(s) URL as Go's url.Parse does. Raises _Unreadable."""
    url, _, fragment = url.partition("#")
    if _CONTROL.search(url):
        raise _Unreadable
    _unescape(fragment)
    rest = url.partition("://")[2].partition("?")[0]
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    host = _host(host)
    if at and not _USER.fullmatch(user):
        raise _Unreadable
    _unescape(user)
    return host, _unescape(slash + path)


def _host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise _Unreadable
    if "[" in host:
        return _literal_address(host)
    name, colon, port = host.partition(":")
    if not _PORT.fullmatch(colon + port):
        raise _Unreadable
    return _unescape_host(name) + colon + port


def _literal_address(host: str) -> str:
    opening, closing = host.rfind("["), host.rfind("]")
    if opening > 0 or closing < 0 or not _PORT.fullmatch(host[closing + 1 :]):
        raise _Unreadable
    name, zone, rest = host[1:closing].partition(_ZONE)
    address = _unescape_host(name) + (_unescape(zone + rest) if zone else "")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        raise _Unreadable from None
    return f"[{address}]{host[closing + 1 :]}"


def _unescape_host(text: str) -> str:
    if _ASCII_ESCAPE.search(text):  # only other bytes may be written so
        raise _Unreadable
    return _unescape(text)


def _unescape(text: str) -> str:
    plain = _ESCAPE.sub("", text)
    if "%" in plain:
        raise _Unreadable
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


def _split_port(host: str) -> tuple[str, str]:
    """Return (host, port) as Go's net.SplitHostPort does, the whole and "" where that finds no port."""
    name, colon, port = host.rpartition(":")
    if not colon:
        return host, ""
    if host.startswith("["):
        return (name[1:-1], port) if name.endswith("]") else (host, "")
    return (host, "") if ":" in name or "]" in port else (name, port)


def _label_matches(glob: str, label: str) -> bool:
    if "*" not in glob and "[" not in glob:
        return glob == label
    pattern = _label_pattern(glob)
    return pattern is not None and pattern.fullmatch(label) is not None


@lru_cache(maxsize=4096)
def _label_pattern(glob: str) -> re.Pattern[str] | None:
    """Return a label of a key as a regular expression, None if it is malformed and so matches nothing."""
    parts, at = [], 0
    while at < len(glob):
        if glob[at] != "[":
            parts.append("[^/]*" if glob[at] == "*" else re.escape(glob[at]))
            at += 1
        elif found := _CLASS.match(glob, at):
            parts.append(_class(found[1]))
            at = found.end()
        else:
            return None
    return re.compile("".join(parts), re.DOTALL)


def _class(ranges: str) -> str:
    # An address in brackets without a port is taken for a class of characters: it never matches itself.
    found = [(low, high or low) for low, high in _RANGE.findall(ranges)]
    listed = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in found if low <= high)
    return f"[{listed}]" if listed else "(?!)"
