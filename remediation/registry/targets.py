"""Which repositories a credential is asked for: those in use that the kubelet would offer it to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

from remediation.credential import DockerConfig, Login, effective_key
from remediation.image import DOCKER_HUB, ImageReference, InvalidReference, parse_image
from remediation.patterns import matcher
from remediation.registry.rules import canonical_host

MOST_REPOSITORIES = 20
_HUB_KEY = "index.docker.io"


@dataclass(frozen=True, slots=True)
class Target:
    """One registry with the images to ask for, each with the logins that the kubelet tries, in its order.

    `login` is the one to ask about where there is no image.
    """

    registry: str
    images: tuple[tuple[ImageReference, tuple[Login, ...]], ...] = field(default=(), repr=False)
    login: Login | None = field(default=None, repr=False)


def matches(key: str, repository: str) -> bool:
    """Tell whether the kubelet uses an effective registry key for a repository (`host[:port]/path`).

    Source of the rule: k8s.io/kubernetes/pkg/credentialprovider/keyring.go (URLsMatch).
    """
    host, _, path = key.partition("/")
    other, _, other_path = repository.partition("/")
    name, port = _split_port(host)
    other_name, other_port = _split_port(other)
    labels, other_labels = name.split("."), other_name.split(".")
    if port != other_port or len(labels) != len(other_labels):
        return False
    if path and not other_path.startswith(path):
        return False
    pairs = zip(labels, other_labels, strict=True)
    return all(label == own or matcher((label,))(own) for label, own in pairs)


def logins_for(config: DockerConfig, repository: str) -> tuple[Login, ...]:
    """Return the logins that the kubelet tries for a repository, in its order."""
    by_key = config.by_repository()
    found = [
        login
        for key in sorted(by_key, reverse=True)
        if matches(key, repository)
        for login in by_key[key]
    ]
    if not found and _is_hub(repository):
        found = by_key.get(_HUB_KEY, [])
    return tuple(dict.fromkeys(found))


def targets(config: DockerConfig, images: Iterable[str], most: int) -> tuple[Target, ...]:
    """Return what to ask for: at most `most` repositories, of as many registries and folders as there are.

    Every registry that the credential names without a glob is there, with or without an image in use.
    """
    in_use: dict[str, tuple[ImageReference, tuple[Login, ...]]] = {}
    for text in images:
        try:
            image = parse_image(text)
        except InvalidReference:
            continue  # no node pulls it either
        if image.domain and image.repository not in in_use:
            in_use[image.repository] = (image, logins_for(config, image.repository))
    groups: dict[str, list[tuple[ImageReference, tuple[Login, ...]]]] = {}
    for name in _varied([name for name, (_, logins) in in_use.items() if logins])[:most]:
        image, logins = in_use[name]
        groups.setdefault(canonical_host(image.domain), []).append((image, logins))
    found = [Target(registry, tuple(group)) for registry, group in groups.items()]
    for key, login in config.logins:
        host = canonical_host((effective_key(key) or "").partition("/")[0])
        if host and "*" not in host and host not in groups:
            groups[host] = []
            found.append(Target(host, login=login))
    return tuple(found)


def _varied(names: list[str]) -> list[str]:
    """Return the names so that neighbours are of different registries and folders."""
    folders: dict[str, list[str]] = {}
    for name in sorted(names):
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    hosts: dict[str, list[list[str]]] = {}
    for folder, members in folders.items():
        hosts.setdefault(folder.partition("/")[0], []).append(members)
    return _in_turn([_in_turn(groups) for groups in hosts.values()])


def _in_turn(groups: list[list[str]]) -> list[str]:
    return [name for layer in zip_longest(*groups) for name in layer if name is not None]


def _split_port(host: str) -> tuple[str, str]:
    if host.startswith("["):
        name, _, rest = host.partition("]")
        return (name[1:], rest[1:]) if rest.startswith(":") else (host, "")
    name, _, port = host.partition(":")
    return name, port


def _is_hub(repository: str) -> bool:
    first = repository.partition("/")[0]
    return first in (DOCKER_HUB, _HUB_KEY) or not any(char in first for char in ".:")
