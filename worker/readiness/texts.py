"""Where one object names the registry: each text with its path, and what the object says about pulling."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from remediation.readiness.observation import Mention, Owner, Pull
from worker.readiness.askers import asks_of
from worker.readiness.traces import Traces

MOST_TEXTS = (
    2000  # that name the registry, in one object; what is past them is told as not looked at
)
_APPLIED = ("last-applied", "last-applied-configuration", "applied")  # copies of the object itself
_REGISTRY_KEYS = (
    "registry",
    "imageregistry",
    "host",
    "hostname",
    "domain",
    "server",
    "registryhost",
)
_OF_REGISTRIES = ("registry", "image", "repositor")
_REPOSITORY_KEYS = ("repository", "image", "imagename", "name", "imagerepository")
_TAG_KEYS = ("tag", "imagetag", "version", "imageversion")
_POD_PARTS = (".containers[", ".initContainers[", ".ephemeralContainers[", ".volumes[")


@dataclass(frozen=True, slots=True)
class About:
    """Which object it is."""

    namespace: str
    group: str
    kind: str
    name: str
    controller: Owner | None = None


def mentions_of(about: About, document: Mapping[str, Any], traces: Traces) -> Iterator[Mention]:
    """Yield each field in which the registry is named; of too many the last says that there are more."""
    pulls = tuple(islice(_pulls(document), MOST_TEXTS))
    if len(pulls) == MOST_TEXTS:
        pulls = (*pulls, Pull("?", ("",)))  # as one that nothing accounts for
    for number, (place, text) in enumerate(_named(document, traces)):
        more = number == MOST_TEXTS
        yield Mention(
            about.namespace,
            about.kind,
            about.name,
            place,
            text,
            about.group,
            about.controller,
            _use(place),
            pulls,
            more,
            asks=asks_of(about.namespace, about.group, document, place, text),
        )
        if more:
            return


def _named(document: Mapping[str, Any], traces: Traces) -> Iterator[tuple[str, str]]:
    objects: list[tuple[str, Mapping[str, Any]]] = []
    together = False
    for place, value in _values(document):
        if isinstance(value, str):
            if text := traces.in_text(value):
                yield place, text
        elif isinstance(value, dict):
            for key in value:
                if text := traces.in_text(key):
                    yield (f"{place}.{key}" if place else key), text
            if text := traces.joined(
                str(each) for each in value.values() if isinstance(each, str | int)
            ):
                together = True
                yield place, text
            objects.append((place, value))
    if not together:
        yield from _in_two_objects(objects, traces)


def _in_two_objects(
    objects: Iterable[tuple[str, Mapping[str, Any]]], traces: Traces
) -> Iterator[tuple[str, str]]:
    """Yield a host whose name stands where a registry is configured, and its domain or port in another object."""
    hosts: dict[str, str] = {}
    rests: list[str] = []
    for place, value in objects:
        path = place.lower()
        of_registry = any(word in path for word in _OF_REGISTRIES)
        # The name of an image is none of a host.
        names = (*_REGISTRY_KEYS, "name", "subdomain") if "registry" in path else _REGISTRY_KEYS
        for key, each in value.items():
            if not isinstance(each, str | int):
                continue
            if _plain(key).endswith(("domain", "port")):
                rests.append(str(each))
            elif of_registry and _plain(key) in names:
                hosts.setdefault(str(each), f"{place}.{key}")
    if hosts and (text := traces.joined((*hosts, *rests))):
        yield next((place for host, place in hosts.items() if host in text), ""), text


def _values(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each text and each object in it with its path, such as spec.containers[0].image.

    Of the metadata only annotations count, and of those no copies of the object itself. What an object with
    a registry, a repository and a tag in fields of their own means is one text, and so yielded as one.
    """
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    for key, value in annotations.items():
        if not key.endswith(_APPLIED):
            yield f"metadata.annotations[{key}]", value
    told = {key: value for key, value in document.items() if key not in ("metadata", "status")}
    waiting: list[tuple[str, Any]] = [("", told)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict):
            whole, parts = _composed(value)
            if whole:
                yield (f"{place}.{parts[0]}" if place else parts[0]), whole
            yield place, value
            waiting += reversed(
                [
                    (f"{place}.{key}" if place else key, each)
                    for key, each in value.items()
                    if key not in parts
                ]
            )
        elif isinstance(value, list):
            waiting += reversed([(f"{place}[{n}]", each) for n, each in enumerate(value)])
        else:
            yield place, value


def _composed(value: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the image that an object's fields make together, and the names of those that are in it as a whole."""
    texts = {_plain(key): key for key, each in value.items() if isinstance(each, str) and each}
    repository = next((texts[key] for key in _REPOSITORY_KEYS if key in texts), "")
    if not repository or value[repository].count("://"):
        return "", ()
    parts = [repository]
    whole = value[repository]
    registry = next((texts[key] for key in _REGISTRY_KEYS if key in texts), "")
    if registry:
        host = value[registry].rpartition("://")[2].rstrip("/")
        port = value.get("port")
        host = f"{host}:{port}" if port and not set(host) & set(":/") else host
        if not whole.startswith(f"{host}/"):
            whole = f"{host}/{whole.lstrip('/')}"
        parts.append(registry)
    tagged = "@" in whole or ":" in whole.rpartition("/")[2]
    tag = next((texts[key] for key in _TAG_KEYS if key in texts), "")
    if tag and not tagged:
        whole = f"{whole}:{value[tag]}"
    digest = texts.get("digest", "")
    if digest and "@" not in whole and value[digest].startswith("sha"):
        whole = f"{whole}@{value[digest]}"
    return (whole, tuple(parts)) if whole != value[repository] else ("", ())


def _use(place: str) -> str:
    """Return the path of what makes one pod: containers and volumes of one pod spec are one use of its images."""
    cuts = [place.find(part) for part in _POD_PARTS if part in place]
    return place[: min(cuts)] if cuts else place


def _pulls(document: Mapping[str, Any]) -> Iterator[Pull]:
    """Yield the Secrets and the ServiceAccounts that an object names, with the path of where they are named."""
    told = {key: value for key, value in document.items() if key not in ("metadata", "status")}
    waiting: list[tuple[str, Any]] = [("", told)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(f"{place}[{n}]", each) for n, each in enumerate(value)]
        if not isinstance(value, dict):
            continue
        for key, each in value.items():
            plain = _plain(key)
            if plain.endswith("namespace"):
                continue  # of a Secret that is named beside it
            if "pullsecret" in plain or plain in ("registrysecret", "registrysecretname"):
                if each:
                    yield Pull(place, tuple(_names(each)) or ("",))
            elif plain.endswith(("serviceaccount", "serviceaccountname")):
                name = each.get("name") if isinstance(each, dict) else each
                if isinstance(name, str) and name:
                    yield Pull(place, (), name)
            else:
                waiting.append((f"{place}.{key}" if place else key, each))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _names(each)
    elif isinstance(value, dict):
        named = value.get("name", value.get("secretName", ""))
        yield named if isinstance(named, str) else ""


def _plain(key: str) -> str:
    return key.lower().replace("-", "").replace("_", "")
