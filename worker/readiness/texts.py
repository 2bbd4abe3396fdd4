"""Where one object names the registry: each text with its path, and what the object says about pulling."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from remediation.readiness.forms import forms
from remediation.readiness.observation import Mention, Owner, Pull
from remediation.readiness.variables import Variables
from worker.readiness.askers import asks_of
from worker.readiness.traces import Traces

MOST_TEXTS = (
    2000  # that name the registry, in one object; what is past them is told as not looked at
)
_COPIES = ("last-applied", "last-applied-configuration", "applied")
_SHORTEST_COPY = 40
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
    for number, (place, text, whole) in enumerate(_named(about, document, traces)):
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
            unread=not whole,
        )
        if more:
            return


def _named(
    about: About, document: Mapping[str, Any], traces: Traces
) -> Iterator[tuple[str, str, bool]]:
    """Yield place and text of each field that names the registry, and whether the whole of it was read."""
    objects: list[tuple[str, Mapping[str, Any]]] = []
    together = False
    variables = _variables(document)
    for place, value in _values(about, document):
        if isinstance(value, str):
            text, whole = traces.look_at(value, variables)
            if text or not whole:
                yield place, text, whole
        elif isinstance(value, dict):
            for key in value:
                if text := traces.in_text(key):
                    yield (f"{place}.{key}" if place else key), text, True
            if text := traces.joined(
                str(each) for each in value.values() if isinstance(each, str | int)
            ):
                together = True
                yield place, text, True
            objects.append((place, value))
    if not together:
        for place, text in _in_two_objects(objects, traces):
            yield place, text, True


def _variables(document: Mapping[str, Any]) -> Variables:
    """Return what a document gives names to: its pairs of name and value, and its members that are plain."""
    found: dict[str, list[str]] = {}
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            name, given = value.get("name"), value.get("value", value.get("default"))
            if isinstance(name, str) and isinstance(given, str | int):
                found.setdefault(name, []).append(str(given))
            for key, each in value.items():
                if isinstance(each, str | int):
                    found.setdefault(key, []).append(str(each))
        if isinstance(value, dict | list):
            waiting += reversed(list(value.values() if isinstance(value, dict) else value))
    return {name: tuple(values) for name, values in found.items()}


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


def is_copy(key: str, value: str, kind: str, name: str) -> bool:
    """Tell whether an annotation is a copy of its object that a tool keeps: the object itself says what counts."""
    if "{" not in value and len(value) < _SHORTEST_COPY:
        return False
    for form in forms(value, _SHORTEST_COPY).texts:
        try:
            found = msgspec.json.decode(form.strip())
        except (msgspec.DecodeError, RecursionError):
            continue
        if isinstance(found, dict):
            meta = found.get("metadata")
            same = isinstance(meta, dict) and meta.get("name") == name
            return (same and found.get("kind", kind) == kind) or (
                key.rpartition("/")[2] in _COPIES and not meta
            )
    return False


def _values(about: About, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each text and each object in it with its path, such as spec.containers[0].image.

    Of the metadata only the values of labels and annotations count, and of those no copies of the object itself. The
    status tells what a controller has done. What an object with a registry, a repository and a tag in fields of their
    own means is one text, and so yielded as one.
    """
    meta = document.get("metadata") or {}
    for part in ("labels", "annotations"):
        for key, value in (meta.get(part) or {}).items():
            if not is_copy(key, value, about.kind, about.name):
                yield f"metadata.{part}[{key}]", value
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
