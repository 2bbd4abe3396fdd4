"""Kubeconfigs: every context that can be served, and for every other one why not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from remediation.patterns import matcher
from worker.kubeconfig_rules import Unusable, absolute, check_cluster, check_user

# PyYAML without its C loader needs 20 times as long for a fleet's file.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Context:
    """A context that can be served. `folder` is where relative paths in it start; `in_cluster` is the pod's account."""

    name: str
    server: str
    cluster: Mapping[str, Any] = field(default_factory=dict, repr=False)
    user: Mapping[str, Any] = field(default_factory=dict, repr=False)
    folder: Path = Path()
    in_cluster: bool = False


@dataclass(frozen=True, slots=True)
class Contexts:
    """Usable contexts and broken ones (with the reason) by name, and the problems of whole files."""

    usable: Mapping[str, Context]
    broken: Mapping[str, str]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    document: Mapping[str, Any] = field(repr=False)


class Kubeconfigs:
    """The kubeconfigs of a worker, read again when a file has changed."""

    def __init__(
        self,
        paths: tuple[Path, ...],
        patterns: tuple[str, ...],
        in_cluster: str,
        plugins: tuple[str, ...] = (),
    ) -> None:
        self._paths = paths
        self._patterns = patterns
        self._plugins = plugins
        self._in_cluster = in_cluster
        self._signature: object = None
        self._contexts = Contexts({}, {}, ())

    def current(self) -> Contexts:
        """Return the contexts as the files have them now; `in_cluster` names the pod's own where there are no files."""
        if not self._paths:
            server = "https://kubernetes.default.svc"
            own = Context(self._in_cluster, server, in_cluster=True)
            return Contexts({self._in_cluster: own}, {}, ())
        signature = tuple(_stamp(file) for path in self._paths for file in _expand(path, []))
        if signature != self._signature:
            self._contexts = load(self._paths, self._patterns, self._plugins)
            self._signature = signature
        return self._contexts


def _stamp(path: Path) -> tuple[Path, int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return path, status.st_ino, status.st_mtime_ns, status.st_size


def load(
    paths: tuple[Path, ...], patterns: tuple[str, ...], plugins: tuple[str, ...] = ()
) -> Contexts:
    """Read every file (of a folder: every regular file in it) and judge the contexts that match `patterns`.

    `plugins` are names or globs of the commands that exec may run: a kubeconfig must not run just anything.

    A context's cluster and user are looked up in its own file first, then in the others in order; of two contexts with
    one name the first counts.
    """
    files: list[_File] = []
    problems: list[str] = []
    for path in paths:
        for found in _expand(path, problems):
            try:
                files.append(_File(found, _read(found)))
            except Unusable as error:
                problems.append(f"{found}: {error}")
    selected = matcher(patterns)
    usable: dict[str, Context] = {}
    broken: dict[str, str] = {}
    for file in files:
        for name, entry in _contexts(file, problems):
            if not selected(name):
                continue
            if name in usable or name in broken:
                problems.append(f"{file.path}: context '{name}' is hidden by an earlier one")
                continue
            try:
                usable[name] = _context(name, entry, file, files, plugins)
            except Unusable as error:
                broken[name] = str(error)
    return Contexts(usable, broken, tuple(problems))


def _expand(path: Path, problems: list[str]) -> Iterator[Path]:
    try:
        if path.is_dir():
            # A mounted Secret has hidden entries that lead to the same files again.
            yield from sorted(
                child for child in path.iterdir() if child.is_file() and child.name[0] != "."
            )
        elif path.exists():
            yield path
        else:
            problems.append(f"{path}: no such file")
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.load(path.read_bytes(), _LOADER)  # noqa: S506 -- both are safe loaders
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise Unusable(f"is not YAML{where}") from None
    if not isinstance(document, dict) or not isinstance(document.get("contexts"), list):
        raise Unusable("is not a kubeconfig: it has no list 'contexts'")
    return document


def _contexts(file: _File, problems: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in file.document["contexts"]:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name:
            problems.append(f"{file.path}: has a context without a name")
            continue
        entry = item.get("context")
        yield name, entry if isinstance(entry, dict) else {}


def _context(
    name: str, entry: Mapping[str, Any], file: _File, files: list[_File], plugins: tuple[str, ...]
) -> Context:
    candidates = [file, *(other for other in files if other is not file)]
    cluster, folder = _named(candidates, "clusters", "cluster", entry.get("cluster"))
    user, user_folder = _named(candidates, "users", "user", entry.get("user"))
    server = check_cluster(cluster, folder)
    user = check_user(user, user_folder, plugins)
    return Context(name, server, absolute(cluster, folder), user, user_folder)


def _named(
    files: list[_File], section: str, kind: str, name: object
) -> tuple[Mapping[str, Any], Path]:
    if not isinstance(name, str) or not name:
        raise Unusable(f"the context names no {kind}")
    for file in files:
        items = file.document.get(section)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and item.get("name") == name:
                entry = item.get(kind)
                return (entry if isinstance(entry, dict) else {}), file.path.absolute().parent
    raise Unusable(f"its {kind} '{name}' is defined nowhere")
