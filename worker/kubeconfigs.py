"""Kubeconfigs: every context that can be served, and for every other one why not.

The Python client ignores some settings silently, goes on anonymously after others, or answers them with the whole
user entry in an exception. So they are judged here first, with sentences that never hold a value of the file.
"""

import ssl
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from remediation.patterns import matcher

# PyYAML without its C loader needs 20 times as long for a fleet's file.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")


class Unusable(Exception):
    """A file or a context cannot be used; the message is safe to show."""


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
    server = _check_cluster(cluster, folder)
    user = _check_user(user, user_folder, plugins)
    return Context(name, server, _absolute(cluster, folder), user, user_folder)


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


def _check_cluster(cluster: Mapping[str, Any], folder: Path) -> str:
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith("https://") or not _host(server):
        raise Unusable("the server must be an https:// URL")
    if any(sign in server for sign in "@?#"):
        raise Unusable("the server must be a URL without user name, password, query and fragment")
    insecure = cluster.get("insecure-skip-tls-verify", False)
    if not isinstance(insecure, bool):
        raise Unusable("insecure-skip-tls-verify must be true or false, without quotes")
    if insecure:
        raise Unusable(
            "insecure-skip-tls-verify is refused: put the server's CA into certificate-authority-data"
        )
    proxy = cluster.get("proxy-url")
    if proxy is not None and not str(proxy).startswith(("http://", "https://")):
        raise Unusable("proxy-url must be http:// or https://")
    _check_ca(cluster, folder)
    return server.rstrip("/")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _check_ca(cluster: Mapping[str, Any], folder: Path) -> None:
    data = _material(cluster, "certificate-authority", folder)
    if data is None:
        return
    try:
        ssl.create_default_context(cadata=data.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError):
        raise Unusable("the certificate authority is not a PEM certificate") from None


def _check_user(
    user: Mapping[str, Any], folder: Path, plugins: tuple[str, ...]
) -> Mapping[str, Any]:
    """Return the user entry with its token settled and its paths made absolute."""
    if named := [key for key in _IMPERSONATION if user.get(key)]:
        raise Unusable(f"impersonation ('{named[0]}') is not supported")
    if user.get("auth-provider"):
        raise Unusable(
            "auth-provider is not supported: use an exec plugin, a token or a certificate"
        )
    if "username" in user or "password" in user:
        raise Unusable(
            "user name and password are not accepted by Kubernetes: use a token or a certificate"
        )
    token = _token(user, folder)
    certificate = _check_certificate(user, folder)
    plugin = user.get("exec")
    if plugin is not None:
        if token or certificate:
            raise Unusable("exec together with a token or a certificate is ambiguous: keep one")
        return {"exec": _check_exec(plugin, folder, plugins)}
    if not token and not certificate:
        raise Unusable("the user has no credential: no token, no certificate, no exec plugin")
    settled = _absolute(user, folder)
    if user.get("tokenFile"):
        settled.pop("token", None)  # as kubectl: the file wins
        settled["tokenFile"] = str(folder / str(user["tokenFile"]))
    elif token:
        settled["token"] = token
    return settled


def _token(user: Mapping[str, Any], folder: Path) -> str | None:
    path = user.get("tokenFile")
    if path:
        return read_token(folder / str(path))
    token = user.get("token")
    if token is None:
        return None
    text = str(token).strip()
    if not text or not text.isprintable() or not text.isascii():
        raise Unusable("the token is empty or has characters that no token has")
    return text


def read_token(path: Path) -> str:
    """Return the token in a file, which may be replaced at any time. Raises Unusable."""
    try:
        token = path.read_text().strip()
    except (OSError, ValueError):  # not UTF-8, or a path that no file can have
        raise Unusable("the tokenFile cannot be read") from None
    if not token or not token.isprintable() or not token.isascii():
        raise Unusable("the tokenFile holds no token")
    return token


def _check_certificate(user: Mapping[str, Any], folder: Path) -> bool:
    certificate = _material(user, "client-certificate", folder)
    key = _material(user, "client-key", folder)
    if (certificate is None) != (key is None):
        raise Unusable("a client certificate needs its client key, and the other way round")
    return certificate is not None


def _check_exec(plugin: object, folder: Path, plugins: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(plugin, dict) or not isinstance(plugin.get("command"), str):
        raise Unusable("exec names no command")
    if plugin.get("provideClusterInfo"):
        raise Unusable("exec with provideClusterInfo is not supported")
    if plugin.get("interactiveMode") == "Always":
        raise Unusable("exec with interactiveMode Always cannot run in a service")
    command = plugin["command"]
    if not matcher(plugins)(command):
        raise Unusable(
            "exec runs a command that this worker does not allow: name it in REMEDIATOR_EXEC_PLUGINS, or use a token "
            "or a certificate"
        )
    # As kubectl: a command with a slash is relative to its kubeconfig, a bare one is looked up on PATH.
    return plugin | {"command": str(folder / command) if "/" in command else command}


def _material(entry: Mapping[str, Any], name: str, folder: Path) -> bytes | None:
    """Return what `NAME-data` (base64) or the file `NAME` holds, None if there is neither."""
    data = entry.get(f"{name}-data")
    if data:
        try:
            return b64decode(str(data), validate=True)
        except ValueError:
            raise Unusable(f"{name}-data is not base64") from None
    path = entry.get(name)
    if not path:
        return None
    try:
        return (folder / str(path)).read_bytes()
    except OSError as error:
        raise Unusable(f"the file of {name} cannot be read ({error.strerror})") from None
    except ValueError:
        raise Unusable(f"the path of {name} is none that a file can have") from None


def _absolute(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    names = ("certificate-authority", "client-certificate", "client-key")
    return {
        key: str(folder / str(value)) if key in names and value else value
        for key, value in entry.items()
    }
