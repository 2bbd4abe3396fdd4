"""What the operator says of a registry: how it is spoken to, and who else may see its passwords."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from remediation.image import DOCKER_HUB
from remediation.registry.endpoint import Endpoint
from remediation.registry.proxy import InvalidProxy, parse_proxy
from remediation.registry_host import dialled

_BUILT_IN_REALMS = {DOCKER_HUB: ("auth.docker.io",), "registry.gitlab.com": ("gitlab.com",)}
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_FIELDS = ("plain_http", "ca_file", "realm_hosts", "redirect_hosts", "shadow", "proxy")


class InvalidRules(ValueError):
    """The operator's rules cannot be used; the message names field and value, and says what would be right."""


@dataclass(frozen=True, slots=True)
class RegistryRules:
    """The rules of one registry.

    `plain_http` allows HTTP without TLS, `ca_file` holds certificates that are trusted besides the system's,
    `realm_hosts` (`host[:port]`) may get its passwords besides itself, and so may `redirect_hosts`, to which it sends
    those who ask for manifests. `shadow` is the address of the same images behind the login that will be asked for,
    `proxy` is the one on the way there.
    """

    plain_http: bool = False
    ca_file: str | None = None
    realm_hosts: tuple[str, ...] = ()
    redirect_hosts: tuple[str, ...] = ()
    shadow: str | None = None
    proxy: str | None = field(default=None, repr=False)  # may hold a login


NO_RULES = RegistryRules()


@dataclass(frozen=True, slots=True)
class Registries:
    """The rules of all registries that have any, by `host[:port]`."""

    rules: Mapping[str, RegistryRules] = field(default_factory=dict)

    def of(self, host: str) -> RegistryRules:
        """Return the rules of a registry, the built-in realms of well-known ones included."""
        name = canonical_host(host)
        own = self.rules.get(name, NO_RULES)
        built_in = _BUILT_IN_REALMS.get(name, ())
        return replace(own, realm_hosts=(*own.realm_hosts, *built_in))


def canonical_host(host: str) -> str:
    """Return the one name of a registry that has several: that of what is dialled."""
    return dialled(host)


def parse_rules(document: object) -> Registries:
    """Read the operator's document. Raises InvalidRules."""
    if document is None:
        return Registries()
    top = _mapping(document, "the file", ("registries",))
    found = {}
    for host, entry in _mapping(top.get("registries") or {}, "registries").items():
        if not _HOST.fullmatch(host):
            raise InvalidRules(
                f"registries: {host!r} is no registry; use 'host' or 'host:port' in lower case"
            )
        found[canonical_host(host)] = _rules(f"registries.{host}", entry)
    return Registries(found)


def _rules(place: str, entry: object) -> RegistryRules:
    given = _mapping(entry or {}, place, _FIELDS)
    plain_http = given.get("plain_http", False)
    if not isinstance(plain_http, bool):
        raise InvalidRules(f"{place}.plain_http is {plain_http!r}; use true or false")
    ca_file = given.get("ca_file")
    if ca_file is not None and not (isinstance(ca_file, str) and ca_file):
        raise InvalidRules(f"{place}.ca_file is {ca_file!r}; use the path of a PEM file")
    shadow = given.get("shadow")
    if shadow is not None:
        check_shadow(shadow, f"{place}.shadow", plain_http=plain_http)
    return RegistryRules(
        plain_http,
        ca_file,
        _hosts(given, "realm_hosts", place),
        _hosts(given, "redirect_hosts", place),
        shadow,
        _proxy(given.get("proxy"), f"{place}.proxy", plain_http=plain_http),
    )


def _proxy(proxy: object, place: str, *, plain_http: bool) -> str | None:
    if proxy is None:
        return None
    try:
        parse_proxy(proxy if isinstance(proxy, str) else "", place)
    except InvalidProxy as error:
        raise InvalidRules(str(error)) from None
    if plain_http:
        raise InvalidRules(
            f"{place} does not go with plain_http: without TLS the proxy would read the password"
        )
    return str(proxy)


def _hosts(given: Mapping[str, Any], name: str, place: str) -> tuple[str, ...]:
    hosts = given.get(name, [])
    if not isinstance(hosts, list):
        raise InvalidRules(f"{place}.{name} is {hosts!r}; use a list like [auth.example.com]")
    for host in hosts:
        if not (isinstance(host, str) and _HOST.fullmatch(host)):
            raise InvalidRules(
                f"{place}.{name}: {host!r} is no host; use 'host' or 'host:port' in lower case"
            )
    return tuple(hosts)


def check_shadow(shadow: object, place: str, *, plain_http: bool) -> Endpoint:
    """Return a shadow's endpoint. Raises InvalidRules."""
    right = "use 'https://host[:port]'"
    try:
        parsed = urlsplit(shadow) if isinstance(shadow, str) else None
        endpoint = Endpoint.of(parsed) if parsed else None
    except ValueError:
        parsed, endpoint = None, None
    if not parsed or not endpoint or parsed.path.strip("/") or parsed.query or parsed.fragment:
        raise InvalidRules(f"{place} is no address of a registry; {right}")
    if endpoint.scheme != "https" and not plain_http:
        raise InvalidRules(
            f"{place} is without TLS; {right}, or say plain_http: true of its registry"
        )
    return endpoint


def _mapping(value: object, place: str, names: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidRules(f"{place} must be a mapping")
    if unknown := sorted(set(value) - set(names)) if names else []:
        raise InvalidRules(f"{place} has an unknown entry '{unknown[0]}'; use {', '.join(names)}")
    return value
