"""Kubeconfigs: every context that can be served, and for every other one why not."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remediation.patterns import matcher
from worker.kubeconfig_addresses import proxy_of
from worker.kubeconfig_files import Entry, Meaning, expand, read_files
from worker.kubeconfig_names import named_apart, unmatched
from worker.kubeconfig_rules import Unusable, absolute, check_cluster, check_user, depends_on


@dataclass(frozen=True, slots=True)
class Context:
    """A context that can be served. `folder` is where relative paths in it start; `in_cluster` is the pod's account."""

    name: str
    server: str
    cluster: Mapping[str, Any] = field(default_factory=dict, repr=False)
    user: Mapping[str, Any] = field(default_factory=dict, repr=False)
    folder: Path = Path()
    in_cluster: bool = False
    proxy: str | None = field(default=None, repr=False)

    @property
    def insecure(self) -> bool:
        """Tell whether the server's certificate is not verified, as the operator allows by name."""
        return self.cluster.get("insecure-skip-tls-verify") is True


@dataclass(frozen=True, slots=True)
class Contexts:
    """Usable contexts and broken ones (with the reason) by name, and the problems of whole files.

    `waits_for` are the files and commands that may make a broken context usable.
    """

    usable: Mapping[str, Context]
    broken: Mapping[str, str]
    problems: tuple[str, ...]
    waits_for: tuple[str, ...] = ()


class Kubeconfigs:
    """The kubeconfigs of a worker, read again when a file has changed."""

    def __init__(
        self,
        paths: tuple[Path, ...],
        patterns: tuple[str, ...],
        in_cluster: str,
        plugins: tuple[str, ...] = (),
        insecure: tuple[str, ...] = (),
    ) -> None:
        self._paths = paths
        self._patterns = patterns
        self._plugins = plugins
        self._insecure = insecure
        self._in_cluster = in_cluster
        self._signature: object = None
        self._contexts = Contexts({}, {}, ())

    def current(self) -> Contexts:
        """Return the contexts as the files have them now; `in_cluster` names the pod's own where there are no files."""
        if not self._paths:
            return _own_account(self._in_cluster)
        signature = self._stamps()
        if signature != self._signature:
            self._contexts = load(self._paths, self._patterns, self._plugins, self._insecure)
            self._signature = self._stamps()
        return self._contexts

    def _stamps(self) -> object:
        files = tuple(_stamp(file) for path in self._paths for file in expand(path, []))
        return files, tuple(_presence(name) for name in self._contexts.waits_for)


def _own_account(name: str) -> Contexts:
    server = "https://kubernetes.default.svc"
    host, port = (
        os.environ.get(f"KUBERNETES_SERVICE_{part}", default)
        for part, default in (("HOST", "kubernetes.default.svc"), ("PORT", "443"))
    )
    called = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    try:
        proxy = proxy_of({}, called, os.environ)
    except Unusable as error:
        return Contexts({}, {name: str(error)}, ())
    return Contexts({name: Context(name, server, in_cluster=True, proxy=proxy)}, {}, ())


def _stamp(path: Path) -> tuple[Path, int, int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return path, status.st_ino, status.st_mtime_ns, status.st_size


def _presence(name: str) -> object:
    return _stamp(Path(name)) if "/" in name else shutil.which(name)


def load(
    paths: tuple[Path, ...],
    patterns: tuple[str, ...],
    plugins: tuple[str, ...] = (),
    insecure: tuple[str, ...] = (),
) -> Contexts:
    """Read every file (of a folder: every regular file in it) and judge the contexts that match `patterns`.

    `plugins` are names or globs of the commands that exec may run: a kubeconfig must not run just anything.
    `insecure` are names or globs of the contexts, as they are served, whose server's certificate need not be verified.

    A context's cluster and user are looked up in its own file first, then in the others in order; of two contexts with
    one name the first keeps it, and the others get names of their own.
    """
    problems: list[str] = []
    files = read_files(paths, problems)
    entries = named_apart(files, problems)
    selected = matcher(patterns)
    insecure_ones = matcher(insecure)
    usable: dict[str, Context] = {}
    broken: dict[str, str] = {}
    waits_for: set[str] = set()
    for name, entry in entries.items():
        if not (selected(name) or selected(entry.name)):
            continue
        try:
            usable[name] = _context(
                name, entry, plugins, waits_for, may_be_insecure=insecure_ones(name)
            )
        except Unusable as error:
            broken[name] = str(error)
    problems += unmatched(patterns, entries)
    if not entries and not problems:
        problems.append(f"no context in {', '.join(map(str, paths))}")
    return Contexts(usable, broken, tuple(problems), tuple(sorted(waits_for)))


def _context(
    name: str,
    entry: Entry,
    plugins: tuple[str, ...],
    waits_for: set[str],
    *,
    may_be_insecure: bool,
) -> Context:
    meaning = entry.meaning()
    try:
        return _judged(name, meaning, plugins, may_be_insecure=may_be_insecure)
    except Unusable:
        waits_for |= depends_on(meaning.cluster, meaning.folder)
        waits_for |= depends_on(meaning.user, meaning.user_folder)
        raise


def _judged(
    name: str, meaning: Meaning, plugins: tuple[str, ...], *, may_be_insecure: bool
) -> Context:
    server, proxy = check_cluster(meaning.cluster, meaning.folder, may_be_insecure=may_be_insecure)
    user = check_user(meaning.user, meaning.user_folder, plugins)
    cluster = absolute(meaning.cluster, meaning.folder)
    return Context(name, server, cluster, user, meaning.user_folder, proxy=proxy)
