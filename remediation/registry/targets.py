"""Which repositories a credential is asked for: those in use that the kubelet would offer it to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

from remediation.docker_config import DockerConfig, Login
from remediation.image import ImageReference, InvalidReference, parse_image
from remediation.registry.rules import canonical_host
from remediation.registry_key import DOCKER_HUB_KEY, effective_key, is_docker_hub, matches

MOST_REPOSITORIES = 20


@dataclass(frozen=True, slots=True)
class Target:
    """One registry with the images to ask for, each with the logins that the kubelet tries, in its order.

    `login` is the one to ask about where there is no image; `not_asked` are the repositories in use beyond the bound.
    """

    registry: str
    images: tuple[tuple[ImageReference, tuple[Login, ...]], ...] = field(default=(), repr=False)
    login: Login | None = field(default=None, repr=False)
    not_asked: tuple[str, ...] = ()


def logins_for(config: DockerConfig, repository: str) -> tuple[Login, ...]:
    """Return the logins that the kubelet tries for a repository, in its order."""
    by_key = config.by_repository()
    found = [
        login
        for key in sorted(by_key, reverse=True)
        if matches(key, repository)
        for login in by_key[key]
    ]
    if not found and is_docker_hub(repository):
        found = by_key.get(DOCKER_HUB_KEY, [])
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
    varied = _varied([name for name, (_, logins) in in_use.items() if logins])
    for name in varied[:most]:
        image, logins = in_use[name]
        groups.setdefault(canonical_host(image.domain), []).append((image, logins))
    beyond: dict[str, list[str]] = {}
    others: dict[str, Login] = {}
    for name in varied[most:]:
        image, logins = in_use[name]
        host = canonical_host(image.domain)
        beyond.setdefault(host, []).append(image.path)
        if host not in groups:
            others.setdefault(host, logins[0])
    found = [
        Target(registry, tuple(group), not_asked=tuple(beyond.get(registry, ())))
        for registry, group in groups.items()
    ]
    for host, login in others.items():
        groups[host] = []
        found.append(Target(host, login=login, not_asked=tuple(beyond[host])))
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
