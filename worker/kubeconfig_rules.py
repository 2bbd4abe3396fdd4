"""What the entries of a kubeconfig may hold.

The Python client ignores some settings silently, goes on anonymously after others, or answers them with the whole
user entry in an exception. So they are judged here first, with sentences that never hold a value of the file.
"""

import ssl
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from remediation.patterns import matcher

_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")


class Unusable(Exception):
    """A file or a context cannot be used; the message is safe to show."""


def check_cluster(cluster: Mapping[str, Any], folder: Path) -> str:
    """Return the server of a cluster entry. Raises Unusable."""
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


def check_user(
    user: Mapping[str, Any], folder: Path, plugins: tuple[str, ...]
) -> Mapping[str, Any]:
    """Return the user entry with its token settled and its paths made absolute. Raises Unusable.

    `plugins` are names or globs of the commands that exec may run.
    """
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
    settled = absolute(user, folder)
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


def absolute(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the entry with the paths in it made absolute; `folder` is where they start."""
    names = ("certificate-authority", "client-certificate", "client-key")
    return {
        key: str(folder / str(value)) if key in names and value else value
        for key, value in entry.items()
    }
