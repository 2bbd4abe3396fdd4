"""What the entries of a kubeconfig may hold.

The Python client ignores some settings silently, goes on anonymously after others, or answers them with the whole
user entry in an exception. So they are judged here first, with sentences that never hold a value of the file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from network.pem import base64_as_go
from worker.kubeconfig_addresses import check_server, check_server_name, proxy_of
from worker.kubeconfig_certificates import BadMaterial, authorities, identity
from worker.kubeconfig_plugin import check_plugin
from worker.kubeconfig_unusable import Unusable

__all__ = [
    "Unusable",
    "absolute",
    "authority",
    "check_cluster",
    "check_user",
    "client_identity",
    "depends_on",
    "read_token",
]

_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")
_FILES = ("certificate-authority", "client-certificate", "client-key")
_CLUSTER_TEXTS = (
    *("server", "tls-server-name", "proxy-url"),
    *("certificate-authority", "certificate-authority-data"),
)
_USER_TEXTS = (
    *("token", "tokenFile", "username", "password"),
    *("client-certificate", "client-certificate-data", "client-key", "client-key-data"),
)


def check_cluster(
    cluster: Mapping[str, Any], folder: Path, *, may_be_insecure: bool = False
) -> tuple[str, str | None]:
    """Return the server of a cluster entry and the proxy on the way there. Raises Unusable.

    `may_be_insecure`: the operator allows by name that the server's certificate is not verified.
    """
    _check_texts(cluster, _CLUSTER_TEXTS)
    server = check_server(cluster.get("server"))
    insecure = cluster.get("insecure-skip-tls-verify")
    if insecure is not None and not isinstance(insecure, bool):
        raise Unusable("insecure-skip-tls-verify must be true or false, without quotes")
    if insecure:
        _check_insecure(cluster, may_be_insecure=may_be_insecure)
    check_server_name(cluster.get("tls-server-name"))
    authority(cluster, folder)
    return server, proxy_of(cluster, server, os.environ)


def _check_insecure(cluster: Mapping[str, Any], *, may_be_insecure: bool) -> None:
    if not may_be_insecure:
        raise Unusable(
            "insecure-skip-tls-verify is refused: anyone in between would get the worker's token and the Secret. "
            "`remediator kubeconfig pin CONTEXT` has the server's certificate trusted instead; "
            "REMEDIATOR_INSECURE_CONTEXTS allows the context by name as it is"
        )
    if cluster.get("certificate-authority") or cluster.get("certificate-authority-data"):
        raise Unusable(
            "insecure-skip-tls-verify together with a certificate authority is refused, as kubectl does: remove one"
        )


def authority(cluster: Mapping[str, Any], folder: Path) -> str | None:
    """Return the certificates, as PEM, that vouch for the server; None: those the machine trusts. Raises Unusable."""
    data = _material(cluster, "certificate-authority", folder)
    if data is None:
        return None
    try:
        return authorities(data)
    except BadMaterial as error:
        raise Unusable(f"the certificate authority {error}") from None


def client_identity(user: Mapping[str, Any], folder: Path) -> tuple[str, str] | None:
    """Return certificate and key of a client as PEM, None if the user has neither. Raises Unusable."""
    certificate = _material(user, "client-certificate", folder)
    key = _material(user, "client-key", folder)
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise Unusable("a client certificate needs its client key, and the other way round")
    try:
        return identity(certificate, key)
    except BadMaterial as error:
        raise Unusable(str(error)) from None


def _check_texts(entry: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise Unusable for what YAML reads as a number or the like: it may be another value than is written there."""
    for name in names:
        value = entry.get(name)
        if value is not None and not isinstance(value, str):
            raise Unusable(f"{name} must be text: put it in quotes")


def check_user(
    user: Mapping[str, Any], folder: Path, plugins: tuple[str, ...]
) -> Mapping[str, Any]:
    """Return the user entry with its token settled and its paths made absolute. Raises Unusable.

    `plugins` are names or globs of the commands that exec may run.
    """
    if named := [key for key in _IMPERSONATION if user.get(key)]:
        raise Unusable(f"impersonation ('{named[0]}') is not supported")
    _check_texts(user, _USER_TEXTS)
    if user.get("auth-provider") is not None:
        raise Unusable(
            "auth-provider is not supported: use an exec plugin, a token or a certificate"
        )
    if user.get("username") or user.get("password"):
        raise Unusable(
            "user name and password are not accepted by Kubernetes: use a token or a certificate"
        )
    token = _token(user, folder)
    certificate = client_identity(user, folder) is not None
    plugin = user.get("exec")
    if plugin is not None:
        if token or certificate:
            raise Unusable("exec together with a token or a certificate is ambiguous: keep one")
        return {"exec": check_plugin(plugin, folder, plugins)}
    if not token and not certificate:
        raise Unusable("the user has no credential: no token, no certificate, no exec plugin")
    settled = absolute(user, folder)
    if user.get("tokenFile"):
        settled["tokenFile"] = str(folder / user["tokenFile"])
        if _readable(folder / user["tokenFile"]):
            settled.pop("token", None)  # as kubectl: the file wins
    elif token:
        settled["token"] = token
    return settled


def _token(user: Mapping[str, Any], folder: Path) -> str | None:
    path, token = user.get("tokenFile"), user.get("token")
    if path and (not token or _readable(folder / path)):
        return read_token(folder / path)
    if not token:
        return None
    text = str(token).strip()
    if not text or not text.isprintable() or not text.isascii():
        raise Unusable("the token is empty or has characters that no token has")
    return text


def _readable(path: Path) -> bool:
    try:
        read_token(path)
    except Unusable:
        return False
    return True


def read_token(path: Path) -> str:
    """Return the token in a file, which may be replaced at any time. Raises Unusable."""
    try:
        token = path.read_text().strip()
    except (OSError, ValueError):  # not UTF-8, or a path that no file can have
        raise Unusable("the tokenFile cannot be read") from None
    if not token or not token.isprintable() or not token.isascii():
        raise Unusable("the tokenFile holds no token")
    return token


def _material(entry: Mapping[str, Any], name: str, folder: Path) -> bytes | None:
    """Return what `NAME-data` (base64) or the file `NAME` holds, None if there is neither."""
    data, path = entry.get(f"{name}-data"), entry.get(name)
    if data and path:
        raise Unusable(f"{name} and {name}-data are both there: keep one")
    if data:
        try:
            return base64_as_go(str(data).encode())
        except ValueError:
            raise Unusable(f"{name}-data is not base64") from None
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
    return {
        key: str(folder / value) if key in _FILES and value and isinstance(value, str) else value
        for key, value in entry.items()
    }


def depends_on(entry: Mapping[str, Any], folder: Path) -> set[str]:
    """Return the files, and the commands on PATH, that decide whether an entry can be used."""
    plugin = entry.get("exec")
    command = plugin.get("command") if isinstance(plugin, dict) else None
    files = [entry.get(key) for key in (*_FILES, "tokenFile")]
    found = {str(folder / name) for name in files if isinstance(name, str) and name}
    if isinstance(command, str) and command:
        found.add(str(folder / command) if "/" in command else command)
    return found
